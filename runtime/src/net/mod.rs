//! Streams of bytes, whatever carries them.
//!
//! | module | |
//! |---|---|
//! | [`address`] | where to listen or to connect: TCP or a unix socket |
//! | `stream` | a connection in two halves: one task reads, any thread writes |
//! | `blocks` | copies of short messages, which share memory |
//! | `outbox` | what waits to be written, and who writes it |

pub mod address;
pub(crate) mod blocks;
pub(crate) mod outbox;
pub(crate) mod stream;

pub use address::Address;
