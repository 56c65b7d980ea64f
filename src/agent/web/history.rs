//! What only several looks tell: how fast things go, what has changed, and how the last hour was.
//!
//! All of it is bounded: 60 minutes of an endpoint are 60 bytes, an hour of the host 360 points, and of changes the last
//! 4 096 are kept.

use std::collections::{HashMap, VecDeque};

use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::health::Totals;
use mcrpc_core::strategy::endpoint::Endpoint;
use serde::Serialize;

use super::calls::Callers;
use super::sample::{EndpointRow, Sample};
use crate::host::place::Moment;
use crate::host::rates::{ProcessRates, Rates};
use crate::host::stat::{Queue, Stat};

const MINUTES: usize = 60;
const POINT_S: u64 = 10;
const POINTS: usize = 360;
const CHANGES: usize = 4_096;
/// A process that reports once a second has reported within this time; its last rates stand as long.
const RATES_HOLD_LOOKS: u64 = 5;

/// The states of a breaker in the order of how bad they are; 0 is kept for no data.
pub(super) const STATES: [&str; 5] = ["normal", "recovering", "probing", "due", "shielded"];

/// The place of a state among [`STATES`].
pub(super) const fn number_of(state: State) -> u8 {
    match state {
        State::Normal => 0,
        State::Recovering { .. } => 1,
        State::Probing => 2,
        State::Due => 3,
        State::Shielded { .. } => 4,
    }
}

/// All that is remembered.
#[derive(Default)]
pub(super) struct History {
    looks: u64,
    minute: u64,
    endpoints: HashMap<Endpoint, Track>,
    servers: HashMap<(u32, u32), ServerTrack>,
    /// When the last look was.
    looked: Option<Moment>,
    /// The last that was seen of the processes, and when.
    before: Option<(Moment, Stat)>,
    /// Who calls whom.
    pub(super) callers: Callers,
    /// The newest last.
    pub(super) changes: VecDeque<Change>,
    /// Of ten seconds each, the newest last and not yet whole.
    pub(super) points: VecDeque<Point>,
}

/// How an endpoint goes.
#[derive(Debug)]
pub(super) struct Track {
    totals: Totals,
    shields: u64,
    state: u8,
    seen: u64,
    /// The worst state of each minute plus one, by the minute's number.
    worst: [u8; MINUTES],
    /// Since the last look.
    pub(super) flow: Flow,
}

/// Calls per second, and how they went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) calls_per_s: f32,
    pub(super) failures_per_s: f32,
    /// `None` without calls.
    pub(super) mean_ms: Option<f32>,
}

/// How a server goes.
#[derive(Debug, Default)]
pub(super) struct ServerTrack {
    seen: u64,
    rated: u64,
    pub(super) rates: Option<ProcessRates>,
    pub(super) points: VecDeque<ServerPoint>,
}

/// Ten seconds of a server.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct ServerPoint {
    #[serde(skip)]
    at: u64,
    pub(super) demand: f32,
    pub(super) capacity: f32,
}

/// An endpoint has got into another state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) unix_s: u64,
    pub(super) endpoint: Endpoint,
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) reason: &'static str,
}

/// Ten seconds of the host: means, but for the shielded endpoints, of which it is the most. What could not be read is `null`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Point {
    unix_s: u64,
    calls_per_s: Mean,
    failures_per_s: Mean,
    admitted_per_s: Mean,
    refused_per_s: Mean,
    shielded: Option<u32>,
}

/// The mean of what so many looks have seen; `null` of none.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(into = "Option<f32>")]
struct Mean {
    value: f32,
    looks: u32,
}

impl From<Mean> for Option<f32> {
    fn from(mean: Mean) -> Option<f32> {
        (mean.looks > 0).then_some(mean.value)
    }
}

impl Flow {
    /// Of what was added in so many seconds; nothing if the totals went back, as those of another segment do.
    pub(super) fn between(before: &Totals, now: &Totals, seconds: f32) -> Flow {
        let added = now.since(before);
        let calls = added.requests();
        if now.requests() <= before.requests() || now.time_us < before.time_us || seconds <= 0.0 {
            return Flow::default();
        }
        Flow {
            calls_per_s: calls as f32 / seconds,
            failures_per_s: added.failures() as f32 / seconds,
            mean_ms: Some(added.time_us as f32 / 1e3 / calls as f32),
        }
    }

