//! What the host's shared segments hold, as Prometheus reads it. `docs/dashboard.md` lists the names.
//!
//! Written straight from a sample. A user's uin is never a label. An endpoint of which nothing is wrong has no state here, only
//! its calls.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use mcrpc_core::admission::Cursor;
use mcrpc_core::host::calls::{BOUNDS_NS, Calls, FIRST_ID};
use mcrpc_core::id::Per10k;
use mcrpc_core::shield::health::Totals;
use mcrpc_discovery::table::EtcdState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use rustix::time::{ClockId, clock_gettime};

use super::history::{STATES, number_of};
use super::sample::{EndpointRow, Sample};
use crate::host::health::Health;
use crate::host::liveness::Life;
use crate::host::stat::{Process, Queue};

const OUTCOMES: [&str; 4] = ["ok", "logic", "failed", "overloaded"];

/// What a sample says, for a registry.
#[derive(Debug)]
pub(super) struct Shown(pub(super) Arc<Sample>);

enum Value {
    Whole(u64),
    Real(f64),
}

use Value::{Real, Whole};

/// A metric: its name, its unit, what it says, and the names of its labels.
type Definition<const N: usize> = (&'static str, Option<Unit>, &'static str, [&'static str; N]);

struct Writer<'w, 'e>(&'w mut DescriptorEncoder<'e>);

impl Writer<'_, '_> {
    fn counters<const N: usize>(
        &mut self,
        definition: Definition<N>,
        rows: impl IntoIterator<Item = ([String; N], Value)>,
    ) -> fmt::Result {
        self.all(MetricType::Counter, definition, rows, |place, value| match value {
            Whole(sum) => place.encode_counter::<NoLabelSet, _, u64>(&sum, None),
            Real(sum) => place.encode_counter::<NoLabelSet, _, u64>(&sum, None),
        })
    }

    fn gauges<const N: usize>(
        &mut self,
        definition: Definition<N>,
        rows: impl IntoIterator<Item = ([String; N], Value)>,
    ) -> fmt::Result {
        self.all(MetricType::Gauge, definition, rows, |place, value| match value {
            Whole(now) => place.encode_gauge(&now),
            Real(now) => place.encode_gauge(&now),
        })
    }

    fn histograms<'c, const N: usize>(
        &mut self,
        definition: Definition<N>,
        rows: impl IntoIterator<Item = ([String; N], &'c Calls)>,
    ) -> fmt::Result {
        let bounds_s = BOUNDS_NS.into_iter().map(|bound_ns| bound_ns as f64 / 1e9).chain([f64::INFINITY]);
        let bounds_s: Vec<f64> = bounds_s.collect();
        self.all(MetricType::Histogram, definition, rows, |place, calls| {
            let buckets: Vec<_> = bounds_s.iter().copied().zip(calls.durations).collect();
            place.encode_histogram::<NoLabelSet>(calls.totals.time_us as f64 / 1e6, calls.timed(), &buckets, None)
        })
    }

    fn all<const N: usize, V>(
        &mut self,
        kind: MetricType,
        (name, unit, help, labels): Definition<N>,
        rows: impl IntoIterator<Item = ([String; N], V)>,
        write: impl Fn(&mut MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, unit.as_ref(), kind)?;
        for (values, value) in rows {
            let set = std::array::from_fn::<_, N, _>(|at| (labels[at], values[at].as_str()));
            if N == 0 {
                write(&mut encoder, value)?;
            } else {
                write(&mut encoder.encode_family(&set)?, value)?;
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn counter(&mut self, name: &'static str, help: &'static str, value: u64) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        encoder.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (sample, mut to) = (&*self.0, Writer(&mut encoder));
        agent(sample, &mut to)?;
        orders(sample, &mut to)?;
        processes(sample, &mut to)?;
        queues(sample, &mut to)?;
        calls(sample, &mut to)?;
        endpoints(sample, &mut to)?;
        counters(sample, &mut to)
    }
}

const SECONDS: Option<Unit> = Some(Unit::Seconds);

fn agent(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    if let Some(table) = &sample.strategies {
        let age = table.refreshed_age_ms.map(|ms| ([], Real(ms as f64 / 1e3)));
        to.gauges(("mcrpc_agent_refresh_age", SECONDS, "Since strategies were last refreshed", []), age)?;
        to.counter("mcrpc_agent_refreshes", "How often strategies were refreshed", table.refreshes)?;
        to.gauge(
            "mcrpc_agent_strategies",
            "Endpoints of which not all calls pass; 0 while they are stale",
            table.active,
        )?;
        let refused = [("full", table.full_refusals), ("collision", table.collisions)];
        to.counters(
            ("mcrpc_agent_strategies_refused", None, "Entries for which the table had no place, by why", ["why"]),
            refused.map(|(why, count)| ([why.to_owned()], Whole(count))),
        )?;
    }
    to.gauges(
        ("mcrpc_agent_segment_believed", None, "Whether a segment is in use and whole: 1 if it is", ["segment"]),
        sample.segments.iter().map(|(name, it)| ([(*name).to_owned()], Whole((*it == Health::Ok).into()))),
    )?;
    to.gauge("mcrpc_agent_services", "Services that are known by name", sample.services.len() as u64)?;
    let etcd = match sample.etcd {
        EtcdState::Unused => None,
        EtcdState::Followed(_) => Some(1),
        EtcdState::Away(_) => Some(0),
    };
    to.gauges(
        ("mcrpc_agent_etcd_followed", None, "Whether etcd is followed: 1 if it is; nothing without etcd", []),
        etcd.map(|followed| ([], Whole(followed))),
    )?;
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu_s = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    to.counters(("process_cpu", SECONDS, "CPU time of the agent", []), [([], Real(cpu_s))])?;
    let memory = resident_bytes().map(|bytes| ([], Whole(bytes)));
    to.gauges(("process_resident_memory", Some(Unit::Bytes), "Memory of the agent", []), memory)
}

/// The second number is that of resident pages.
fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn orders(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    let Some(orders) = &sample.orders else { return Ok(()) };
    to.gauge("mcrpc_host_killed", "Whether the kill switch is on: 1 if it is", orders.killed.into())?;
    let shields = orders.shields.iter().filter(|order| order.term.in_force).count();
    let dyes = orders.dyes.iter().filter(|order| order.term.in_force).count();
    let modes = orders.modes.iter().filter(|order| order.mode.is_some()).count();
    let kinds = [("shield", shields), ("skip", orders.skips.len()), ("dye", dyes), ("mode", modes)];
    to.gauges(
        ("mcrpc_host_orders", None, "What the operator has said and is in force", ["kind"]),
        kinds.map(|(kind, count)| ([kind.to_owned()], Whole(count as u64))),
    )
}

fn of(process: &Process) -> [String; 2] {
    [process.seat.to_string(), process.name.clone()]
}

fn processes(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    let Some(stat) = &sample.stat else { return Ok(()) };
    to.gauges(
        ("mcrpc_host_processes", None, "Processes that have a seat", ["state"]),
        [Life::Alive, Life::Hung, Life::Dead].map(|life| ([life.name().to_owned()], Whole(stat.count(life) as u64))),
    )?;
    to.gauge("mcrpc_host_seats", "Processes that may have a seat", stat.seats.into())?;
    let all = || stat.processes.iter();
    let labels = ["seat", "process"];
    to.gauges(
        ("mcrpc_process_heartbeat_age", SECONDS, "Since the process last did its housekeeping", labels),
        all().map(|it| (of(it), Real(it.beat_age_ms as f64 / 1e3))),
    )?;
    to.gauges(
        (
            "mcrpc_process_cpu_used",
            Some(Unit::Other("ratio".to_owned())),
            "How much is used of the CPU time that it may use",
            labels,
        ),
        all().filter_map(|it| Some((of(it), Real(f64::from(it.cpu_per10k?) / 1e4)))),
    )?;
    to.counters(
        ("mcrpc_process_unanswered", None, "Questions that were answered with no policy", labels),
        all().map(|it| (of(it), Whole(it.unanswered))),
    )
}

fn queues(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    let Some(stat) = &sample.stat else { return Ok(()) };
    let all = || stat.processes.iter().filter_map(|process| Some((process, process.queue.as_ref()?)));
    let labels = ["seat", "process"];
    type Figure = (&'static str, &'static str, fn(&Queue) -> Option<Value>);
    let gauges: [Figure; 6] = [
        ("mcrpc_process_queued", "Requests that wait", |queue| Some(Whole(queue.queued))),
        ("mcrpc_process_running", "Requests that run", |queue| Some(Whole(queue.running))),
        ("mcrpc_process_demand_per_second", "New work that is offered", |queue| Some(Real(queue.demand_per_s))),
        ("mcrpc_process_capacity_per_second", "What can be completed, if that is known", |queue| {
            queue.capacity_per_s.map(Real)
        }),
        ("mcrpc_process_shedding", "Whether load is shed: 1 if it is", |queue| Some(Whole(queue.shedding.into()))),
        ("mcrpc_process_cursor", "Keys at or above it are refused", |queue| Some(Whole(queue.cursor))),
    ];
    for (name, help, figure) in gauges {
        to.gauges((name, None, help, labels), all().filter_map(|(it, queue)| Some((of(it), figure(queue)?))))?;
    }
    to.counters(
        ("mcrpc_process_admitted", None, "Requests that were admitted", labels),
        all().map(|(it, queue)| (of(it), Whole(queue.admitted))),
    )?;
    to.counters(
        ("mcrpc_process_completed", None, "Requests that were admitted and run to their end", labels),
        all().map(|(it, queue)| (of(it), Whole(queue.completed))),
    )?;
    let labels = ["seat", "process", "reason"];
    let by_reason = |it: &Process, reason: String| [it.seat.to_string(), it.name.clone(), reason];
    to.counters(
        ("mcrpc_process_refused", None, "Requests that admission refused", labels),
        all().flat_map(|(it, queue)| queue.refused.iter().map(|(name, n)| (by_reason(it, name), Whole(n)))),
    )?;
    to.counters(
        ("mcrpc_process_would_refuse", None, "Requests that admission would have refused, only observing", labels),
        all().flat_map(|(it, queue)| queue.would_refuse.iter().map(|(name, n)| (by_reason(it, name), Whole(n)))),
    )
}

fn calls(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    let name_of = |seat: u32| {
        let processes = sample.stat.iter().flat_map(|stat| &stat.processes);
        processes.into_iter().find(|it| it.seat == seat).map_or("", |it| it.name.as_str()).to_owned()
    };
    let all = || {
        let told = sample.told.calls.iter();
        told.map(|(&(seat, id), calls)| ([seat.to_string(), name_of(seat), sample.service(id)], calls))
    };
    let labels = ["seat", "process", "peer_service", "outcome"];
    to.counters(
        ("mcrpc_process_calls", None, "Attempts that the processes of a seat have made, by what they met", labels),
        all().flat_map(|([seat, name, service], calls)| {
            by_outcome(&calls.totals)
                .map(move |(outcome, n)| ([seat.clone(), name.clone(), service.clone(), outcome.to_owned()], Whole(n)))
        }),
    )?;
    let labels = ["seat", "process", "peer_service"];
    to.histograms(
        ("mcrpc_process_call_duration", SECONDS, "How long these calls took, with all their attempts", labels),
        all().filter(|(_, calls)| calls.timed() > 0),
    )?;
    to.counters(
        (
            "mcrpc_process_calls_untold",
            None,
            "Calls that are missing in part above, without room among the counters",
            ["seat", "process"],
        ),
        sample.told.untold.iter().map(|&(seat, n)| ([seat.to_string(), name_of(seat)], Whole(n))),
    )
}

fn by_outcome(totals: &Totals) -> impl Iterator<Item = (&'static str, u64)> + use<> {
    OUTCOMES.into_iter().zip(totals.calls)
}

fn endpoints(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    let Some(endpoints) = &sample.endpoints else { return Ok(()) };
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for row in &endpoints.all {
        names.entry(row.endpoint.service_id).or_insert_with(|| sample.service(row.endpoint.service_id));
    }
    let of = |row: &EndpointRow| [row.endpoint.socket().to_string(), names[&row.endpoint.service_id].clone()];
    let and = |[endpoint, service]: [String; 2], last: &str| [endpoint, service, last.to_owned()];
    let mut counts = [0; STATES.len()];
    endpoints.all.iter().for_each(|row| counts[usize::from(number_of(row.state))] += 1);
    to.gauges(
        ("mcrpc_host_endpoints", None, "Endpoints that were called, by the state of their breakers", ["state"]),
        STATES.into_iter().zip(counts).map(|(state, count)| ([state.to_owned()], Whole(count))),
    )?;
    to.gauge("mcrpc_host_endpoint_slots", "Endpoints of which something can be known", endpoints.slots)?;
    let all = || endpoints.all.iter();
    let labels = ["endpoint", "peer_service"];
    to.counters(
        (
            "mcrpc_host_calls",
            None,
            "Attempts of all processes, by what they met",
            ["endpoint", "peer_service", "outcome"],
        ),
        all().flat_map(|row| by_outcome(&row.reading.totals).map(move |(name, n)| (and(of(row), name), Whole(n)))),
    )?;
    to.counters(
        ("mcrpc_host_call_duration", SECONDS, "Time that these attempts took, summed up", labels),
        all().map(|row| (of(row), Real(row.reading.totals.time_us as f64 / 1e6))),
    )?;
    to.gauges(
        (
            "mcrpc_host_endpoint_state",
            None,
            "1 for the state of a breaker that is not normal",
            ["endpoint", "peer_service", "state"],
        ),
        all()
            .filter(|row| number_of(row.state) != 0)
            .map(|row| (and(of(row), STATES[usize::from(number_of(row.state))]), Whole(1))),
    )?;
    to.counters(
        ("mcrpc_host_endpoint_shields", None, "How often an endpoint was shielded, if it ever was", labels),
        all().filter(|row| row.reading.shields > 0).map(|row| (of(row), Whole(row.reading.shields))),
    )?;
    to.counters(
        ("mcrpc_host_endpoint_probes", None, "Calls that were let through to see whether it works", labels),
        all().filter(|row| row.reading.probes > 0).map(|row| (of(row), Whole(row.reading.probes))),
    )?;
    to.gauges(
        (
            "mcrpc_host_endpoint_pass",
            Some(Unit::Other("ratio".to_owned())),
            "Which share of the calls is made, unless all are",
            labels,
        ),
        all()
            .filter(|row| row.pass_rate != Per10k::ALL)
            .map(|row| (of(row), Real(f64::from(row.pass_rate.get()) / 1e4))),
    )?;
    to.gauges(
        ("mcrpc_host_endpoint_cursor", None, "Keys at or above it are refused, while the endpoint refuses", labels),
        all().filter(|row| row.cursor != Cursor::OPEN).map(|row| (of(row), Whole(row.cursor.0.into()))),
    )
}

fn counters(sample: &Sample, to: &mut Writer<'_, '_>) -> fmt::Result {
    if let Some(stat) = &sample.stat {
        let is_own = |id: u32| id < FIRST_ID;
        let all = |kind: &'static str| {
            let these = stat.counters.iter().filter(move |it| it.kind == kind && is_own(it.id));
            these.filter_map(|it| Some(([it.id.to_string(), it.key.to_string()], Whole(it.value?))))
        };
        to.counters(("mcrpc_host_counter", None, "Counters of the programs' own", ["id", "key"]), all("sum"))?;
        to.gauges(("mcrpc_host_maximum", None, "Maxima of the programs' own, of 10 s", ["id", "key"]), all("max"))?;
    }
    if let Some(traces) = &sample.traces {
        to.counter("mcrpc_host_records_dropped", "Trace records that were dropped", traces.dropped)?;
    }
    match &sample.logs {
        Some(logs) => to.counter("mcrpc_host_log_lines_dropped", "Log lines without room in their rings", logs.dropped),
        None => Ok(()),
    }
}
