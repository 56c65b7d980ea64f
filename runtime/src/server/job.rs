//! A request on its way to a worker.
//!
//! It is made by one thread and ends on another. Memory that goes the same way costs more than the rest of that way, so the memory of a
//! request goes back and is used again, and its body shares a block with others.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Kind;

use super::connection::Connection;
use super::limits::Permit;
use super::noted::Noted;
use super::reply::ReplyTo;
use crate::context::Context;
use crate::net::blocks::Blocks;
use crate::request::Inline;

/// The memory of one request, with or without it: a request is large, and moves only as this pointer.
pub(crate) type Parcel = Box<Option<Job>>;

/// An admitted request: whoever has it owes admission a word, the caller an answer, and gives the memory of its body back.
pub(crate) struct Job {
    /// The number of its method.
    pub(crate) method: usize,
    pub(crate) to: ReplyTo,
    /// When it was received.
    pub(crate) arrival: Nanos,
    pub(crate) deadline: Nanos,
    pub(crate) body: Body,
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
        self.to.header.priority
    }

    /// Whether anybody wants an answer.
    pub(crate) fn wants_reply(&self) -> bool {
        self.to.header.kind == Kind::Request
    }

    pub(crate) fn context(&self) -> Context {
        let mut context = Context::until(self.deadline, self.to.header, self.body.metadata(), self.arrival);
        context.begin_trace_if_sampled();
        context
    }
}

/// What a request consists of behind its header: metadata, which are valid, and a payload.
pub(crate) struct Body {
    bytes: Bytes,
    metadata_len: u32,
}

impl Body {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn metadata(&self) -> &[u8] {
        self.bytes.get(..self.metadata_len as usize).unwrap_or_default()
    }

    pub(crate) fn take_payload(&mut self) -> Bytes {
        if self.metadata_len == 0 {
            std::mem::take(&mut self.bytes)
        } else {
            self.bytes.split_off(self.metadata_len as usize)
        }
    }
}

/// Requests for the workers, and for the blocking workers.
#[derive(Default)]
pub(crate) struct Jobs {
    pub(crate) by_pool: [VecDeque<Parcel>; 2],
    /// Parcels without a request.
    pub(crate) spare: Vec<Parcel>,
    blocks: Blocks,
}

impl Jobs {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_pool.iter().all(VecDeque::is_empty)
    }

    /// Adds a request.
    #[inline]
    pub(crate) fn push(&mut self, is_blocking: bool, job: Job) {
        let mut parcel = self.spare.pop().unwrap_or_default();
        *parcel = Some(job);
        self.by_pool[usize::from(is_blocking)].push_back(parcel);
    }

    /// A copy of a request's body.
    pub(crate) fn copy_body(&mut self, request: &Inline<'_>) -> Body {
        let Inline { metadata, payload, .. } = request;
        let bytes = self.blocks.copy(metadata, payload);
        Body { bytes, metadata_len: metadata.len() as u32 }
    }
}
