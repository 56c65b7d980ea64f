//! What was counted lately: the difference to a copy that was made 10 to 20 seconds ago.

use std::time::Duration;

use mcrpc_core::time::Nanos;
use parking_lot::Mutex;

use super::MethodStats;
use super::histogram::Counts;

const EACH: Duration = Duration::from_secs(10);

/// Copies of all methods' counts.
#[derive(Debug)]
pub(crate) struct Window(Mutex<[Copied; 2]>);

/// A copy: of each method by its number, unless it was made before there was anything to count.
#[derive(Clone, Debug)]
struct Copied {
    at: Nanos,
    methods: Vec<Lately>,
}

/// What was counted of a method, at some time or between two.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lately {
    pub(crate) ended: u64,
    pub(crate) queue_wait: Counts,
    pub(crate) service_time: Counts,
    pub(crate) reply_time: Counts,
}

impl Window {
    pub(crate) fn new(now: Nanos) -> Window {
        let nothing = Copied { at: now, methods: Vec::new() };
        Window(Mutex::new([nothing.clone(), nothing]))
    }

    /// Makes a copy, if the last one is old enough: to be called about once a second.
    pub(crate) fn observe<'s>(&self, now: Nanos, methods: impl Iterator<Item = &'s MethodStats>) {
        let mut copies = self.0.lock();
        if u128::from(now.since(copies[1].at)) >= EACH.as_nanos() {
            let newer = Copied { at: now, methods: methods.map(Lately::of).collect() };
            let [older, newest] = &mut *copies;
            *older = std::mem::replace(newest, newer);
        }
    }

    /// How long ago the older copy was made, and what was counted of a method since.
    pub(crate) fn lately(&self, number: usize, stats: &MethodStats, now: Nanos) -> (Duration, Lately) {
        let copies = self.0.lock();
        let elapsed = Duration::from_nanos(now.since(copies[0].at));
        let then = copies[0].methods.get(number).cloned().unwrap_or_default();
        (elapsed, Lately::of(stats).since(&then))
    }
}

impl Lately {
    fn of(stats: &MethodStats) -> Lately {
        Lately {
            ended: stats.ended_in_all(),
            queue_wait: stats.queue_wait.counts(),
            service_time: stats.service_time.counts(),
            reply_time: stats.reply_time.counts(),
        }
    }

    fn since(&self, then: &Lately) -> Lately {
        Lately {
            ended: self.ended.saturating_sub(then.ended),
            queue_wait: self.queue_wait.since(&then.queue_wait),
            service_time: self.service_time.since(&then.service_time),
            reply_time: self.reply_time.since(&then.reply_time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::callers::CallerNumber;
    use mcrpc_core::status::Status;

    #[test]
    fn what_is_older_than_twenty_seconds_is_not_shown() {
        let stats = MethodStats::default();
        let window = Window::new(Nanos(0));
        let at = |seconds: u64| Nanos(seconds * 1_000_000_000);
        let take = |wait_ns| {
            stats.queue_wait.record_ns(wait_ns);
            stats.count(CallerNumber::UNKNOWN, Status::OK, 1);
        };
        let mut shown = Vec::new();
        for second in 0..30 {
            take(if second < 5 { 1_000_000 } else { 1_000 });
            window.observe(at(second), std::iter::once(&stats));
            let (elapsed, lately) = window.lately(0, &stats, at(second));
            shown.push((elapsed.as_secs(), lately.ended, lately.queue_wait.quantile(1.0) > Duration::from_micros(500)));
        }
        assert_eq!((shown[0], shown[9], shown[19]), ((0, 1, true), (9, 10, true), (19, 20, true)));
        assert_eq!((shown[20], shown[29]), ((10, 10, false), (19, 19, false)));
    }
}
