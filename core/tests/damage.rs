//! A segment may be damaged, foreign, from another version, or written by somebody who means no good. It is refused
//! with a reason as long as its header shows it; and whatever stands behind the header, every question has an answer.

use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_core::host::control::{self, Author, Control, Mechanism, Operator, Target};
use mcrpc_core::host::fail::{self, BucketId, FailBuckets, Levels};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch, State};
use mcrpc_core::host::log::{self, Level, Log, Logs, Origin, Progress, Written};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::stat::{self, Column, CounterKey, Counters, Kind, Stat};
use mcrpc_core::host::trace::{self, MAX_RECORD_LEN, Record, Trace, Traces};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::strategy::cold::{self, Counts, Records};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{self, Entry, RejectLevel};
use mcrpc_core::strategy::table::{self, Table};
use mcrpc_core::strategy::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};
use mcrpc_core::time::Nanos;

/// Words of the header that the crc covers, and its own; the word of the state; words of the header's page.
const CRC: usize = 7;
const STATE: usize = 8;
const PAGE_WORDS: usize = header::PAGE / 8;

const CAPACITY: u32 = 64;
const SEATS: u32 = 3;
const COLUMNS: u32 = 40;
const CELLS: u32 = 16;
const LOG_CELLS: u32 = 64;
const IDENTITY: Identity = Identity { seed: 5, instance: 6, pid: 7 };
const AUTHOR: Author = Author { uid: 1, at_s: 2 };
const NOW: Nanos = Nanos(1_000_000_000_000);

fn endpoint(n: u64) -> Endpoint {
    Endpoint { address: n.into(), port: 80, service_id: 1 }
}

fn entry(n: u64) -> Entry {
    let pass_rate = Per10k::new((n % 10_000) as u16).unwrap();
    Entry { pass_rate, kind: entry::Kind::Normal, reject_level: RejectLevel::OPEN }
}

fn memory(len: usize) -> Vec<AtomicU64> {
    (0..len / 8).map(|_| AtomicU64::new(0)).collect()
}

fn len_of(words: &[AtomicU64]) -> u64 {
    size_of_val(words) as u64
}

fn get(words: &[AtomicU64], index: usize) -> u64 {
    words[index].load(Ordering::Relaxed)
}

fn set(words: &[AtomicU64], index: usize, value: u64) {
    words[index].store(value, Ordering::Relaxed);
}

fn flip(words: &[AtomicU64], bit: usize) {
    set(words, bit / 64, get(words, bit / 64) ^ 1 << (bit % 64));
}

/// Makes the checksum right again.
fn seal(words: &[AtomicU64]) {
    let bytes: Vec<u8> = (0..CRC).flat_map(|index| get(words, index).to_le_bytes()).collect();
    set(words, CRC, crc32fast::hash(&bytes).into());
}

struct Private {
    slots: Vec<u32>,
    records: Vec<u32>,
    filter: Vec<u64>,
}

impl Private {
    fn new() -> Private {
        Private {
            slots: vec![0; slot_count(CAPACITY)],
            records: vec![0; CAPACITY as usize],
            filter: vec![0; FILTER_WORDS],
        }
    }

    fn memory(&mut self) -> Memory<'_> {
        Memory { slots: &mut self.slots, records: &mut self.records, filter: &mut self.filter }
    }
}

/// The table and its cold half, with 40 entries.
fn tables() -> [Vec<AtomicU64>; 2] {
    let segments = [memory(table::segment_len(CAPACITY)), memory(cold::segment_len(CAPACITY))];
    let mut private = Private::new();
    let [table, cold] = segments.each_ref().map(|words| Shared::new(words));
    let mut writer = Writer::create(table, cold, private.memory(), CAPACITY, IDENTITY).unwrap();
    for n in 0..40 {
        writer.set(&endpoint(n), &entry(n), Counts::default(), 0).unwrap();
    }
    writer.open();
    segments
}

