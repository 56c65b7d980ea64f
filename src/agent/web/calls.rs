//! Who calls whom: what each process's calls to each service met.
//!
//! Programs that use the runtime's client count that in their own stripe of the shared counters. What others call is known
//! for the host as a whole only, from the cells of the endpoints.

use std::collections::BTreeMap;

use mcrpc_core::host::calls;
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::host::stat::Counters;
use mcrpc_core::shield::health::Totals;
use serde::Serialize;

use super::history::{Flow, History};
use super::sample::Sample;

/// What the processes of a seat have called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) seat: u32,
    pub(super) service_id: u32,
    pub(super) totals: Totals,
}

/// All programs of a name that call a service, since the last look.
#[derive(Clone, Debug)]
pub(super) struct Edge {
    pub(super) caller: String,
    pub(super) service_id: u32,
    pub(super) flow: Flow,
    pub(super) totals: Totals,
}

/// Who calls whom, as it is drawn.
#[derive(Debug, Serialize)]
pub(super) struct Graph {
    edges: Vec<GraphEdge>,
}

#[derive(Debug, Serialize)]
struct GraphEdge {
    /// The name of a program; empty: programs that do not say.
    caller: String,
    service: String,
    service_id: u32,
    calls: u64,
    failures: u64,
    overloaded: u64,
    calls_per_s: f32,
    failures_per_s: f32,
    mean_ms: Option<f32>,
}

/// Reads the counters.
pub(super) fn read(view: View<'_>, len: u64) -> Result<Vec<Calls>, Mismatch> {
    let counters = Counters::attach(view, len)?;
    let mut all: BTreeMap<(u32, u32), Totals> = BTreeMap::new();
    for (counter, column) in counters.counters() {
        let Some((index, service_id)) = calls::service_of(counter) else { continue };
        for seat in 0..=counters.seat_count() {
            let value = counters.of_seat(seat, column);
            if value != 0 {
                calls::put(all.entry((seat, service_id)).or_default(), index, value);
            }
        }
    }
    Ok(all.into_iter().map(|((seat, service_id), totals)| Calls { seat, service_id, totals }).collect())
}

impl Edge {
    /// Another process of the same name.
    pub(super) fn add(&mut self, flow: Flow, totals: &Totals) {
        let (mine, its) = (self.flow.calls_per_s, flow.calls_per_s);
        let weighted = |flow: &Flow| flow.mean_ms.unwrap_or(0.0) * flow.calls_per_s;
        let mean_ms = (mine + its > 0.0).then(|| (weighted(&self.flow) + weighted(&flow)) / (mine + its));
        let failures_per_s = self.flow.failures_per_s + flow.failures_per_s;
        self.flow = Flow { calls_per_s: mine + its, failures_per_s, mean_ms };
        for (calls, more) in self.totals.calls.iter_mut().zip(totals.calls) {
            *calls = calls.wrapping_add(more);
        }
        self.totals.time_us = self.totals.time_us.wrapping_add(totals.time_us);
    }
}

impl Graph {
    /// Of the last look. What no program says of itself is what the host's calls are more than those that are said.
    pub(super) fn of(sample: &Sample, history: &History) -> Graph {
        let mut edges: Vec<Edge> = history.graph.clone();
        let mut host: BTreeMap<u32, Edge> = BTreeMap::new();
        for row in sample.endpoints.iter().flat_map(|endpoints| &endpoints.all) {
            let service_id = row.endpoint.service_id;
            let Some(track) = history.endpoint(&row.endpoint) else { continue };
            let nobody =
                || Edge { caller: String::new(), service_id, flow: Flow::default(), totals: Totals::default() };
            host.entry(service_id).or_insert_with(nobody).add(track.flow, &row.reading.totals);
        }
        let said = edges.iter().map(|edge| edge.service_id).collect::<std::collections::BTreeSet<_>>();
        edges.extend(host.into_values().filter(|edge| !said.contains(&edge.service_id)));
        edges.sort_by(|a, b| (&a.caller, a.service_id).cmp(&(&b.caller, b.service_id)));
        Graph { edges: edges.into_iter().map(|edge| GraphEdge::of(edge, sample)).collect() }
    }
}

impl GraphEdge {
    fn of(edge: Edge, sample: &Sample) -> GraphEdge {
        let Edge { caller, service_id, flow, totals } = edge;
        GraphEdge {
            caller,
            service: sample.service(service_id),
            service_id,
            calls: totals.requests(),
            failures: totals.failures(),
            overloaded: totals.calls[3],
            calls_per_s: flow.calls_per_s,
            failures_per_s: flow.failures_per_s,
            mean_ms: flow.mean_ms,
        }
    }
}
