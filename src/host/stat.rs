//! The seats and counters of all processes, with a verdict on each process.

use mcrpc_core::admission::Mode;
use mcrpc_core::admission::posed::Gate;
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::host::seat::{Occupant, QueueReport};
use mcrpc_core::host::stat::{Counters, Kind};
use mcrpc_core::status::Refusal;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::control::mode_name;
use super::health::status_name;
use super::liveness::{Life, SeatLocks, kernel_name, pid_exists};
use super::place::Moment;
use super::text::printable;

/// The seats and counters of a host.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub(crate) struct Stat {
    pub seats: u32,
    pub columns: u32,
    pub processes: Vec<Process>,
    pub counters: Vec<Counter>,
}

/// One process that has a seat.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Process {
    pub seat: u32,
    pub pid: u32,
    /// How many processes have had the seat.
    pub incarnation: u32,
    /// The name it has given itself, or else the kernel's.
    pub name: String,
    pub state: Life,
    pub pid_exists: bool,
    /// Whether it holds the lock on its seat; `None` if that cannot be seen.
    pub seat_locked: Option<bool>,
    /// How long it has had the seat.
    pub age_ms: u64,
    /// How long ago its heartbeat was.
    pub beat_age_ms: u64,
    /// Questions that it answered with *no policy*.
    pub unanswered: u64,
    /// How much is used of the CPU time that it may use; `None` if the agent has not looked lately.
    pub cpu_per10k: Option<u16>,
    /// Its admission controller; `None` if it has reported none.
    pub queue: Option<Queue>,
}

/// An admission controller, as its process last reported it.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Queue {
    #[serde(skip)]
    pub reported_ns: u64,
    pub reported_age_ms: u64,
    pub queued: u64,
    pub running: u64,
    pub admitted: u64,
    pub completed: u64,
    pub mode: &'static str,
    pub shedding: bool,
    pub cursor: u64,
    pub demand_per_s: f64,
    /// `None`: not known.
    pub capacity_per_s: Option<f64>,
    pub refused: Reasons<u64>,
    pub would_refuse: Reasons<u64>,
    /// What its decisions depend on beside that.
    #[serde(skip)]
    pub gate: Option<Gate>,
}

/// A number for each reason to refuse, written as a map from the status names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Reasons<T>(pub [T; Refusal::COUNT]);

impl<T: Copy> Reasons<T> {
    /// The names of the reasons with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (String, T)> + '_ {
        Refusal::ALL.into_iter().zip(self.0).map(|(reason, number)| (status_name(reason.status()), number))
    }
}

impl<T: Copy + Serialize> Serialize for Reasons<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Refusal::COUNT))?;
        for (name, number) in self.iter() {
            map.serialize_entry(&name, &number)?;
        }
        map.end()
    }
}

/// One counter.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Counter {
    pub id: u32,
    pub key: u32,
    /// `sum` or `max`.
    pub kind: &'static str,
    /// The sum over all processes, or their maximum in the current window; `None` if the window has none.
    pub value: Option<u64>,
}

impl Stat {
    /// How many processes are in this state.
    pub(crate) fn count(&self, state: Life) -> usize {
        self.processes.iter().filter(|process| process.state == state).count()
    }

    /// What all processes together have refused, and would have, by reason.
    pub(crate) fn refused(&self) -> (Reasons<u64>, Reasons<u64>) {
        let queues = || self.processes.iter().filter_map(|process| process.queue.as_ref());
        let sum = |of: fn(&Queue) -> &Reasons<u64>| {
            Reasons(std::array::from_fn(|reason| {
                queues().fold(0, |sum: u64, queue| sum.saturating_add(of(queue).0[reason]))
            }))
        };
        (sum(|queue| &queue.refused), sum(|queue| &queue.would_refuse))
    }
}

/// Reads seats and counters; `locks` are those of the directory in which the segment lies.
pub(crate) fn read(view: View<'_>, len: u64, locks: &SeatLocks, now: &Moment) -> Result<Stat, Mismatch> {
    let counters = Counters::attach(view, len)?;
    let seats = 1..=counters.seat_count();
    let processes = seats.filter_map(|seat| Some(process(seat, &counters.occupant(seat)?, locks, now))).collect();
    let value = |kind, column| match kind {
        Kind::Sum => Some(counters.sum(column)),
        Kind::Max => counters.max(column, now.monotonic()),
    };
    let mut list: Vec<Counter> = counters
        .counters()
        .map(|(counter, column)| Counter {
            id: counter.id,
            key: counter.key,
            kind: match counter.kind {
                Kind::Sum => "sum",
                Kind::Max => "max",
            },
            value: value(counter.kind, column),
        })
        .collect();
    list.sort_by_key(|counter| (counter.id, counter.key, counter.kind));
    Ok(Stat { seats: counters.seat_count(), columns: counters.column_count(), processes, counters: list })
}

fn process(seat: u32, occupant: &Occupant, locks: &SeatLocks, now: &Moment) -> Process {
    let name_len = occupant.name.iter().position(|byte| *byte == 0).unwrap_or(occupant.name.len());
    // A process that has just taken its seat has not yet had to beat.
    let beat_age_ms = now.age_ms(occupant.beat_ns.max(occupant.claimed_ns));
    let (seat_locked, pid_exists) = (locks.is_locked(seat), pid_exists(occupant.pid.into()));
    let state = Life::of(seat_locked, pid_exists, beat_age_ms);
    let name = match (name_len, state) {
        // The number of a dead process may be another one's.
        (0, Life::Alive | Life::Hung) => kernel_name(occupant.pid).unwrap_or_default(),
        _ => printable(&occupant.name[..name_len]),
    };
    Process {
        seat,
        pid: occupant.pid,
        incarnation: occupant.incarnation,
        name,
        state,
        pid_exists,
        seat_locked,
        age_ms: now.age_ms(occupant.claimed_ns),
        beat_age_ms,
        unanswered: occupant.unanswered,
        cpu_per10k: occupant.cpu.filter(|cpu| cpu.is_fresh(now.monotonic())).map(|cpu| cpu.utilisation.get()),
        queue: (occupant.queue.reported_ns != 0).then(|| queue(&occupant.queue, now)),
    }
}

fn queue(report: &QueueReport, now: &Moment) -> Queue {
    Queue {
        reported_ns: report.reported_ns,
        reported_age_ms: now.age_ms(report.reported_ns),
        queued: report.queued,
        running: report.running,
        admitted: report.admitted,
        completed: report.completed,
        mode: u32::try_from(report.mode).ok().and_then(Mode::from_number).map_or("unknown", mode_name),
        shedding: report.shedding != 0,
        cursor: report.cursor,
        demand_per_s: report.demand_mrps as f64 / 1_000.0,
        capacity_per_s: (report.capacity_mrps != 0).then(|| report.capacity_mrps as f64 / 1_000.0),
        refused: Reasons(report.refused),
        would_refuse: Reasons(report.would_refuse),
        gate: report.gate,
    }
}
