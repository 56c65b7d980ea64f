//! A sample and the history, as the page shows them: written as JSON once a second for those who look.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use mcrpc_core::admission::Cursor;
use mcrpc_core::shield::breaker::State;
use mcrpc_discovery::table::EtcdState;
use serde::Serialize;
use serde_json::{Value, json};

use super::calls::Graph;
use super::history::{Flow, History, Point, STATES, ServerPoint, number_of};
use super::sample::{EndpointRow, Sample};
use crate::host::control::Orders;
use crate::host::health::Health;
use crate::host::stat::Process;
use crate::host::trace::TraceRecord;

/// More are not shown at once: a person looks for some.
const ENDPOINTS_SHOWN: usize = 1_000;
const CHANGES_SHOWN: usize = 60;

/// What is shown.
#[derive(Serialize)]
struct Seen<'s> {
    at: u64,
    monotonic_ns: u64,
    health: Vec<Value>,
    etcd: Value,
    strategies: Option<Value>,
    point: Option<&'s Point>,
    states: [usize; STATES.len()],
    services: Vec<Value>,
    servers: Vec<Value>,
    endpoints: Vec<Shown>,
    matching: usize,
    changes: Vec<Value>,
    orders: &'s Option<Orders>,
    records: Option<&'s [TraceRecord]>,
    graph: Graph,
}

/// As JSON; of the endpoints those whose address or service contains `find`.
pub(super) fn state(sample: &Sample, history: &History, find: &str) -> String {
    let (endpoints, matching) = endpoints(sample, history, find);
    let seen = Seen {
        at: sample.taken.unix_s,
        monotonic_ns: sample.taken.monotonic_ns,
        health: health(sample),
        etcd: match &sample.etcd {
            EtcdState::Unused => Value::Null,
            EtcdState::Followed(_) => json!({ "followed": true }),
            EtcdState::Away(why) => json!({ "followed": false, "why": why }),
        },
        strategies: sample.strategies.as_ref().map(|table| {
            let age_ms = table.refreshed_age_ms;
            json!({ "in_force": table.in_force, "active": table.active, "refreshed_age_ms": age_ms })
        }),
        point: history.points.back(),
        states: states(sample),
        services: services(sample, history),
        servers: servers(sample, history),
        endpoints,
        matching,
        changes: changes(sample, history),
        orders: &sample.orders,
        records: sample.traces.as_ref().map(|traces| &*traces.records),
        graph: graph(sample, history),
    };
    text(&seen)
}

/// The last hour: of the host, of each server, and of those endpoints that were not always well.
pub(super) fn hour(sample: &Sample, history: &History) -> String {
    let servers = sample.stat.iter().flat_map(|stat| &stat.processes).filter_map(|process| {
        let track = history.server(process.seat, process.incarnation)?;
        Some((process.seat, &track.points))
    });
    let minutes = sample.endpoints.iter().flat_map(|endpoints| &endpoints.all).filter_map(|row| {
        let minutes = history.minutes_of(history.endpoint(&row.endpoint)?);
        minutes.bytes().any(|minute| minute > b'1').then(|| (key(row), minutes))
    });
    #[derive(Serialize)]
    struct Hour<'h> {
        points: &'h VecDeque<Point>,
        servers: BTreeMap<u32, &'h VecDeque<ServerPoint>>,
        minutes: BTreeMap<String, String>,
    }
    let minutes = minutes.take(ENDPOINTS_SHOWN).collect();
    text(&Hour { points: &history.points, servers: servers.collect(), minutes })
}

/// Who calls whom.
pub(super) fn callers(sample: &Sample, history: &History) -> String {
    text(&graph(sample, history))
}

fn graph(sample: &Sample, history: &History) -> Graph {
    history.callers.graph(sample)
}

fn text(shown: &impl Serialize) -> String {
    // There is nothing in it that JSON cannot say.
    serde_json::to_string(shown).unwrap_or_default()
}

fn key(row: &EndpointRow) -> String {
    format!("{} {}", row.endpoint.socket(), row.endpoint.service_id)
}

fn health(sample: &Sample) -> Vec<Value> {
    let sick = sample.segments.iter().filter(|(_, health)| *health != Health::Ok);
    sick.map(|(name, health)| json!({ "segment": name, "text": health.to_string() })).collect()
}

fn states(sample: &Sample) -> [usize; STATES.len()] {
    let mut counts = [0; STATES.len()];
    for row in sample.endpoints.iter().flat_map(|endpoints| &endpoints.all) {
        counts[usize::from(number_of(row.state))] += 1;
    }
    counts
}

/// One endpoint of the page.
#[derive(Serialize)]
struct Shown {
    key: String,
    address: String,
    service: String,
    state: u8,
    left_ms: Option<u32>,
    recovering_percent: Option<u32>,
    reason: Option<&'static str>,
    calls_per_s: f32,
    failures_per_s: f32,
    mean_ms: Option<f32>,
    calls: u64,
    failures: u64,
    overloaded: u64,
    bucket: u32,
    pass_percent: f32,
    cursor: Option<u32>,
    shields: u64,
    probes: u64,
}

