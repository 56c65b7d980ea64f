//! No control at all: everything is queued, and run even when its caller has gone.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

/// The policy.
pub struct NoControl;

impl Policy for NoControl {
    fn name(&self) -> &'static str {
        "none"
    }

    fn server<'m>(&self, _service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(Server)
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

struct Server;

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, _: &mut Stream, _: Nanos) -> Result<(), Status> {
        Ok(())
    }

    fn dequeue(&mut self, _: &Request, _: QueueView, _: Nanos) -> Result<(), Status> {
        Ok(())
    }
}
