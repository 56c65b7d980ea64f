//! What became of the users' tasks in one run, in buckets over the whole run.
//!
//! All times are offsets from the run's start. Each time that a user asks is a *try*: the first one is a task that is
//! offered, the others are those of users who did not get what they wanted.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::plan::{BUCKET, DEADLINE};

/// Counts of one tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Tasks that arrived: first tries.
    pub(crate) offered: u32,
    /// All tries that began.
    pub(crate) tries: u32,
    /// Those among them that became good, whenever that was.
    pub(crate) tries_good: u32,
    /// Tries that ended well.
    pub(crate) good: u32,
}

/// The counts of a run.
pub(crate) struct Counts {
    pub(crate) buckets: Vec<Bucket>,
    /// Of the tries that ended well in the span.
    pub(crate) latency_us: Histogram<u64>,
}

/// Where the users report to.
pub(crate) struct Record {
    start: Instant,
    span: Range<Duration>,
    counts: RefCell<Counts>,
}

impl Record {
    /// A record whose clock starts now. Latencies count in the span, everything else until `end`.
    pub(crate) fn start(span: Range<Duration>, end: Duration) -> Record {
        let latency_us = Histogram::new_with_bounds(1, 2 * DEADLINE.as_micros() as u64, 3);
        let counts = Counts {
            buckets: vec![Bucket::default(); (end.as_nanos() / BUCKET.as_nanos()) as usize],
            latency_us: latency_us.expect("the bounds are constants in the permitted order"),
        };
        Record { start: Instant::now(), span, counts: RefCell::new(counts) }
    }

    /// The moment with offset 0.
    pub(crate) const fn start_time(&self) -> Instant {
        self.start
    }

    /// The present as an offset.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A user begins to wait, for the first time or again.
    pub(crate) fn try_began(&self, at: Duration, is_first: bool) {
        self.bucket(at, |bucket| {
            bucket.offered += u32::from(is_first);
            bucket.tries += 1;
        });
    }

    /// A try ended with all its answers within the deadline.
    pub(crate) fn try_good(&self, began: Duration, now: Duration) {
        self.bucket(began, |bucket| bucket.tries_good += 1);
        self.bucket(now, |bucket| bucket.good += 1);
        if self.span.contains(&now) {
            let latency_us = now.saturating_sub(began).as_micros() as u64;
            self.counts.borrow_mut().latency_us.saturating_record(latency_us);
        }
    }

    /// After the end nothing counts.
    fn bucket(&self, at: Duration, count: impl FnOnce(&mut Bucket)) {
        let index = (at.as_nanos() / BUCKET.as_nanos()) as usize;
        if let Some(bucket) = self.counts.borrow_mut().buckets.get_mut(index) {
            count(bucket);
        }
    }

    /// The counts, after which the record is over.
    pub(crate) fn take(&self) -> Counts {
        let nothing = Counts { buckets: Vec::new(), latency_us: Histogram::new_from(&self.counts.borrow().latency_us) };
        self.counts.replace(nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_try_counts_where_it_began_and_where_it_ended() {
        let record = Record::start(ms(100)..ms(200), ms(300));
        record.try_began(ms(10), true);
        record.try_began(ms(120), false);
        record.try_good(ms(120), ms(210));
        record.try_good(ms(10), ms(110));
        record.try_began(ms(300), true);
        let counts = record.take();
        let expected = [
            Bucket { offered: 1, tries: 1, tries_good: 1, good: 0 },
            Bucket { offered: 0, tries: 1, tries_good: 1, good: 1 },
            Bucket { good: 1, ..Bucket::default() },
        ];
        assert_eq!(counts.buckets, expected);
        assert_eq!((counts.latency_us.len(), counts.latency_us.max() / 1_000), (1, 100));
    }
}
