//! Who calls whom: what each process's calls to each service met, and how long they took.
//!
//! Programs that use the runtime's client count that in their own stripe of the shared counters. What others call is what the
//! cells of the endpoints have more than these say.

use std::collections::{BTreeMap, HashMap, VecDeque};

use mcrpc_core::host::calls::{self, BOUNDS_NS, Calls, Counted};
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::host::stat::Counters;
use mcrpc_core::shield::health::Totals;
use serde::Serialize;

use super::history::Flow;
use super::sample::Sample;

/// How much of a duration still counts after each look: those of the last ten seconds count most.
const KEPT: f32 = 0.9;
/// What nobody says is known a little less exactly from one look to the next than over ten.
const LOOKS: usize = 10;

/// What all processes say.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By seat and service.
    pub(super) calls: BTreeMap<(u32, u32), Calls>,
    /// For how many calls of a seat's processes there was no room among the counters.
    pub(super) untold: Vec<(u32, u64)>,
}

/// Calls by how long they took lately, in the order of the bounds.
type Durations = [f32; BOUNDS_NS.len() + 1];

/// All programs of a name that call a service, at the last look.
#[derive(Clone, Debug)]
struct Edge {
    /// Empty: programs that do not say.
    caller: String,
    service_id: u32,
    flow: Flow,
    durations: Durations,
    totals: Totals,
}

/// Who calls whom, and who did before.
#[derive(Default)]
pub(super) struct Callers {
    edges: Vec<Edge>,
    /// By seat, incarnation and service.
    told: HashMap<(u32, u32, u32), (Calls, Durations)>,
    unsaid: BTreeMap<u32, Unsaid>,
}

/// The calls to a service of which no program says that it has made them.
///
/// A program tells of its calls later than it puts them into the cells, by less than the time between two looks. So what the
/// cells had one look ago and nobody has told by now are calls of others.
#[derive(Debug)]
struct Unsaid {
    /// What the cells had at the last look.
    cells: Totals,
    /// The newest last.
    past: VecDeque<(f32, Totals)>,
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
    p50_ms: Option<f32>,
    p99_ms: Option<f32>,
}

/// Reads the counters.
pub(super) fn read(view: View<'_>, len: u64) -> Result<Told, Mismatch> {
    let counters = Counters::attach(view, len)?;
    let mut told = Told::default();
    for (counter, column) in counters.counters() {
        let Some(counted) = calls::counted(counter) else { continue };
        let of_seats = (0..=counters.seat_count()).map(|seat| (seat, counters.of_seat(seat, column)));
        let used = of_seats.filter(|(_, value)| *value != 0);
        match counted {
            Counted::Service { id, index } => {
                used.for_each(|(seat, value)| calls::put(told.calls.entry((seat, id)).or_default(), index, value));
            }
            Counted::Untold => told.untold.extend(used),
        }
    }
    Ok(told)
}

impl Callers {
    /// Takes note of a look, so many seconds after the last one.
    pub(super) fn observe(&mut self, sample: &Sample, seconds: f32) {
        self.edges.clear();
        let mut now = HashMap::with_capacity(self.told.len());
        for (&(seat, service_id), calls) in &sample.told.calls {
            let process = sample.stat.as_ref().and_then(|stat| stat.processes.iter().find(|it| it.seat == seat));
            let Some(process) = process else { continue };
            let key = (seat, process.incarnation, service_id);
            let (before, mut durations) = self.told.get(&key).copied().unwrap_or((*calls, Durations::default()));
            for (sum, new) in durations.iter_mut().zip(calls.since(&before).durations) {
                *sum = *sum * KEPT + new as f32;
            }
            now.insert(key, (*calls, durations));
            let flow = Flow::between(&before.totals, &calls.totals, seconds);
            let edge = Edge { caller: process.name.clone(), service_id, flow, durations, totals: calls.totals };
            let is_same = |other: &&mut Edge| other.service_id == service_id && other.caller == edge.caller;
            match self.edges.iter_mut().find(is_same) {
                Some(same) => same.add(&edge),
                None => self.edges.push(edge),
            }
        }
        self.told = now;
        self.observe_unsaid(sample, seconds);
        self.edges.sort_by(|a, b| (&a.caller, a.service_id).cmp(&(&b.caller, b.service_id)));
    }

    fn observe_unsaid(&mut self, sample: &Sample, seconds: f32) {
        let mut said: BTreeMap<u32, Totals> = BTreeMap::new();
        for ((_, service_id), calls) in &sample.told.calls {
            add(said.entry(*service_id).or_default(), &calls.totals);
        }
        let mut cells: BTreeMap<u32, Totals> = BTreeMap::new();
        for row in sample.endpoints.iter().flat_map(|endpoints| &endpoints.all) {
            add(cells.entry(row.endpoint.service_id).or_default(), &row.reading.totals);
        }
        self.unsaid.retain(|service_id, _| cells.contains_key(service_id));
        for (service_id, cells) in cells {
            let said = said.get(&service_id).copied();
            let unsaid = self.unsaid.entry(service_id).or_insert_with(|| Unsaid { cells, past: VecDeque::new() });
            let Some((totals, mut flow)) = unsaid.observe(cells, &said.unwrap_or_default(), seconds) else { continue };
            if said.is_some() {
                // Who says takes the time of calls, and the cells that of attempts.
                flow.mean_ms = None;
            }
            let (caller, durations) = (String::new(), Durations::default());
            self.edges.push(Edge { caller, service_id, flow, durations, totals });
        }
    }

