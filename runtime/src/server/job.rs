//! A request on its way to a worker.

use std::sync::Arc;

use bytes::Bytes;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Kind;

use super::connection::Connection;
use super::limits::Permit;
use super::memory::Lease;
use super::reply::ReplyTo;
use crate::context::Context;
use crate::methods::Method;

/// An admitted request: whoever has it owes admission a word, and the caller an answer.
pub(crate) struct Job {
    pub(crate) method: Arc<Method>,
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
    /// The memory of the payload.
    pub(crate) _lease: Lease,
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
