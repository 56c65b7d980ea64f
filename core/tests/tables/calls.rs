use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use mcrpc_core::host::calls::{self, BOUNDS_NS, CallCounters, Calls, Counted};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::stat::{self, CounterKey, Counters, Kind, MAX_ID, Stat};
use mcrpc_core::shield::health::Totals;

use super::{len_of, memory};

fn segment(counters: u32) -> Vec<AtomicU64> {
    let words = memory(stat::segment_len(3, counters));
    stat::create(Shared::new(&words), 3, counters, 1, 2).unwrap();
    words
}

fn attach(words: &[AtomicU64]) -> Stat<'_> {
    Stat::attach(Shared::new(words), len_of(words)).unwrap()
}

fn some_calls() -> Calls {
    let durations = std::array::from_fn(|at| at as u64 + 1);
    Calls { totals: Totals { calls: [60, 20, 9, 4], time_us: 123 }, durations }
}

/// What a tool finds in the stripe of a seat: by service, and the calls of which not all could be told.
fn read(words: &[AtomicU64], seat: u32) -> (BTreeMap<u32, Calls>, u64) {
    let counters = Counters::attach(View::new(words), len_of(words)).unwrap();
    let (mut services, mut untold): (BTreeMap<u32, Calls>, _) = Default::default();
    for (counter, column) in counters.counters() {
        let value = counters.of_seat(seat, column);
        match calls::counted(counter) {
            Some(Counted::Service { id, index }) => calls::put(services.entry(id).or_default(), index, value),
            Some(Counted::Untold) => untold = value,
            None => {}
        }
    }
    (services, untold)
}

#[test]
fn what_calls_met_and_how_long_they_took_is_told_by_seat_and_service() {
    let words = segment(200);
    let stat = attach(&words);
    let twice = || (0..2).for_each(|_| CallCounters::open(&stat, 7).add(&stat, 1, &some_calls()));
    twice();
    CallCounters::open(&stat, 8).add(&stat, 1, &some_calls());
    let mut sum = some_calls();
    sum.add(&some_calls());
    assert_eq!(sum.since(&some_calls()), some_calls());
    assert_eq!(read(&words, 1), (BTreeMap::from([(7, sum), (8, some_calls())]), 0));
    assert_eq!(some_calls().timed(), 91);
    assert!(read(&words, 2).0.values().all(|calls| *calls == Calls::default()));
}

/// Given a table in which ever fewer columns are free, then what has no place is counted, and nothing is told in part.
#[test]
fn what_has_no_room_is_counted() {
    let columns = 3 * 40 / 2;
    for taken in 0..=columns {
        let words = segment(40);
        let stat = attach(&words);
        for key in 1..=taken {
            stat.column(CounterKey { id: 1, key, kind: Kind::Sum }).unwrap();
        }
        CallCounters::open(&stat, 7).add(&stat, 1, &some_calls());
        let (services, untold) = read(&words, 1);
        let told = services.get(&7).copied().unwrap_or_default();
        let expected = match columns - taken {
            0 => (Calls::default(), 0),
            1..=5 => (Calls::default(), 93),
            6..=18 => (Calls { durations: Default::default(), ..some_calls() }, 91),
            _ => (some_calls(), 0),
        };
        assert_eq!((told, untold), expected, "{taken} of {columns} taken");
    }
}

#[test]
fn other_counters_are_not_taken_for_calls() {
    let counter = |id, kind| CounterKey { id, key: 0, kind };
    assert_eq!(calls::counted(counter(calls::FIRST_ID, Kind::Sum)), Some(Counted::Untold));
    assert_eq!(calls::counted(CounterKey { key: 1, ..counter(calls::FIRST_ID, Kind::Sum) }), None);
    assert_eq!(calls::counted(counter(calls::FIRST_ID - 1, Kind::Sum)), None);
    assert_eq!(calls::counted(counter(MAX_ID, Kind::Max)), None);
    let last = calls::counted(counter(MAX_ID, Kind::Sum));
    assert_eq!(last, Some(Counted::Service { id: 0, index: BOUNDS_NS.len() + 5 }));
    let mut none = Calls::default();
    calls::put(&mut none, BOUNDS_NS.len() + 6, 1);
    assert_eq!(none, Calls::default());
}
