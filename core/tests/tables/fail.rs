use std::collections::HashSet;
use std::sync::atomic::AtomicU64;

use mcrpc_core::host::fail::{self, BucketId, FailBuckets, Levels};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use super::{at, endpoint, len_of, memory, overwrite};

const LEAK: Leak = Leak::DEFAULT;
/// The first word of the first slot.
const FIRST_SLOT: usize = 512;

fn segment(capacity: u32) -> Vec<AtomicU64> {
    let words = memory(fail::segment_len(capacity));
    fail::create(Shared::new(&words), capacity, 1, 2).unwrap();
    words
}

fn attach(words: &[AtomicU64]) -> FailBuckets<'_> {
    FailBuckets::attach(Shared::new(words), len_of(words)).unwrap()
}

fn levels(words: &[AtomicU64]) -> Levels<'_> {
    Levels::attach(View::new(words), len_of(words)).unwrap()
}

enum Step {
    /// Failures at this time.
    Pour(f64, u32),
    /// The endpoint has proved that it works.
    Empty,
    /// Something has written this to the bucket.
    Damage(u64),
    /// At this time it needs so many seconds to become empty, and it is full or not.
    Is(f64, f64, bool),
}

use Step::{Damage, Empty, Is, Pour};

/// Ten failures fill a bucket (limit 9 s), one per second leaks out, and it holds 30 s.
#[test]
fn a_bucket_fills_with_failures_and_leaks_with_time() {
    let cases: &[(&str, &[Step])] = &[
        ("is empty at first", &[Is(100.0, 0.0, false)]),
        ("counts each failure", &[Pour(100.0, 1), Is(100.0, 1.0, false), Pour(100.0, 1), Is(100.0, 2.0, false)]),
        ("is full above its limit", &[Pour(100.0, 9), Is(100.0, 9.0, false), Pour(100.0, 1), Is(100.0, 10.0, true)]),
        ("leaks", &[Pour(100.0, 10), Is(100.5, 9.5, true), Is(101.0, 9.0, false), Is(105.0, 5.0, false)]),
        (
            "is never emptier than empty",
            &[Pour(100.0, 3), Is(200.0, 0.0, false), Pour(200.0, 1), Is(200.0, 1.0, false)],
        ),
        (
            "stays full while failures go on",
            &[Pour(100.0, 10), Pour(102.0, 3), Is(102.0, 11.0, true), Is(103.5, 9.5, true)],
        ),
        (
            "holds no more than its capacity",
            &[Pour(100.0, 1_000), Is(100.0, 30.0, true), Is(120.5, 9.5, true), Is(121.0, 9.0, false)],
        ),
        ("is emptied", &[Pour(100.0, 20), Empty, Is(100.0, 0.0, false), Pour(100.0, 1), Is(100.0, 1.0, false)]),
        (
            "does not mind a clock a little behind",
            &[Pour(100.0, 30), Is(99.5, 30.5, true), Pour(99.5, 5), Is(100.0, 30.0, true)],
        ),
        (
            "takes what only a wrong clock can have written for damage",
            &[Pour(100.0, 30), Is(98.0, 32.0, false), Pour(98.0, 1), Is(98.0, 1.0, false)],
        ),
        (
            "forgets damage",
            &[
                Pour(100.0, 20),
                Damage(u64::MAX),
                Is(100.0, 18_446_743_973.709_55, false),
                Pour(100.0, 1),
                Is(100.0, 1.0, false),
            ],
        ),
        (
            "forgets damage of one second too much",
            &[Damage(131_000_000_001), Is(100.0, 31.0, false), Pour(100.0, 2), Is(100.0, 2.0, false)],
        ),
        ("believes what could have been poured", &[Damage(131_000_000_000), Is(100.0, 31.0, true)]),
        (
            "takes a time long past for empty",
            &[Damage(1), Is(100.0, 0.0, false), Pour(100.0, 2), Is(100.0, 2.0, false)],
        ),
        ("works from the clock's first moment", &[Pour(0.0, 10), Is(0.0, 10.0, true), Is(5.0, 5.0, false)]),
    ];
    for (name, steps) in cases {
        let words = segment(1);
        let buckets = attach(&words);
        let id = buckets.bucket(&endpoint(1)).unwrap();
        for step in *steps {
            match *step {
                Pour(time, times) => (0..times).for_each(|_| buckets.pour(id, &LEAK, at(time)).unwrap()),
                Empty => buckets.empty(id).unwrap(),
                Damage(word) => overwrite(&words, FIRST_SLOT + 16 * (id.number() as u32 as usize) + 2, word),
                Is(time, level, full) => {
                    let level_ns = levels(&words).iter(at(time)).next().unwrap().level_ns;
                    assert!(level_ns.abs_diff(at(level).0) <= 10_000, "it {name}: {level_ns} instead of {level} s");
                    assert_eq!(buckets.is_full(id, &LEAK, at(time)), Ok(full), "it {name}, at {time} s");
                }
            }
        }
    }
}

