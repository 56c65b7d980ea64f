use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_core::host::log::{
    self, Entry, Fill, Found, Level, Log, Logs, MAX_RING_CELLS, MAX_TEXT_LEN, Origin, Progress, Ring, Written,
};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::seat::MAX_SEATS;
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use proptest::prelude::*;

use super::{at, len_of, memory};

const CELLS: u32 = 64;
const ORIGIN: Origin = Origin {
    time: mcrpc_core::time::Nanos(7),
    pid: 1,
    thread: 2,
    coroutine: 3,
    uin: Uin(4),
    call_graph_id: 5,
    trace_id: [6; 16],
};

fn segment(seats: u32, cells: u32) -> Vec<AtomicU64> {
    let words = memory(log::segment_len(seats, cells));
    log::create(Shared::new(&words), seats, cells, 1, 2).unwrap();
    words
}

fn attached(words: &[AtomicU64]) -> Log<'_> {
    Log::attach(Shared::new(words), len_of(words)).unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8 ^ 0x5A).collect()
}

/// All entries from a position on, up to the first pending cell, and that.
fn read_all(ring: &Ring<'_>, from: u64) -> (Vec<Entry>, u64) {
    let (mut position, mut found) = (from, Vec::new());
    let head = ring.head(from);
    while position < head {
        let mut entry = Entry::default();
        match ring.read(position, &mut entry) {
            Found::Entry { next } => {
                found.push(entry);
                position = next;
            }
            Found::Nothing => position += 1,
            Found::Pending => break,
        }
    }
    (found, position)
}

/// A cell for what is known, and one per 56 bytes of text, up to 63; what is longer is cut off, which is marked.
#[test]
fn a_line_of_any_length_comes_back_whole() {
    let cases = [
        (0, 1, false),
        (1, 2, false),
        (8, 2, false),
        (55, 2, false),
        (56, 2, false),
        (57, 3, false),
        (MAX_TEXT_LEN - 1, 64, false),
        (MAX_TEXT_LEN, 64, false),
        (MAX_TEXT_LEN + 1, 64, true),
        (100_000, 64, true),
    ];
    for (len, cells, is_cut) in cases {
        let words = segment(1, CELLS);
        let ring = attached(&words).ring(1);
        // The second one stands in cells that were used before.
        for from in [0, cells] {
            assert_eq!(ring.write(Level::Warn, &ORIGIN, &text(len)), Ok(()));
            let (found, end) = read_all(&ring, from);
            assert_eq!((found.len(), end), (1, from + cells), "{len} bytes");
            assert_eq!((found[0].level(), found[0].origin, found[0].is_cut), (Some(Level::Warn), ORIGIN, is_cut));
            assert_eq!(found[0].text(), text(len.min(MAX_TEXT_LEN)));
            ring.empty_until(end);
        }
    }
}

#[test]
fn levels_have_numbers_and_names() {
    let levels = [(Level::Error, "ERROR"), (Level::Warn, "WARN"), (Level::Info, "INFO"), (Level::Debug, "DEBUG")];
    for ((level, name), number) in levels.into_iter().chain([(Level::Trace, "TRACE")]).zip(1..) {
        assert_eq!((Level::from_number(number), level.name()), (Some(level), name));
    }
    assert_eq!([0, 6, 255, u32::MAX].map(Level::from_number), [None; 4]);
}

/// Given the owner of a seat that says who it is, then the agent learns that between the lines of the one before and its own.
#[test]
fn a_ring_says_whose_lines_it_has() {
    let words = segment(1, CELLS);
    let ring = attached(&words).ring(1);
    ring.write(Level::Info, &ORIGIN, b"last words").unwrap();
    ring.open(77, b"crawl", at(2.0)).unwrap();
    ring.write(Level::Info, &ORIGIN, b"first words").unwrap();
    let (found, _) = read_all(&ring, 0);
    let seen: Vec<_> = found.iter().map(|entry| (entry.level(), entry.text())).collect();
    let expected: [(_, &[u8]); 3] =
        [(Some(Level::Info), b"last words"), (None, b"crawl"), (Some(Level::Info), b"first words")];
    assert_eq!(seen, expected);
    assert_eq!((found[1].origin.pid, found[1].origin.time), (77, at(2.0)));
}

#[test]
fn each_seat_has_its_own_ring_and_others_take_nothing() {
    let words = segment(2, CELLS);
    let log = attached(&words);
    for seat in 0..=2 {
        log.ring(seat).write(Level::Info, &ORIGIN, &[seat as u8]).unwrap();
    }
    for seat in 0..=2 {
        assert_eq!(read_all(&log.ring(seat), 0).0[0].text(), [seat as u8]);
    }
    for seat in [3, 4, u32::MAX] {
        assert_eq!(log.ring(seat).write(Level::Info, &ORIGIN, b"x"), Err(Status::LINE_DROPPED), "seat {seat}");
    }
    let logs = Logs::attach(View::new(&words), len_of(&words)).unwrap();
    assert_eq!((logs.seat_count(), logs.fill(2)), (2, Fill { taken: 2, emptied: 0, dropped: 0 }));
    for (seats, cells) in [(0, 64), (MAX_SEATS + 1, 64), (1, 32), (1, 96), (1, MAX_RING_CELLS * 2)] {
        assert_eq!(log::create(Shared::new(&words), seats, cells, 1, 2), Err(Status::INVALID_ARGUMENT));
    }
    assert_eq!(log::create(Shared::new(&words), 100, 64, 1, 2), Err(Status::TOO_SMALL));
}

