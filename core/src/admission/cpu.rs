//! CPU use as a signal beside the wait (SPEC S11).
//!
//! Where requests are coroutines, no queue shows that the processor is the bottleneck: everything runs, slower and slower. So
//! a sample of its use bounds the rate: if `X` completions per second took the share `u` of it, `X · limit / u` take the limit.
//! That is acted on once per sample, and work in the system beyond what two service times explain is let drain first.

use super::capacity::{MAX_MRPS, rate_mrps};
use super::cell::Cell64;
use crate::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, Nanos};

/// A sample is used for so long.
const MAX_AGE_MS: u64 = 2_000;
/// Below this part of the limit a bound is lifted: in 1/16.
const LIFTED_BELOW_16TH: u64 = 14;
/// A bound grows by a quarter per sample at most.
const MAX_GROWTH_DIVISOR: u64 = 4;
const USE_BITS: u32 = 16;
const FULL: u64 = 10_000;

/// The last sample: its time in ms, and 16 bits of use.
#[repr(transparent)]
pub(super) struct CpuUse(Cell64);

impl CpuUse {
    pub(super) fn set(&self, per_10k: u32, now: Nanos) {
        let per_10k = if u64::from(per_10k) < FULL { u64::from(per_10k) } else { FULL };
        // Never 0, which says that there was none.
        self.0.set((now.0 / NANOS_PER_MILLI) << USE_BITS | per_10k | 1);
    }

    /// The use in 1/10000, and the word itself to tell samples apart; `None` without a fresh one.
    fn fresh(&self, now_ns: u64) -> Option<(u64, u64)> {
        let word = self.0.get();
        let age_ms = (now_ns / NANOS_PER_MILLI).wrapping_sub(word >> USE_BITS);
        // One whose clock is a little ahead has a huge age.
        let is_fresh = word != 0 && (age_ms <= MAX_AGE_MS || age_ms >= MAX_AGE_MS.wrapping_neg());
        is_fresh.then_some((word & ((1 << USE_BITS) - 1), word))
    }
}

/// What the leader knows of the processor.
#[repr(C)]
pub(super) struct CpuBound {
    seen: Cell64,
    since_ns: Cell64,
    completed: Cell64,
    /// The rate of completions that takes the limit; 0: none is known, or it is far away.
    mrps: Cell64,
}

impl CpuBound {
    /// Takes in a new sample, if there is one, and says what the bound is.
    #[inline(never)]
    pub(super) fn follow(&self, cpu: &CpuUse, completed: u64, limit_per_10k: u64, now_ns: u64) -> Option<u64> {
        let Some((used, word)) = cpu.fresh(now_ns) else {
            self.mrps.set(0);
            self.seen.set(0);
            return None;
        };
        self.completed.set(self.completed.get().saturating_add(completed));
        if word != self.seen.get() {
            let span_ns = now_ns.saturating_sub(self.since_ns.get());
            // The first sample, and the first after a pause, say nothing of what was completed since the one before.
            if self.seen.get() != 0 && span_ns <= MAX_AGE_MS * NANOS_PER_MILLI {
                let completed_mrps = rate_mrps(self.completed.get(), span_ns / NANOS_PER_MICRO);
                self.mrps.set(self.after_sample(used, completed_mrps, limit_per_10k));
            }
            self.seen.set(word);
            self.since_ns.set(now_ns);
            self.completed.set(0);
        }
        Some(self.mrps.get()).filter(|&mrps| mrps > 0)
    }

    fn after_sample(&self, used: u64, completed_mrps: u64, limit: u64) -> u64 {
        let bound_mrps = self.mrps.get().min(MAX_MRPS);
        let is_bounded = bound_mrps > 0;
        if used <= limit && !is_bounded || used < limit * LIFTED_BELOW_16TH / 16 {
            return 0;
        }
        let fitting_mrps = (completed_mrps * limit / used.max(1)).max(1);
        if is_bounded { fitting_mrps.min(bound_mrps + bound_mrps / MAX_GROWTH_DIVISOR) } else { fitting_mrps }
    }
}
