//! What did the host learn about an endpoint?
//!
//! One process, the agent, writes a table in shared memory; every other process reads it on every call, without a
//! lock, a system call or a write. Only endpoints that differ from *pass all* are in it, so on a healthy host a call reads
//! one word.
//!
//! | module | |
//! |---|---|
//! | [`endpoint`] | the key of the table |
//! | [`entry`] | what an entry says, in 28 bits |
//! | [`table`] | the segment, and how it is read |
//! | [`cold`] | the full keys, in a second segment that callers never map |
//! | [`writer`] | insert, delete, refresh, adopt after a crash |
//! | `placement` | where an entry stands, and the order in which one is moved |
//! | [`liveness`] | whether the writer still lives |
//! | [`generate`] | what the entries should say, after what calls met |

pub mod cold;
pub mod endpoint;
pub mod entry;
pub mod generate;
pub mod liveness;
mod placement;
pub mod table;
pub mod writer;
