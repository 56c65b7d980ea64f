use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use mcrpc_core::admission::Cursor;
use mcrpc_core::admission::posed::Gate;
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::seat::{COMMON, CpuSample, MAX_SEATS, NAME_LEN, Occupant, QueueReport};
use mcrpc_core::host::stat::{self, Column, CounterKey, Counters, Kind, MAX_COUNTERS, MAX_ID, Stat};
use mcrpc_core::id::Per10k;
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::Nanos;
use proptest::prelude::*;

use super::{at, len_of, memory};

fn segment(seats: u32, counters: u32) -> Vec<AtomicU64> {
    let words = memory(stat::segment_len(seats, counters));
    stat::create(Shared::new(&words), seats, counters, 1, 2).unwrap();
    words
}

fn attach(words: &[AtomicU64]) -> Stat<'_> {
    Stat::attach(Shared::new(words), len_of(words)).unwrap()
}

fn counters(words: &[AtomicU64]) -> Counters<'_> {
    Counters::attach(View::new(words), len_of(words)).unwrap()
}

fn sum(id: u32, key: u32) -> CounterKey {
    CounterKey { id, key, kind: Kind::Sum }
}

/// Given processes that count and die, whose seats others take over, then the sum has every count.
#[test]
fn a_sum_is_over_the_living_and_the_dead() {
    let words = segment(3, 16);
    let stat = attach(&words);
    let column = stat.column(sum(7, 1)).unwrap();
    let mut total = 0;
    for generation in 1..=10u32 {
        for pid in 1..=3 {
            // Everybody before is dead.
            let is_dead = |_: u32, owner: u32| owner == 0 || owner / 10 < generation;
            let seat = stat.seats().claim(generation * 10 + pid, at(1.0), &mut { is_dead }).unwrap();
            assert_eq!(seat, pid);
            assert_eq!(counters(&words).occupant(seat).unwrap().incarnation, generation);
            stat.add(seat, column, u64::from(generation * pid));
            total += u64::from(generation * pid);
        }
        assert_eq!(stat.seats().claim(99, at(1.0), &mut |_, owner| owner / 10 < generation), None, "all live");
        stat.add(COMMON, column, 5);
        total += 5;
        assert_eq!(counters(&words).sum(column), total);
    }
}

/// The number of a counter is made of the segment's, of which one half must not be 0: then no counter has the number 0.
#[test]
fn no_segment_has_the_number_0() {
    for instance in [0, 1, 2, 3, 1 << 32, 1 << 32 | 1, u64::MAX] {
        let words = memory(stat::segment_len(1, 1));
        stat::create(Shared::new(&words), 1, 1, 1, instance).unwrap();
        assert_ne!(attach(&words).instance() as u32, 0, "{instance:#x}");
    }
}

#[test]
fn a_tool_sees_how_much_room_there_is() {
    for (seats, columns) in [(1, 2), (3, 16), (MAX_SEATS, 2)] {
        let words = segment(seats, columns);
        let counters = counters(&words);
        assert_eq!(counters.seat_count(), seats);
        assert!(counters.column_count() >= columns);
        assert!((0..seats + 2).all(|seat| counters.occupant(seat).is_none()), "nobody sits there yet");
    }
}

/// Counters wrap: whoever reads them takes differences.
#[test]
fn a_sum_wraps() {
    let words = segment(1, 1);
    let stat = attach(&words);
    let column = stat.column(sum(1, 1)).unwrap();
    stat.add(0, column, u64::MAX);
    stat.add(1, column, 3);
    assert_eq!(counters(&words).sum(column), 2);
}

