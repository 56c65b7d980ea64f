//! Outcomes of calls from processes that cannot use the shared memory (SPEC B5): a datagram of text, a line per endpoint,
//! added to the cells that all other processes add to. What is in force for each endpoint is the answer. `docs/reports.md`
//! has the format, and a program that speaks it.
//!
//! | module | |
//! |---|---|
//! | `text` | a line of a report, and one of its answer |
//! | `cell` | what a report does to the cell of its endpoint, and what is in force there |
//! | `desk` | takes datagrams, and answers them |
//! | [`socket`] | `reports.sock` |

pub(crate) mod cell;
pub(crate) mod desk;
pub mod socket;
pub(crate) mod text;