/// A whole segment with something in it.
fn whole(kind: Segment) -> Vec<AtomicU64> {
    let with = |len: usize, fill: &dyn Fn(Shared<'_>)| {
        let words = memory(len);
        fill(Shared::new(&words));
        words
    };
    match kind {
        Segment::Strategy => tables().into_iter().next().unwrap_or_default(),
        Segment::Cold => tables().into_iter().last().unwrap_or_default(),
        Segment::Control => with(control::SEGMENT_LEN, &|words| {
            control::create(words, 1, 2, Salt(3)).unwrap();
            let operator = Operator::attach(words, words.view().len() as u64 * 8).unwrap();
            for n in 0..40 {
                operator.shield(&endpoint(n), None, NOW, AUTHOR).unwrap();
                operator.skip(target(n), Per10k::ALL, NOW, AUTHOR).unwrap();
                operator.dye(Uin(n), None, NOW, AUTHOR).unwrap();
            }
        }),
        Segment::Fail => with(fail::segment_len(CAPACITY), &|words| {
            fail::create(words, CAPACITY, 1, 2).unwrap();
            let buckets = FailBuckets::attach(words, words.view().len() as u64 * 8).unwrap();
            for n in 0..40 {
                buckets.pour(buckets.bucket(&endpoint(n)).unwrap(), &Leak::DEFAULT, NOW).unwrap();
            }
        }),
        Segment::Stat => with(stat::segment_len(SEATS, COLUMNS), &|words| {
            stat::create(words, SEATS, COLUMNS, 1, 2).unwrap();
            let stat = Stat::attach(words, words.view().len() as u64 * 8).unwrap();
            (1..20).for_each(|n| stat.add(0, stat.column(counter(n)).unwrap(), n));
        }),
        Segment::Trace => with(trace::segment_len(SEATS, CELLS), &|words| {
            trace::create(words, SEATS, CELLS, 1, 2).unwrap();
            let ring = Trace::attach(words, words.view().len() as u64 * 8).unwrap().ring(0);
            (0..20).for_each(|n| ring.write(1, &[n; 100], NOW).unwrap());
        }),
        Segment::Log => with(log::segment_len(SEATS, LOG_CELLS), &|words| {
            log::create(words, SEATS, LOG_CELLS, 1, 2).unwrap();
            let ring = Log::attach(words, words.view().len() as u64 * 8).unwrap().ring(0);
            (0..20).for_each(|n| ring.write(Level::Info, &Origin::default(), &[n; 100]).unwrap());
        }),
    }
}

fn target(n: u64) -> Target {
    Target { service_id: n as u32, method_id: (n >> 32) as u32 % 3 }
}

fn counter(n: u64) -> CounterKey {
    CounterKey { id: n as u32, key: (n >> 32) as u32, kind: if n.is_multiple_of(2) { Kind::Sum } else { Kind::Max } }
}

/// As a process that uses the segment attaches it. The cold half is for writers and tools only.
fn attach(kind: Segment, words: &[AtomicU64], len: u64) -> Result<(), Mismatch> {
    let (view, shared) = (View::new(words), Shared::new(words));
    match kind {
        Segment::Strategy => Table::attach(view, len).map(drop),
        Segment::Control => Control::attach(view, len).map(drop),
        Segment::Fail => FailBuckets::attach(shared, len).map(drop),
        Segment::Stat => Stat::attach(shared, len).map(drop),
        Segment::Trace => Trace::attach(shared, len).map(drop),
        Segment::Cold => Records::attach(view, len).map(drop),
        Segment::Log => Log::attach(shared, len).map(drop),
    }
}

/// As a tool attaches it, in whatever state it is; there is none for the control segment.
fn inspect(kind: Segment, words: &[AtomicU64], len: u64) -> Result<(), Mismatch> {
    let view = View::new(words);
    match kind {
        Segment::Strategy => Table::inspect(view, len).map(drop),
        Segment::Control => Control::attach(view, len).map(drop),
        Segment::Fail => Levels::attach(view, len).map(drop),
        Segment::Stat => Counters::attach(view, len).map(drop),
        Segment::Trace => Traces::attach(view, len).map(drop),
        Segment::Cold => Records::attach(view, len).map(drop),
        Segment::Log => Logs::attach(view, len).map(drop),
    }
}

fn status_of(result: Result<(), Mismatch>) -> Option<Status> {
    result.err().map(|mismatch| {
        assert_eq!(mismatch.status.class(), Class::Host, "{mismatch}");
        mismatch.status
    })
}

