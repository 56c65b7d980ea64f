//! The leaky buckets: no failure is lost, and no two endpoints share a bucket.

use std::sync::Arc;

use loom::thread;

use super::{Words, explore_parts, words};
use crate::endpoint::Endpoint;
use crate::fail::{self, BucketId, FailBuckets, Levels};
use crate::leak::Leak;
use crate::region::{Shared, View};
use crate::status::Status;
use crate::sync::{Mutant, check, must_fail};
use crate::time::Nanos;

const LEN: usize = fail::segment_len(1);
const LEAK: Leak = Leak::DEFAULT;
const NOW: Nanos = Nanos(1_000_000_000_000);

fn segment() -> Words {
    let words = words(LEN / 8);
    fail::create(Shared::new(&words), 1, 7, 9).unwrap();
    words
}

/// The count of used slots, and two slots.
fn explore_slots(words: &Words) {
    explore_parts(words, &[9..10, 512..544]);
}

fn buckets(words: &Words) -> FailBuckets<'_> {
    FailBuckets::attach(Shared::new(words), LEN as u64).unwrap()
}

fn levels(words: &Words) -> Levels<'_> {
    Levels::attach(View::new(words), LEN as u64).unwrap()
}

fn spawn<T: 'static>(words: &Words, work: impl FnOnce(FailBuckets<'_>) -> T + 'static) -> thread::JoinHandle<T> {
    let words = Arc::clone(words);
    thread::spawn(move || work(buckets(&words)))
}

fn endpoint(n: u16) -> Endpoint {
    Endpoint { address: 1, port: n, service_id: 0 }
}

/// Two endpoints that look for a slot in the same place first.
fn rivals() -> [Endpoint; 2] {
    let slot_of = |n| buckets(&segment()).bucket(&endpoint(n)).unwrap().number() as u32;
    let rival = (1..).find(|&n| slot_of(n) == slot_of(0)).unwrap();
    [endpoint(0), endpoint(rival)]
}

/// A segment with one bucket that has been poured into so often.
fn poured(times: u32) -> (Words, BucketId) {
    let words = segment();
    let id = buckets(&words).bucket(&endpoint(0)).unwrap();
    for _ in 0..times {
        buckets(&words).pour(id, &LEAK, NOW).unwrap();
    }
    (words, id)
}

/// When two threads look for a bucket at once, then those of the same endpoint find the same, and others not.
fn claimed(endpoints: [Endpoint; 2]) {
    let words = segment();
    explore_slots(&words);
    let other = spawn(&words, move |buckets| buckets.bucket(&endpoints[1]).unwrap());
    let ids = [buckets(&words).bucket(&endpoints[0]).unwrap(), other.join().unwrap()];
    let same = endpoints[0] == endpoints[1];
    assert_eq!(ids[0] == ids[1], same, "each endpoint has its own bucket");
    assert_eq!(levels(&words).fill().0, if same { 1 } else { 2 }, "every slot is counted once");
}

#[test]
fn an_endpoint_has_one_bucket_and_shares_it_with_no_other() {
    let same = || claimed([endpoint(0); 2]);
    check(Mutant::None, same);
    must_fail(Mutant::SplitExchange, "every slot is counted once", same);
    let rivals = rivals();
    let different = move || claimed(rivals);
    check(Mutant::None, different);
    must_fail(Mutant::SplitExchange, "each endpoint has its own bucket", different);
    must_fail(Mutant::SplitAdd, "every slot is counted once", different);
}

/// When two calls fail at once, then both count.
fn both_poured() {
    let (words, id) = poured(1);
    explore_slots(&words);
    let other = spawn(&words, move |buckets| buckets.pour(id, &LEAK, NOW));
    buckets(&words).pour(id, &LEAK, NOW).unwrap();
    other.join().unwrap().unwrap();
    let level = levels(&words).iter(NOW).next().unwrap();
    assert_eq!(level.level_ns, 3 * LEAK.drain_ns, "every failure counts");
}

#[test]
fn failures_at_the_same_moment_all_count() {
    check(Mutant::None, both_poured);
    must_fail(Mutant::SplitExchange, "every failure counts", both_poured);
}

/// Given a bucket that one more failure fills, when one thread pours and another asks, then that one hears of the
/// bucket before or after; and full it is in the end.
#[test]
fn the_failure_that_fills_a_bucket_is_seen_at_once_or_a_moment_later() {
    check(Mutant::None, || {
        let (words, id) = poured(9);
        explore_slots(&words);
        let other = spawn(&words, move |buckets| {
            let seen = [(); 2].map(|()| buckets.is_full(id, &LEAK, NOW).unwrap());
            assert_ne!(seen, [true, false], "a full bucket stays full");
        });
        buckets(&words).pour(id, &LEAK, NOW).unwrap();
        other.join().unwrap();
        assert_eq!(buckets(&words).is_full(id, &LEAK, NOW), Ok(true));
    });
}

/// When one thread finds a damaged word and another pours, then both failures count, and the damage not.
#[test]
fn damage_is_replaced_once() {
    let model = || {
        let (words, id) = poured(0);
        Shared::new(&words).set(514 + 16 * (id.number() as u32 as usize), u64::MAX);
        explore_slots(&words);
        let other = spawn(&words, move |buckets| buckets.pour(id, &LEAK, NOW));
        buckets(&words).pour(id, &LEAK, NOW).unwrap();
        assert_eq!(other.join().unwrap(), Ok::<(), Status>(()));
        let level = levels(&words).iter(NOW).next().unwrap();
        assert_eq!(level.level_ns, 2 * LEAK.drain_ns, "every failure counts");
    };
    check(Mutant::None, model);
    must_fail(Mutant::SplitExchange, "every failure counts", model);
}
