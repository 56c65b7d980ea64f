//! A leaky bucket that counts in seconds (SPEC S5): failures pour in, time leaks them out.
//!
//! It is one word, its *theoretical arrival time*: when it will be empty again. That is the leaky bucket as a meter of
//! ITU-T I.371, annex A (GCRA, virtual scheduling): TAT' = max(TAT, now) + drain. So it leaks without anybody doing
//! anything, and the check is one load. A word that no pour could have written is damage: it counts as empty, and the
//! next pour replaces it.

use crate::status::Status;
use crate::time::{NANOS_PER_SECOND, Nanos};

/// Beyond its capacity and this a bucket cannot be filled: clocks of two processors differ by less.
const TOLERANCE_NS: u64 = NANOS_PER_SECOND;

/// How a bucket leaks. The same for all processes that share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// How long one failure takes to leak out.
    pub drain_ns: u64,
    /// The bucket is full when it needs longer than this to become empty.
    pub limit_ns: u64,
    /// It is never filled beyond this, so that it is known when it will have become empty at the latest.
    pub capacity_ns: u64,
}

impl Leak {
    /// Ten failures at once fill it, one per second leaks out, and it takes at most 30 s to become empty.
    pub const DEFAULT: Leak =
        Leak { drain_ns: NANOS_PER_SECOND, limit_ns: 9 * NANOS_PER_SECOND, capacity_ns: 30 * NANOS_PER_SECOND };

    /// The most failures of [`Leak::of_count`].
    pub const MAX_COUNT: u32 = 10_000;

    /// As the default, but so many failures at once fill it: Svrkit's `FailCount`. `None` for 0, and above
    /// [`Leak::MAX_COUNT`].
    pub const fn of_count(fail_count: u32) -> Option<Leak> {
        if fail_count == 0 || fail_count > Leak::MAX_COUNT {
            return None;
        }
        // A failure drains for a second, so the bucket is full above count - 1.
        let count = fail_count as u64;
        let (limit_ns, capacity_s) = ((count - 1) * NANOS_PER_SECOND, if count > 10 { 3 * count } else { 30 });
        Some(Leak {
            drain_ns: NANOS_PER_SECOND,
            limit_ns: if limit_ns == 0 { 1 } else { limit_ns },
            capacity_ns: capacity_s * NANOS_PER_SECOND,
        })
    }

    /// Checks that drain and limit are above 0 and within the capacity, and that below a day. With a limit below the drain
    /// the first failure fills the bucket.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`].
    pub fn validate(&self) -> Result<(), Status> {
        let within = |ns| ns >= 1 && ns <= self.capacity_ns;
        let is_valid = within(self.drain_ns) && within(self.limit_ns) && self.capacity_ns <= 86_400 * NANOS_PER_SECOND;
        if is_valid { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }
    }

    /// The word after one more failure; `None` if that changes nothing, because the bucket cannot be fuller.
    #[inline]
    pub fn poured(&self, tat: u64, now: Nanos) -> Option<u64> {
        let start = if self.is_damaged(tat, now) { now.0 } else { tat.max(now.0) };
        let poured = start.saturating_add(self.drain_ns).min(now.plus(self.capacity_ns).0);
        (poured > tat || start != tat).then_some(poured)
    }

    /// Whether the bucket is full.
    #[inline]
    pub const fn is_full(&self, tat: u64, now: Nanos) -> bool {
        tat > now.plus(self.limit_ns).0 && !self.is_damaged(tat, now)
    }

    #[inline]
    const fn is_damaged(&self, tat: u64, now: Nanos) -> bool {
        tat > now.plus(self.capacity_ns).plus(TOLERANCE_NS).0
    }
}