/// Asks everything that can be asked for about `times` keys, and writes as any process may. How many questions were
/// asked.
fn use_it(kind: Segment, words: &[AtomicU64], seed: u64, times: u64) -> u64 {
    let (view, shared, len) = (View::new(words), Shared::new(words), len_of(words));
    // Half of the keys are there.
    let keys = (0..times).map(|n| Salt(seed).hash(n) >> (Salt(seed).hash(n) & 63));
    match kind {
        Segment::Strategy => {
            let Ok(table) = Table::inspect(view, len) else { return 0 };
            for key in keys {
                assert!(
                    table.lookup(&endpoint(key)).is_none_or(|entry| Entry::from_bits(entry.to_bits()) == Some(entry))
                );
            }
            assert_eq!(table.slots().count() as u64, table.bucket_count() * 8);
            let _ = (table.diagnostics(), table.state(), table.active(), table.refresh_seq(), table.refreshed_ms());
        }
        Segment::Cold => {
            let Ok(records) = Records::attach(view, len) else { return 0 };
            for key in keys {
                let record = records.get(key as u32);
                assert!(record.is_none_or(|record| record.endpoint.hash(records.header().seed) == record.hash));
            }
            assert!(records.iter().count() <= records.capacity() as usize);
        }
        Segment::Control => {
            let Ok(operator) = Operator::attach(shared, len) else { return 0 };
            let control = operator.control();
            for key in keys {
                assert!(control.skip_ratio(target(key)) <= Per10k::ALL);
                let (uin, now) = (Uin(key), Nanos(key));
                let _ = (control.is_skipped(target(key), uin), control.is_dyed(uin, now));
                let _ = (control.is_shielded(&endpoint(key), now), control.mode_for(Mechanism::Skip, uin));
            }
            let listed = control.shields().count() + control.skips().count() + control.dyes().count();
            assert!(listed <= 3 * control::LIST_LEN);
            for key in 0..8 {
                operator.shield(&endpoint(seed ^ key), None, NOW, AUTHOR).ok();
                operator.skip(target(key), Per10k::NONE, NOW, AUTHOR).ok();
                operator.undye(Uin(key));
            }
        }
        Segment::Fail => {
            let Ok(buckets) = FailBuckets::attach(shared, len) else { return 0 };
            for key in keys {
                let id = buckets.bucket(&endpoint(key)).unwrap_or(BucketId::from_number(2 << 32 | key & 127));
                for now in [NOW, Nanos(key)] {
                    let _ = buckets.is_full(id, &Leak::DEFAULT, now);
                    let _ = buckets.pour(id, &Leak::DEFAULT, now);
                }
                // What no pour can have written is forgotten with the next one.
                assert!(
                    buckets.pour(id, &Leak::DEFAULT, NOW).is_err()
                        || !buckets.is_full(id, &Leak::DEFAULT, NOW.plus(1 << 36)).unwrap()
                );
            }
            let levels = Levels::attach(view, len).unwrap();
            assert!(levels.iter(NOW).count() as u64 <= levels.fill().1);
        }
        Segment::Stat => {
            let Ok(stat) = Stat::attach(shared, len) else { return 0 };
            let counters = Counters::attach(view, len).unwrap();
            for key in keys {
                let seat = (key >> 32) as u32 % 6;
                let column = stat.column(counter(key)).unwrap_or(Column::from_number(key as u32));
                stat.add(seat, column, key);
                stat.set_max(seat, column, key, Nanos(key));
                let _ = (counters.sum(column), counters.max(column, Nanos(key)), counters.occupant(seat));
            }
            assert!(counters.counters().count() <= counters.column_count() as usize);
            let seat = stat.seats().claim(1, NOW, &mut |seat, owner| owner != 0 || seat == 3);
            assert!(seat.is_none_or(|seat| (1..=stat.seat_count()).contains(&seat)));
            seat.into_iter().for_each(|seat| stat.seats().release(seat));
        }
        Segment::Trace => {
            let Ok(trace) = Trace::attach(shared, len) else { return 0 };
            let traces = Traces::attach(view, len).unwrap();
            let mut record = Record::default();
            for key in keys {
                let (ring, records) = (trace.ring(key as u32 % 6), traces.ring(key as u32 % 6));
                for position in [key, records.oldest(), records.head().wrapping_sub(1 + key % 20)] {
                    records.read(position, &mut record);
                    assert!(record.data().len() <= MAX_RECORD_LEN);
                }
                ring.write(key as u8, &[7; 200], NOW).ok();
            }
            (0..=SEATS).for_each(|seat| trace.ring(seat).recover());
        }
        Segment::Log => {
            let Ok(log) = Log::attach(shared, len) else { return 0 };
            let mut entry = log::Entry::default();
            for key in keys {
                let (seat, journal) = (key as u32 % 6, log.journal());
                let (ring, tail) = (log.ring(seat), journal.progress(seat).tail);
                ring.write(Level::Warn, &Origin::default(), &[7; 200]).ok();
                let head = ring.head(tail);
                assert!(head.wrapping_sub(tail) <= LOG_CELLS.into());
                for position in [key, tail, head.wrapping_sub(1 + key % 20)] {
                    ring.read(position, &mut entry);
                    assert!(entry.text().len() <= log::MAX_TEXT_LEN);
                }
                ring.close(key);
                ring.empty_until(head);
                let rings =
                    (0..=SEATS).map(|_| Progress { tail: head, dropped: ring.dropped(), ..Progress::default() });
                journal.record(&Written { len: key, ..journal.written() }, rings);
                let _ = Logs::attach(view, len).map(|logs| logs.fill(seat));
            }
        }
    }
    times
}

