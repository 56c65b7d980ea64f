//! Controlled delay, as servers use it (facebook/folly, `folly/executors/Codel.cpp`): if even the shortest wait in an interval of
//! 100 ms was above 5 ms, the next interval is one of overload, in which what has waited for more than 10 ms is not run.
//!
//! The other variant takes the youngest request first while it is overloaded ("Fail at Scale", ACM Queue 13(8), 2015: adaptive
//! LIFO). What was dropped is refused, so that its caller tries again elsewhere.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const TARGET_NS: u64 = 5 * NANOS_PER_MILLI;
const INTERVAL_NS: u64 = 100 * NANOS_PER_MILLI;
const SLOUGH_NS: u64 = 2 * TARGET_NS;

/// The policy.
pub struct Codel {
    lifo: bool,
}

impl Codel {
    /// Oldest first.
    pub fn fifo() -> Codel {
        Codel { lifo: false }
    }

    /// Youngest first while overloaded.
    pub fn adaptive_lifo() -> Codel {
        Codel { lifo: true }
    }
}

impl Policy for Codel {
    fn name(&self) -> &'static str {
        if self.lifo { "codel, adaptive lifo" } else { "codel" }
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server { lifo: self.lifo, ..Server::default() }))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

#[derive(Default)]
struct Server {
    lifo: bool,
    interval_ends: Nanos,
    least_wait_ns: Option<u64>,
    overloaded: bool,
}

impl Server {
    /// Whether what has waited so long is dropped.
    fn drops(&mut self, waited_ns: u64, now: Nanos) -> bool {
        if now > self.interval_ends
            && let Some(least_ns) = self.least_wait_ns.take()
        {
            self.interval_ends = now.plus(INTERVAL_NS);
            self.overloaded = least_ns > TARGET_NS;
        }
        match self.least_wait_ns {
            // The first of an interval is always run.
            None => {
                self.least_wait_ns = Some(waited_ns);
                return false;
            }
            Some(least_ns) => self.least_wait_ns = Some(least_ns.min(waited_ns)),
        }
        self.overloaded && waited_ns > SLOUGH_NS
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, _: &mut Stream, _: Nanos) -> Result<(), Status> {
        Ok(())
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        let drops = self.drops(now.since(request.received), now);
        if now >= request.deadline {
            Err(Status::DEADLINE_IN_QUEUE)
        } else if drops {
            Err(Status::WAIT_ABOVE_HARD_LIMIT)
        } else {
            Ok(())
        }
    }

    fn takes_youngest(&self, _: usize) -> bool {
        self.lifo && self.overloaded
    }
}