/// Those that are shown, the worst and then the busiest first; and how many there are.
fn endpoints(sample: &Sample, history: &History, find: &str) -> (Vec<Shown>, usize) {
    let flow = |row: &EndpointRow| history.endpoint(&row.endpoint).map_or(Flow::default(), |track| track.flow);
    let is_wanted = |row: &EndpointRow| {
        find.is_empty()
            || row.endpoint.socket().to_string().contains(find)
            || sample.service(row.endpoint.service_id).contains(find)
    };
    let rows = sample.endpoints.iter().flat_map(|endpoints| &endpoints.all).filter(|row| is_wanted(row));
    let mut rows: Vec<_> = rows.map(|row| (row, flow(row))).collect();
    let matching = rows.len();
    rows.sort_by_cached_key(|(row, flow)| {
        let rank = |per_s: f32| Reverse((f64::from(per_s) * 10.0) as u64);
        let state = Reverse(number_of(row.state));
        (state, rank(flow.failures_per_s), rank(flow.calls_per_s), row.endpoint)
    });
    rows.truncate(ENDPOINTS_SHOWN);
    (rows.into_iter().map(|(row, flow)| Shown::of(row, flow, sample)).collect(), matching)
}

impl Shown {
    fn of(row: &EndpointRow, flow: Flow, sample: &Sample) -> Shown {
        let (reading, endpoint) = (&row.reading, &row.endpoint);
        Shown {
            key: key(row),
            address: endpoint.socket().to_string(),
            service: sample.service(endpoint.service_id),
            state: number_of(row.state),
            left_ms: match row.state {
                State::Shielded { left_ms } => Some(left_ms),
                _ => None,
            },
            recovering_percent: match row.state {
                State::Recovering { share } => Some(((u64::from(share) * 100) >> 16) as u32),
                _ => None,
            },
            reason: (reading.shields > 0).then(|| reading.breaker.reason().name()),
            calls_per_s: flow.calls_per_s,
            failures_per_s: flow.failures_per_s,
            mean_ms: flow.mean_ms,
            calls: reading.totals.requests(),
            failures: reading.totals.failures(),
            overloaded: reading.totals.calls[3],
            bucket: reading.breaker.level(),
            pass_percent: f32::from(row.pass_rate.get()) / 100.0,
            cursor: (row.cursor != Cursor::OPEN).then_some(row.cursor.0),
            shields: reading.shields,
            probes: reading.probes,
        }
    }
}

fn services(sample: &Sample, history: &History) -> Vec<Value> {
    #[derive(Default)]
    struct Sum {
        states: [usize; STATES.len()],
        calls_per_s: f32,
        failures_per_s: f32,
        busy_ms_per_s: f32,
    }
    let mut sums: BTreeMap<u32, Sum> = BTreeMap::new();
    for row in sample.endpoints.iter().flat_map(|endpoints| &endpoints.all) {
        let flow = history.endpoint(&row.endpoint).map_or(Flow::default(), |track| track.flow);
        let sum = sums.entry(row.endpoint.service_id).or_default();
        sum.states[usize::from(number_of(row.state))] += 1;
        sum.calls_per_s += flow.calls_per_s;
        sum.failures_per_s += flow.failures_per_s;
        sum.busy_ms_per_s += flow.mean_ms.unwrap_or(0.0) * flow.calls_per_s;
    }
    for service in &sample.services {
        sums.entry(service.id).or_default();
    }
    let shown = sums.into_iter().map(|(id, sum)| {
        let listed = sample.services.iter().find(|service| service.id == id);
        json!({
            "id": id,
            "name": sample.service(id),
            "source": listed.map(|service| service.source),
            "servers": listed.map(|service| service.servers),
            "states": sum.states,
            "calls_per_s": sum.calls_per_s,
            "failures_per_s": sum.failures_per_s,
            "mean_ms": (sum.calls_per_s > 0.0).then(|| sum.busy_ms_per_s / sum.calls_per_s),
        })
    });
    shown.collect()
}

fn servers(sample: &Sample, history: &History) -> Vec<Value> {
    let processes = sample.stat.iter().flat_map(|stat| &stat.processes);
    processes.map(|process| server(process, history)).collect()
}

fn server(process: &Process, history: &History) -> Value {
    let rates = history.server(process.seat, process.incarnation).and_then(|track| track.rates.as_ref());
    let queue = process.queue.as_ref().map(|queue| {
        let per_s = |at: usize| rates.map_or(0.0, |rates| rates.refused_per_s.0[at]);
        let reasons = queue.refused.iter().enumerate().filter(|(_, (_, count))| *count > 0);
        let reasons: Vec<_> = reasons.map(|(at, (name, count))| json!([name, count, per_s(at)])).collect();
        json!({
            "mode": queue.mode,
            "shedding": queue.shedding,
            "queued": queue.queued,
            "running": queue.running,
            "demand": queue.demand_per_s,
            "capacity": queue.capacity_per_s,
            "cursor": (queue.cursor < Cursor::OPEN.0.into()).then_some(queue.cursor),
            "admitted_per_s": rates.map(|rates| rates.admitted_per_s),
            "completed_per_s": rates.map(|rates| rates.completed_per_s),
            "refused_per_s": rates.map(|rates| rates.refused_per_s.0.iter().sum::<f64>()),
            "refused": reasons,
        })
    });
    json!({
        "seat": process.seat,
        "pid": process.pid,
        "name": process.name,
        "state": process.state.name(),
        "beat_age_ms": process.beat_age_ms,
        "cpu_percent": process.cpu_per10k.map(|cpu| f64::from(cpu) / 100.0),
        "queue": queue,
    })
}

fn changes(sample: &Sample, history: &History) -> Vec<Value> {
    let last = history.changes.iter().rev().take(CHANGES_SHOWN);
    let shown = last.filter(|change| sample.taken.unix_s.saturating_sub(change.unix_s) < 3_600).map(|change| {
        let (address, service) = (change.endpoint.socket(), sample.service(change.endpoint.service_id));
        json!({ "at": change.unix_s, "address": address, "service": service, "from": change.from, "to": change.to,
            "reason": change.reason })
    });
    shown.collect()
}
