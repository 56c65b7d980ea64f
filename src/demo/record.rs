//! What happened in one run: counts over a measured span, and buckets over the whole run.
//!
//! All times are offsets from the run's start, so there is one clock. A task counts as offered when it *arrived* in
//! the span, as good or failed when it ended in it; an answer counts when it came in, however late.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mcrpc_core::status::Status;

use super::plan::{BUCKET, DEADLINE};

/// Counts of one tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Tasks that arrived.
    pub(crate) offered: u32,
    /// Tasks that were answered in time.
    pub(crate) good: u32,
    /// Tasks that ended with a refusal.
    pub(crate) refused: u32,
    /// Answers that refuse; a refused task has up to three.
    pub(crate) refusals: u32,
}

/// The counts of a run.
#[derive(Clone)]
pub(crate) struct Counts {
    /// Over the whole run, warm-up included.
    pub(crate) buckets: Vec<Bucket>,
    /// Tasks in the span.
    pub(crate) offered: u64,
    /// Tasks in the span that were answered in time.
    pub(crate) good: u64,
    /// All OK answers in the span, late ones too.
    pub(crate) ok_answers: u64,
    /// All refusals in the span by status number.
    pub(crate) refusals: BTreeMap<i32, u64>,
    /// Of the good tasks in the span, in microseconds.
    pub(crate) latency_us: Histogram<u64>,
}

/// Where the parts of the client report to.
pub(crate) struct Recorder {
    start: Instant,
    span: Range<Duration>,
    counts: RefCell<Counts>,
}

impl Recorder {
    /// A recorder whose clock starts now; the run ends with the span.
    pub(crate) fn start(span: Range<Duration>) -> Recorder {
        let latency_us = Histogram::new_with_bounds(1, 2 * DEADLINE.as_micros() as u64, 3);
        let counts = Counts {
            buckets: vec![Bucket::default(); span.end.as_nanos().div_ceil(BUCKET.as_nanos()) as usize],
            offered: 0,
            good: 0,
            ok_answers: 0,
            refusals: BTreeMap::new(),
            latency_us: latency_us.expect("the bounds are constants in the permitted order"),
        };
        Recorder { start: Instant::now(), span, counts: RefCell::new(counts) }
    }

    /// The moment with offset 0.
    pub(crate) const fn start_time(&self) -> Instant {
        self.start
    }

    /// Offset of the end of the run.
    pub(crate) const fn end(&self) -> Duration {
        self.span.end
    }

    /// The present as an offset.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A task arrived.
    pub(crate) fn task_offered(&self, arrival: Duration) {
        self.count(arrival, |counts, measured| counts.offered += u64::from(measured), |bucket| bucket.offered += 1);
    }

    /// A task ended with all its answers within the deadline.
    pub(crate) fn task_good(&self, arrival: Duration, now: Duration) {
        let latency_us = now.saturating_sub(arrival).as_micros() as u64;
        let count = |counts: &mut Counts, measured| {
            if measured {
                counts.good += 1;
                counts.latency_us.saturating_record(latency_us);
            }
        };
        self.count(now, count, |bucket| bucket.good += 1);
    }

    /// A task ended with a refusal.
    pub(crate) fn task_refused(&self, now: Duration) {
        self.count(now, |_, _| {}, |bucket| bucket.refused += 1);
    }

    /// An answer came in.
    pub(crate) fn answer(&self, status: Status) {
        let count = |counts: &mut Counts, measured| match (measured, status.is_ok()) {
            (false, _) => {}
            (true, true) => counts.ok_answers += 1,
            (true, false) => *counts.refusals.entry(status.0).or_default() += 1,
        };
        self.count(self.now(), count, |bucket| bucket.refusals += u32::from(!status.is_ok()));
    }

    fn count(&self, at: Duration, count: impl FnOnce(&mut Counts, bool), count_bucket: impl FnOnce(&mut Bucket)) {
        let mut counts = self.counts.borrow_mut();
        count(&mut counts, self.span.contains(&at));
        // After the end nothing counts.
        if let Some(bucket) = counts.buckets.get_mut((at.as_nanos() / BUCKET.as_nanos()) as usize) {
            count_bucket(bucket);
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_task_counts_as_offered_where_it_arrived_and_as_good_where_it_ended() {
        let recorder = Recorder::start(ms(200)..ms(400));
        recorder.task_offered(ms(199));
        recorder.task_good(ms(199), ms(210));
        recorder.task_offered(ms(390));
        recorder.task_good(ms(390), ms(400));
        recorder.task_refused(ms(250));
        let counts = recorder.counts();
        assert_eq!((counts.offered, counts.good), (1, 1));
        assert_eq!((counts.latency_us.len(), counts.latency_us.max() / 100), (1, 110));
        let good: Vec<u32> = counts.buckets.iter().map(|bucket| bucket.good).collect();
        let offered: Vec<u32> = counts.buckets.iter().map(|bucket| bucket.offered).collect();
        assert_eq!((offered, good), (vec![0, 1, 0, 1], vec![0, 0, 1, 0]));
        assert_eq!(counts.buckets[2].refused, 1);
    }

    #[test]
    fn answers_count_by_their_status() {
        let recorder = Recorder::start(ms(0)..ms(10_000));
        for status in [Status::OK, Status::BELOW_CURSOR, Status::BELOW_CURSOR] {
            recorder.answer(status);
        }
        let counts = recorder.counts();
        assert_eq!((counts.ok_answers, counts.refusals[&Status::BELOW_CURSOR.0]), (1, 2));
        assert_eq!(counts.buckets.iter().map(|bucket| bucket.refusals).sum::<u32>(), 2);
    }
}
