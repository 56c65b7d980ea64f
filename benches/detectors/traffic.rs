//! The outcomes of the calls to one endpoint, on a simulated clock: Poisson arrivals, independent failures.
//!
//! Everything is drawn from a seed by a generator that is named, so a run is the same each time. Outcomes come in the
//! order of the calls: a timeout tells no detector anything sooner or later than another.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

pub const MILLI_NS: u64 = 1_000_000;
pub const SECOND_NS: u64 = 1_000 * MILLI_NS;

/// A success takes at least so long, and on average [`MEAN_LATENCY_NS`].
const LEAST_LATENCY_NS: u64 = 2 * MILLI_NS;
const MEAN_LATENCY_NS: u64 = 5 * MILLI_NS;
/// A failure is a timeout.
const TIMEOUT_NS: u64 = 500 * MILLI_NS;

/// How one call ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub failed: bool,
    pub latency_ns: u64,
    pub now_ns: u64,
}

/// Outcomes without end.
#[derive(Clone, Debug)]
pub struct Traffic {
    random: Xoshiro256PlusPlus,
    mean_gap_ns: f64,
    failed_percent: u32,
    now_ns: u64,
}

impl Traffic {
    /// One of the streams of this rate. It begins at any moment of a second: nothing ties a fault to a detector's windows.
    pub fn new(stream: u64, per_second: u32, failed_percent: u32) -> Traffic {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(u64::from(per_second) << 32 ^ stream);
        let now_ns = random.random_range(0..SECOND_NS);
        Traffic { random, mean_gap_ns: SECOND_NS as f64 / f64::from(per_second), failed_percent, now_ns }
    }

    /// The same stream from here on, failing at another rate.
    pub fn failing(&self, failed_percent: u32) -> Traffic {
        Traffic { failed_percent, ..self.clone() }
    }

    /// The outcomes of a minute.
    pub fn minute(&mut self) -> Vec<Outcome> {
        let end_ns = self.now_ns + 60 * SECOND_NS;
        self.take_while(|outcome| outcome.now_ns < end_ns).collect()
    }

    /// Exponentially distributed.
    fn draw_ns(&mut self, mean_ns: f64) -> u64 {
        // In (0, 1], so the logarithm is finite.
        let uniform = 1.0 - self.random.random::<f64>();
        (-uniform.ln() * mean_ns) as u64
    }
}

impl Iterator for Traffic {
    type Item = Outcome;

    fn next(&mut self) -> Option<Outcome> {
        self.now_ns += self.draw_ns(self.mean_gap_ns);
        let failed = self.random.random_ratio(self.failed_percent, 100);
        let latency_ns = match failed {
            true => TIMEOUT_NS,
            false => LEAST_LATENCY_NS + self.draw_ns((MEAN_LATENCY_NS - LEAST_LATENCY_NS) as f64),
        };
        Some(Outcome { failed, latency_ns, now_ns: self.now_ns })
    }
}
