//! Counters: one column for each, and the largest value stays.

use std::sync::Arc;

use loom::thread;

use super::{Words, explore_parts, words};
use crate::region::{Shared, View};
use crate::seat::COMMON;
use crate::stat::{self, Column, CounterKey, Counters, Kind, Stat};
use crate::sync::{Mutant, check, must_fail};
use crate::time::Nanos;

const COLUMNS: u32 = 2;
const LEN: usize = stat::segment_len(1, COLUMNS);

fn segment() -> Words {
    let words = words(LEN / 8);
    stat::create(Shared::new(&words), 1, COLUMNS, 7, 9).unwrap();
    words
}

/// Loom explores the columns, and the common stripe.
fn explored() -> Words {
    let words = segment();
    explore_parts(&words, &[640..643, 656..659]);
    words
}

fn stat(words: &Words) -> Stat<'_> {
    Stat::attach(Shared::new(words), LEN as u64).unwrap()
}

fn counters(words: &Words) -> Counters<'_> {
    Counters::attach(View::new(words), LEN as u64).unwrap()
}

fn counter(key: u32) -> CounterKey {
    CounterKey { id: 1, key, kind: Kind::Sum }
}

/// When two threads register counters at once, then the same counter has one column, and two counters have two.
fn registered(keys: [u32; 2]) {
    let words = explored();
    let theirs = Arc::clone(&words);
    let other = thread::spawn(move || stat(&theirs).column(counter(keys[1])).unwrap());
    let columns = [stat(&words).column(counter(keys[0])).unwrap(), other.join().unwrap()];
    assert_eq!(columns[0] == columns[1], keys[0] == keys[1], "each counter has its column");
    for (key, column) in keys.into_iter().zip(columns) {
        assert!(
            counters(&words).counters().any(|found| found == (counter(key), column)),
            "each counter has its column"
        );
    }
    assert_eq!(counters(&words).counters().count(), if keys[0] == keys[1] { 1 } else { 2 });
}

#[test]
fn a_counter_has_one_column_and_shares_it_with_no_other() {
    let begins_at = |key| stat(&segment()).column(counter(key)).unwrap();
    let rival = (1..).find(|&key| begins_at(key) == begins_at(0)).unwrap();
    check(Mutant::None, || registered([0, 0]));
    check(Mutant::None, move || registered([0, rival]));
    must_fail(Mutant::SplitExchange, "each counter has its column", move || registered([0, rival]));
}

/// When two threads raise a maximum at once, then the larger value stays.
fn raised() {
    let words = explored();
    let raise = |words: &Words, value| stat(words).set_max(COMMON, Column::from_number(0), value, Nanos(1));
    let theirs = Arc::clone(&words);
    let other = thread::spawn(move || raise(&theirs, 30));
    raise(&words, 20);
    other.join().unwrap();
    assert_eq!(counters(&words).max(Column::from_number(0), Nanos(1)), Some(30), "the larger value stays");
}

#[test]
fn the_larger_of_two_maxima_stays() {
    check(Mutant::None, raised);
    must_fail(Mutant::SplitExchange, "the larger value stays", raised);
}
