//! Requests that have ended, counted together: additions to shared memory are most of what a count costs.

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::MethodStats;
use super::callers::CallerNumber;
use crate::methods::Methods;
use crate::server::noted::Noted;

/// A request that has ended.
pub(crate) struct Handled {
    /// The number of its method.
    pub(crate) method: usize,
    pub(crate) caller: CallerNumber,
    /// T2 - T1; `None` if that was counted when its handler began to wait.
    pub(crate) waited_ns: Option<u64>,
    /// T3 - T2; `None` if its handler was not run.
    pub(crate) service_ns: Option<u64>,
    /// The part of it in which its handler did not wait.
    pub(crate) busy_ns: u64,
    /// T3.
    pub(crate) ended: Nanos,
    pub(crate) status: Status,
    /// Whether its caller wanted an answer.
    pub(crate) is_answered: bool,
}

impl Handled {
    /// Whether both are of one method and one caller.
    fn is_like(&self, other: &Handled) -> bool {
        self.method == other.method && self.caller == other.caller
    }
}

/// Those of one thread, in the order in which they ended.
#[derive(Default)]
pub(crate) struct Batch {
    handled: Vec<Handled>,
    /// They are not all of one method and one caller.
    is_mixed: bool,
    /// Those of them that are recorded.
    noted: Vec<Noted>,
}

impl Batch {
    #[inline]
    pub(crate) fn push(&mut self, handled: Handled) {
        self.is_mixed |= self.handled.last().is_some_and(|last| !last.is_like(&handled));
        self.handled.push(handled);
    }

    /// The last one is recorded.
    #[cold]
    pub(crate) fn note(&mut self, noted: Noted) {
        self.noted.push(noted);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handled.is_empty()
    }

    /// Counts what is known before the answers are written, so that whoever has one finds it counted.
    pub(crate) fn count_ended(&self, methods: &Methods) {
        self.each_method(methods, |stats, alike| stats.count_ended(alike[0].caller, alike));
    }

    /// Counts when the answers were written, which was at once, and forgets them.
    pub(crate) fn count_written(&mut self, methods: &Methods, written: Nanos) {
        self.each_method(methods, |stats, alike| stats.count_written(alike, written));
        self.handled.clear();
        self.is_mixed = false;
        self.noted.drain(..).for_each(|noted| noted.written(written));
    }

    /// Those of one method and one caller that ended one after another, together.
    fn each_method(&self, methods: &Methods, count: impl Fn(&MethodStats, &[Handled])) {
        for alike in self.handled.chunk_by(|a, b| !self.is_mixed || a.is_like(b)) {
            if let Some(method) = methods.get(alike[0].method) {
                count(&method.stats, alike);
            }
        }
    }
}