    /// Both together.
    pub(super) fn and(&self, other: &Flow) -> Flow {
        let calls_per_s = self.calls_per_s + other.calls_per_s;
        let weighted = |flow: &Flow| flow.mean_ms.unwrap_or(0.0) * flow.calls_per_s;
        Flow {
            calls_per_s,
            failures_per_s: self.failures_per_s + other.failures_per_s,
            mean_ms: (calls_per_s > 0.0).then(|| (weighted(self) + weighted(other)) / calls_per_s),
        }
    }
}

impl History {
    /// Takes note of a look.
    pub(super) fn observe(&mut self, sample: &Sample) {
        let seconds =
            self.looked.map_or(0.0, |then| sample.taken.monotonic_ns.saturating_sub(then.monotonic_ns) as f32 / 1e9);
        self.looked = Some(sample.taken);
        self.looks += 1;
        self.turn_minutes(sample.taken.unix_s / 60);
        let mut point = Point { unix_s: sample.taken.unix_s, ..Point::default() };
        if let Some(endpoints) = &sample.endpoints {
            let (mut calls_per_s, mut failures_per_s, mut shielded) = (0.0, 0.0, 0);
            for row in &endpoints.all {
                let flow = self.observe_endpoint(row, seconds, sample.taken.unix_s);
                calls_per_s += flow.calls_per_s;
                failures_per_s += flow.failures_per_s;
                shielded += u32::from(number_of(row.state) >= 2);
            }
            (point.calls_per_s, point.failures_per_s) = (Mean::of(calls_per_s), Mean::of(failures_per_s));
            point.shielded = Some(shielded);
        }
        self.endpoints.retain(|_, track| track.seen == self.looks);
        if let Some(stat) = &sample.stat {
            self.observe_servers(stat, &sample.taken, &mut point);
            self.before = Some((sample.taken, stat.clone()));
        }
        self.callers.observe(sample, seconds);
        self.add_point(point);
    }

    /// How an endpoint goes.
    pub(super) fn endpoint(&self, endpoint: &Endpoint) -> Option<&Track> {
        self.endpoints.get(endpoint)
    }

    /// How a process goes as a server.
    pub(super) fn server(&self, seat: u32, incarnation: u32) -> Option<&ServerTrack> {
        self.servers.get(&(seat, incarnation))
    }

    /// The last hour of an endpoint, the newest minute last: a digit for each, 0 for no data, else the state plus one.
    pub(super) fn minutes_of(&self, track: &Track) -> String {
        let first = self.minute as usize + 1;
        (first..first + MINUTES).map(|minute| char::from(b'0' + track.worst[minute % MINUTES])).collect()
    }

    /// Begins the minutes up to this one.
    fn turn_minutes(&mut self, minute: u64) {
        let from = self.minute.max(minute.saturating_sub(MINUTES as u64));
        for next in from + 1..=minute {
            for track in self.endpoints.values_mut() {
                track.worst[next as usize % MINUTES] = 0;
            }
        }
        self.minute = minute;
    }

    fn observe_endpoint(&mut self, row: &EndpointRow, seconds: f32, unix_s: u64) -> Flow {
        let (state, reading) = (number_of(row.state), &row.reading);
        let track = self.endpoints.entry(row.endpoint).or_insert_with(|| Track {
            totals: reading.totals,
            shields: reading.shields,
            state: 0,
            seen: 0,
            worst: [0; MINUTES],
            flow: Flow::default(),
        });
        track.flow = Flow::between(&track.totals, &reading.totals, seconds);
        // A shield may be over before the next look.
        let was_shielded = reading.shields > track.shields;
        let worst = if was_shielded { STATES.len() as u8 - 1 } else { state };
        let minute = &mut track.worst[self.minute as usize % MINUTES];
        *minute = (*minute).max(worst + 1);
        let mut add = |from: u8, to: u8| {
            if from != to {
                let reason = if to == STATES.len() as u8 - 1 { reading.breaker.reason().name() } else { "" };
                self.changes.push_back(Change { unix_s, endpoint: row.endpoint, from, to, reason });
            }
        };
        if was_shielded {
            add(track.state, worst);
            add(worst, state);
        } else {
            add(track.state, state);
        }
        (track.totals, track.shields, track.state, track.seen) = (reading.totals, reading.shields, state, self.looks);
        let superfluous = self.changes.len().saturating_sub(CHANGES);
        self.changes.drain(..superfluous);
        track.flow
    }