#[test]
fn each_bit_of_the_fixed_header_counts() {
    for kind in Segment::ALL {
        let words = whole(kind);
        assert_eq!(attach(kind, &words, len_of(&words)), Ok(()));
        for bit in 0..(CRC + 1) * 64 {
            flip(&words, bit);
            let mismatch = attach(kind, &words, len_of(&words)).unwrap_err();
            let expected = match bit / 64 {
                0 => Status::SEGMENT_BAD_MAGIC,
                1 if bit >= 96 => Status::SEGMENT_OTHER_MAJOR,
                _ => Status::SEGMENT_BAD_CHECKSUM,
            };
            assert_eq!(mismatch.status, expected, "{kind:?}, bit {bit}: {mismatch}");
            assert_ne!(mismatch.found, mismatch.expected);
            assert_eq!(inspect(kind, &words, len_of(&words)), Err(mismatch));
            flip(&words, bit);
        }
        assert_eq!(attach(kind, &words, len_of(&words)), Ok(()));
    }
}

/// Behind the checksum any bit may be wrong: the state, counts, diagnostics.
#[test]
fn any_other_bit_of_the_header_may_be_wrong() {
    for kind in Segment::ALL {
        let words = whole(kind);
        // All bits of the words in use, and some of the reserved ones.
        for bit in (STATE * 64..40 * 64).chain((40 * 64..PAGE_WORDS * 64).step_by(997)) {
            flip(&words, bit);
            let refused = status_of(attach(kind, &words, len_of(&words)));
            let state_counts = bit / 64 == STATE && kind != Segment::Cold;
            assert_eq!(
                refused,
                if state_counts { Some(Status::SEGMENT_NOT_READY) } else { None },
                "{kind:?}, bit {bit}"
            );
            use_it(kind, &words, bit as u64, 4);
            flip(&words, bit);
        }
    }
}

/// Given a header whose checksum is right, because its writer wanted it so, then it still has to fit the file; and what
/// it says of its size leads nobody out of it.
#[test]
fn a_sealed_header_must_fit_the_file() {
    for kind in Segment::ALL {
        for (word, statuses) in [
            (2, &[Some(Status::SEGMENT_OTHER_LAYOUT)][..]),
            (3, &[Some(Status::SEGMENT_BAD_LENGTH)]),
            // A smaller geometry fits as well: a later minor version may have put something behind.
            (4, &[Some(Status::SEGMENT_BAD_GEOMETRY), None]),
            (5, &[None]),
            (6, &[None]),
        ] {
            for bit in 0..64 {
                let words = whole(kind);
                flip(&words, word * 64 + bit);
                seal(&words);
                let status = status_of(attach(kind, &words, len_of(&words)));
                assert!(statuses.contains(&status), "{kind:?}, word {word}, bit {bit}: {status:?}");
                use_it(kind, &words, bit as u64, 50);
            }
        }
    }
}

/// Any geometry with the length that would fit it: no arithmetic on it overflows.
#[test]
fn no_geometry_is_believed_beyond_the_file() {
    for kind in Segment::ALL {
        for n in 0..500 {
            let words = whole(kind);
            let geometry = Salt(1).hash(n) >> (n % 64);
            set(&words, 4, if n % 3 == 0 { u64::MAX - geometry } else { geometry });
            seal(&words);
            if status_of(attach(kind, &words, len_of(&words))).is_none() {
                use_it(kind, &words, n, 50);
            }
        }
    }
}

