//! Durations, by buckets that grow with them.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

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
        self.counts().quantile(share)
    }

    /// Adds how many durations there are up to each of these bounds, and in the end beyond all of them: each counted once. Exact for
    /// bounds of a power of two, or of one and a half.
    pub(crate) fn add_between(&self, bounds_ns: &[u64], sums: &mut [u64]) {
        let mut begin = 0;
        let ends = bounds_ns.iter().map(|&bound_ns| bucket_of(bound_ns)).chain([BUCKETS]);
        for (end, sum) in ends.zip(sums) {
            *sum += self.buckets[begin..end].iter().map(|bucket| bucket.load(Relaxed)).sum::<u64>();
            begin = end;
        }
    }

    /// A copy of its buckets.
    pub(crate) fn counts(&self) -> Counts {
        Counts(self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect())
    }
}

/// Durations on their way into a histogram: those of one bucket that come one after another cost one addition together, and the sum of all
/// another.
pub(crate) struct Tally<'h> {
    histogram: &'h Histogram,
    bucket: usize,
    count: u64,
    sum_ns: u64,
}

impl<'h> Tally<'h> {
    pub(crate) fn new(histogram: &'h Histogram) -> Tally<'h> {
        Tally { histogram, bucket: 0, count: 0, sum_ns: 0 }
    }

    #[inline]
    pub(crate) fn record_ns(&mut self, ns: u64) {
        let bucket = bucket_of(ns);
        if bucket != self.bucket {
            self.flush();
            self.bucket = bucket;
        }
        self.count += 1;
        self.sum_ns += ns;
    }

    #[inline]
    fn flush(&mut self) {
        if self.count > 0 {
            self.histogram.buckets[self.bucket].fetch_add(self.count, Relaxed);
            self.count = 0;
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.flush();
        if self.sum_ns > 0 {
            self.histogram.sum_ns.fetch_add(self.sum_ns, Relaxed);
        }
    }
}

/// What a histogram had counted at some time, or between two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(Vec<u64>);

impl Counts {
    /// What was counted since an earlier copy was made; an empty one is from the beginning.
    pub(crate) fn since(&self, earlier: &Counts) -> Counts {
        let earlier = earlier.0.iter().chain(std::iter::repeat(&0));
        Counts(self.0.iter().zip(earlier).map(|(now, then)| now.saturating_sub(*then)).collect())
    }

    /// How many durations there are.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds those of another histogram.
    pub(crate) fn add(&mut self, other: &Counts) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine += theirs);
    }

    /// How many durations there are up to each of these powers of two ns, and in the end beyond all of them: each counted once.
    /// Exact, since no bucket lies on both sides of a power of two.
    pub(crate) fn by_powers(&self, powers: RangeInclusive<u32>) -> Vec<u64> {
        let mut begin = 0;
        let ends = powers.map(|power| bucket_of(1 << power)).chain([self.0.len()]);
        ends.map(|end| {
            let between = self.0.get(begin..end).unwrap_or_default();
            begin = end;
            between.iter().sum()
        })
        .collect()
    }

    /// See [`Histogram::quantile`].
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.total() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(Duration::ZERO, |index| Duration::from_nanos(upper_bound_ns(index)))
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
    fn what_is_shorter_than_a_power_of_two_is_counted_exactly() {
        let histogram = Histogram::default();
        [1_023, 1_024, 1_025, 2_047, 2_048].into_iter().for_each(|ns| histogram.record_ns(ns));
        assert_eq!(histogram.counts().by_powers(9..=12), [0, 1, 3, 1, 0]);
        assert_eq!(histogram.counts().by_powers(10..=11), [1, 3, 1]);
        let mut sums = [100; 4];
        histogram.add_between(&[1 << 10, 3 << 9, 1 << 11], &mut sums);
        assert_eq!(sums, [101, 102, 101, 101]);
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