    fn observe_servers(&mut self, stat: &Stat, taken: &Moment, point: &mut Point) {
        let mut rates = self.before.as_ref().map(|(then, before)| Rates::between((then, before), (taken, stat)));
        let (mut admitted_per_s, mut refused_per_s) = (0.0, 0.0);
        for process in &stat.processes {
            let Some(queue) = &process.queue else { continue };
            let track = self.servers.entry((process.seat, process.incarnation)).or_default();
            let fresh = rates.as_mut().and_then(|rates| {
                let at = rates.processes.iter().position(|rates| rates.seat == process.seat)?;
                Some(rates.processes.swap_remove(at))
            });
            track.note(fresh, queue, self.looks, taken.unix_s / POINT_S);
            if let Some(rates) = &track.rates {
                admitted_per_s += rates.admitted_per_s as f32;
                refused_per_s += rates.refused_per_s.0.iter().sum::<f64>() as f32;
            }
        }
        (point.admitted_per_s, point.refused_per_s) = (Mean::of(admitted_per_s), Mean::of(refused_per_s));
        self.servers.retain(|_, track| track.seen == self.looks);
    }

    fn add_point(&mut self, point: Point) {
        match self.points.back_mut() {
            Some(last) if last.unix_s / POINT_S == point.unix_s / POINT_S => last.add(&point),
            _ => self.points.push_back(point),
        }
        let superfluous = self.points.len().saturating_sub(POINTS);
        self.points.drain(..superfluous);
    }
}

impl Point {
    fn add(&mut self, next: &Point) {
        for (mean, next) in [
            (&mut self.calls_per_s, next.calls_per_s),
            (&mut self.failures_per_s, next.failures_per_s),
            (&mut self.admitted_per_s, next.admitted_per_s),
            (&mut self.refused_per_s, next.refused_per_s),
        ] {
            mean.add(next);
        }
        self.shielded = self.shielded.max(next.shielded);
    }
}

impl Mean {
    const fn of(value: f32) -> Mean {
        Mean { value, looks: 1 }
    }

    fn add(&mut self, next: Mean) {
        self.looks += next.looks;
        self.value += (next.value - self.value) * next.looks as f32 / self.looks.max(1) as f32;
    }
}

impl ServerTrack {
    fn note(&mut self, fresh: Option<ProcessRates>, queue: &Queue, look: u64, at: u64) {
        self.seen = look;
        if fresh.is_some() {
            (self.rates, self.rated) = (fresh, look);
        } else if look - self.rated > RATES_HOLD_LOOKS {
            self.rates = None;
        }
        let (demand, capacity) = (queue.demand_per_s as f32, queue.capacity_per_s.unwrap_or(0.0) as f32);
        match self.points.back_mut() {
            Some(last) if last.at == at => (last.demand, last.capacity) = (last.demand.max(demand), capacity),
            _ => self.points.push_back(ServerPoint { at, demand, capacity }),
        }
        let superfluous = self.points.len().saturating_sub(POINTS);
        self.points.drain(..superfluous);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::sample::Endpoints;
    use super::*;

    #[test]
    fn what_cannot_be_read_for_a_while_is_a_gap_in_the_history() {
        let mut history = History::default();
        for second in 0..40 {
            let taken = Moment { unix_s: second, monotonic_ns: second * 1_000_000_000, ..Moment::default() };
            let stat = (!(10..20).contains(&second)).then(Stat::default);
            let endpoints = (!(20..30).contains(&second)).then(Endpoints::default);
            history.observe(&Sample { taken, stat, endpoints, ..Sample::default() });
        }
        let seen = |name: &str| -> Vec<Value> {
            history.points.iter().map(|point| serde_json::to_value(point).unwrap()[name].clone()).collect()
        };
        for name in ["admitted_per_s", "refused_per_s"] {
            assert_eq!(seen(name), [json!(0.0), Value::Null, json!(0.0), json!(0.0)], "{name}");
        }
        for name in ["calls_per_s", "failures_per_s"] {
            assert_eq!(seen(name), [json!(0.0), json!(0.0), Value::Null, json!(0.0)], "{name}");
        }
        assert_eq!(seen("shielded"), [json!(0), json!(0), Value::Null, json!(0)]);
    }
}
