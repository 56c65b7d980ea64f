//! A word of shared memory that anybody may read and write at any time.
//!
//! `add` is a load and a store, not one atomic step: what others add between the two is lost. Usually that is one count
//! of two threads that meet within nanoseconds; a thread that is preempted just there takes back what was counted
//! meanwhile. That is right for statistics, which cost a fraction of a nanosecond this way and are read as growth that may
//! be zero, and wrong for anything that must be conserved: see [`super::flow`].

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// 64 bits.
#[repr(transparent)]
pub(super) struct Cell64(AtomicU64);

impl Cell64 {
    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add(&self, value: u64) {
        self.set(self.get().wrapping_add(value));
    }

    /// How much a growing count grew to `now` since the last call. One that fell, because a store was delayed or the
    /// memory damaged, has not grown.
    pub(super) fn grow_to(&self, now: u64) -> u64 {
        let growth = now.wrapping_sub(self.get());
        self.set(now);
        if growth > u64::MAX / 2 { 0 } else { growth }
    }
}

/// 32 bits.
#[repr(transparent)]
pub(super) struct Cell32(AtomicU32);

impl Cell32 {
    #[inline]
    pub(super) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn add(&self, value: u32) {
        self.set(self.get().wrapping_add(value));
    }
}

/// The growth of a 32-bit count from `seen` to `now`; 0 if it fell.
pub(super) fn growth32(now: u32, seen: u32) -> u32 {
    let growth = now.wrapping_sub(seen);
    if growth > u32::MAX / 2 { 0 } else { growth }
}