#[test]
fn a_truncated_file_is_refused() {
    for kind in Segment::ALL {
        let words = whole(kind);
        for count in (0..words.len()).step_by(7).chain([words.len() - 1]) {
            let (part, len) = (&words[..count], 8 * count as u64);
            let expected = if count < PAGE_WORDS { Status::SEGMENT_TOO_SHORT } else { Status::SEGMENT_BAD_LENGTH };
            for result in [attach(kind, part, len), inspect(kind, part, len)] {
                let mismatch = result.unwrap_err();
                assert_eq!((mismatch.status, mismatch.found), (expected, len), "{kind:?}");
                assert!(mismatch.expected > len);
            }
            // The file has its length, but not all of it is mapped.
            assert!(attach(kind, part, len_of(&words)).is_err());
        }
        for surplus in [1, 7, 8, 4096] {
            let status = status_of(attach(kind, &words, len_of(&words) + surplus));
            assert_eq!(status, Some(Status::SEGMENT_BAD_LENGTH));
        }
    }
}

#[test]
fn another_kind_is_refused() {
    for kind in Segment::ALL {
        for other in Segment::ALL.into_iter().filter(|&other| other != kind) {
            let words = whole(other);
            let mismatch = attach(kind, &words, len_of(&words)).unwrap_err();
            let [found, expected] = [other, kind].map(|kind| u64::from_le_bytes(kind.format().magic));
            assert_eq!(mismatch, Mismatch { status: Status::SEGMENT_BAD_MAGIC, found, expected });
        }
    }
}

/// Given a segment of another major version, then both versions are named, and a tool can still say what it is.
#[test]
fn another_major_version_is_refused() {
    for kind in Segment::ALL {
        let words = whole(kind);
        for major in [0, 2, 77, u32::MAX] {
            set(&words, 1, u64::from(major) << 32 | 5);
            seal(&words);
            let expected = Mismatch {
                status: Status::SEGMENT_OTHER_MAJOR,
                found: major.into(),
                expected: kind.format().major.into(),
            };
            assert_eq!(attach(kind, &words, len_of(&words)), Err(expected));
            assert_eq!(inspect(kind, &words, len_of(&words)), Err(expected));
            assert!(expected.to_string().contains(&format!("({major}), expected 0x1 (1)")), "{expected}");
            assert_eq!(header::version(View::new(&words)), (major, 5));
            assert_eq!(header::magic(View::new(&words)), kind.format().magic);
        }
    }
}

/// Given a segment of a later minor version, which has used reserved space or put something behind the rest, then it is
/// read.
#[test]
fn a_later_minor_version_is_read() {
    for kind in Segment::ALL {
        let old = whole(kind);
        for appended in [0, 4_096, 65_536] {
            let words = memory(old.len() * 8 + appended);
            for index in 0..words.len() {
                set(&words, index, if index < old.len() { get(&old, index) } else { 0xDEAD_BEEF });
            }
            set(&words, 1, u64::from(kind.format().major) << 32 | 9);
            set(&words, 3, len_of(&words));
            seal(&words);
            assert_eq!(attach(kind, &words, len_of(&words)), Ok(()), "{kind:?}, {appended} bytes more");
            assert_eq!(inspect(kind, &words, len_of(&words)), Ok(()));
            assert!(use_it(kind, &words, 3, 200) > 0);
            assert!((old.len()..words.len()).all(|index| get(&words, index) == 0xDEAD_BEEF), "it is not ours");
        }
    }
}

#[test]
fn a_segment_that_is_not_in_use_is_for_tools_only() {
    for kind in Segment::ALL {
        let words = whole(kind);
        let states = [State::Init as u64, State::Superseded as u64, State::Closed as u64, 4, u64::MAX];
        for state in states {
            set(&words, STATE, state);
            let refusal =
                Err(Mismatch { status: Status::SEGMENT_NOT_READY, found: state, expected: State::Ready as u64 });
            let attached = attach(kind, &words, len_of(&words));
            let inspected = inspect(kind, &words, len_of(&words));
            match kind {
                Segment::Cold => assert_eq!((attached, inspected), (Ok(()), Ok(()))),
                Segment::Control => assert_eq!((attached, inspected), (refusal, refusal)),
                _ => assert_eq!((attached, inspected), (refusal, Ok(()))),
            }
            assert_eq!(header::state(View::new(&words)), State::from_number(state));
        }
    }
}

