//! Rates and what can be learnt from them. Integers only: the same counts give the same answer everywhere.
//!
//! Rates are in thousandths of a request per second (`mrps`), spans in microseconds; with rates below 10^10 mrps and
//! spans below 2 s no product here leaves 64 bits.

/// Fixed-point one of weights and shares.
pub(super) const ONE_Q16: u64 = 1 << 16;
/// How far an average moves at once when a sample surprises.
pub(super) const HALF_Q16: u64 = ONE_Q16 / 2;
/// Above this a rate is damage.
pub(super) const MAX_MRPS: u64 = 10_000_000_000;

use crate::time::NANOS_PER_SECOND;

const MICROS_PER_SECOND: u64 = 1_000_000;
const MILLIS_PER_UNIT: u64 = 1_000;

/// Time constant of averages that follow the service itself.
pub(super) const SLOW_US: u64 = 2 * MICROS_PER_SECOND;
/// Time constant of averages that follow the callers.
pub(super) const FAST_US: u64 = MICROS_PER_SECOND;

/// `count` in a span, as a rate.
pub(super) fn rate_mrps(count: u64, span_us: u64) -> u64 {
    (count.saturating_mul(MILLIS_PER_UNIT * MICROS_PER_SECOND) / span_us.max(1)).min(MAX_MRPS)
}

/// How many requests a rate brings in a span.
pub(super) fn expected_count(rate_mrps: u64, span_us: u64) -> u64 {
    rate_mrps.min(MAX_MRPS).saturating_mul(span_us) / (MILLIS_PER_UNIT * MICROS_PER_SECOND)
}

/// An exponential average moved on by a span, for any span.
pub(super) fn smooth(average: u64, sample: u64, span_us: u64, time_constant_us: u64) -> u64 {
    let weight_q16 = (span_us << 16) / (time_constant_us + span_us).max(1);
    blend(average, sample, weight_q16)
}

/// `average` moved towards `sample` by a weight in 1/65536.
fn blend(average: u64, sample: u64, weight_q16: u64) -> u64 {
    let (average, sample) = (average.min(MAX_MRPS), sample.min(MAX_MRPS));
    let weight_q16 = weight_q16.min(ONE_Q16);
    (average * (ONE_Q16 - weight_q16) + sample * weight_q16) >> 16
}

/// Whether `count` lies three standard deviations from what a Poisson stream of this rate brings: the rate has
/// changed, and an average would be too slow.
fn is_surprising(count: u64, rate_mrps: u64, span_us: u64) -> bool {
    let expected = expected_count(rate_mrps, span_us);
    let distance = count.abs_diff(expected);
    distance.saturating_mul(distance) > 9 * expected.max(1)
}

/// The average of a rate that follows a change at once and noise slowly.
pub(super) fn follow(average_mrps: u64, count: u64, span_us: u64, time_constant_us: u64, jump_q16: u64) -> u64 {
    let sample_mrps = rate_mrps(count, span_us);
    if is_surprising(count, average_mrps, span_us) {
        blend(average_mrps, sample_mrps, jump_q16)
    } else {
        smooth(average_mrps, sample_mrps, span_us, time_constant_us)
    }
}

/// What one window showed of the workers. Two registers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    pub(super) completed: u32,
    pub(super) found_idle: u32,
    pub(super) span_us: u32,
    /// Somebody waited for a worker when the window began, and when it ended.
    pub(super) waited_at_both_ends: bool,
}

impl Served {
    /// Nearly nobody found an idle worker: the completions of this window are the capacity. Those may be none, where
    /// a request takes longer than a window.
    pub(super) fn is_saturated(&self) -> bool {
        u64::from(self.found_idle) * 20 <= u64::from(self.completed) && (self.completed > 0 || self.waited_at_both_ends)
    }

    /// The capacity, given what was known. Only a saturated window lowers it; one that completed more raises it.
    /// While requests are shed although workers are idle it is `explored` upward, 20 % a second. `None`: still
    /// unknown.
    pub(super) fn capacity(&self, known: Option<u64>, explore: bool) -> Option<u64> {
        let sample_mrps = rate_mrps(self.completed.into(), self.span_us.into());
        match known {
            None => (self.is_saturated() && self.completed > 0).then_some(sample_mrps),
            // Not a surprise even if it is one: a service that stands still for a moment has not lost its capacity.
            Some(known) if self.is_saturated() && self.completed == 0 => {
                Some(smooth(known, 0, self.span_us.into(), SLOW_US))
            }
            Some(known) if self.is_saturated() => {
                Some(follow(known, self.completed.into(), self.span_us.into(), SLOW_US, HALF_Q16))
            }
            Some(known) => {
                let reached = known.max(sample_mrps).min(MAX_MRPS);
                Some(if explore { grown(reached, u64::from(self.span_us) / 5) } else { reached })
            }
        }
    }

