//! What is counted of each method: by outcome, and how long each stage took (SPEC M4, M5).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

/// Each power of two is split into this many buckets: an error of at most one eighth.
const STEPS: usize = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Up to 2^40 ns, which is 18 minutes.
const BUCKETS: usize = (40 - STEP_BITS as usize + 1) * STEPS;

/// Durations, by buckets that grow with them (log-linear, as HdrHistogram's). Any number of threads may record.
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
}

impl Histogram {
    #[inline]
    pub(crate) fn record_ns(&self, ns: u64) {
        self.buckets[bucket_of(ns)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }

    /// The sum of all durations.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns.load(Relaxed))
    }

    /// The duration that a share of them does not exceed, at most an eighth too long; zero if there is none. `share` is 0 to 1.
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.count() as f64) * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Relaxed);
            if seen >= wanted {
                return Duration::from_nanos(upper_bound_ns(index));
            }
        }
        Duration::ZERO
    }
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { buckets: [const { AtomicU64::new(0) }; BUCKETS], sum_ns: AtomicU64::new(0) }
    }
}

#[inline]
fn bucket_of(ns: u64) -> usize {
    let power = 63 - (ns | 1).leading_zeros();
    if power < STEP_BITS {
        return ns as usize;
    }
    let step = (ns >> (power - STEP_BITS)) as usize - STEPS;
    (((power - STEP_BITS + 1) as usize) * STEPS + step).min(BUCKETS - 1)
}

/// The longest duration that falls into a bucket.
fn upper_bound_ns(index: usize) -> u64 {
    let (power, step) = (index / STEPS, (index % STEPS) as u64);
    match power {
        0 => step,
        _ => ((STEPS as u64 + step + 1) << (power - 1)) - 1,
    }
}

/// What is counted of a method. Counts grow from 0.
#[derive(Default)]
pub struct MethodStats {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    /// From when a request was read until a worker took it: T2 - T1.
    pub queue_wait: Histogram,
    /// From when a worker took it until its handler had answered: T3 - T2.
    pub service_time: Histogram,
}

impl MethodStats {
    #[inline]
    pub(crate) fn count(&self, status: Status) {
        self.outcomes[Outcome::of(status) as usize].fetch_add(1, Relaxed);
    }

    /// How many requests ended so.
    pub fn ended(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_whose_bound_is_at_most_an_eighth_above_it() {
        for ns in (0..2_000).chain((11..39).flat_map(|power| [(1u64 << power) - 1, 1 << power, (1 << power) + 1])) {
            let bound = upper_bound_ns(bucket_of(ns));
            assert!(ns <= bound && bound - ns <= ns / 8, "{ns} ns is counted as {bound} ns");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), Duration::ZERO);
        (1..=1_000).for_each(|us| histogram.record_ns(us * 1_000));
        assert_eq!((histogram.count(), histogram.sum()), (1_000, Duration::from_micros(500_500)));
        for (share, us) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found_us = histogram.quantile(share).as_nanos() as f64 / 1e3;
            assert!(found_us >= us && found_us <= us * 1.125, "{share}: {found_us} us");
        }
    }
}
