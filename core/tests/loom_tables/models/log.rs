//! Log rings: a line is handed to the agent once and whole, or its writer is told that it was dropped.

use std::sync::Arc;

use loom::thread;

use super::{Words, words};
use crate::log::{Entry, Found, Level, Origin, Ring};
use crate::region::{LINE, Shared};
use crate::status::Status;
use crate::sync::{Mutant, Ordering, check, check_within, explore, must_fail};
use crate::time::Nanos;

/// Words before the cells.
const HEAD_LEN: usize = 3 * LINE;
/// Of each cell the commit word, the time and the process are looked at.
const LOOKED_AT: usize = 3;

fn ring(cells: usize) -> Words {
    words(HEAD_LEN + cells * LINE)
}

fn explore_ring(words: &Words) {
    for line in words[..HEAD_LEN].chunks(LINE) {
        explore(&line[..1]);
    }
    for cell in words[HEAD_LEN..].chunks(LINE) {
        explore(&cell[..LOOKED_AT]);
    }
}

fn over(words: &Words) -> Ring<'_> {
    Ring::over(Shared::new(words))
}

/// A line without text, whose time and process are one number: whoever finds two different ones has found a mixture.
fn write(words: &Words, number: u32) -> Result<(), Status> {
    let origin = Origin { time: Nanos(number.into()), pid: number, ..Origin::default() };
    over(words).write(Level::Info, &origin, b"")
}

/// The number of the line at a position.
fn read(words: &Words, position: u64) -> Option<u32> {
    let mut entry = Entry::default();
    match over(words).read(position, &mut entry) {
        Found::Entry { next } => {
            assert_eq!(next, position + 1, "a line is whole");
            assert_eq!(entry.origin.time.0, entry.origin.pid.into(), "a line is whole");
            Some(entry.origin.pid)
        }
        Found::Pending | Found::Nothing => None,
    }
}

fn spawn<T: 'static>(words: &Words, work: impl FnOnce(&Words) -> T + 'static) -> thread::JoinHandle<T> {
    let words = Arc::clone(words);
    thread::spawn(move || work(&words))
}

/// Given a ring with room for two, when two threads write at once, then both lines are there.
fn both_write() {
    let words = ring(2);
    explore_ring(&words);
    let other = spawn(&words, |words| write(words, 20));
    let outcomes = [write(&words, 10), other.join().unwrap()];
    assert_eq!(outcomes, [Ok(()); 2], "every line is there");
    let mut found = [read(&words, 0), read(&words, 1)];
    found.sort_unstable();
    assert_eq!(found, [Some(10), Some(20)], "every line is there");
}

#[test]
fn two_threads_write_side_by_side() {
    check(Mutant::None, both_write);
    must_fail(Mutant::SplitExchange, "every line is there", both_write);
}

/// Given a ring with room for one, when two threads write at once, then one line is there, and the other was dropped and counted.
fn one_has_room() {
    let words = ring(1);
    explore_ring(&words);
    let other = spawn(&words, |words| write(words, 20));
    let outcomes = [(write(&words, 10), 10), (other.join().unwrap(), 20)];
    let written: Vec<_> = outcomes.iter().filter(|(outcome, _)| outcome.is_ok()).map(|(_, number)| *number).collect();
    assert_eq!(written.len(), 1, "one has room: {outcomes:?}");
    assert_eq!(read(&words, 0), Some(written[0]), "it is there");
    assert_eq!(over(&words).dropped(), 1, "what is dropped is counted");
}

#[test]
fn a_line_without_room_is_dropped_and_counted() {
    check(Mutant::None, one_has_room);
    must_fail(Mutant::SplitExchange, "one has room", one_has_room);
}

/// Given a full ring, when the agent empties it while a thread writes, then the agent's line is whole, and the new one is there or
/// dropped.
fn emptied() {
    let words = ring(1);
    write(&words, 10).unwrap();
    explore_ring(&words);
    let agent = spawn(&words, |words| {
        let found = read(words, 0);
        over(words).empty_until(1);
        found
    });
    let outcome = write(&words, 20);
    assert_eq!(agent.join().unwrap(), Some(10), "what was there is read");
    let expected = outcome.is_ok().then_some(20);
    assert_eq!(read(&words, 1), expected, "it is there, if its writer was told so");
    assert_eq!(over(&words).dropped(), u64::from(outcome.is_err()), "what is dropped is counted");
}

#[test]
fn a_cell_is_used_again_only_when_the_agent_has_read_it() {
    check(Mutant::None, emptied);
}

/// Given an empty ring, when the agent reads while a thread writes, then it finds the line whole or not yet.
fn read_while_written() {
    let words = ring(1);
    explore_ring(&words);
    let agent = spawn(&words, |words| read(words, 0));
    assert_eq!(write(&words, 10), Ok(()));
    assert!(matches!(agent.join().unwrap(), None | Some(10)), "a line is whole");
    assert_eq!(read(&words, 0), Some(10), "every line is there");
}

#[test]
fn a_line_in_the_making_is_read_whole_or_not_yet() {
    check(Mutant::None, read_while_written);
    must_fail(Mutant::NoAcquireFence, "a line is whole", read_while_written);
}

/// Given a thread that writes, when the agent closes its place meanwhile, then either the line is there, or its writer drops it and counts
/// it: never neither, never both.
fn closed_meanwhile() {
    let words = ring(1);
    explore_ring(&words);
    let agent = spawn(&words, |words| {
        let is_taken = over(words).head(0) == 1;
        let is_closed = is_taken && over(words).close(0);
        let found = if is_taken && !is_closed { read(words, 0) } else { None };
        assert!(!is_taken || is_closed || found.is_some(), "what cannot be closed is filled");
        (is_taken, found)
    });
    let outcome = write(&words, 10);
    let (is_taken, found) = agent.join().unwrap();
    let found = if is_taken { found } else { read(&words, 0) };
    assert_eq!(found.is_some(), outcome.is_ok(), "it is there, or it was dropped");
    assert_eq!(over(&words).dropped(), u64::from(outcome.is_err()), "what is dropped is counted");
}

#[test]
fn a_line_whose_place_was_closed_is_dropped_and_counted() {
    check_within(3, Mutant::None, closed_meanwhile);
    must_fail(Mutant::SplitExchange, "it is there, or it was dropped", closed_meanwhile);
}

/// Given a thread that took its place a lap ago, when it fills it, then the line that is there by now stays, and the late one is dropped
/// and counted.
#[test]
fn a_writer_that_comes_a_lap_late_leaves_the_cell_alone() {
    let words = ring(1);
    write(&words, 10).unwrap();
    over(&words).empty_until(1);
    write(&words, 20).unwrap();
    // As it stood when the thread took its place.
    words[0].store(0, Ordering::Relaxed);
    over(&words).empty_until(0);
    assert_eq!(write(&words, 30), Err(Status::LINE_DROPPED));
    assert_eq!(over(&words).dropped(), 1);
    assert_eq!(read(&words, 1), Some(20));
}
