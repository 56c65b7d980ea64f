//! What a server counts of a method.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::callers::{CALLERS, CallerNumber};
use super::codes::Codes;
use super::handled::Handled;
use super::histogram::{Histogram, Tally};

/// What is counted of a method. Counts grow from 0.
pub struct MethodStats {
    /// A caller's counts are made when it calls the method for the first time.
    ended: [OnceLock<Box<Codes>>; CALLERS],
    /// From when a request was read until a worker took it: T2 - T1.
    pub queue_wait: Histogram,
    /// From when a worker took it until its handler had answered: T3 - T2.
    pub service_time: Histogram,
    /// From when its handler had answered until the answer was written, together with those it was written with: T4 - T3.
    pub reply_time: Histogram,
    /// Requests that a worker took, and dropped because nobody waited for them any more.
    dropped: AtomicU64,
    busy_ns: AtomicU64,
    /// One of so many requests is logged; 0: none.
    pub(crate) log_one_in: AtomicU32,
}

impl MethodStats {
    pub(crate) fn count(&self, caller: CallerNumber, status: Status, times: u64) {
        self.ended[caller.index()].get_or_init(Box::default).count(status, times);
    }

    /// Requests of one caller ended one after another.
    pub(super) fn count_ended(&self, caller: CallerNumber, handled: &[Handled]) {
        let (mut queue_wait, mut service_time) = (Tally::new(&self.queue_wait), Tally::new(&self.service_time));
        let codes = self.ended[caller.index()].get_or_init(Box::default);
        let (mut status, mut times, mut busy_ns) = (Status::OK, 0, 0);
        for one in handled {
            if let Some(ns) = one.waited_ns {
                queue_wait.record_ns(ns);
            }
            if let Some(ns) = one.service_ns {
                service_time.record_ns(ns);
            }
            busy_ns += one.busy_ns;
            if one.status != status {
                codes.count(status, times);
                (status, times) = (one.status, 0);
            }
            times += 1;
        }
        codes.count(status, times);
        self.add_busy_ns(busy_ns);
    }

    /// The same, and their answers were written together.
    pub(super) fn count_written(&self, handled: &[Handled], written: Nanos) {
        let mut reply_time = Tally::new(&self.reply_time);
        for one in handled.iter().filter(|one| one.is_answered) {
            reply_time.record_ns(written.since(one.ended));
        }
    }

    /// A worker took a request and did not run it.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
    }

    /// A handler was run for so long, without the time in which it waited.
    #[inline]
    pub(crate) fn add_busy_ns(&self, ns: u64) {
        self.busy_ns.fetch_add(ns, Relaxed);
    }

    /// Whether the request that ends now is one of those that are logged.
    #[inline]
    pub(crate) fn is_logged(&self) -> bool {
        let one_in = self.log_one_in.load(Relaxed);
        one_in != 0 && fastrand::u32(..one_in) == 0
    }

    /// How many requests ended so.
    pub fn ended(&self, outcome: Outcome) -> u64 {
        let counts = self.by_caller().flat_map(|(_, codes)| codes.iter());
        counts.filter(|(_, of, _)| *of == outcome).map(|(_, _, count)| count).sum()
    }

    /// What handlers used of the processor: the time in which they ran, without that in which they waited. Of handlers that may
    /// block, what the system says of their threads.
    pub fn busy_time(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Relaxed))
    }

    /// Handlers that run or wait for something, now.
    pub fn running(&self) -> u64 {
        // In this order: what ends meanwhile is not taken for running.
        let begun = self.queue_wait.count();
        begun.saturating_sub(self.service_time.count() + self.dropped.load(Relaxed))
    }

    /// How many requests ended, however they did.
    pub(crate) fn ended_in_all(&self) -> u64 {
        self.by_caller().flat_map(|(_, codes)| codes.iter()).map(|(_, _, count)| count).sum()
    }

    /// Counts by callers' numbers.
    pub(crate) fn by_caller(&self) -> impl Iterator<Item = (usize, &Codes)> {
        self.ended.iter().enumerate().filter_map(|(caller, codes)| Some((caller, &**codes.get()?)))
    }
}

impl Default for MethodStats {
    fn default() -> MethodStats {
        MethodStats {
            ended: array::from_fn(|_| OnceLock::new()),
            queue_wait: Histogram::default(),
            service_time: Histogram::default(),
            reply_time: Histogram::default(),
            dropped: AtomicU64::new(0),
            busy_ns: AtomicU64::new(0),
            log_one_in: AtomicU32::new(0),
        }
    }
}