    /// The capacity of one queue, which is judged by few requests: only a window with somebody waiting at both its ends
    /// counts as saturated. One in which a quarter found an idle worker shows that there is room: the capacity then
    /// doubles each second up to four times of what passes, since an estimate that was once too low would refuse requests,
    /// never see more pass, and stay.
    pub(super) fn queue_capacity(&self, known: Option<u64>, passing_mrps: u64) -> Option<u64> {
        if self.is_saturated() && self.waited_at_both_ends {
            return self.capacity(known, false);
        }
        known.map(|known| {
            let reached = known.max(passing_mrps).min(MAX_MRPS);
            let has_room = self.completed > 0 && u64::from(self.found_idle) * 4 >= u64::from(self.completed);
            let room_mrps = 4 * passing_mrps.min(MAX_MRPS);
            if has_room && reached < room_mrps { grown(reached, self.span_us.into()).min(room_mrps) } else { reached }
        })
    }
}

/// What so many workers complete at most; `None` where one of the two is not known. Until all of them were busy for a whole
/// window there is no better estimate.
pub(super) fn expected_capacity(workers: u32, mean_service_ns: u64) -> Option<u64> {
    const MRPS_NS: u64 = MILLIS_PER_UNIT * NANOS_PER_SECOND;
    let capacity_mrps = u64::from(workers).saturating_mul(MRPS_NS).checked_div(mean_service_ns)?;
    (capacity_mrps > 0).then_some(capacity_mrps.min(MAX_MRPS))
}

/// A rate that grows by its own size per second, after a span.
fn grown(rate_mrps: u64, span_us: u64) -> u64 {
    (rate_mrps + rate_mrps * span_us / MICROS_PER_SECOND).min(MAX_MRPS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_US: u32 = 100_000;

    fn served(completed: u32, found_idle: u32) -> Served {
        Served { completed, found_idle, waited_at_both_ends: false, span_us: WINDOW_US }
    }

    #[test]
    fn capacity_is_unknown_until_the_workers_were_all_busy() {
        assert_eq!(served(80, 40).capacity(None, false), None);
        assert_eq!(served(80, 4).capacity(None, false), Some(800_000));
        assert_eq!(served(0, 0).capacity(None, false), None);
    }

    #[test]
    fn only_a_saturated_window_lowers_the_capacity() {
        assert_eq!(served(10, 10).capacity(Some(800_000), false), Some(800_000));
        assert_eq!(served(120, 100).capacity(Some(800_000), false), Some(1_200_000));
        let lowered = served(30, 0).capacity(Some(800_000), false).unwrap();
        assert!((540_000..=560_000).contains(&lowered), "a collapse is followed at once, half way: {lowered}");
        let noise = served(77, 0).capacity(Some(800_000), false).unwrap();
        assert!((798_000..800_000).contains(&noise), "noise is averaged: {noise}");
    }

    #[test]
    fn idle_workers_while_shedding_raise_the_capacity_slowly() {
        let mut capacity = 800_000;
        for _ in 0..10 {
            capacity = served(60, 30).capacity(Some(capacity), true).unwrap();
        }
        assert!((950_000..1_000_000).contains(&capacity), "about 20 % in a second: {capacity}");
    }

    #[test]
    fn a_window_without_a_completion_counts_while_somebody_waits() {
        // 3.3 requests per second: two windows in three complete nothing.
        let window = |completed| Served { waited_at_both_ends: true, ..served(completed, 0) };
        let mut capacity = 8_000;
        for _ in 0..40 {
            for completed in [0, 0, 1] {
                capacity = window(completed).capacity(Some(capacity), false).unwrap();
            }
        }
        assert!((2_800..=3_900).contains(&capacity), "{capacity}");
        assert_eq!(window(0).capacity(None, false), None);
        assert_eq!(served(0, 0).capacity(Some(8_000), false), Some(8_000), "nobody waited: nothing was learnt");
    }

    #[test]
    fn a_queue_with_room_forgets_that_it_was_slow() {
        let mut capacity = 10_000;
        for _ in 0..60 {
            capacity = served(6, 3).queue_capacity(Some(capacity), 60_000).unwrap();
        }
        assert_eq!(capacity, 240_000);
        assert_eq!(served(6, 0).queue_capacity(Some(10_000), 9_000), Some(10_000), "no room was seen");
        assert_eq!(served(6, 3).queue_capacity(None, 60_000), None);
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let extreme = Served { completed: u32::MAX, found_idle: 0, waited_at_both_ends: true, span_us: 0 };
        assert_eq!(extreme.capacity(None, true), Some(MAX_MRPS));
        assert_eq!(follow(u64::MAX, 1 << 30, 2_000_000, SLOW_US, ONE_Q16), MAX_MRPS);
        assert!(is_surprising(u64::MAX, 0, 1));
    }
}
