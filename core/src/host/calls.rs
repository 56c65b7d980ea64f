//! Who calls whom: what a process's calls to a service met, in the process's own stripe of counters (SPEC S17, M6).
//!
//! Five sums for each service that it calls, under ids that are reserved for this, with the service's number as their key:
//! the calls by how they ended, and the microseconds that they took. A process adds to them when it hands over its
//! outcomes, a few times per second.

use super::stat::{Column, CounterKey, Kind, MAX_ID, Stat};
use crate::shield::health::Totals;
use crate::status::Status;

/// How many counters a service has.
pub const COUNT: usize = 5;
/// The reserved ids are this one and those behind it.
pub const FIRST_ID: u32 = MAX_ID + 1 - COUNT as u32;
const TIME: usize = COUNT - 1;

/// The counters of a service.
#[derive(Clone, Copy, Debug)]
pub struct CallCounters([Column; COUNT]);

impl CallCounters {
    /// Those of a service, which are made if there are none.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`].
    pub fn open(stat: &Stat<'_>, service_id: u32) -> Result<CallCounters, Status> {
        let mut columns = [Column::from_number(0); COUNT];
        for (id, column) in (FIRST_ID..).zip(&mut columns) {
            *column = stat.column(CounterKey { id, key: service_id, kind: Kind::Sum })?;
        }
        Ok(CallCounters(columns))
    }

    /// Adds what calls met, in the stripe of `seat`.
    pub fn add(&self, stat: &Stat<'_>, seat: u32, totals: &Totals) {
        for (column, &n) in self.0.iter().zip(totals.calls.iter().chain([&totals.time_us])) {
            if n != 0 {
                stat.add(seat, *column, n);
            }
        }
    }
}

/// Which of a service's counters this is, and of which service; `None` if it is another counter.
pub const fn service_of(counter: CounterKey) -> Option<(usize, u32)> {
    match (counter.id.checked_sub(FIRST_ID), counter.kind) {
        (Some(index), Kind::Sum) if (index as usize) < COUNT => Some((index as usize, counter.key)),
        _ => None,
    }
}

/// Puts the value of the counter with this index into totals.
pub fn put(totals: &mut Totals, index: usize, value: u64) {
    if index == TIME {
        totals.time_us = value;
    } else if let Some(calls) = totals.calls.get_mut(index) {
        *calls = value;
    }
}
