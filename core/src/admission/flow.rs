//! Where the requests of one queue are: queued, running, completed, in one 64-bit word.
//!
//! ```text
//! bit 0        14           28              46              64
//!  | queued 14 | in system 14 | completed 18 | found idle 18 |
//! ```
//!
//! *In system* is queued plus running. The two levels go up and down; the two counts only grow, and wrap. Every
//! event is one atomic addition of a constant, so the word is always the exact sum of all events, whatever
//! happened concurrently; the difference of two readings decodes exactly as long as less than 2^18 requests lie
//! between them. A field that overflows spills into its neighbour and comes back when the level falls again.

use crate::sync::{AtomicU64, Ordering};

const SYSTEM_SHIFT: u32 = 14;
const COMPLETED_SHIFT: u32 = 28;
const IDLE_SHIFT: u32 = 46;

const ONE_QUEUED: u64 = 1;
const ONE_IN_SYSTEM: u64 = 1 << SYSTEM_SHIFT;
const ONE_COMPLETED: u64 = 1 << COMPLETED_SHIFT;
const ONE_FOUND_IDLE: u64 = 1 << IDLE_SHIFT;

const LEVEL_MASK: u64 = ONE_IN_SYSTEM - 1;
const LEVELS_MASK: u64 = ONE_COMPLETED - 1;
const COUNT_MASK: u64 = (1 << (IDLE_SHIFT - COMPLETED_SHIFT)) - 1;

/// Requests that one queue may hold, running ones included: a field's limit, less room for those that arrive at
/// the same moment.
pub(super) const MAX_IN_SYSTEM: u32 = 16_000;
const _: () = assert!((MAX_IN_SYSTEM as u64) < NEGATIVE_FROM);
/// From here up a level has fallen below zero: somebody reported one request twice. It reads as zero, so that a mistake
/// of the caller's never looks like a full queue.
const NEGATIVE_FROM: u64 = LEVEL_MASK - 127;

/// The shared word.
#[repr(transparent)]
pub(super) struct Flow(AtomicU64);

impl Flow {
    /// A word with nothing in it.
    #[cfg(test)]
    #[allow(dead_code, reason = "for the model checker, which compiles this file by itself")]
    pub(super) fn new() -> Flow {
        Flow(AtomicU64::new(0))
    }

    /// What the word says now.
    #[inline]
    pub(super) fn read(&self) -> FlowReading {
        FlowReading(self.0.load(Ordering::Relaxed))
    }

    /// A request enters the queue.
    #[inline]
    pub(super) fn enter(&self, found_idle_worker: bool) {
        let idle = if found_idle_worker { ONE_FOUND_IDLE } else { 0 };
        self.0.fetch_add(ONE_QUEUED + ONE_IN_SYSTEM + idle, Ordering::Relaxed);
    }

    /// A worker takes a request out of the queue and runs it.
    #[inline]
    pub(super) fn start(&self, found_idle_worker: bool) {
        let idle = if found_idle_worker { ONE_FOUND_IDLE } else { 0 };
        self.0.fetch_add(idle.wrapping_sub(ONE_QUEUED), Ordering::Relaxed);
    }

    /// A running request is completed.
    #[inline]
    pub(super) fn complete(&self) {
        self.0.fetch_add(ONE_COMPLETED - ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// A queued request leaves without being run.
    #[inline]
    pub(super) fn drop_queued(&self) {
        self.0.fetch_sub(ONE_QUEUED + ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// Forgets everything in the system, since the process that held it is gone, and says what it was. Counts stay.
    pub(super) fn forget_levels(&self) -> FlowReading {
        let levels = self.0.load(Ordering::Relaxed) & LEVELS_MASK;
        self.0.fetch_sub(levels, Ordering::Relaxed);
        FlowReading(levels)
    }
}

/// One reading of a [`Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowReading(pub(super) u64);

impl FlowReading {
    /// Requests that wait for a worker.
    #[inline]
    pub(super) const fn queued(self) -> u32 {
        level(self.0)
    }

    /// Requests that wait or run.
    #[inline]
    pub(super) const fn in_system(self) -> u32 {
        level(self.0 >> SYSTEM_SHIFT)
    }

    /// What was counted since an `earlier` reading.
    pub(super) const fn counts_since(self, earlier: FlowReading) -> FlowCounts {
        let counts = (self.0 & !LEVELS_MASK).wrapping_sub(earlier.0 & !LEVELS_MASK);
        FlowCounts {
            completed: ((counts >> COMPLETED_SHIFT) & COUNT_MASK) as u32,
            found_idle: (counts >> IDLE_SHIFT) as u32,
        }
    }
}

const fn level(field: u64) -> u32 {
    let level = field & LEVEL_MASK;
    if level >= NEGATIVE_FROM { 0 } else { level as u32 }
}

/// What was counted between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowCounts {
    /// Requests completed.
    pub(super) completed: u32,
    /// Requests that found an idle worker.
    pub(super) found_idle: u32,
}
