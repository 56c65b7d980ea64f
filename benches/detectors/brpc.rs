//! brpc's circuit breaker, from its description: two windows, each a moving average of what failures cost in time.
//!
//! A failure adds its latency, at most twice the average of the successes; a success lets the sum decay. A window breaks
//! when the sum exceeds what the tolerated share of a window of average calls would take. Until it has seen one window
//! full of calls it counts failures instead.

use crate::trial::Detector;

const EPSILON: f64 = 0.02;
const MAX_FAILED_LATENCIES: i64 = 2;
/// A sum below it is forgotten.
const MIN_COST_US: i64 = 500;

#[derive(Clone)]
pub struct Brpc {
    long: Window,
    short: Window,
}

impl Default for Brpc {
    fn default() -> Brpc {
        Brpc { long: Window::new(3_000, 5), short: Window::new(1_500, 10) }
    }
}

impl Detector for Brpc {
    fn outcome(&mut self, failed: bool, latency_ns: u64, _: u64) -> bool {
        let latency_us = (latency_ns / 1_000) as i64;
        self.long.breaks(failed, latency_us) || self.short.breaks(failed, latency_us)
    }

    fn reset(&mut self) {
        self.long.reset();
        self.short.reset();
    }
}

#[derive(Clone)]
struct Window {
    calls: u32,
    tolerated_percent: u32,
    smooth: f64,
    calls_at_first: u32,
    failures_at_first: u32,
    cost_us: i64,
    average_us: i64,
}

impl Window {
    fn new(calls: u32, tolerated_percent: u32) -> Window {
        let smooth = EPSILON.powf(1.0 / f64::from(calls));
        Window { calls, tolerated_percent, smooth, calls_at_first: 0, failures_at_first: 0, cost_us: 0, average_us: 0 }
    }

    fn breaks(&mut self, failed: bool, latency_us: i64) -> bool {
        let over = if failed { self.fail(latency_us) } else { self.succeed(latency_us) };
        if self.calls_at_first >= self.calls {
            return over;
        }
        self.calls_at_first += 1;
        self.failures_at_first += u32::from(failed);
        failed && self.failures_at_first > self.calls * self.tolerated_percent / 100
    }

    fn fail(&mut self, latency_us: i64) -> bool {
        let limit_us = if self.average_us == 0 { i64::MAX } else { self.average_us * MAX_FAILED_LATENCIES };
        self.cost_us += latency_us.min(limit_us);
        let tolerated = f64::from(self.calls) * f64::from(self.tolerated_percent) / 100.0;
        self.cost_us > (self.average_us as f64 * tolerated * (1.0 + EPSILON)) as i64
    }

    fn succeed(&mut self, latency_us: i64) -> bool {
        self.average_us = match self.average_us {
            0 => latency_us,
            average_us => (average_us as f64 * self.smooth + latency_us as f64 * (1.0 - self.smooth)) as i64,
        };
        self.cost_us = if self.cost_us < MIN_COST_US { 0 } else { (self.cost_us as f64 * self.smooth) as i64 };
        false
    }

    fn reset(&mut self) {
        if self.calls_at_first < self.calls {
            self.calls_at_first = 0;
            self.failures_at_first = 0;
            self.average_us = 0;
        }
        self.cost_us = 0;
    }
}