/// Given a ring that nobody empties, then lines are dropped and counted from the first on that has no room, and what is there stays.
#[test]
fn a_full_ring_keeps_what_it_has() {
    let words = segment(1, CELLS);
    let ring = attached(&words).ring(1);
    let outcomes: Vec<_> = (0..40).map(|n| ring.write(Level::Info, &ORIGIN, &[n])).collect();
    assert!(
        outcomes[..32].iter().all(Result::is_ok) && outcomes[32..].iter().all(|it| *it == Err(Status::LINE_DROPPED))
    );
    assert_eq!(ring.dropped(), 8);
    assert_eq!(ring.write(Level::Info, &ORIGIN, b""), Err(Status::LINE_DROPPED));
    let (found, end) = read_all(&ring, 0);
    assert_eq!(found.iter().map(|entry| entry.text()[0]).collect::<Vec<_>>(), (0..32).collect::<Vec<_>>());
    ring.empty_until(2);
    assert_eq!(ring.write(Level::Info, &ORIGIN, b"a"), Ok(()), "what was emptied is used again");
    assert_eq!(read_all(&ring, 2).1, end + 2);
}

/// Given a line in the middle of which its writer was killed, then it blocks what is behind it until its cells are closed; and a writer
/// that was only stopped drops its line.
#[test]
fn a_hole_is_closed_cell_by_cell() {
    let words = segment(1, CELLS);
    let ring = attached(&words).ring(1);
    ring.write(Level::Info, &ORIGIN, &text(100)).unwrap();
    // As if the first of its three cells had not been committed: the text is there, the line is not.
    let is_first = |word: &&AtomicU64| word.load(Ordering::Relaxed) == 1 << 16 | (Level::Info as u64) << 8 | 1 << 7;
    words.iter().find(is_first).unwrap().store(0, Ordering::Relaxed);
    ring.write(Level::Info, &ORIGIN, b"behind it").unwrap();
    let mut entry = Entry::default();
    assert_eq!(ring.read(0, &mut entry), Found::Pending);
    assert!(ring.close(0));
    assert!(!ring.close(0), "it is no longer pending");
    let (found, end) = read_all(&ring, 0);
    assert_eq!((found.len(), found[0].text(), end), (1, &b"behind it"[..], 5));
}

/// A journal is seen as it was recorded last, also by whoever comes after a writer that was killed within the next record.
#[test]
fn the_journal_is_all_old_or_all_new() {
    let words = segment(2, CELLS);
    let journal = attached(&words).journal();
    assert_eq!((journal.written(), journal.progress(2)), (Written::default(), Progress::default()));
    for n in 1..5 {
        let written = Written { file: [n, n + 1], len: n + 2, hour: n + 3 };
        let progress =
            |seat: u64| Progress { tail: 10 * n + seat, dropped: 100 * n + seat, pid: n as u32, name: [n as u8; 32] };
        journal.record(&written, (0..3).map(progress));
        let look = || (journal.written(), [0, 1, 2].map(|seat| journal.progress(seat)));
        assert_eq!(look(), (written, [0, 1, 2].map(progress)));
        // Killed after everything but the last word of the next one.
        let in_force = 512;
        let word = words[in_force].load(Ordering::Relaxed);
        journal.record(&Written { len: 999, ..written }, (0..3).map(|_| Progress::default()));
        words[in_force].store(word, Ordering::Relaxed);
        assert_eq!(look(), (written, [0, 1, 2].map(progress)));
    }
}

proptest! {
    /// Whatever is written and whenever it is emptied, every line comes back in order, or was refused and counted.
    #[test]
    fn every_line_is_read_or_counted(lines in prop::collection::vec((0usize..400, any::<bool>()), 1..200)) {
        let words = segment(1, CELLS);
        let ring = attached(&words).ring(1);
        let (mut expected, mut found, mut tail, mut dropped) = (Vec::new(), Vec::new(), 0, 0);
        for (len, empties) in lines {
            match ring.write(Level::Debug, &ORIGIN, &text(len)) {
                Ok(()) => expected.push(text(len)),
                Err(_) => dropped += 1,
            }
            if empties {
                let (entries, end) = read_all(&ring, tail);
                found.extend(entries.iter().map(|entry| entry.text().to_vec()));
                ring.empty_until(end);
                tail = end;
            }
        }
        found.extend(read_all(&ring, tail).0.iter().map(|entry| entry.text().to_vec()));
        prop_assert_eq!(found, expected);
        prop_assert_eq!(ring.dropped(), dropped);
    }
}
