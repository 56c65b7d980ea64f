//! Time is a number that the caller passes in.
//!
//! The core reads no clock: a call costs no system call, a test steps the clock as it likes, and a recorded
//! trace replays to the same decisions. Time may stand still, jump, or (between processes) run backwards a
//! little; no function divides by a difference of times without a bound on it.

/// Nanoseconds of a monotonic clock (`CLOCK_MONOTONIC`): the same clock in every process that shares state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// A moment that never comes: the deadline of a request that has none.
    pub const NEVER: Nanos = Nanos(u64::MAX);

    /// `ms` milliseconds after the clock's zero.
    pub const fn from_millis(ms: u64) -> Nanos {
        Nanos(ms.saturating_mul(NANOS_PER_MILLI))
    }

    /// The nanoseconds from `earlier` until now; 0 if `earlier` is in fact later.
    #[inline]
    pub const fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment and `ns` nanoseconds more; stops at [`Nanos::NEVER`].
    #[inline]
    pub const fn plus(self, ns: u64) -> Nanos {
        Nanos(self.0.saturating_add(ns))
    }

    /// The moment at which a budget of `budget` that starts now is used up. [`Millis::UNLIMITED`] never is.
    #[inline]
    pub const fn deadline_after(self, budget: Millis) -> Nanos {
        if budget.0 == Millis::UNLIMITED.0 {
            return Nanos::NEVER;
        }
        self.plus(budget.0 as u64 * NANOS_PER_MILLI)
    }

    /// What is left of the time until `deadline`, in whole milliseconds rounded down: what an onward call may
    /// be given. Rounding down means that budgets only ever shrink from hop to hop.
    #[inline]
    pub const fn budget_until(self, deadline: Nanos) -> Millis {
        if deadline.0 == Nanos::NEVER.0 {
            return Millis::UNLIMITED;
        }
        let left_ms = deadline.since(self) / NANOS_PER_MILLI;
        if left_ms >= Millis::UNLIMITED.0 as u64 {
            return Millis(Millis::UNLIMITED.0 - 1);
        }
        Millis(left_ms as u32)
    }
}

/// A span in milliseconds, as it travels in a frame header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Millis(pub u32);

impl Millis {
    /// No limit: the request carries no deadline.
    pub const UNLIMITED: Millis = Millis(u32::MAX);
}

/// Nanoseconds in a microsecond.
pub const NANOS_PER_MICRO: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const NANOS_PER_MILLI: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_survives_the_trip_through_a_deadline() {
        let now = Nanos(123_456_789);
        for budget_ms in [0, 1, 499, 500, u32::MAX - 1] {
            assert_eq!(now.budget_until(now.deadline_after(Millis(budget_ms))), Millis(budget_ms));
        }
        assert_eq!(now.deadline_after(Millis::UNLIMITED), Nanos::NEVER);
        assert_eq!(now.budget_until(Nanos::NEVER), Millis::UNLIMITED);
    }

    #[test]
    fn budgets_round_down_and_never_go_negative() {
        let now = Nanos::from_millis(10);
        assert_eq!(now.budget_until(Nanos(11_999_999)), Millis(1));
        assert_eq!(now.budget_until(Nanos::from_millis(3)), Millis(0));
    }

    #[test]
    fn a_deadline_further_away_than_a_budget_can_say_is_the_longest_budget() {
        let now = Nanos::from_millis(10);
        let longest = Millis(u32::MAX - 1);
        for left_ms in [u64::from(longest.0), u64::from(longest.0) + 1, 1 << 40] {
            assert_eq!(now.budget_until(Nanos::from_millis(10 + left_ms)), longest, "{left_ms}");
        }
        assert_eq!(now.budget_until(Nanos(Nanos::NEVER.0 - 1)), longest, "it has a deadline");
    }
}
