//! How fast things go: computed from two looks at the same seats and counters.
//!
//! A process reports about once a second, at its own time. Its rates are therefore taken over the time between its two
//! reports, not over that between the two looks; without a new report there is no rate.

use std::collections::HashMap;

use mcrpc_core::status::Refusal;
use serde::Serialize;

use super::place::Moment;
use super::stat::{Counter, Process, Queue, Reasons, Stat};

/// Rates per second.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Rates {
    /// Between the two looks.
    pub over_ms: u64,
    /// Processes that have reported in between.
    pub processes: Vec<ProcessRates>,
    /// Sums that were there both times.
    pub counters: Vec<CounterRate>,
    /// All processes together.
    pub refused_per_s: Reasons<f64>,
}

/// The rates of one process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ProcessRates {
    pub seat: u32,
    pub pid: u32,
    pub admitted_per_s: f64,
    pub completed_per_s: f64,
    pub refused_per_s: Reasons<f64>,
}

/// The rate of one counter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CounterRate {
    pub id: u32,
    pub key: u32,
    pub per_s: f64,
}

impl Rates {
    /// From an older and a newer look.
    pub(crate) fn between(older: (&Moment, &Stat), newer: (&Moment, &Stat)) -> Rates {
        let ns = newer.0.monotonic_ns.saturating_sub(older.0.monotonic_ns);
        let processes: Vec<ProcessRates> =
            newer.1.processes.iter().filter_map(|process| of_process(older.1, process)).collect();
        let before: HashMap<(u32, u32), u64> =
            older.1.counters.iter().filter_map(|counter| Some((sum_key(counter)?, counter.value?))).collect();
        let counter_rate = |counter: &Counter| {
            let (id, key) = sum_key(counter)?;
            Some(CounterRate { id, key, per_s: per_s(*before.get(&(id, key))?, counter.value?, ns)? })
        };
        let mut refused_per_s = Reasons([0.0; Refusal::COUNT]);
        for (reason, total) in refused_per_s.0.iter_mut().enumerate() {
            *total = processes.iter().fold(0.0, |sum, process| sum + process.refused_per_s.0[reason]);
        }
        let counters = newer.1.counters.iter().filter_map(counter_rate).collect();
        Rates { over_ms: ns / 1_000_000, processes, counters, refused_per_s }
    }

    pub(crate) fn process(&self, seat: u32) -> Option<&ProcessRates> {
        self.processes.iter().find(|process| process.seat == seat)
    }

    pub(crate) fn counter(&self, id: u32, key: u32) -> Option<f64> {
        self.counters.iter().find(|counter| (counter.id, counter.key) == (id, key)).map(|counter| counter.per_s)
    }
}

fn sum_key(counter: &Counter) -> Option<(u32, u32)> {
    (counter.kind == "sum").then_some((counter.id, counter.key))
}

fn of_process(older: &Stat, process: &Process) -> Option<ProcessRates> {
    let same = |before: &&Process| {
        (before.seat, before.pid, before.incarnation) == (process.seat, process.pid, process.incarnation)
    };
    let before: &Queue = older.processes.iter().find(same)?.queue.as_ref()?;
    let after = process.queue.as_ref()?;
    let ns = after.reported_ns.checked_sub(before.reported_ns)?;
    let mut refused_per_s = Reasons([0.0; Refusal::COUNT]);
    for (reason, rate) in refused_per_s.0.iter_mut().enumerate() {
        *rate = per_s(before.refused.0[reason], after.refused.0[reason], ns)?;
    }
    Some(ProcessRates {
        seat: process.seat,
        pid: process.pid,
        admitted_per_s: per_s(before.admitted, after.admitted, ns)?,
        completed_per_s: per_s(before.completed, after.completed, ns)?,
        refused_per_s,
    })
}

/// `None` without time in between, or for a number that has become smaller.
fn per_s(before: u64, after: u64, ns: u64) -> Option<f64> {
    let more = after.checked_sub(before)?;
    (ns > 0).then(|| more as f64 * 1e9 / ns as f64)
}

#[cfg(test)]
mod tests {
    use super::super::liveness::Life;
    use super::*;

    fn look(at_s: u64, reported_s: u64, admitted: u64, sum: u64) -> (Moment, Stat) {
        let mut refused = Reasons([0; Refusal::COUNT]);
        refused.0[Refusal::BelowCursor as usize] = admitted / 2;
        let queue = Queue {
            reported_ns: reported_s * 1_000_000_000,
            reported_age_ms: 0,
            queued: 0,
            running: 0,
            admitted,
            completed: admitted,
            mode: "enforce",
            shedding: false,
            cursor: 0,
            demand_per_s: 0.0,
            capacity_per_s: None,
            refused,
            would_refuse: Reasons::default(),
            gate: None,
        };
        let process = Process {
            seat: 1,
            pid: 7,
            incarnation: 1,
            name: String::new(),
            state: Life::Alive,
            pid_exists: true,
            seat_locked: None,
            age_ms: 0,
            beat_age_ms: 0,
            cpu_per10k: None,
            unanswered: 0,
            queue: Some(queue),
        };
        let counters = vec![Counter { id: 1, key: 2, kind: "sum", value: Some(sum) }];
        let moment = Moment { monotonic_ns: at_s * 1_000_000_000, ..Moment::default() };
        (moment, Stat { processes: vec![process], counters, ..Stat::default() })
    }

    fn between(older: &(Moment, Stat), newer: &(Moment, Stat)) -> Rates {
        Rates::between((&older.0, &older.1), (&newer.0, &newer.1))
    }

    #[test]
    fn a_process_is_measured_between_its_reports_and_a_counter_between_the_looks() {
        let (older, newer) = (look(10, 9, 100, 5), look(11, 11, 500, 25));
        let rates = between(&older, &newer);
        let process = rates.process(1).unwrap();
        assert_eq!((process.admitted_per_s, rates.counter(1, 2)), (200.0, Some(20.0)));
        assert_eq!(rates.refused_per_s.0[Refusal::BelowCursor as usize], 100.0);
    }

    #[test]
    fn without_a_new_report_or_with_smaller_numbers_there_is_no_rate() {
        let (older, newer) = (look(10, 9, 100, 25), look(11, 9, 100, 5));
        let rates = between(&older, &newer);
        assert!(rates.process(1).is_none() && rates.counter(1, 2).is_none());
        let mut other = look(11, 11, 500, 25);
        other.1.processes[0].incarnation = 2;
        assert!(between(&older, &other).process(1).is_none(), "another process in the same seat");
    }
}
