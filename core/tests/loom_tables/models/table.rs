//! The table: a key that is present throughout is found, with a value that it has had, whatever the writer does.

use std::sync::Arc;

use loom::thread;

use super::{Words, words};
use crate::bucket::{Buckets, Fingerprint};
use crate::id::Salt;
use crate::placement::Placement;
use crate::region::{LINE, Shared, View};
use crate::sync::{Mutant, check, explore, must_fail};

const BUCKETS: Buckets = Buckets { count: 3, base: 0 };
const SLOTS: usize = 3 * LINE;
/// The value of the keys that are there from the start.
const OLD: Option<u32> = Some(100);
const NEW: Option<u32> = Some(27);

/// The nth key that belongs into these two buckets.
fn key(first: u64, second: u64, n: usize) -> u64 {
    let belongs = |&hash: &u64| BUCKETS.first(hash) == first && BUCKETS.second(Fingerprint::of(hash), first) == second;
    (0..).map(|n| Salt(1).hash(n)).filter(belongs).nth(n).unwrap()
}

/// The keys that fill a bucket. Their records have the numbers of their places in the list; a move takes the first.
fn full(first: u64, second: u64) -> Vec<u64> {
    (0..LINE).map(|n| key(first, second, n)).collect()
}

fn insert_all(placement: &mut Placement<'_>, present: &[u64]) {
    for (&hash, record) in present.iter().zip(0..) {
        placement.insert(hash, record, 100).unwrap();
    }
}

fn look_up(words: &Words, wanted: u64) -> thread::JoinHandle<Option<u32>> {
    let words = Arc::clone(words);
    thread::spawn(move || BUCKETS.find(View::new(&words), wanted))
}

