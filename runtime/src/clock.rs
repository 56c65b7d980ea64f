//! The clock of every decision.
//!
//! It is looked at several times per request, and a look at the kernel's takes some 25 ns. Where the kernel itself keeps time by the
//! processor's time-stamp counter, a thread that has looked at both goes on by the counter for less than a millisecond, at 9 ns a
//! look. The rate of the counter is what the thread has seen of both clocks lately.

use std::cell::Cell;
use std::fs;
use std::sync::LazyLock;

use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// So long a thread goes on by itself.
const MAX_STRETCH_NS: u64 = NANOS_PER_MILLI;
/// A look at both clocks that takes longer than this, about a microsecond, was interrupted.
const MAX_LOOK_COUNTS: u64 = 3_000;
/// The rate is what two looks say that are so far apart at least: an error of a microsecond is one of 50 in a million then.
const FIRST_RATED_NS: u64 = 20 * NANOS_PER_MILLI;
/// After that it is seen anew each second.
const RATED_EACH_NS: u64 = 1_000 * NANOS_PER_MILLI;
/// Counters run at 0.25 to 10 GHz. In nanoseconds per count, times 2^32.
const RATES: std::ops::RangeInclusive<u64> = (1 << 32) / 10..=4 << 32;

/// A rate that changes by more than this part between two seconds is that of a machine that slept: one of the clocks stood still.
const MAX_RATE_CHANGE_DIVISOR: u64 = 500;

/// What the kernel keeps time by.
const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Whether all processors count alike: the kernel, which checks that, kept time by their counters when this was asked first.
static HAS_COUNTER: LazyLock<bool> = LazyLock::new(|| {
    cfg!(target_arch = "x86_64") && fs::read_to_string(CLOCK_SOURCE).is_ok_and(|source| source.trim_end() == "tsc")
});

thread_local! {
    static STRETCH: Cell<Stretch> = const { Cell::new(Stretch::NONE) };
}

/// A look at both clocks.
#[derive(Clone, Copy)]
struct Look {
    time: Nanos,
    count: u64,
}

/// What a thread goes on by.
#[derive(Clone, Copy)]
struct Stretch {
    from: Look,
    /// It ends before so many counts; 0: there is none.
    len: u64,
    /// Nanoseconds per count, times 2^32; 0: not known yet.
    rate: u64,
    /// From when on the rate is seen next.
    base: Option<Look>,
}

impl Stretch {
    const NONE: Stretch = Stretch { from: Look { time: Nanos(0), count: 0 }, len: 0, rate: 0, base: None };

    /// The one that begins with a look.
    fn next(mut self, from: Look) -> Stretch {
        let base = *self.base.get_or_insert(from);
        let since_ns = from.time.since(base.time);
        if since_ns >= if self.rate == 0 { FIRST_RATED_NS } else { RATED_EACH_NS } {
            let counts = from.count.wrapping_sub(base.count);
            let rate =
                (u128::from(since_ns) << 32).checked_div(counts.into()).and_then(|rate| u64::try_from(rate).ok());
            let is_likely = |rate: &u64| match self.rate {
                0 => RATES.contains(rate) && since_ns < RATED_EACH_NS,
                known => rate.abs_diff(known) <= known / MAX_RATE_CHANGE_DIVISOR,
            };
            (self.rate, self.base) = (rate.filter(is_likely).unwrap_or(0), Some(from));
        }
        let len = (MAX_STRETCH_NS << 32).checked_div(self.rate).unwrap_or(0);
        Stretch { from, len, ..self }
    }
}

/// `CLOCK_MONOTONIC`, which all processes of a host share. No system call where the kernel maps its clock into processes. For a thread it
/// steps back by less than a microsecond at most: by the error of the rate, when one stretch ends and the next begins.
#[inline]
pub fn now() -> Nanos {
    STRETCH.with(|stretch| {
        let Stretch { from, rate, len, .. } = stretch.get();
        if len > 0 {
            // Of a counter that has gone back this is far too much.
            let counts = counter().wrapping_sub(from.count);
            if counts < len {
                return from.time.plus((counts * rate) >> 32);
            }
        }
        look(stretch)
    })
}

/// Looks at the kernel's clock, and begins a stretch if that can be done.
#[cold]
fn look(stretch: &Cell<Stretch>) -> Nanos {
    if !*HAS_COUNTER {
        return kernels();
    }
    let before = counter();
    // In this order: a stretch is late rather than early, and the next one does not begin before it.
    let time = kernels();
    let from = Look { time, count: counter() };
    let was_interrupted = from.count.wrapping_sub(before) > MAX_LOOK_COUNTS;
    let last = stretch.get();
    stretch.set(if was_interrupted { Stretch { len: 0, ..last } } else { last.next(from) });
    from.time
}

/// The time-stamp counter.
#[inline]
fn counter() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads a register and no memory, and is part of x86-64 (the cfg); a process that was forbidden it ends.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return 0;
}

fn kernels() -> Nanos {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// What the calling thread has used of the processor.
pub(crate) fn used_by_thread() -> Nanos {
    nanos(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanos(time: Timespec) -> Nanos {
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_agrees_with_the_kernels_clock() {
        for round in 0..400_000u64 {
            let (before, now, after) = (kernels(), now(), kernels());
            let error_ns = before.since(now).max(now.since(after));
            assert!(error_ns <= 3_000, "{error_ns} ns beside {before:?} to {after:?}, in round {round}");
            if round % 40_000 == 0 {
                thread::sleep(Duration::from_millis(3));
            }
        }
    }

    #[test]
    fn a_stretch_is_a_millisecond_and_begins_when_the_rate_is_known_and_likely() {
        let look = |ms: u64, count: u64| Look { time: Nanos(ms * NANOS_PER_MILLI), count };
        let first = Stretch::NONE.next(look(1_000, 5_000_000));
        assert_eq!(first.len, 0);
        let early = first.next(look(1_019, 5_000_000 + 19 * 2_500_000));
        assert_eq!(early.len, 0);
        let rated = early.next(look(1_020, 5_000_000 + 20 * 2_500_000));
        assert!(rated.len.abs_diff(2_500_000) <= 1, "{}", rated.len);
        let later = rated.next(look(2_020, 55_000_000 + 1_000 * 2_499_000));
        assert!(later.len.abs_diff(2_499_000) <= 1, "{}", later.len);
        // It ran on while the clock stood still, stood still itself, or began anew.
        for count in [later.from.count + 1_000 * 2_600_000, later.from.count, 7] {
            let unknown = later.next(look(3_020, count));
            assert_eq!(unknown.len, 0);
            let rated = unknown.next(look(3_040, count + 20 * 2_500_000));
            assert!(rated.len.abs_diff(2_500_000) <= 1, "{}", rated.len);
        }
        // Nobody knows what was while the thread was idle.
        assert_eq!(first.next(look(60_000, 5_000_000 + 59_000 * 2_500_000)).len, 0);
    }
}
