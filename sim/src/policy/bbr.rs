//! Shedding after BBR (go-kratos/aegis, `ratelimit/bbr/bbr.go`): while the processor is more than 80 % busy, at most as many
//! requests are in flight as the best throughput times the shortest mean response.
//!
//! Both are looked for in the last 10 s, in 100 buckets of 100 ms of which the current one is left out, and the answer is kept for
//! the length of a bucket. Use of the processor is smoothed with 0.95 every 500 ms; for a second after the first refusal the limit
//! holds although the use has fallen. The simulator has no processor: the use is the part of the time that workers run.
//!
//! Charitable: expired requests that are not run are no throughput. There every request that was let in counts; since a whole
//! queue can expire at once here, its limit would have no bound.

use std::collections::VecDeque;

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const BUCKETS: u64 = 100;
const BUCKET_NS: u64 = 10 * NANOS_PER_SECOND / BUCKETS;
const BUCKETS_PER_S: u64 = NANOS_PER_SECOND / BUCKET_NS;
const BUSY: f64 = 0.8;
const USE_INTERVAL_NS: u64 = 500 * NANOS_PER_MILLI;
const USE_DECAY: f64 = 0.95;
const COOLING_NS: u64 = NANOS_PER_SECOND;

/// The policy.
pub struct Bbr;

impl Policy for Bbr {
    fn name(&self) -> &'static str {
        "bbr"
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
    in_flight: u64,
    buckets: Buckets,
    limit: u64,
    limit_from: Option<u64>,
    dropping_since: Option<Nanos>,
    processor: Processor,
}

impl Server {
    fn limit(&mut self, now: Nanos) -> u64 {
        let bucket = now.0 / BUCKET_NS;
        if self.limit_from != Some(bucket) {
            self.limit_from = Some(bucket);
            self.limit = self.buckets.limit(bucket);
        }
        self.limit
    }

    fn drops(&mut self, now: Nanos) -> bool {
        let is_busy = self.processor.used >= BUSY;
        match self.dropping_since {
            None if !is_busy => return false,
            Some(since) if !is_busy && now.since(since) > COOLING_NS => {
                self.dropping_since = None;
                return false;
            }
            _ => {}
        }
        let drops = self.in_flight > 1 && self.in_flight > self.limit(now);
        if drops && is_busy {
            self.dropping_since.get_or_insert(now);
        }
        drops
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, queue: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        self.processor.runs(queue, now);
        if self.drops(now) {
            return Err(Status::QUEUE_FULL);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn dequeue(&mut self, request: &Request, queue: QueueView, now: Nanos) -> Result<(), Status> {
        self.processor.runs(queue, now);
        if now < request.deadline {
            return Ok(());
        }
        self.in_flight -= 1;
        Err(Status::DEADLINE_IN_QUEUE)
    }

    fn done(&mut self, request: &Request, _: Nanos, queue: QueueView, now: Nanos) {
        self.processor.runs(queue, now);
        self.in_flight -= 1;
        self.buckets.add(now.0 / BUCKET_NS, now.since(request.received) / NANOS_PER_MILLI);
    }
}

/// Responses by time: the number of the bucket, how many, and the sum of their times in ms.
#[derive(Default)]
struct Buckets(VecDeque<(u64, u64, u64)>);

impl Buckets {
    fn add(&mut self, bucket: u64, response_ms: u64) {
        match self.0.back_mut() {
            Some((last, count, sum_ms)) if *last == bucket => (*count, *sum_ms) = (*count + 1, *sum_ms + response_ms),
            _ => self.0.push_back((bucket, 1, response_ms)),
        }
    }

    /// Throughput times response time, where both are best.
    fn limit(&mut self, current: u64) -> u64 {
        while self.0.front().is_some_and(|(bucket, ..)| bucket + BUCKETS <= current) {
            self.0.pop_front();
        }
        let full = || self.0.iter().filter(|(bucket, ..)| *bucket < current);
        let most = full().map(|(_, count, _)| *count).max().unwrap_or(1);
        let Some(shortest_ms) = full().map(|(_, count, sum_ms)| sum_ms.div_ceil(*count).max(1)).min() else {
            return u64::MAX;
        };
        ((most * shortest_ms * BUCKETS_PER_S) as f64 / 1e3 + 0.5) as u64
    }
}

/// How much of the processor is used.
#[derive(Default)]
struct Processor {
    used: f64,
    running: u64,
    since: Nanos,
    interval: Nanos,
    busy_ns: u64,
}

impl Processor {
    /// So many workers run from now on.
    fn runs(&mut self, queue: QueueView, now: Nanos) {
        self.busy_ns += self.running * now.since(self.since);
        (self.running, self.since) = (queue.running as u64, now);
        let interval_ns = now.since(self.interval);
        if interval_ns < USE_INTERVAL_NS {
            return;
        }
        let used = self.busy_ns as f64 / (interval_ns * queue.workers as u64) as f64;
        let intervals = (interval_ns / USE_INTERVAL_NS) as i32;
        let kept = USE_DECAY.powi(intervals);
        self.used = self.used * kept + used.min(1.0) * (1.0 - kept);
        (self.interval, self.busy_ns) = (now, 0);
    }
}
