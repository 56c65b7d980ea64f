//! The pass rate of Svrkit's open relative (Tencent/phxrpc, `phxrpc/rpc/hsha_server.cpp`: `HshaServerStat::CalFunc`,
//! `HshaServerQos::CalFunc`, `Worker::WorkerLogic`), with its defects as published.
//!
//! Once a second, if at least 1000 requests have left the queue since the rate was last looked at: a mean wait above
//! `FastRejectThresholdMS` = 20 adds `FastRejectAdjustRate` = 5 points to the part that is refused at random (99 at most), any
//! other takes 5 away. The mean is that of the input and the output queue, halved; nothing waits in the output queue here, so the
//! threshold is 40 ms in fact. Below 1000 requests nothing moves. What waited for 500 ms is not run, whatever its deadline.
//! Times are whole milliseconds, as there. Charitable: what has passed its own deadline is not run either, as with all policies.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const THRESHOLD_MS: u64 = 20;
const ADJUST_POINTS: u64 = 5;
const MAX_POINTS: u64 = 99;
const LEAST_SAMPLES: u64 = 1_000;
const MAX_WAIT_MS: u64 = 500;

/// The policy.
pub struct SvrkitPassRate;

impl Policy for SvrkitPassRate {
    fn name(&self) -> &'static str {
        "svrkit pass rate"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, Server::default))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

#[derive(Default)]
struct Server {
    looked: Nanos,
    refused_points: u64,
    samples: u64,
    waited_ms: u64,
}

impl Server {
    fn look(&mut self, now: Nanos) {
        if now.since(self.looked) < NANOS_PER_SECOND {
            return;
        }
        self.looked = now;
        if self.samples < LEAST_SAMPLES {
            return;
        }
        const OUTPUT_WAIT_MS: u64 = 0;
        let wait_ms = (self.waited_ms / self.samples + OUTPUT_WAIT_MS) / 2;
        self.refused_points = if wait_ms > THRESHOLD_MS {
            (self.refused_points + ADJUST_POINTS).min(MAX_POINTS)
        } else {
            self.refused_points.saturating_sub(ADJUST_POINTS)
        };
        (self.samples, self.waited_ms) = (0, 0);
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        self.look(now);
        if random.below(100) as u64 >= self.refused_points { Ok(()) } else { Err(Status::BELOW_CURSOR) }
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        let waited_ms = now.since(request.received) / NANOS_PER_MILLI;
        self.samples += 1;
        self.waited_ms += waited_ms;
        if waited_ms < MAX_WAIT_MS && now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }
}