/// Given a table with these keys in it, what another thread finds for `wanted` while `write` changes the table.
fn race(present: &[u64], wanted: u64, write: impl FnOnce(&mut Placement<'_>)) -> Option<u32> {
    let words = words(SLOTS);
    let mut owners = [0; SLOTS];
    let mut placement = Placement::new(Shared::new(&words), BUCKETS, &mut owners);
    insert_all(&mut placement, present);
    explore(&words);
    let reader = look_up(&words, wanted);
    write(&mut placement);
    reader.join().unwrap()
}

fn update(placement: &mut Placement<'_>, hash: u64) {
    placement.update(placement.find(hash).unwrap(), hash, 27);
}

fn remove(placement: &mut Placement<'_>, hash: u64) {
    placement.remove(placement.find(hash).unwrap());
}

/// Given two full buckets, when a key of both is inserted, then an entry makes room, and is found all the same.
fn moved() {
    let present = [full(0, 1), full(2, 1)].concat();
    let found = race(&present, present[0], |placement| {
        placement.insert(key(0, 2, 0), 16, 27).unwrap();
        assert_eq!(placement.moves(), 1);
    });
    assert_eq!(found, OLD, "a present key is found");
}

#[test]
fn a_key_that_is_moved_is_found_throughout() {
    check(Mutant::None, moved);
    // The fence of the reader, the release of the overwriting store, and the order of the two.
    for mutant in [Mutant::NoAcquireFence, Mutant::RelaxedStore(1), Mutant::LateStore(0)] {
        must_fail(mutant, "a present key is found", moved);
    }
}

/// Given a bucket with one slot that was never used, when it is filled, then an entry of it may be moved.
fn filled_and_moved() {
    let present = [&full(0, 1)[..LINE - 1], &full(2, 1)].concat();
    let found = race(&present, present[0], |placement| {
        placement.insert(key(0, 1, LINE), 15, 27).unwrap();
        placement.insert(key(0, 2, 0), 16, 27).unwrap();
        assert_eq!(placement.moves(), 1);
    });
    assert_eq!(found, OLD, "a present key is found");
}

#[test]
fn a_key_is_found_while_its_bucket_becomes_full_for_the_first_time() {
    check(Mutant::None, filled_and_moved);
    for mutant in [Mutant::NoAcquireFence, Mutant::RelaxedStore(2), Mutant::LateStore(1)] {
        must_fail(mutant, "a present key is found", filled_and_moved);
    }
}

/// Given a key that is moved, when its old slot is overwritten again and again, by everything that writes to a slot,
/// then whatever the reader sees there leads it to the second bucket.
fn overwritten() {
    // One slot of bucket 1 is free for the key. Entries of bucket 2 can be moved to bucket 0 when it has room.
    let present = [full(0, 1), full(2, 0), full(1, 2)[1..].to_vec()].concat();
    let found = race(&present, present[0], |placement| {
        let (moves_it, takes_its_slot, moves_another_there) = (key(0, 2, 0), key(0, 1, LINE), key(2, 1, 0));
        placement.insert(moves_it, 23, 7).unwrap(); // Stores 0 and 1.
        update(placement, moves_it); // Store 2.
        remove(placement, moves_it); // Store 3.
        placement.insert(takes_its_slot, 23, 7).unwrap(); // Store 4.
        remove(placement, takes_its_slot); // Store 5.
        placement.insert(moves_another_there, 23, 7).unwrap(); // Store 6, the copy of another, and store 7.
        assert_eq!(placement.moves(), 2);
    });
    assert_eq!(found, OLD, "a present key is found");
}

#[test]
fn a_moved_key_is_found_whatever_its_old_slot_holds_later() {
    check(Mutant::None, overwritten);
    for store in 1..=6 {
        must_fail(Mutant::RelaxedStore(store), "a present key is found", overwritten);
    }
}

/// A key is taken out, another one takes its slot, and it comes back with another value in a later slot of its bucket.
fn returned() {
    let keys = full(0, 1);
    let found = race(&keys[..1], keys[0], |placement| {
        remove(placement, keys[0]);
        placement.insert(keys[1], 1, 7).unwrap();
        placement.insert(keys[0], 0, 27).unwrap();
    });
    assert!([None, OLD, NEW].contains(&found), "only values that it had: {found:?}");
}

#[test]
fn a_key_that_comes_back_in_another_slot_never_has_a_mixed_value() {
    check(Mutant::None, returned);
}

#[test]
fn a_key_that_is_inserted_updated_or_removed_has_its_value_before_or_after() {
    type Write = fn(&mut Placement<'_>, u64);
    type Case = (&'static str, Vec<u64>, u64, Write, [Option<u32>; 2]);
    let insert: Write = |placement, hash| placement.insert(hash, 16, 27).unwrap();
    let two_full = || [full(0, 1), full(2, 1)].concat();
    let mut moved_before = two_full();
    moved_before.push(key(0, 2, 0));
    let cases: [Case; 6] = [
        ("into a free slot", full(0, 1)[..3].to_vec(), key(0, 2, 0), insert, [None, NEW]),
        ("into its second bucket", full(0, 1), key(0, 2, 0), insert, [None, NEW]),
        ("into the slot of one that is moved", two_full(), key(0, 2, 0), insert, [None, NEW]),
        ("updated", two_full(), key(0, 1, 3), update, [OLD, NEW]),
        ("updated where it was moved to", moved_before.clone(), key(0, 1, 0), update, [OLD, NEW]),
        ("removed", moved_before, key(0, 1, 0), remove, [OLD, None]),
    ];
    for (name, present, wanted, write, expected) in cases {
        check(Mutant::None, move || {
            let found = race(&present, wanted, |placement| write(placement, wanted));
            assert!(expected.contains(&found), "{name}: {found:?}");
        });
    }
}

/// Given a writer that was killed between the two stores of a move, when the next one adopts the table, drops the
/// second copy, changes the value and moves the entry after all, then it is found throughout.
fn adopted() {
    let words = words(SLOTS);
    let shared = Shared::new(&words);
    let present = [full(0, 1), full(2, 1)].concat();
    let mut owners = [0; SLOTS];
    insert_all(&mut Placement::new(shared, BUCKETS, &mut owners), &present);
    shared.set(BUCKETS.word(1), shared.load(0));
    explore(&words[..BUCKETS.word(1) + 1]);
    let reader = look_up(&words, present[0]);
    let mut placement = Placement::new(shared, BUCKETS, &mut owners);
    assert!(present.iter().zip(0..).all(|(&hash, record)| placement.adopt(hash, record)));
    assert_eq!(placement.drop_orphans(), 1); // Store 0.
    update(&mut placement, present[0]); // Store 1.
    placement.insert(key(0, 2, 0), 16, 7).unwrap(); // Stores 2 and 3.
    let found = reader.join().unwrap();
    assert!([OLD, NEW].contains(&found), "a present key is found: {found:?}");
}

#[test]
fn a_key_is_found_while_a_table_with_a_half_done_move_is_adopted() {
    check(Mutant::None, adopted);
    for mutant in [Mutant::NoAcquireFence, Mutant::RelaxedStore(3), Mutant::LateStore(2)] {
        must_fail(mutant, "a present key is found", adopted);
    }
}
