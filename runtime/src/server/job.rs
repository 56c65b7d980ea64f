//! A request on its way to a worker.

use std::sync::Arc;

use bytes::Bytes;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Kind;

use super::connection::Connection;
use super::limits::Permit;
use super::noted::Noted;
use super::reply::ReplyTo;
use crate::context::Context;

/// An admitted request: whoever has it owes admission a word, the caller an answer, and gives the memory of its payload back.
pub(crate) struct Job {
    /// The number of its method.
    pub(crate) method: usize,
    pub(crate) context: Context,
    /// See [`ReplyTo`].
    pub(crate) correlation_id: Option<i64>,
    pub(crate) payload: Bytes,
    /// Where the answer goes.
    pub(crate) connection: Arc<Connection>,
    /// T1.
    pub(crate) admitted_at: Nanos,
    /// Its place among the requests of its method.
    pub(crate) permit: Option<Permit>,
    /// There if it is recorded.
    pub(crate) noted: Option<Box<Noted>>,
}

impl Job {
    pub(crate) fn priority(&self) -> u8 {
        self.context.priority()
    }

    pub(crate) fn reply_to(&self) -> ReplyTo {
        ReplyTo { header: *self.context.header(), correlation_id: self.correlation_id }
    }

    /// Whether anybody wants an answer.
    pub(crate) fn wants_reply(&self) -> bool {
        self.context.header().kind == Kind::Request
    }
}
