//! A set's memory and the host's cells may hold any bytes: each call gets an answer, and no index leads out of the list.

use std::sync::atomic::Ordering;

use mcrpc_core::admission::Cursor;
use mcrpc_core::id::{Per10k, Salt};
use mcrpc_core::select::call::{Attempt, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{GroupRule, Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::time::Nanos;

use super::{Segments, TOOK_NS, Words, at, call, create, set_words, spec};

const ROUNDS: u64 = if cfg!(debug_assertions) { 60 } else { 2_000 };
const CAPACITY: u32 = 12;
/// The words of the segment's header.
const HEADER_LEN: usize = 512;
/// The words of a set's head, of which the first two say which version is in force.
const HEAD_LEN: usize = 64;

/// Dense, sparse, small, the same everywhere, all ones, or only a few wrong.
fn damage(words: &Words, from: usize, round: u64) {
    for (index, word) in words.iter().enumerate().skip(from) {
        let random = Salt(round).hash(index as u64);
        let damaged = match round % 7 {
            0 => random,
            1 => random & Salt(round).hash(!(index as u64)) & random.rotate_left(7),
            2 => random >> (random % 64),
            3 => Salt(round).hash(0),
            4 => u64::MAX >> (round / 7 % 4),
            5 if random.is_multiple_of(2) => u64::MAX,
            5 => 0,
            _ if random >> 56 == 0 => random.rotate_left(32),
            _ => continue,
        };
        word.store(damaged, Ordering::Relaxed);
    }
}

fn rule() -> GroupRule {
    let share = Per10k::new(5_000).unwrap();
    GroupRule { group: 1, share, first: mcrpc_core::id::Uin(0), last: mcrpc_core::id::Uin(u64::MAX) }
}

fn grouped(n: usize) -> Spec {
    Spec { group: n as u16 % 2, weight: 1 + n as u16, ..spec(n) }
}

/// Asks all that a client asks.
fn use_it<'a>(set: &EndpointSet<'a>, host: &HostView<'_, 'a>, round: u64) {
    for uin in 1..40 {
        for now in [at(uin), Nanos(Salt(round).hash(uin))] {
            let mut call = call(uin);
            for kind in [Attempt::Next, Attempt::Next, Attempt::Backup] {
                let Ok(choice) = set.select(&mut call, kind, host, now) else { continue };
                assert!(choice.index < CAPACITY, "{choice:?}");
                set.report(&choice, Outcome::ALL[uin as usize % 4], TOOK_NS << uin, host, now);
                set.heard(&choice, Cursor(uin as u32), 100, host, now);
                let strange = Choice { index: u32::MAX, generation: uin, identity: uin as u32, ..choice };
                set.report(&strange, Outcome::Failed, u64::MAX, host, now);
            }
        }
    }
    set.hand_over(host);
    let known = |index: &usize| set.health(*index, host).is_some() && set.endpoint(*index).is_some();
    assert!(set.len() <= CAPACITY as usize && (0..100).filter(known).count() == set.len());
    let mut decisions = [0; Decision::COUNT];
    set.read_decisions(&mut decisions);
}

#[test]
fn a_set_of_any_bytes_answers() {
    for zone_strategy in ZoneStrategy::ALL {
        let settings = Settings { capacity: CAPACITY, zone_strategy, ..Settings::DEFAULT };
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        for round in 0..ROUNDS {
            set.replace(CAPACITY as usize, &grouped, &[rule()], &host.view()).ok();
            // All of it, or all but which version is in force.
            damage(&memory, if round % 2 == 0 { 0 } else { HEAD_LEN }, round);
            damage(&segments.fail, HEADER_LEN, round / 3);
            for view in [host.view(), HostView::default()] {
                use_it(&set, &view, round);
            }
        }
    }
}

/// Only the host's cells are damaged: calls go on, and each endpoint is called again within a few seconds of calls.
#[test]
fn damaged_cells_keep_nobody_from_an_endpoint_for_long() {
    for round in 0..ROUNDS / 4 {
        let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
        let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
        set.replace(5, &spec, &[], &host.view()).unwrap();
        for index in (HEADER_LEN..segments.fail.len()).step_by(16) {
            // The breaker, the bucket that leaks by time, the cursor, the last measurement.
            for word in index + 1..index + 5 {
                segments.fail[word].store(Salt(round).hash(word as u64), Ordering::Relaxed);
            }
        }
        let mut called = [false; 5];
        for ms in 0..25_000 {
            let Ok(choice) = set.select(&mut call(1 + ms % 101), Attempt::Next, &host.view(), at(ms)) else { continue };
            set.report(&choice, Outcome::Ok, TOOK_NS, &host.view(), at(ms));
            called[choice.index as usize] |= ms >= 15_000;
        }
        assert!(called.iter().all(|&called| called), "round {round}: {called:?}");
    }
}
