//! Seats: two processes never have the same one, and nothing is lost when one is taken over.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{Words, explore_parts, words};
use crate::region::{Shared, View};
use crate::seat::COMMON;
use crate::stat::{self, Column, CounterKey, Counters, Kind, Stat};
use crate::sync::{Mutant, check, must_fail};
use crate::time::Nanos;

const SEATS: u32 = 2;
const LEN: usize = stat::segment_len(SEATS, 1);
const COLUMN: Column = Column::from_number(1);

/// Loom explores the first words of the three seats (owner, time of claim, beat), and the counter in three stripes.
fn segment(setup: impl FnOnce(&Stat<'_>)) -> Words {
    let words = words(LEN / 8);
    stat::create(Shared::new(&words), SEATS, 1, 7, 9).unwrap();
    let counter = CounterKey { id: 1, key: 1, kind: Kind::Sum };
    assert_eq!(stat(&words).column(counter), Ok(COLUMN));
    setup(&stat(&words));
    explore_parts(&words, &[512..515, 576..579, 640..643, 721..722, 737..738, 753..754]);
    words
}

fn stat(words: &Words) -> Stat<'_> {
    Stat::attach(Shared::new(words), LEN as u64).unwrap()
}

fn counters(words: &Words) -> Counters<'_> {
    Counters::attach(View::new(words), LEN as u64).unwrap()
}

fn spawn<T: 'static>(words: &Words, work: impl FnOnce(Stat<'_>) -> T + 'static) -> thread::JoinHandle<T> {
    let words = Arc::clone(words);
    thread::spawn(move || work(stat(&words)))
}

/// Takes a seat that has no owner.
fn claim_free(stat: &Stat<'_>, pid: u32) -> Option<u32> {
    stat.seats().claim(pid, Nanos(5), &mut |_, owner| owner == 0)
}

/// When two processes come at once, then each has a seat of its own.
fn both_claim() {
    let words = segment(|_| ());
    let other = spawn(&words, |stat| claim_free(&stat, 12));
    let mine = claim_free(&stat(&words), 11);
    let seats = [mine, other.join().unwrap()];
    assert!(seats == [Some(1), Some(2)] || seats == [Some(2), Some(1)], "each has its own seat: {seats:?}");
    for (seat, pid) in seats.into_iter().flatten().zip([11, 12]) {
        assert_eq!(counters(&words).occupant(seat).map(|occupant| occupant.pid), Some(pid), "each has its own seat");
    }
}

#[test]
fn two_processes_have_two_seats() {
    check(Mutant::None, both_claim);
    must_fail(Mutant::SplitExchange, "each has its own seat", both_claim);
}

/// Given a process that counts and is killed, whose lock on its seat the kernel releases then, when two others look for
/// a seat and count as well, then at most one takes it over, and the sum is exact.
#[test]
fn a_dead_process_leaves_its_seat_and_its_counts() {
    check(Mutant::None, || {
        let words = segment(|stat| assert_eq!(claim_free(stat, 10), Some(1)));
        let locks: Arc<[AtomicBool; 2]> = Arc::new([AtomicBool::new(true), AtomicBool::new(false)]);
        let locked = Arc::clone(&locks);
        let dying = spawn(&words, move |stat| {
            stat.add(1, COLUMN, 1);
            locked[0].store(false, Ordering::Release);
        });
        let arrive = |locks: Arc<[AtomicBool; 2]>, pid| {
            move |stat: Stat<'_>| {
                let mut lock = |seat: u32, _| !locks[seat as usize - 1].swap(true, Ordering::AcqRel);
                let seat = stat.seats().claim(pid, Nanos(5), &mut lock);
                stat.add(seat.unwrap_or(COMMON), COLUMN, 1);
                seat
            }
        };
        let other = spawn(&words, arrive(Arc::clone(&locks), 12));
        let mine = arrive(locks, 11)(stat(&words));
        let other = other.join().unwrap();
        dying.join().unwrap();
        assert!(mine != other || mine.is_none(), "each has its own seat");
        assert_eq!(counters(&words).sum(COLUMN), 3, "every count is in the sum");
        for (seat, pid) in [(mine, 11), (other, 12)] {
            let occupant = seat.and_then(|seat| counters(&words).occupant(seat));
            assert_eq!(occupant.map(|occupant| occupant.pid), seat.map(|_| pid));
        }
    });
}

/// Given processes without a seat, when they count in the common one at once, then every count is in the sum.
fn both_add() {
    let words = segment(|_| ());
    let other = spawn(&words, |stat| stat.add(COMMON, COLUMN, 1));
    stat(&words).add(COMMON, COLUMN, 1);
    other.join().unwrap();
    assert_eq!(counters(&words).sum(COLUMN), 2, "every count is in the sum");
}

#[test]
fn the_common_seat_loses_no_count() {
    check(Mutant::None, both_add);
    must_fail(Mutant::SplitAdd, "every count is in the sum", both_add);
}

/// Given a process that gives its seat back, when another takes it, then nothing of the first one's looks as if it were
/// the second one's.
fn given_back() {
    let words = segment(|stat| assert_eq!(claim_free(stat, 10), Some(1)));
    let arriving = spawn(&words, |stat| claim_free(&stat, 11).unwrap());
    stat(&words).seats().beat(1, 0, Nanos(77));
    stat(&words).seats().release(1);
    let seat = arriving.join().unwrap();
    let occupant = counters(&words).occupant(seat).unwrap();
    assert_eq!((occupant.pid, occupant.beat_ns), (11, 0), "only the owner's own");
    assert_eq!(occupant.claimed_ns, 5);
    assert_eq!(occupant.incarnation, if seat == 1 { 2 } else { 1 });
}

#[test]
fn a_new_owner_shows_nothing_of_the_one_before() {
    check(Mutant::None, given_back);
    for mutant in [Mutant::RelaxedStore(0), Mutant::ExchangeWithoutAcquire] {
        must_fail(mutant, "only the owner's own", given_back);
    }
}
