//! A short queue: half as many places as workers (SRE book, chapter 22, "Addressing cascading failures": queue length of half
//! the thread pool or less).

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

/// The policy.
pub struct TailDrop;

impl Policy for TailDrop {
    fn name(&self) -> &'static str {
        "drop-tail"
    }

    fn server<'m>(&self, _service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(Server)
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

/// The server's half, which others use too.
pub(super) struct Server;

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, queue: QueueView, _: &mut Stream, _: Nanos) -> Result<(), Status> {
        if queue.queued < (queue.workers / 2).max(1) { Ok(()) } else { Err(Status::QUEUE_FULL) }
    }
}
