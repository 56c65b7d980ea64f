//! How many requests a caller may send: a token bucket per caller, in one word (GCRA, the generic cell rate algorithm).
//!
//! The word is the time at which the bucket will be full again. All processes of a server share the table, so that a rate is one
//! of the server. Callers are found by the hashes of their names. Their number is bounded: a full bucket says nothing and is given
//! to another caller; when there is none, those who find no bucket share one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcrpc_core::id::Salt;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};
use memmap2::MmapRaw;

/// Buckets; the last one is that of those who find no other.
const BUCKETS: usize = 4096;
/// Places at which a caller's bucket may be.
const PROBES: usize = 8;

/// So many requests a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// One request pays for this time.
    interval_ns: u64,
    /// Time that a full bucket is worth.
    burst_ns: u64,
}

impl Rate {
    /// `None` for 0 a second: no limit. A burst of 0 is what one second brings.
    pub(crate) fn new(per_second: u32, burst: u32) -> Option<Rate> {
        let interval_ns = NANOS_PER_SECOND.checked_div(per_second.into())?.max(1);
        let burst = if burst == 0 { per_second } else { burst };
        Some(Rate { interval_ns, burst_ns: interval_ns * u64::from(burst) })
    }
}

/// The name of a caller, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller(u64);

impl Caller {
    pub(crate) fn of(name: &str) -> Caller {
        // FNV-1a, whose low bits are mixed.
        let hash = name
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3));
        // 0 is an empty place in the table.
        Caller(Salt::default().hash(hash).max(1))
    }
}

/// The buckets of all callers, in memory that the processes of a server share.
pub(crate) struct Rates(MmapRaw);

/// A caller's.
struct Bucket {
    caller: AtomicU64,
    full_at: AtomicU64,
}

impl Rates {
    /// Bytes of memory that the buckets take.
    pub(crate) const LEN: usize = BUCKETS * size_of::<Bucket>();

    /// The buckets in this memory; new ones are zero, and full.
    pub(crate) fn attach(memory: MmapRaw) -> Rates {
        assert!(memory.len() >= Rates::LEN, "the memory of the callers' rates is too short");
        Rates(memory)
    }

    /// Takes a request out of a caller's bucket. Whether there was one.
    pub(crate) fn take(&self, caller: Caller, rate: Rate, now: Nanos) -> bool {
        let take = |full_at: u64| {
            let next = full_at.max(now.0).saturating_add(rate.interval_ns);
            (next - now.0 <= rate.burst_ns).then_some(next)
        };
        self.find(caller, now).full_at.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    /// A caller's bucket. One that is given to another while it is used is charged for one request of its former owner.
    fn find(&self, caller: Caller, now: Nanos) -> &Bucket {
        let buckets = self.buckets();
        let (last, own) = (&buckets[BUCKETS - 1], &buckets[..BUCKETS - 1]);
        let places = || (0..PROBES).map(|probe| &own[(caller.0 as usize).wrapping_add(probe) % own.len()]);
        if let Some(known) = places().find(|bucket| bucket.caller.load(Relaxed) == caller.0) {
            return known;
        }
        let take_over = |bucket: &&Bucket| {
            let owner = bucket.caller.load(Relaxed);
            let is_free = bucket.full_at.load(Relaxed) <= now.0;
            let taken = || bucket.caller.compare_exchange(owner, caller.0, Relaxed, Relaxed);
            is_free && (taken().is_ok() || bucket.caller.load(Relaxed) == caller.0)
        };
        places().find(take_over).unwrap_or(last)
    }

    fn buckets(&self) -> &[Bucket] {
        // SAFETY: the mapping is page-aligned, at least `LEN` bytes long, and lives as long as `self`; a bucket is two atomics, for
        // which all bytes are valid, and which nobody accesses in another way.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast::<Bucket>(), BUCKETS) }
    }
}

#[cfg(test)]
mod tests {
    use memmap2::MmapOptions;

    use super::*;

    fn rates() -> Rates {
        Rates::attach(MmapRaw::from(MmapOptions::new().len(Rates::LEN).map_anon().unwrap()))
    }

    #[test]
    fn a_caller_gets_its_burst_at_once_and_then_its_rate_whatever_others_do() {
        let rates = rates();
        for (per_second, burst) in [(1, 1), (10, 3), (1_000, 100), (5_000, 1)] {
            let rate = Rate::new(per_second, burst).unwrap();
            let caller = Caller::of(&format!("caller {per_second}"));
            let begin = Nanos(77 * NANOS_PER_SECOND);
            let at_once = (0..2 * burst).filter(|_| rates.take(caller, rate, begin)).count();
            assert_eq!(at_once as u32, burst, "{per_second}/s");
            // Ten times the rate for ten seconds.
            let step_ns = NANOS_PER_SECOND / u64::from(per_second) / 10;
            let passed =
                (1..=100 * u64::from(per_second)).filter(|n| rates.take(caller, rate, begin.plus(n * step_ns)));
            assert_eq!(passed.count() as u32, 10 * per_second, "{per_second}/s");
        }
    }

    #[test]
    fn no_rate_is_no_limit_and_no_burst_is_that_of_a_second() {
        assert_eq!(Rate::new(0, 7), None);
        assert_eq!(Rate::new(40, 0), Rate::new(40, 40));
    }

    #[test]
    fn more_callers_than_buckets_share_one_and_a_bucket_that_is_full_again_is_given_away() {
        let rates = rates();
        let rate = Rate::new(1, 1).unwrap();
        let callers: Vec<Caller> = (0..4 * BUCKETS).map(|n| Caller::of(&n.to_string())).collect();
        let first = callers.iter().filter(|caller| rates.take(**caller, rate, Nanos(1))).count();
        assert!((BUCKETS * 9 / 10..=BUCKETS).contains(&first), "{first} callers had a bucket");
        let later = Nanos(2 * NANOS_PER_SECOND);
        let (_, others) = callers.split_at(2 * BUCKETS);
        let second = others.iter().filter(|caller| rates.take(**caller, rate, later)).count();
        assert!((BUCKETS * 9 / 10..=BUCKETS).contains(&second), "{second} other callers had one later");
    }
}