#[test]
fn a_maximum_is_that_of_its_window_or_of_the_one_before() {
    // Seats, values and times in seconds; windows are ten seconds long. Then when it is read, and what.
    type Set = (u32, u64, f64);
    let limit = (1 << 48) - 1;
    let cases: &[(&str, &[Set], f64, Option<u64>)] = &[
        ("nothing", &[], 5.0, None),
        ("one", &[(1, 7, 11.0)], 12.0, Some(7)),
        ("the largest of a seat", &[(1, 7, 11.0), (1, 9, 12.0), (1, 8, 13.0)], 14.0, Some(9)),
        ("the largest of all seats", &[(1, 7, 11.0), (2, 9, 12.0), (0, 8, 13.0)], 14.0, Some(9)),
        ("the window before", &[(1, 7, 19.0)], 29.0, Some(7)),
        ("not the window before, if there is a newer value", &[(1, 7, 19.0), (2, 3, 21.0)], 22.0, Some(3)),
        ("a new window replaces the old one", &[(1, 7, 19.0), (1, 3, 21.0)], 22.0, Some(3)),
        ("nothing that is older", &[(1, 7, 9.0)], 29.0, None),
        ("what does not fit is cut off", &[(1, u64::MAX, 11.0)], 12.0, Some(limit)),
        ("nothing is raised by 0", &[(1, 7, 11.0), (1, 0, 12.0)], 12.0, Some(7)),
        ("windows are counted in 16 bits", &[(1, 7, 655_359.0)], 655_361.0, Some(7)),
        ("a thread that comes late takes nothing away", &[(1, 7, 20.1), (1, 3, 19.9)], 21.0, Some(7)),
        ("nor at the end of the count", &[(1, 7, 655_360.1), (1, 3, 655_359.9)], 655_361.0, Some(7)),
    ];
    for &(name, sets, read_at, expected) in cases {
        let words = segment(2, 4);
        let stat = attach(&words);
        let column = stat.column(CounterKey { id: 1, key: 1, kind: Kind::Max }).unwrap();
        for &(seat, value, time) in sets {
            stat.set_max(seat, column, value, at(time));
        }
        assert_eq!(counters(&words).max(column, at(read_at)), expected, "{name}");
    }
}

/// A counter is its two numbers and its kind.
#[test]
fn counters_have_columns_of_their_own_and_keep_them() {
    let words = segment(1, 64);
    let (one, other) = (attach(&words), attach(&words));
    let keys = [
        sum(1, 1),
        sum(1, 2),
        sum(2, 1),
        CounterKey { kind: Kind::Max, ..sum(1, 1) },
        sum(MAX_ID, u32::MAX),
        sum(0, 1),
    ];
    let columns: Vec<Column> = keys.iter().map(|&key| one.column(key).unwrap()).collect();
    let mut distinct: Vec<u32> = columns.iter().map(|column| column.number()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), keys.len());
    for (&key, &column) in keys.iter().zip(&columns) {
        assert_eq!(other.column(key), Ok(column));
        assert!(counters(&words).counters().any(|found| found == (key, column)));
    }
    assert_eq!(counters(&words).counters().count(), keys.len());
}

#[test]
fn numbers_outside_their_range_are_refused() {
    let words = segment(1, 4);
    let stat = attach(&words);
    for key in [sum(0, 0), sum(MAX_ID + 1, 1), sum(u32::MAX, 1)] {
        assert_eq!(stat.column(key), Err(Status::INVALID_ARGUMENT), "{key:?}");
    }
    for (seats, counters) in [(0, 1), (1, 0), (MAX_SEATS + 1, 1), (1, MAX_COUNTERS + 1)] {
        assert_eq!(stat::create(Shared::new(&words), seats, counters, 1, 2), Err(Status::INVALID_ARGUMENT));
    }
    assert_eq!(stat::create(Shared::new(&words), 100, 100, 1, 2), Err(Status::TOO_SMALL));
    // There is no such seat, or no such column: it counts nowhere.
    let before = counters(&words).sum(Column::from_number(0));
    stat.add(2, Column::from_number(0), 1);
    stat.add(0, Column::from_number(6), 1);
    stat.set_max(u32::MAX, Column::from_number(u32::MAX), 1, at(1.0));
    assert_eq!(counters(&words).sum(Column::from_number(0)), before);
    assert_eq!(counters(&words).sum(Column::from_number(6)), 0);
    assert_eq!(counters(&words).occupant(2), None);
}

#[test]
fn a_full_table_refuses_new_counters_only() {
    let words = segment(1, 8);
    let stat = attach(&words);
    let columns: Vec<Column> = (1..=12).map(|key| stat.column(sum(1, key)).unwrap()).collect();
    assert_eq!(stat.column(sum(1, 13)), Err(Status::TABLE_FULL));
    for (key, column) in (1..=12).zip(columns) {
        assert_eq!(stat.column(sum(1, key)), Ok(column));
    }
}

/// Given many counters in a table twice as large, then all have a column.
#[test]
fn a_table_half_full_refuses_nothing() {
    let words = segment(1, 4_096);
    let stat = attach(&words);
    let refused = (0..2_048).filter(|&n| stat.column(sum(100 + n / 8, n % 8)).is_err()).count();
    assert_eq!(refused, 0);
}

