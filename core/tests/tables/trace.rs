use std::sync::atomic::AtomicU64;

use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::seat::MAX_SEATS;
use mcrpc_core::host::trace::{self, MAX_RECORD_LEN, MAX_RING_CELLS, Read, Record, Records, Ring, Trace, Traces};
use mcrpc_core::status::Status;

use super::{at, len_of, memory, overwrite};

const CELLS: u32 = 16;
/// The first cell of the common seat's ring.
const FIRST_CELL: usize = 512 + 16;

fn segment(seats: u32, cells: u32) -> Vec<AtomicU64> {
    let words = memory(trace::segment_len(seats, cells));
    trace::create(Shared::new(&words), seats, cells, 1, 2).unwrap();
    words
}

fn ring(words: &[AtomicU64], seat: u32) -> Ring<'_> {
    Trace::attach(Shared::new(words), len_of(words)).unwrap().ring(seat)
}

fn records(words: &[AtomicU64], seat: u32) -> Records<'_> {
    Traces::attach(View::new(words), len_of(words)).unwrap().ring(seat)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8 ^ 0x5A).collect()
}

/// Kind, time and data of all records from a position on, and how many positions were lost on the way.
fn read_all(records: &Records<'_>, from: u64) -> (Vec<(u8, u64, Vec<u8>)>, u64) {
    let (mut position, mut lost, mut found, mut record) = (from, 0, Vec::new(), Record::default());
    loop {
        match records.read(position, &mut record) {
            Read::Record { next } => {
                found.push((record.kind, record.time.0, record.data().to_vec()));
                position = next;
            }
            Read::Lost { next } => {
                lost += next - position;
                position = next;
            }
            Read::Pending => {
                lost += 1;
                position += 1;
            }
            Read::End => return (found, lost),
        }
    }
}

#[test]
fn a_tool_sees_how_many_seats_have_a_ring() {
    for seats in [1, 3, MAX_SEATS] {
        let words = segment(seats, CELLS);
        assert_eq!(Traces::attach(View::new(&words), len_of(&words)).unwrap().seat_count(), seats);
    }
}

/// A record has 48 bytes in its first cell, 56 in each of up to 15 more; what is longer is cut off.
#[test]
fn a_record_of_any_length_comes_back_whole() {
    let cases = [
        (0, 1),
        (1, 1),
        (7, 1),
        (8, 1),
        (47, 1),
        (48, 1),
        (49, 2),
        (104, 2),
        (105, 3),
        (MAX_RECORD_LEN - 1, 16),
        (MAX_RECORD_LEN, 16),
        (MAX_RECORD_LEN + 1, 16),
        (10_000, 16),
    ];
    for (len, cells) in cases {
        let words = segment(1, CELLS);
        // The second one stands in cells that were used before.
        for (kind, from) in [(1, 0), (255, cells)] {
            assert_eq!(ring(&words, 0).write(kind, &bytes(len), at(7.0)), Ok(()));
            assert_eq!(records(&words, 0).head(), from + cells);
            let expected = (kind, at(7.0).0, bytes(len.min(MAX_RECORD_LEN)));
            assert_eq!(read_all(&records(&words, 0), from), (vec![expected], 0), "{len} bytes");
        }
    }
}

#[test]
fn a_short_record_shows_nothing_of_a_long_one_before() {
    let words = segment(1, CELLS);
    for _ in 0..CELLS {
        ring(&words, 0).write(1, &[0xFF; 48], at(1.0)).unwrap();
    }
    ring(&words, 0).write(2, &[7, 8, 9], at(2.0)).unwrap();
    assert_eq!(read_all(&records(&words, 0), 16).0, [(2, at(2.0).0, vec![7, 8, 9])]);
}

#[test]
fn kind_0_and_rings_that_are_not_there_take_nothing() {
    let words = segment(1, CELLS);
    assert_eq!(ring(&words, 0).write(0, b"x", at(1.0)), Err(Status::INVALID_ARGUMENT));
    assert_eq!(records(&words, 0).head(), 0);
    // The memory goes on behind the last ring, but not for another seat.
    for seat in [2, 3, u32::MAX] {
        assert_eq!(ring(&words, seat).write(1, b"x", at(1.0)), Err(Status::INVALID_ARGUMENT), "seat {seat}");
        assert_eq!(records(&words, seat).read(0, &mut Record::default()), Read::End);
    }
    let cases = [(0, 16), (MAX_SEATS + 1, 16), (1, 8), (1, 24), (1, MAX_RING_CELLS * 2)];
    for (seats, cells) in cases {
        assert_eq!(trace::create(Shared::new(&words), seats, cells, 1, 2), Err(Status::INVALID_ARGUMENT));
    }
    assert_eq!(trace::create(Shared::new(&words), 100, 16, 1, 2), Err(Status::TOO_SMALL));
}

