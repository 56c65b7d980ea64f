//! Detectors that others use, each with its usual settings.

use crate::traffic::{MILLI_NS, SECOND_NS};
use crate::trial::Detector;

/// So many failures in a row (Envoy, Finagle; Linkerd takes seven).
#[derive(Clone, Default)]
pub struct Consecutive {
    failures: u32,
}

impl Consecutive {
    const LIMIT: u32 = 5;
}

impl Detector for Consecutive {
    fn outcome(&mut self, failed: bool, _: u64, _: u64) -> bool {
        self.failures = if failed { self.failures + 1 } else { 0 };
        self.failures >= Self::LIMIT
    }

    fn reset(&mut self) {
        *self = Consecutive::default();
    }
}

/// Half of the last hundred, once there are a hundred (resilience4j, count-based window).
#[derive(Clone, Default)]
pub struct CountWindow {
    /// The newest is the lowest bit.
    last: u128,
    seen: u32,
}

impl CountWindow {
    const CALLS: u32 = 100;
    const FAILED: u32 = 50;
}

impl Detector for CountWindow {
    fn outcome(&mut self, failed: bool, _: u64, _: u64) -> bool {
        self.last = (self.last << 1 | u128::from(failed)) & ((1 << Self::CALLS) - 1);
        self.seen = (self.seen + 1).min(Self::CALLS);
        self.seen == Self::CALLS && self.last.count_ones() >= Self::FAILED
    }

    fn reset(&mut self) {
        *self = CountWindow::default();
    }
}

/// A leaky bucket that holds less than ten failures and loses one a second (Svrkit's form), as the time at which it will
/// be empty.
#[derive(Clone, Default)]
pub struct SecondBucket {
    empty_at_ns: u64,
}

impl SecondBucket {
    const CAPACITY: u64 = 10;
}

impl Detector for SecondBucket {
    fn outcome(&mut self, failed: bool, _: u64, now_ns: u64) -> bool {
        if failed {
            self.empty_at_ns = self.empty_at_ns.max(now_ns) + SECOND_NS;
        }
        self.empty_at_ns > now_ns + (Self::CAPACITY - 1) * SECOND_NS
    }

    fn reset(&mut self) {
        *self = SecondBucket::default();
    }
}

/// More than half of the calls of the running second, once there are five (Sentinel, error ratio).
#[derive(Clone, Default)]
pub struct SecondRatio {
    second: u64,
    calls: u32,
    failures: u32,
}

impl SecondRatio {
    const LEAST_CALLS: u32 = 5;
}

impl Detector for SecondRatio {
    fn outcome(&mut self, failed: bool, _: u64, now_ns: u64) -> bool {
        let second = now_ns / SECOND_NS;
        if second != self.second {
            *self = SecondRatio { second, ..SecondRatio::default() };
        }
        self.calls += 1;
        self.failures += u32::from(failed);
        self.calls >= Self::LEAST_CALLS && 2 * self.failures > self.calls
    }

    fn reset(&mut self) {
        *self = SecondRatio::default();
    }
}

/// The same detector where failures do not time out but come back at once, as from a port nobody listens on.
#[derive(Clone)]
pub struct QuickFailures<D>(pub D);

const QUICK_NS: u64 = MILLI_NS / 2;

impl<D: Detector> Detector for QuickFailures<D> {
    fn outcome(&mut self, failed: bool, latency_ns: u64, now_ns: u64) -> bool {
        self.0.outcome(failed, if failed { QUICK_NS } else { latency_ns }, now_ns)
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}