/// Given a process that says what it is and does, then a tool sees just that; and nothing of it in the next one.
#[test]
fn a_seat_shows_its_owner() {
    let words = segment(2, 1);
    let seats = attach(&words).seats();
    let occupant = |seat| counters(&words).occupant(seat);
    assert_eq!((occupant(COMMON), occupant(1)), (None, None));
    let seat = seats.claim(1234, at(1.0), &mut |_, owner| owner == 0).unwrap();
    let mut name = [0; NAME_LEN];
    name[..6].copy_from_slice(b"server");
    let report = QueueReport {
        reported_ns: 1,
        queued: 2,
        running: 3,
        admitted: 4,
        completed: 5,
        mode: 2,
        shedding: 1,
        cursor: 8,
        demand_mrps: 9,
        capacity_mrps: 10,
        refused: std::array::from_fn(|reason| 100 + reason as u64),
        would_refuse: std::array::from_fn(|reason| 200 + reason as u64),
        gate: Some(Gate {
            marginal_cursor: Cursor(7),
            ns_per_request: 11,
            service_floor_ns: 12,
            hard_wait_limit_us: 13,
            target_wait_ms: 14,
            soft_wait_limit_ms: 15,
            workers: 16,
            enforced: Per10k::ALL,
            is_cpu_bound: false,
        }),
    };
    seats.set_name(seat, &name);
    seats.beat(seat, 17, at(3.0));
    seats.report(seat, &report);
    seats.set_cpu(seat, Per10k::new(2_500).unwrap(), at(3.5));
    seats.set_pid_namespace(seat, 99);
    let expected = Occupant {
        pid: 1234,
        incarnation: 1,
        claimed_ns: at(1.0).0,
        beat_ns: at(3.0).0,
        name,
        unanswered: 17,
        queue: report,
        cpu: Some(CpuSample { utilisation: Per10k::new(2_500).unwrap(), at_ms: 3_500 }),
        pid_namespace: 99,
    };
    assert_eq!(occupant(seat), Some(expected));
    assert_eq!(report.refused.len(), Refusal::COUNT);
    seats.release(seat);
    assert_eq!(occupant(seat), None);
    assert_eq!(seats.claim(1235, at(4.0), &mut |_, owner| owner == 0), Some(seat));
    let next = occupant(seat).unwrap();
    let blank = Occupant {
        pid: 1235,
        incarnation: 2,
        claimed_ns: at(4.0).0,
        beat_ns: 0,
        name: [0; NAME_LEN],
        unanswered: 0,
        queue: QueueReport::default(),
        cpu: None,
        pid_namespace: 0,
    };
    assert_eq!(next, blank);
}

/// Given a sample of CPU use, when it is asked for, then it is told for two seconds, also to those whose clock is behind.
#[test]
fn a_sample_of_cpu_use_is_told_for_two_seconds() {
    let words = segment(2, 16);
    let seats = attach(&words).seats();
    assert_eq!(seats.cpu(1, at(0.0)), None, "nobody has looked");
    for utilisation in [0, 1, 9_999, 10_000] {
        let utilisation = Per10k::new(utilisation).unwrap();
        seats.set_cpu(1, utilisation, at(100.0));
        for (asked_at, told) in [(100.0, true), (101.0, true), (102.0, true), (102.001, false), (500.0, false)] {
            let sample = CpuSample { utilisation, at_ms: 100_000 };
            assert_eq!(seats.cpu(1, at(asked_at)), told.then_some(sample), "{utilisation:?} at {asked_at}");
        }
        assert!(seats.cpu(1, at(99.5)).is_some());
        assert_eq!(seats.cpu(1, at(97.9)), None, "a stamp from the future is of another boot, or damage");
        assert_eq!(
            (seats.cpu(2, at(100.0)), seats.cpu(COMMON, at(100.0)), seats.cpu(3, at(100.0))),
            (None, None, None)
        );
    }
}

proptest! {
    /// Any word is a sample or none.
    #[test]
    fn a_damaged_sample_of_cpu_use_is_none_or_a_share(word: u64, now: u64) {
        let words = segment(1, 1);
        let seats = attach(&words).seats();
        seats.set_cpu(1, Per10k::ALL, Nanos(now));
        let index = words.iter().position(|it| it.load(Relaxed) as u16 == 10_001 && it.load(Relaxed) >> 16 == now / 1_000_000);
        words[index.unwrap()].store(word, Relaxed);
        let told = seats.cpu(1, Nanos(now));
        prop_assert!(told.is_none_or(|sample| sample.utilisation <= Per10k::ALL));
    }
}

#[test]
fn no_counter_is_refused_before_there_are_as_many_as_the_segment_was_made_for() {
    for counters in [1, 2, 8, 64, 512, 2_048, 4_096, MAX_COUNTERS] {
        let words = segment(1, counters);
        let stat = attach(&words);
        for number in 0..counters {
            let counter = sum(1 + number % 7, number / 7 + 1);
            assert!(stat.column(counter).is_ok(), "{number} of {counters}");
        }
    }
}
