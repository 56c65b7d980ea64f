//! What a handler is given, and what it answers with.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mcrpc_core::time::Nanos;

use crate::context::Context;
use crate::failure::Failure;
use crate::server::connection::Connection;
use crate::server::reply::ReplyTo;

/// What a handler answers with.
pub type Reply = Result<Bytes, Failure>;

/// A request that has been taken: its context and its payload.
pub struct Request {
    context: Context,
    payload: Bytes,
    connection: Arc<Connection>,
}

impl Request {
    pub(crate) fn new(context: Context, payload: Bytes, connection: Arc<Connection>) -> Request {
        Request { context, payload, connection }
    }

    /// The name of the service that calls, as the request or its connection says; empty if neither does. Not proven.
    pub fn caller(&self) -> Arc<str> {
        self.connection.caller_of(&self.context)
    }

    /// The user whose process is at the other end of a unix socket, as the kernel says; `None` over TCP.
    pub fn peer_uid(&self) -> Option<u32> {
        self.connection.write.peer_uid()
    }

    /// Who asks, and until when.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Which method is asked for: the hash of its full name.
    pub fn method_id(&self) -> u32 {
        self.context.header().method_id
    }

    /// Which service is asked for, if the request says so as those to a proxy do; empty otherwise.
    pub fn service(&self) -> &str {
        self.context.service()
    }

    /// The message.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The message, taken.
    pub fn into_payload(self) -> Bytes {
        self.payload
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { context, payload, connection: _ } = self;
        out.debug_struct("Request").field("context", context).field("payload", payload).finish_non_exhaustive()
    }
}

/// A request that is handled where it was read. It borrows the bytes that came out of the socket.
#[derive(Clone, Copy, Debug)]
pub struct Inline<'a> {
    pub(crate) to: ReplyTo,
    pub(crate) metadata: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) arrival: Nanos,
}

impl<'a> Inline<'a> {
    /// A request without metadata and payload.
    pub(crate) fn new(to: ReplyTo, arrival: Nanos) -> Inline<'a> {
        Inline { to, metadata: &[], payload: &[], arrival }
    }

    /// The message.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Who asks, and until when.
    pub fn context(&self) -> Context {
        let mut context = Context::from_parts(self.to.header, self.metadata, self.arrival);
        context.begin_trace_if_sampled();
        context
    }

    /// The user; 0 if there is none.
    pub fn uin(&self) -> u64 {
        self.to.header.uin
    }
}
