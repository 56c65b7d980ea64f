//! A limit on requests in flight that follows the gradient of response times (Netflix/concurrency-limits,
//! `Gradient2Limit.java` in a `WindowedLimit.java` behind `SimpleLimiter.java`, defaults).
//!
//! Once a second, from the mean response of at least 10 requests: gradient = 1.5 · long / short, between 0.5 and 1; limit = 0.8 ·
//! limit + 0.2 · (gradient · limit + 4), between 20 and 200, from 20 on. The long mean is exponential over 600 windows, after a
//! plain mean of the first 10, and shrinks by 5 % where it is more than twice the short one. Nothing moves while less than half of
//! the limit is in flight. Expired requests, which are not run, are no samples, as with the library's
//! `onIgnore`.
//!
//! A server that is overloaded from its first second on takes the long response times of that for the usual ones, and lets its queue
//! grow to half as much again.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const WINDOW_NS: u64 = NANOS_PER_SECOND;
const LEAST_SAMPLES: u64 = 10;
const FIRST_LIMIT: f64 = 20.0;
const MIN_LIMIT: f64 = 20.0;
const MAX_LIMIT: f64 = 200.0;
const TOLERANCE: f64 = 1.5;
const SMOOTHING: f64 = 0.2;
const QUEUE_SIZE: f64 = 4.0;
const LONG_WINDOW: f64 = 600.0;
const WARM_UP: u64 = 10;
const LONG_DECAY: f64 = 0.95;

/// The policy.
pub struct Gradient2;

impl Policy for Gradient2 {
    fn name(&self) -> &'static str {
        "gradient2"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, Server::default))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

/// The limit itself.
struct Limit {
    limit: f64,
    long_ns: f64,
    windows: u64,
}

impl Default for Limit {
    fn default() -> Limit {
        Limit { limit: FIRST_LIMIT, long_ns: 0.0, windows: 0 }
    }
}

impl Limit {
    fn update(&mut self, short_ns: f64, in_flight: u64) {
        let factor = if self.windows < WARM_UP {
            self.windows += 1;
            1.0 / self.windows as f64
        } else {
            2.0 / (LONG_WINDOW + 1.0)
        };
        self.long_ns += (short_ns - self.long_ns) * factor;
        let long_ns = self.long_ns;
        if long_ns > 2.0 * short_ns {
            self.long_ns *= LONG_DECAY;
        }
        if (in_flight as f64) < self.limit / 2.0 {
            return;
        }
        let gradient = (TOLERANCE * long_ns / short_ns).clamp(0.5, 1.0);
        let wanted = self.limit * gradient + QUEUE_SIZE;
        self.limit = (self.limit * (1.0 - SMOOTHING) + wanted * SMOOTHING).clamp(MIN_LIMIT, MAX_LIMIT);
    }
}

#[derive(Default)]
struct Server {
    limit: Limit,
    in_flight: u64,
    window_ends: Nanos,
    samples: u64,
    responses_ns: u64,
    most_in_flight: u64,
}

impl Server {
    fn responded(&mut self, request: &Request, now: Nanos) {
        self.in_flight -= 1;
        self.samples += 1;
        self.responses_ns += now.since(request.received);
        if now <= self.window_ends {
            return;
        }
        if self.samples >= LEAST_SAMPLES {
            self.limit.update(self.responses_ns as f64 / self.samples as f64, self.most_in_flight);
        }
        self.window_ends = now.plus(WINDOW_NS);
        (self.samples, self.responses_ns, self.most_in_flight) = (0, 0, self.in_flight);
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, _: &mut Stream, _: Nanos) -> Result<(), Status> {
        if self.in_flight >= self.limit.limit as u64 {
            return Err(Status::QUEUE_FULL);
        }
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        Ok(())
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        if now < request.deadline {
            return Ok(());
        }
        self.in_flight -= 1;
        Err(Status::DEADLINE_IN_QUEUE)
    }

    fn done(&mut self, request: &Request, _: Nanos, _: QueueView, now: Nanos) {
        self.responded(request, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown() -> Limit {
        let mut limit = Limit::default();
        for _ in 0..50 {
            limit.update(32e6, 200);
        }
        limit
    }

    #[test]
    fn given_a_steady_response_time_when_all_places_are_used_then_the_limit_grows_by_a_fifth_of_the_queue_size() {
        assert!((grown().limit - (FIRST_LIMIT + 50.0 * QUEUE_SIZE * SMOOTHING)).abs() < 1e-6);
    }

    #[test]
    fn given_a_grown_limit_when_responses_take_four_times_as_long_then_it_shrinks() {
        let mut limit = grown();
        for _ in 0..20 {
            limit.update(128e6, 200);
        }
        assert!(limit.limit < grown().limit * 0.7, "{}", limit.limit);
    }

    #[test]
    fn given_a_long_mean_that_is_too_long_when_responses_are_short_again_then_it_shrinks_by_a_twentieth() {
        let mut limit = Limit { long_ns: 100e6, windows: WARM_UP, ..Limit::default() };
        limit.update(20e6, 0);
        assert!((limit.long_ns - (100e6 - 80e6 * 2.0 / 601.0) * 0.95).abs() < 1.0);
    }
}
