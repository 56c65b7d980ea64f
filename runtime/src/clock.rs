//! The clock of every decision.

use mcrpc_core::time::Nanos;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// `CLOCK_MONOTONIC`, which all processes of a host share. No system call where the kernel maps its clock into processes.
#[inline]
pub fn now() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// What the calling thread has used of the processor.
pub(crate) fn used_by_thread() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

/// Which hour it is by the wall clock: with it the order of users changes, on all machines at once.
pub(crate) fn hour() -> u32 {
    u32::try_from(clock_gettime(ClockId::Realtime).tv_sec / 3_600).unwrap_or(0)
}

fn nanos(time: Timespec) -> Nanos {
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