/// Whatever stands behind the header, every question has an answer, in a bounded number of steps.
#[test]
fn any_bytes_behind_the_header_are_survived() {
    let rounds = if cfg!(debug_assertions) { 12 } else { 400 };
    let mut questions = 0;
    for kind in Segment::ALL {
        let words = whole(kind);
        let fixed: Vec<u64> = (0..=STATE).map(|index| get(&words, index)).collect();
        for round in 0..rounds {
            for index in 0..words.len() {
                let random = Salt(round).hash(index as u64);
                // Dense, sparse, small, the same everywhere, or all ones.
                let damaged = match round % 6 {
                    0 => random,
                    1 => random & Salt(round).hash(!(index as u64)) & random.rotate_left(7),
                    2 => random >> (random % 64),
                    3 => Salt(round).hash(0),
                    4 => u64::MAX >> (round % 4),
                    _ if random.is_multiple_of(2) => u64::MAX,
                    _ => 0,
                };
                set(&words, index, fixed.get(index).copied().unwrap_or(damaged));
            }
            assert_eq!(attach(kind, &words, len_of(&words)), Ok(()));
            questions += use_it(kind, &words, round, 2_000);
        }
    }
    assert!(
        questions == Segment::ALL.len() as u64 * rounds * 2_000 && (cfg!(debug_assertions) || questions >= 4_000_000),
        "{questions}"
    );
}

/// A writer takes over any bytes at all: what it can make no sense of it drops, and goes on with the rest.
#[test]
fn a_writer_adopts_any_bytes() {
    for round in 0..if cfg!(debug_assertions) { 60 } else { 1_000 } {
        let [table, cold] = tables();
        for words in [&table, &cold] {
            for index in STATE..words.len() {
                let random = Salt(round).hash(index as u64);
                // Of the last rounds only a part is damaged.
                if random >> 54 >= round % 1_024 {
                    set(
                        words,
                        index,
                        if round % 2 == 0 { random.rotate_left(9) } else { get(words, index) ^ random & 0xF },
                    );
                }
            }
        }
        let mut private = Private::new();
        let adopted = Writer::adopt(Shared::new(&table), Shared::new(&cold), private.memory(), 8);
        let (mut writer, adopted) = adopted.unwrap();
        assert!(adopted.entries <= CAPACITY && writer.entries().count() <= adopted.entries as usize);
        // From here on it is a table like any other.
        writer.finish_refresh(1);
        writer.open();
        writer.expire(u64::MAX);
        assert_eq!(writer.entries().count(), 0);
        let reader = Table::attach(View::new(&table), len_of(&table)).unwrap();
        for n in 100..140 {
            writer.set(&endpoint(n), &entry(n), Counts::default(), 0).ok();
        }
        let found = (100..140).filter(|&n| reader.lookup(&endpoint(n)) == Some(entry(n))).count();
        assert_eq!((writer.len() as usize, found), (40, 40), "round {round}");
    }
}

/// Given a good table in which a few bits have flipped, then the next writer keeps every entry that was not hit.
#[test]
fn a_writer_keeps_what_is_not_damaged() {
    for round in 0..if cfg!(debug_assertions) { 200 } else { 4_000 } {
        let [table, cold] = tables();
        let flips = 1 + round % 8;
        for n in 0..flips {
            let random = Salt(round).hash(n);
            // In the buckets, or in the records.
            let (words, start) =
                if random.is_multiple_of(2) { (&table, PAGE_WORDS + FILTER_WORDS) } else { (&cold, PAGE_WORDS) };
            flip(words, start * 64 + (random >> 8) as usize % ((words.len() - start) * 64));
        }
        let mut private = Private::new();
        let (writer, adopted) = Writer::adopt(Shared::new(&table), Shared::new(&cold), private.memory(), 8).unwrap();
        assert!(u64::from(adopted.entries) + flips >= 40 && adopted.entries <= 40, "{adopted:?} after {flips} flips");
        assert_eq!(writer.len(), adopted.entries);
        let reader = Table::attach(View::new(&table), len_of(&table)).unwrap();
        let right = (0..40).filter(|&n| reader.lookup(&endpoint(n)) == Some(entry(n))).count() as u64;
        assert!(right + flips >= 40, "{right} are right after {flips} flips");
    }
}
