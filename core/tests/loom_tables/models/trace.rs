//! Trace rings: what is read was written, whole, also while it is overwritten.

use std::sync::Arc;

use loom::thread;

use super::{Words, words};
use crate::region::{LINE, Shared, View};
use crate::status::Status;
use crate::sync::{Mutant, check, check_within, explore, must_fail};
use crate::time::Nanos;
use crate::trace::{Read, Record, Records, Ring};

/// Words before the cells.
const HEAD_LEN: usize = 2 * LINE;
/// Of each cell the commit word, the time and one word of data are written.
const WRITTEN: usize = 3;

fn ring(cells: usize) -> Words {
    words(HEAD_LEN + cells * LINE)
}

fn explore_ring(words: &Words) {
    explore(&words[0..1]);
    explore(&words[LINE..LINE + 1]);
    for cell in words[HEAD_LEN..].chunks(LINE) {
        explore(&cell[..WRITTEN]);
    }
}

/// Writes a record whose data is its time: whoever finds other data in it has found a mixture.
fn write(words: &Words, time: u64) -> Result<(), Status> {
    Ring::over(Shared::new(words)).write(1, &time.to_le_bytes(), Nanos(time))
}

/// The times of the records at these positions; `None` where there is none.
fn read(words: &Words, positions: std::ops::Range<u64>) -> Vec<Option<u64>> {
    let records = Records::over(View::new(words));
    let mut record = Record::default();
    let mut read = |position| match records.read(position, &mut record) {
        Read::Record { next } => {
            assert_eq!(next, position + 1, "a record is whole");
            assert_eq!(record.data(), record.time.0.to_le_bytes(), "a record is whole");
            Some(record.time.0)
        }
        Read::Pending | Read::Lost { .. } | Read::End => None,
    };
    positions.map(&mut read).collect()
}

fn spawn<T: 'static>(words: &Words, work: impl FnOnce(&Words) -> T + 'static) -> thread::JoinHandle<T> {
    let words = Arc::clone(words);
    thread::spawn(move || work(&words))
}

/// Given a ring with room, when two threads write at once, then both records are there.
fn both_write() {
    let words = ring(2);
    explore_ring(&words);
    let other = spawn(&words, |words| write(words, 20));
    let outcomes = [write(&words, 10), other.join().unwrap()];
    assert_eq!(outcomes, [Ok(()); 2], "every record is there");
    let mut found = read(&words, 0..3);
    found.sort_unstable();
    assert_eq!(found, [None, Some(10), Some(20)], "every record is there");
}

#[test]
fn two_threads_write_side_by_side() {
    check(Mutant::None, both_write);
    must_fail(Mutant::SplitAdd, "every record is there", both_write);
}

/// Given a ring that is full, when a record is overwritten while another thread reads it, then that one finds it whole,
/// or not at all.
fn overwritten() {
    let words = ring(1);
    write(&words, 10).unwrap();
    explore_ring(&words);
    let reader = spawn(&words, |words| read(words, 0..2));
    write(&words, 20).unwrap();
    let found = reader.join().unwrap();
    assert!(matches!(found[0], None | Some(10)), "a record is whole: {found:?}");
    assert!(matches!(found[1], None | Some(20)), "a record is whole: {found:?}");
    assert_eq!(read(&words, 0..3), [None, Some(20), None], "every record is there");
}

#[test]
fn a_record_that_is_overwritten_is_read_whole_or_not_at_all() {
    check(Mutant::None, overwritten);
    let mutants = [
        Mutant::NoReleaseFence,
        // The fence behind the commit word, and the one in front of its second load.
        Mutant::NoAcquireFenceOfTwo(0),
        Mutant::NoAcquireFenceOfTwo(1),
        // The commit.
        Mutant::RelaxedStore(0),
    ];
    for mutant in mutants {
        must_fail(mutant, "a record is whole", overwritten);
    }
}

/// Given a ring of so many cells, when two threads write three records into it, then each is in its place at the end,
/// or was overwritten by a later one, or was dropped and counted.
fn lapped(cells: usize) {
    let words = ring(cells);
    explore_ring(&words);
    let other = spawn(&words, |words| [write(words, 20), write(words, 30)]);
    let mine = write(&words, 10);
    let [second, third] = other.join().unwrap();
    let written = [(mine, 10), (second, 20), (third, 30)];
    let found: Vec<u64> = read(&words, 0..3).into_iter().flatten().collect();
    let dropped = written.iter().filter(|(outcome, _)| outcome.is_err()).count();
    assert!(written.iter().all(|(outcome, time)| outcome.is_ok() || !found.contains(time)), "a dropped record is gone");
    assert_eq!(Records::over(View::new(&words)).dropped(), dropped as u64, "what is dropped is counted");
    assert!(
        found.len() <= cells && found.len() + dropped >= cells,
        "the others are there: {found:?}, {dropped} dropped"
    );
}

#[test]
fn two_threads_that_lap_each_other_never_mix_their_records() {
    for cells in [1, 2] {
        check(Mutant::None, move || lapped(cells));
    }
    must_fail(Mutant::SplitExchange, "the others are there", || lapped(1));
    must_fail(Mutant::ExchangeWithoutAcquire, "a record is whole", || lapped(1));
}

/// Given a ring that is full, when two threads overwrite its record while a third one reads.
fn lapped_and_read() {
    let words = ring(1);
    write(&words, 10).unwrap();
    explore_ring(&words);
    let writer = spawn(&words, |words| write(words, 20));
    let reader = spawn(&words, |words| read(words, 1..2));
    write(&words, 30).ok();
    writer.join().unwrap().ok();
    let found = reader.join().unwrap();
    assert!(matches!(found[..], [None | Some(20 | 30)]), "a record is whole: {found:?}");
}

#[test]
fn a_reader_between_two_writers_reads_a_whole_record_or_none() {
    check_within(3, Mutant::None, lapped_and_read);
}
