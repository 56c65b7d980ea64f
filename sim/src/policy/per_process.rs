//! A server's half of a rival in each of its processes: what one of them learns, the others do not know.

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::{QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

/// As many of them as a server has processes.
pub(super) struct PerProcess<S> {
    halves: Vec<S>,
    processes_per_queue: usize,
}

impl<S> PerProcess<S> {
    pub(super) fn new(service: &Service, make: impl Fn() -> S) -> PerProcess<S> {
        let processes = service.queues * service.processes_per_queue;
        PerProcess {
            halves: (0..processes).map(|_| make()).collect(),
            processes_per_queue: service.processes_per_queue,
        }
    }

    fn of(&mut self, request: &Request) -> &mut S {
        &mut self.halves[request.queue * self.processes_per_queue + request.process]
    }
}

impl<S: ServerPolicy> ServerPolicy for PerProcess<S> {
    fn admit(&mut self, request: &Request, queue: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        self.of(request).admit(request, queue, random, now)
    }

    fn dequeue(&mut self, request: &Request, queue: QueueView, now: Nanos) -> Result<(), Status> {
        self.of(request).dequeue(request, queue, now)
    }

    fn done(&mut self, request: &Request, started: Nanos, queue: QueueView, now: Nanos) {
        self.of(request).done(request, started, queue, now);
    }

    fn takes_youngest(&self, queue: usize) -> bool {
        self.halves[queue * self.processes_per_queue].takes_youngest(queue)
    }

    fn level(&mut self, request: &Request, queue: QueueView, now: Nanos) -> u32 {
        self.of(request).level(request, queue, now)
    }
}
