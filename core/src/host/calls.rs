//! Who calls whom: what a process's calls to a service met, in the process's own stripe of counters (SPEC S17, M6).
//!
//! Eighteen sums for each service that is called, under ids that are reserved for this, with the service's number as their
//! key: the attempts by what they met, the microseconds that the calls took, and the calls by how long they took. A process adds
//! to them when it hands over its outcomes, a few times per second.
//!
//! All processes share the columns. Where there is none left for a service, what cannot be told of its calls is counted
//! under one more id, with the key 0.

use super::stat::{Column, CounterKey, Kind, MAX_ID, Stat};
use crate::shield::health::Totals;

/// The bounds of the durations that are told apart, in ns: from 131 us to 13 s, each about three times the one before.
pub const BOUNDS_NS: [u64; 12] =
    [1 << 17, 3 << 17, 1 << 20, 3 << 20, 1 << 23, 3 << 23, 1 << 26, 3 << 26, 1 << 29, 3 << 29, 1 << 32, 3 << 32];
const DURATIONS: usize = BOUNDS_NS.len() + 1;
const TOTALS: usize = 5;
const TOTALS_ID: u32 = MAX_ID + 1 - TOTALS as u32;
const DURATIONS_ID: u32 = TOTALS_ID - DURATIONS as u32;
const UNTOLD: CounterKey = CounterKey { id: DURATIONS_ID - 1, key: 0, kind: Kind::Sum };
/// The reserved ids are this one and those behind it.
pub const FIRST_ID: u32 = UNTOLD.id;

/// What calls met, and how long they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// What their attempts met, and the time of the calls.
    pub totals: Totals,
    /// The calls that took less than each of [`BOUNDS_NS`] and not less than the bound before it; at last the longer ones.
    pub durations: [u64; DURATIONS],
}

impl Calls {
    /// What has come since.
    pub fn since(&self, earlier: &Calls) -> Calls {
        let durations = core::array::from_fn(|at| self.durations[at].wrapping_sub(earlier.durations[at]));
        Calls { totals: self.totals.since(&earlier.totals), durations }
    }

    /// Those of another process, too.
    pub fn add(&mut self, other: &Calls) {
        for (mine, its) in self.sums_mut().zip(other.sums()) {
            *mine = mine.wrapping_add(its);
        }
    }

    /// How many calls are told by their durations.
    pub fn timed(&self) -> u64 {
        self.durations.iter().fold(0, |sum, &calls| sum.wrapping_add(calls))
    }

    /// In the order of the ids.
    fn sums(&self) -> impl Iterator<Item = u64> {
        self.durations.into_iter().chain(self.totals.calls).chain([self.totals.time_us])
    }

    fn sums_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.durations.iter_mut().chain(&mut self.totals.calls).chain([&mut self.totals.time_us])
    }
}

/// The counters of a service.
#[derive(Clone, Copy, Debug)]
pub struct CallCounters {
    durations: Option<[Column; DURATIONS]>,
    totals: Option<[Column; TOTALS]>,
    untold: Option<Column>,
}

impl CallCounters {
    /// Those of a service, which are made if there are none and there is room.
    pub fn open(stat: &Stat<'_>, service_id: u32) -> CallCounters {
        // First that which says how much is missing.
        let untold = stat.column(UNTOLD).ok();
        let totals = columns(stat, TOTALS_ID, service_id);
        CallCounters { totals, durations: columns(stat, DURATIONS_ID, service_id), untold }
    }

    /// Adds what calls met, in the stripe of `seat`.
    pub fn add(&self, stat: &Stat<'_>, seat: u32, calls: &Calls) {
        let Calls { totals, durations } = calls;
        let mut untold = 0;
        match &self.totals {
            Some(columns) => add_all(stat, seat, columns, totals.calls.iter().chain([&totals.time_us])),
            None => untold = totals.requests(),
        }
        match &self.durations {
            Some(columns) => add_all(stat, seat, columns, durations),
            None => untold = untold.max(calls.timed()),
        }
        if let Some(column) = &self.untold {
            add_all(stat, seat, &[*column], &[untold]);
        }
    }
}

fn columns<const N: usize>(stat: &Stat<'_>, first_id: u32, service_id: u32) -> Option<[Column; N]> {
    let mut columns = [Column::from_number(0); N];
    for (id, column) in (first_id..).zip(&mut columns) {
        *column = stat.column(CounterKey { id, key: service_id, kind: Kind::Sum }).ok()?;
    }
    Some(columns)
}

fn add_all<'n>(stat: &Stat<'_>, seat: u32, columns: &[Column], numbers: impl IntoIterator<Item = &'n u64>) {
    for (column, &n) in columns.iter().zip(numbers) {
        if n != 0 {
            stat.add(seat, *column, n);
        }
    }
}

/// What a reserved counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The sum with this index of the calls to a service.
    Service {
        /// Which service.
        id: u32,
        /// For [`put`].
        index: usize,
    },
    /// Calls of which not all could be told.
    Untold,
}

/// What a counter counts, if it is one of these.
pub fn counted(counter: CounterKey) -> Option<Counted> {
    let index = counter.id.checked_sub(DURATIONS_ID).map(|index| index as usize);
    match index {
        _ if counter == UNTOLD => Some(Counted::Untold),
        Some(index) if counter.kind == Kind::Sum => Some(Counted::Service { id: counter.key, index }),
        _ => None,
    }
}

/// Puts the sum with this index into its place.
pub fn put(calls: &mut Calls, index: usize, value: u64) {
    if let Some(sum) = calls.sums_mut().nth(index) {
        *sum = value;
    }
}