#[test]
fn each_seat_has_its_own_ring() {
    let words = segment(2, CELLS);
    for seat in 0..=2 {
        ring(&words, seat).write(1, &[seat as u8], at(1.0)).unwrap();
    }
    for seat in 0..=2 {
        assert_eq!(read_all(&records(&words, seat), 0).0, [(1, at(1.0).0, vec![seat as u8])]);
    }
}

/// Given a ring that was written over and over, then a reader that begins anywhere learns how much it missed, and reads
/// every record that is still whole, in order.
#[test]
fn a_ring_laps_and_says_what_is_lost() {
    for len in [1usize, 49, 300] {
        let cells = 1 + len.saturating_sub(48).div_ceil(56) as u64;
        let words = segment(1, CELLS);
        let written = 100u8;
        for n in 0..written {
            ring(&words, 0).write(1, &vec![n; len], at(n.into())).unwrap();
        }
        let whole = 16 / cells;
        for from in [0, 1, 99 * cells - 17] {
            let (found, lost) = read_all(&records(&words, 0), from);
            let expected: Vec<_> =
                (written - whole as u8..written).map(|n| (1, at(n.into()).0, vec![n; len])).collect();
            assert_eq!(found, expected, "{len} bytes, from {from}");
            assert_eq!(lost + from + whole * cells, 100 * cells);
        }
        assert_eq!(read_all(&records(&words, 0), 100 * cells), (vec![], 0));
        assert_eq!(records(&words, 0).read(u64::MAX, &mut Record::default()), Read::End);
        assert_eq!(records(&words, 0).dropped(), 0);
    }
}

/// Given a process that died while it wrote, then its record is never read, what would stand in its place is dropped
/// and counted, and after the next owner's recovery the place is used again.
#[test]
fn a_record_that_was_never_finished_blocks_its_cell_until_recovery() {
    let words = segment(1, CELLS);
    let ring = ring(&words, 0);
    for n in 0..4 {
        ring.write(1, &[n], at(1.0)).unwrap();
    }
    // The record at position 2 is being written: the commit word says busy.
    overwrite(&words, FIRST_CELL + 2 * 8, 3 << 16 | 1 << 6);
    let mut record = Record::default();
    assert_eq!(records(&words, 0).read(2, &mut record), Read::Pending);
    assert_eq!(read_all(&records(&words, 0), 0).0.len(), 3, "the others are read");
    for n in 4..16 {
        ring.write(1, &[n], at(1.0)).unwrap();
    }
    let lap: Vec<_> = (16..20).map(|n| ring.write(1, &[n], at(1.0))).collect();
    assert_eq!(lap, [Ok(()), Ok(()), Err(Status::RECORD_DROPPED), Ok(())]);
    assert_eq!(records(&words, 0).dropped(), 1);
    let found: Vec<u8> = read_all(&records(&words, 0), 4).0.iter().map(|(_, _, data)| data[0]).collect();
    assert_eq!(found, (4..18).chain([19]).collect::<Vec<_>>());
    ring.recover();
    for n in 20..36 {
        ring.write(1, &[n], at(1.0)).unwrap();
    }
    let found: Vec<u8> = read_all(&records(&words, 0), 20).0.iter().map(|(_, _, data)| data[0]).collect();
    assert_eq!(found, (20..36).collect::<Vec<_>>());
}

/// Given a record of which one cell could not be written, then none of it is read as a record.
#[test]
fn a_long_record_is_whole_or_dropped() {
    let words = segment(1, CELLS);
    let ring = ring(&words, 0);
    overwrite(&words, FIRST_CELL + 8, 1 << 6);
    assert_eq!(ring.write(1, &bytes(200), at(1.0)), Err(Status::RECORD_DROPPED));
    ring.recover();
    ring.write(2, b"next", at(2.0)).unwrap();
    assert_eq!(read_all(&records(&words, 0), 0).0, [(2, at(2.0).0, b"next".to_vec())]);
}

/// Given a head that no writer has ever reached, then nobody follows it, nor reads without end.
#[test]
fn a_damaged_head_leads_nobody_astray() {
    for head in [1 << 48, (1 << 48) + 5, u64::MAX - 1, u64::MAX] {
        let words = segment(1, CELLS);
        for cell in 0..16 {
            // Goes on in the next cell, and so on round the ring.
            overwrite(&words, FIRST_CELL + cell * 8, 1 << 7);
        }
        overwrite(&words, 512, head);
        for from in [0, head - 17, head - 1] {
            assert!(read_all(&records(&words, 0), from).0.is_empty());
        }
        ring(&words, 0).write(1, &bytes(200), at(1.0)).ok();
    }
}
