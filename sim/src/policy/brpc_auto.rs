//! brpc's automatic limit on concurrency (apache/brpc, `src/brpc/policy/auto_concurrency_limiter.cpp`, defaults): the best
//! throughput times the shortest mean latency, and a little more to explore.
//!
//! A window is 100 to 200 samples, or a second; one with fewer samples is thrown away. The shortest latency follows downwards by
//! 0.1, the best throughput downwards by 0.01 and upwards at once. The part to explore moves by 0.02 between 0.06 and 0.3: up while
//! latency is short or throughput below its best, else down. Every 25 to 50 s the limit is cut to 0.9 of the product, for two mean
//! latencies nothing is measured, and the shortest latency begins anew. 40 at first; never less than `bthread_concurrency`, which
//! is one more than there are workers. Failed requests weigh on the latency of those that succeeded; only expired ones fail here.
//! Under light load the limit is that least one, so that bursts are refused.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const FIRST_LIMIT: f64 = 40.0;
const SAMPLING_NS: u64 = 100 * NANOS_PER_MICRO;
const WINDOW_NS: u64 = NANOS_PER_SECOND;
const MIN_SAMPLES: u64 = 100;
const MAX_SAMPLES: u64 = 200;
const EMA: f64 = 0.1;
const MAX_EXPLORED: f64 = 0.3;
const MIN_EXPLORED: f64 = 0.06;
const EXPLORED_STEP: f64 = 0.02;
const REMEASURE_NS: u64 = 50 * NANOS_PER_SECOND;
const REMEASURE_RATIO: f64 = 0.9;

/// The policy.
pub struct BrpcAuto;

impl Policy for BrpcAuto {
    fn name(&self) -> &'static str {
        "brpc auto"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server::new(service.workers_per_queue)))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

#[derive(Default)]
struct Window {
    start: Option<Nanos>,
    succeeded: u64,
    failed: u64,
    latency_ns: u64,
    /// All that succeeded, sampled or not.
    all_succeeded: u64,
}

struct Server {
    limit: f64,
    least_limit: f64,
    in_flight: u64,
    window: Window,
    sampled: Nanos,
    shortest_ns: Option<f64>,
    best_per_s: f64,
    explored: f64,
    /// When the limit is cut next; drawn at the first request.
    cut_at: Option<Nanos>,
    /// Nothing is measured until then.
    drained_at: Option<Nanos>,
    /// A draw for the next cut, made where there is something to draw from.
    next_cut_ns: u64,
}

impl Server {
    fn new(workers: usize) -> Server {
        Server {
            limit: FIRST_LIMIT,
            least_limit: workers as f64 + 1.0,
            in_flight: 0,
            window: Window::default(),
            sampled: Nanos(0),
            shortest_ns: None,
            best_per_s: -1.0,
            explored: MAX_EXPLORED,
            cut_at: None,
            drained_at: None,
            next_cut_ns: REMEASURE_NS,
        }
    }

    fn responded(&mut self, request: &Request, succeeded: bool, now: Nanos) {
        self.in_flight -= 1;
        self.window.all_succeeded += u64::from(succeeded);
        if now.since(self.sampled) < SAMPLING_NS {
            return;
        }
        self.sampled = now;
        if let Some(drained_at) = self.drained_at {
            if now < drained_at {
                return;
            }
            (self.shortest_ns, self.drained_at) = (None, None);
            self.cut_at = Some(now.plus(self.next_cut_ns));
            self.window = Window { start: Some(now), ..Window::default() };
        }
        self.sample(now.since(request.received), succeeded, now);
    }

    fn sample(&mut self, latency_ns: u64, succeeded: bool, now: Nanos) {
        let window = &mut self.window;
        let start = *window.start.get_or_insert(now);
        *(if succeeded { &mut window.succeeded } else { &mut window.failed }) += 1;
        window.latency_ns += latency_ns;
        let (samples, is_long) = (window.succeeded + window.failed, now.since(start) >= WINDOW_NS);
        if samples < MAX_SAMPLES && !is_long {
            return;
        }
        if samples >= MIN_SAMPLES {
            match window.succeeded {
                0 => self.set_limit(self.limit / 2.0),
                _ => self.update(start, now),
            }
        }
        self.window = Window { start: Some(now), ..Window::default() };
    }

    fn update(&mut self, start: Nanos, now: Nanos) {
        let Window { succeeded, latency_ns, all_succeeded, .. } = self.window;
        let mean_ns = (latency_ns as f64 / succeeded as f64).ceil();
        let per_s = all_succeeded as f64 * NANOS_PER_SECOND as f64 / now.since(start).max(1) as f64;
        let shortest_ns = match self.shortest_ns {
            Some(shortest_ns) if mean_ns < shortest_ns => mean_ns * EMA + shortest_ns * (1.0 - EMA),
            Some(shortest_ns) => shortest_ns,
            None => mean_ns,
        };
        self.shortest_ns = Some(shortest_ns);
        const DOWN: f64 = EMA / 10.0;
        self.best_per_s = if per_s >= self.best_per_s { per_s } else { per_s * DOWN + self.best_per_s * (1.0 - DOWN) };
        let product = shortest_ns * self.best_per_s / NANOS_PER_SECOND as f64;
        if self.cut_at.is_some_and(|at| at <= now) {
            self.drained_at = Some(now.plus(mean_ns as u64 * 2));
            return self.set_limit((product * REMEASURE_RATIO).ceil());
        }
        let has_room = mean_ns <= shortest_ns * (1.0 + MIN_EXPLORED) || per_s <= self.best_per_s / (1.0 + MIN_EXPLORED);
        self.explored = if has_room {
            (self.explored + EXPLORED_STEP).min(MAX_EXPLORED)
        } else {
            (self.explored - EXPLORED_STEP).max(MIN_EXPLORED)
        };
        self.set_limit((product * (1.0 + self.explored)).floor());
    }

    fn set_limit(&mut self, limit: f64) {
        self.limit = limit.max(self.least_limit);
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        if self.cut_at.is_none() || self.drained_at.is_some() {
            self.next_cut_ns = REMEASURE_NS / 2 + random.below(REMEASURE_NS as usize / 2) as u64;
            self.cut_at.get_or_insert(now.plus(self.next_cut_ns));
        }
        if (self.in_flight + 1) as f64 > self.limit {
            return Err(Status::QUEUE_FULL);
        }
        self.in_flight += 1;
        Ok(())
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        if now < request.deadline {
            return Ok(());
        }
        self.responded(request, false, now);
        Err(Status::DEADLINE_IN_QUEUE)
    }

    fn done(&mut self, request: &Request, _: Nanos, _: QueueView, now: Nanos) {
        self.responded(request, true, now);
    }
}
