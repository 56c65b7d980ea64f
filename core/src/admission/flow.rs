//! Where the requests of one queue are: queued, running, completed, in one 64-bit word.
//!
//! ```text
//! bit 0        16          32              64
//!  | queued 16 | in system 16 | completed 32 |
//! ```
//!
//! *In system* is queued plus running. The two levels go up and down, the count grows and wraps. Every event is one
//! atomic addition of a constant, so the word is always the exact sum of all events, whatever happened concurrently. A
//! level that falls below zero borrows from its neighbour and gives back when it rises again.

use crate::sync::{AtomicU64, Ordering};

const SYSTEM_SHIFT: u32 = 16;
const COMPLETED_SHIFT: u32 = 32;

const ONE_QUEUED: u64 = 1;
const ONE_IN_SYSTEM: u64 = 1 << SYSTEM_SHIFT;
const ONE_COMPLETED: u64 = 1 << COMPLETED_SHIFT;
const LEVELS_MASK: u64 = ONE_COMPLETED - 1;

/// Requests that one queue may hold, running ones included: what a signed level counts to, less room for those that
/// arrive at the same moment.
pub(super) const MAX_IN_SYSTEM: u32 = 32_000;
const _: () = assert!(MAX_IN_SYSTEM < i16::MAX as u32);

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
    pub(super) fn enter(&self) {
        self.0.fetch_add(ONE_QUEUED + ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// A worker takes a request out of the queue and runs it.
    #[inline]
    pub(super) fn start(&self) {
        self.0.fetch_sub(ONE_QUEUED, Ordering::Relaxed);
    }

    /// A running request is completed.
    #[inline]
    pub(super) fn complete(&self) {
        self.0.fetch_add(ONE_COMPLETED - ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// A worker begins a turn at requests that no queue holds, of which it runs one at a time.
    #[inline]
    pub(super) fn begin_turn(&self) {
        self.0.fetch_add(ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// So many requests of a turn are completed, and it goes on.
    #[inline]
    pub(super) fn complete_in_turn(&self, count: u32) {
        self.0.fetch_add(u64::from(count) << COMPLETED_SHIFT, Ordering::Relaxed);
    }

    /// A turn is over, in which so many requests were completed since the last time that was said.
    #[inline]
    pub(super) fn end_turn(&self, count: u32) {
        self.0.fetch_add((u64::from(count) << COMPLETED_SHIFT).wrapping_sub(ONE_IN_SYSTEM), Ordering::Relaxed);
    }

    /// A queued request leaves without being run.
    #[inline]
    pub(super) fn drop_queued(&self) {
        self.0.fetch_sub(ONE_QUEUED + ONE_IN_SYSTEM, Ordering::Relaxed);
    }

    /// Forgets everything in the system, since the process that held it is gone, and says what it was. The count stays.
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
        level(self.0 as u16)
    }

    /// Requests that wait or run.
    #[inline]
    pub(super) const fn in_system(self) -> u32 {
        level((self.0 >> SYSTEM_SHIFT) as u16)
    }

    /// Requests completed since an `earlier` reading, if less than 2^32.
    pub(super) const fn completed_since(self, earlier: FlowReading) -> u32 {
        ((self.0 >> COMPLETED_SHIFT) as u32).wrapping_sub((earlier.0 >> COMPLETED_SHIFT) as u32)
    }
}

/// A level below zero means that somebody reported one request twice. It reads as zero, so that a mistake of the caller's
/// never looks like a full queue.
#[inline]
const fn level(field: u16) -> u32 {
    let level = field.cast_signed();
    if level < 0 { 0 } else { level as u32 }
}