/// Given times at the end of what can be counted, then nothing overflows.
#[test]
fn a_bucket_works_at_the_end_of_time() {
    let words = segment(1);
    let buckets = attach(&words);
    let id = buckets.bucket(&endpoint(1)).unwrap();
    for now in [Nanos(u64::MAX - 1), Nanos::NEVER, Nanos(0)] {
        buckets.pour(id, &LEAK, now).unwrap();
        buckets.is_full(id, &LEAK, now).unwrap();
    }
}

#[test]
fn settings_outside_their_range_are_refused() {
    let day = 86_400 * NANOS_PER_SECOND;
    let cases = [
        (LEAK, true),
        (Leak { drain_ns: 1, limit_ns: 1, capacity_ns: 1 }, true),
        (Leak { drain_ns: day, limit_ns: day, capacity_ns: day }, true),
        (Leak { drain_ns: 0, ..LEAK }, false),
        (Leak { limit_ns: 1, ..LEAK }, true),
        (Leak { limit_ns: 0, ..LEAK }, false),
        (Leak { drain_ns: LEAK.capacity_ns + 1, ..LEAK }, false),
        (Leak { limit_ns: LEAK.capacity_ns + 1, ..LEAK }, false),
        (Leak { capacity_ns: day + 1, ..LEAK }, false),
    ];
    for (leak, valid) in cases {
        assert_eq!(leak.validate(), if valid { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }, "{leak:?}");
    }
    let words = memory(fail::segment_len(10));
    assert_eq!(fail::create(Shared::new(&words), 0, 1, 2), Err(Status::INVALID_ARGUMENT));
    assert_eq!(fail::create(Shared::new(&words), u32::MAX, 1, 2), Err(Status::INVALID_ARGUMENT));
    assert_eq!(fail::create(Shared::new(&words), 1_000, 1, 2), Err(Status::TOO_SMALL));
}

/// Given a segment that another has replaced, or a number that was never given out, then an id is refused.
#[test]
fn an_id_is_good_for_its_own_segment_only() {
    let words = segment(1);
    let buckets = attach(&words);
    let id = buckets.bucket(&endpoint(1)).unwrap();
    let successor = memory(fail::segment_len(1));
    fail::create(Shared::new(&successor), 1, 1, 4).unwrap();
    let stale = [
        (attach(&successor), id),
        (buckets, BucketId::from_number(id.number() | 0xFFFF)),
        (buckets, BucketId::from_number(u64::MAX)),
        (buckets, BucketId::from_number(0)),
    ];
    for (buckets, id) in stale {
        assert_eq!(buckets.pour(id, &LEAK, at(1.0)), Err(Status::STALE_ID));
        assert_eq!(buckets.is_full(id, &LEAK, at(1.0)), Err(Status::STALE_ID));
        assert_eq!(buckets.empty(id), Err(Status::STALE_ID));
    }
    assert_eq!(buckets.pour(BucketId::from_number(id.number()), &LEAK, at(1.0)), Ok(()));
}

/// Given two processes, then an endpoint has the same bucket in both; what one pours the other sees, and a tool names
/// it.
#[test]
fn processes_share_the_bucket_of_an_endpoint() {
    let words = segment(100);
    let (one, other) = (attach(&words), attach(&words));
    for n in 0..100 {
        let id = one.bucket(&endpoint(n)).unwrap();
        assert_eq!(other.bucket(&endpoint(n)), Ok(id));
        (0..n).for_each(|_| one.pour(id, &LEAK, at(1.0)).unwrap());
        assert_eq!(other.is_full(id, &LEAK, at(1.0)), Ok(n >= 10));
    }
    assert_eq!(levels(&words).fill().0, 100);
    let mut shown: Vec<_> = levels(&words).iter(at(1.0)).collect();
    shown.sort_by_key(|level| level.endpoint);
    assert_eq!(shown.len(), 100);
    for (n, level) in (0..).zip(shown) {
        assert_eq!(level.endpoint, Some(endpoint(n)));
        assert_eq!(level.level_ns, n.min(30) * NANOS_PER_SECOND);
        assert_eq!(level.limit_ns, if n == 0 { 0 } else { LEAK.limit_ns });
    }
}

/// Given as many endpoints as the segment was made for, then each has a bucket of its own. Given many more, then the
/// rest is told so, and nobody's bucket changes.
#[test]
fn a_full_segment_refuses_newcomers_only() {
    for capacity in [1, 2, 10, 100, 1_000, 10_000] {
        let words = segment(capacity as u32);
        let buckets = attach(&words);
        let first: Vec<BucketId> = (0..capacity).map(|n| buckets.bucket(&endpoint(n)).unwrap()).collect();
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), first.len());
        let more = (capacity..capacity * 4).filter(|&n| buckets.bucket(&endpoint(n)).is_ok()).count();
        let (used, slots) = levels(&words).fill();
        assert_eq!(used, (first.len() + more) as u64);
        assert!(used <= slots && used >= slots / 2, "{used} of {slots}");
        if capacity > 2 {
            assert_eq!(buckets.bucket(&endpoint(capacity * 5)), Err(Status::TABLE_FULL));
        }
        for (n, bucket) in (0..).zip(first) {
            assert_eq!(buckets.bucket(&endpoint(n)), Ok(bucket));
        }
    }
}
