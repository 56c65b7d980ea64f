//! What a handler is given, and what it answers with.

use bytes::Bytes;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Header;

use crate::context::Context;
use crate::failure::Failure;

/// What a handler answers with.
pub type Reply = Result<Bytes, Failure>;

/// A request that has been taken: its context and its payload.
#[derive(Debug)]
pub struct Request {
    context: Context,
    payload: Bytes,
}

impl Request {
    pub(crate) fn new(context: Context, payload: Bytes) -> Request {
        Request { context, payload }
    }

    /// Who asks, and until when.
    pub fn context(&self) -> &Context {
        &self.context
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

/// A request that is handled where it was read. It borrows the bytes that came out of the socket.
#[derive(Clone, Copy, Debug)]
pub struct Inline<'a> {
    pub(crate) header: Header,
    pub(crate) metadata: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) arrival: Nanos,
}

impl<'a> Inline<'a> {
    /// The message.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Who asks, and until when.
    pub fn context(&self) -> Context {
        Context::from_parts(self.header, self.metadata, self.arrival)
    }

    /// The user; 0 if there is none.
    pub fn uin(&self) -> u64 {
        self.header.uin
    }
}