    /// As it is drawn.
    pub(super) fn graph(&self, sample: &Sample) -> Graph {
        Graph { edges: self.edges.iter().map(|edge| GraphEdge::of(edge, sample)).collect() }
    }
}

impl Unsaid {
    /// What there is of such calls, if there are any.
    fn observe(&mut self, cells: Totals, said: &Totals, seconds: f32) -> Option<(Totals, Flow)> {
        if cells.requests() < self.cells.requests() {
            // They are those of another segment.
            *self = Unsaid { cells, past: VecDeque::new() };
            return None;
        }
        let before = self.past.back().map_or(Totals::default(), |(_, totals)| *totals);
        let totals = most(&before, &beyond(&self.cells, said));
        self.cells = cells;
        self.past.push_back((seconds, totals));
        let superfluous = self.past.len().saturating_sub(LOOKS + 1);
        self.past.drain(..superfluous);
        let (_, first) = self.past.front()?;
        let elapsed_s = self.past.iter().skip(1).map(|(seconds, _)| seconds).sum();
        (totals.requests() > 0).then(|| (totals, Flow::between(first, &totals, elapsed_s)))
    }
}

fn add(sum: &mut Totals, more: &Totals) {
    *sum = each(sum, more, u64::wrapping_add);
}

fn beyond(all: &Totals, part: &Totals) -> Totals {
    each(all, part, u64::saturating_sub)
}

fn most(a: &Totals, b: &Totals) -> Totals {
    each(a, b, u64::max)
}

fn each(a: &Totals, b: &Totals, of: fn(u64, u64) -> u64) -> Totals {
    let calls = std::array::from_fn(|at| of(a.calls[at], b.calls[at]));
    Totals { calls, time_us: of(a.time_us, b.time_us) }
}

impl Edge {
    /// Another process of the same name.
    fn add(&mut self, other: &Edge) {
        self.flow = self.flow.and(&other.flow);
        self.durations.iter_mut().zip(other.durations).for_each(|(sum, more)| *sum += more);
        add(&mut self.totals, &other.totals);
    }
}

impl GraphEdge {
    fn of(edge: &Edge, sample: &Sample) -> GraphEdge {
        let Edge { caller, service_id, flow, durations, totals } = edge;
        GraphEdge {
            caller: caller.clone(),
            service: sample.service(*service_id),
            service_id: *service_id,
            calls: totals.requests(),
            failures: totals.failures(),
            overloaded: totals.calls[3],
            calls_per_s: flow.calls_per_s,
            failures_per_s: flow.failures_per_s,
            mean_ms: flow.mean_ms,
            p50_ms: quantile_ms(durations, 0.5),
            p99_ms: quantile_ms(durations, 0.99),
        }
    }
}

/// As Prometheus reckons it: between two bounds durations lie evenly, and beyond the last one they are at it.
fn quantile_ms(durations: &Durations, share: f32) -> Option<f32> {
    let all: f32 = durations.iter().sum();
    // What is left of one call after a minute.
    if all < KEPT.powi(60) {
        return None;
    }
    let bounds_ms = BOUNDS_NS.map(|bound_ns| bound_ns as f32 / 1e6);
    let (mut left, mut from_ms) = (all * share, 0.0);
    for (count, to_ms) in durations.iter().zip(bounds_ms) {
        if left <= *count {
            return Some(from_ms + (to_ms - from_ms) * left / count);
        }
        (left, from_ms) = (left - count, to_ms);
    }
    Some(from_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(ok: u64) -> Totals {
        Totals { calls: [ok, 0, 0, 0], time_us: ok }
    }

    #[test]
    fn what_is_told_late_is_not_taken_for_calls_of_others() {
        let mut unsaid = Unsaid { cells: calls(0), past: VecDeque::new() };
        for second in 1..100 {
            let jitter = second % 7 * 60;
            assert!(unsaid.observe(calls(1_000 * second), &calls(1_000 * second - jitter), 1.0).is_none());
        }
    }

    #[test]
    fn calls_that_nobody_tells_of_are_seen_beside_those_that_are_told() {
        let mut unsaid = Unsaid { cells: calls(0), past: VecDeque::new() };
        let mut last = None;
        for second in 1..=40 {
            last = unsaid.observe(calls(1_300 * second), &calls(1_000 * second), 1.0);
        }
        let (totals, flow) = last.unwrap();
        // Less what others tell in a second, and what is one look old.
        assert_eq!(totals.requests(), 300 * 40 - 1_300);
        assert_eq!(flow.calls_per_s, 300.0);
        assert!(unsaid.observe(calls(5), &calls(0), 1.0).is_none(), "the cells are new");
        assert_eq!(unsaid.observe(calls(9), &calls(0), 1.0).unwrap().0.requests(), 5);
    }

    #[test]
    fn a_quantile_lies_between_the_bounds_of_its_bucket() {
        let mut durations = Durations::default();
        assert_eq!(quantile_ms(&durations, 0.5), None);
        (durations[2], durations[3]) = (98.0, 2.0);
        let between = |share, from_ns: u64, to_ns: u64| {
            let ms = quantile_ms(&durations, share).unwrap();
            assert!((from_ns as f32 / 1e6..=to_ns as f32 / 1e6).contains(&ms), "{share}: {ms}");
        };
        between(0.5, BOUNDS_NS[1], BOUNDS_NS[2]);
        between(0.99, BOUNDS_NS[2], BOUNDS_NS[3]);
        assert_eq!(quantile_ms(&std::array::from_fn(|at| at as f32), 1.0), Some(BOUNDS_NS[11] as f32 / 1e6));
    }
}
