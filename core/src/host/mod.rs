//! What the processes of a host tell each other through shared memory: formats and protocols over words that the
//! caller has mapped. No file, no mapping, no clock, no lock.
//!
//! | module | |
//! |---|---|
//! | [`region`] | the words of a segment, and the only accesses to them |
//! | [`header`] | what all segments begin with; believed or refused |
//! | [`bucket`] | eight entries in a cache line, each of one word: how tables are searched without a lock |
//! | [`files`] | the names of the files, and who writes them |
//! | [`trust`] | whether a file may be attached, from what `fstat` says |
//! | [`seat`] | the place of one process: its stripe of counters, its trace ring, what it says of itself |
//! | [`stat`] | counters: a stripe for each process |
//! | [`fail`] | leaky buckets that all processes share |
//! | [`control`] | what an operator says to the whole host: kill switch, modes, shields, skips |
//! | [`calls`] | who calls whom, as counters |
//! | `rings` | segments with a ring for each seat |
//! | [`trace`] | decisions and sampled calls, readable also when their process hangs or is dead |
//! | [`log`] | lines of text, each handed to the agent exactly once or counted |
//!
//! The table of strategies, which every process reads on every call, is in [`crate::strategy`].

pub mod bucket;
pub mod calls;
pub mod control;
pub mod fail;
pub mod files;
pub mod header;
pub mod log;
pub mod region;
mod rings;
pub mod seat;
pub mod stat;
pub mod trace;
pub mod trust;
