//! What happened in a run, in bins of 100 ms, and what can be said of it.

use mcrpc_core::admission::Key;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use crate::world::World;

/// Length of a bin.
pub const BIN_MS: u64 = 100;
const BINS_PER_S: usize = 1_000 / BIN_MS as usize;

/// A bin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bin {
    /// Tasks that arrived, and how many of those succeeded.
    pub offered: u64,
    /// See above.
    pub succeeded: u64,
    /// Tasks that were completed in time, in this bin.
    pub good: u64,
    /// Requests that reached a server.
    pub requests: u64,
    /// Calls that were run to their end.
    pub run: u64,
}

/// The end of a task.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// When it arrived.
    pub arrived: Nanos,
    /// How important it was.
    pub key: Key,
    /// Its kind.
    pub kind: usize,
    /// The process that made its calls.
    pub process: usize,
    /// How long it took if it succeeded.
    pub latency_ns: Option<u64>,
}

/// A run.
pub struct Record {
    /// What was simulated.
    pub world: World,
    /// By time.
    pub bins: Vec<Bin>,
    /// Every task, in the order of their ends.
    pub tasks: Vec<Ended>,
    /// Hash over every decision of a server in order.
    pub decisions: u64,
}

/// From and to, in s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Included.
    pub from_s: f64,
    /// Not included.
    pub to_s: f64,
}

impl Span {
    /// How long it is.
    pub fn length_s(&self) -> f64 {
        self.to_s - self.from_s
    }
}

/// Added to the beginning of a stretch: at the very time of a change its sum may be rounded to before it.
const MOMENT_S: f64 = 1e-6;

impl Record {
    /// Nothing happened yet.
    pub fn new(world: &World) -> Record {
        let bins = ((world.length_s * BINS_PER_S as f64) as usize) + BINS_PER_S * 2 + 1;
        Record {
            world: world.clone(),
            bins: vec![Bin::default(); bins],
            tasks: Vec::new(),
            decisions: 0xcbf2_9ce4_8422_2325,
        }
    }

    /// The bin of a time.
    pub fn bin(&mut self, at: Nanos) -> &mut Bin {
        let last = self.bins.len() - 1;
        &mut self.bins[((at.0 / NANOS_PER_MILLI / BIN_MS) as usize).min(last)]
    }

    /// A server decided so (FNV-1a).
    pub fn decided(&mut self, code: i32) {
        self.decisions = (self.decisions ^ u64::from(code.cast_unsigned())).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn sum(&self, span: Span, value: impl Fn(&Bin) -> u64) -> f64 {
        self.span(span).iter().map(value).sum::<u64>() as f64
    }

    fn span(&self, span: Span) -> &[Bin] {
        let bin = |s: f64| (s * BINS_PER_S as f64).round() as usize;
        &self.bins[bin(span.from_s)..bin(span.to_s).min(self.bins.len())]
    }

    /// The parts of a span in which load and capacity are steady.
    fn stretches(&self, span: Span) -> Vec<Span> {
        let mut changes: Vec<f64> = self.world.phases.iter().map(|phase| phase.from_s).collect();
        for service in &self.world.services {
            changes.extend(service.capacity.iter().flat_map(|change| [change.from_s, change.to_s]));
        }
        changes.retain(|at_s| (span.from_s..span.to_s).contains(at_s));
        changes.extend([span.from_s, span.to_s]);
        changes.sort_by(f64::total_cmp);
        changes.windows(2).map(|pair| Span { from_s: pair[0], to_s: pair[1] }).collect()
    }

    /// Tasks that an omniscient server would have completed: in each stretch of steady load and capacity all that came, or all
    /// that it can.
    pub fn possible(&self, span: Span) -> f64 {
        let possible = |stretch: Span| {
            let possible = self.world.possible_tasks_per_s(stretch.from_s + MOMENT_S) * stretch.length_s();
            possible.min(self.sum(stretch, |bin| bin.offered))
        };
        self.stretches(span).into_iter().map(possible).sum()
    }

    /// Tasks that arrive at a time, as a multiple of those that could be served.
    pub fn overload(&self, at_s: f64) -> f64 {
        let at_s = at_s + MOMENT_S;
        self.world.offered_tasks_per_s(at_s) / self.world.possible_tasks_per_s(at_s)
    }

    /// Good tasks, as a share of what was possible.
    pub fn optimum_share(&self, span: Span) -> f64 {
        self.sum(span, |bin| bin.good) / self.possible(span).max(1.0)
    }

    /// The least share of the optimum in any second, at steps of a second.
    pub fn worst_second(&self, span: Span) -> f64 {
        let seconds = span.length_s() as usize;
        let second = |n| Span { from_s: span.from_s + n as f64, to_s: span.from_s + n as f64 + 1.0 };
        (0..seconds).map(|n| self.optimum_share(second(n))).fold(f64::INFINITY, f64::min)
    }

    /// Of the tasks that arrived in a span, those that succeeded.
    pub fn success(&self, span: Span) -> f64 {
        self.sum(span, |bin| bin.succeeded) / self.sum(span, |bin| bin.offered).max(1.0)
    }

    /// Of the tasks that arrived in a span while all that came could be served, those that failed.
    pub fn low_phase_refused(&self, span: Span) -> f64 {
        let low = self.stretches(span).into_iter().filter(|stretch| self.overload(stretch.from_s) < 1.0);
        let (offered, succeeded) = low.fold((0.0, 0.0), |(offered, succeeded), stretch| {
            (offered + self.sum(stretch, |bin| bin.offered), succeeded + self.sum(stretch, |bin| bin.succeeded))
        });
        1.0 - succeeded / f64::max(offered, 1.0)
    }

    /// How long after a time it takes until 99 of 100 tasks succeed in each second up to the end of the arrivals; `None`: never.
    pub fn recovery_s(&self, from_s: f64) -> Option<f64> {
        const NORMAL: f64 = 0.99;
        let mut at_s = self.world.length_s - 1.0;
        if self.success(Span { from_s: at_s, to_s: at_s + 1.0 }) < NORMAL {
            return None;
        }
        let step_s = 1.0 / BINS_PER_S as f64;
        while at_s - step_s >= from_s
            && self.success(Span { from_s: at_s - step_s, to_s: at_s - step_s + 1.0 }) >= NORMAL
        {
            at_s -= step_s;
        }
        // Steps of a tenth add up to a little more or less than whole ones.
        Some(((at_s - from_s).max(0.0) * BINS_PER_S as f64).round() / BINS_PER_S as f64)
    }

    /// The tasks that arrived in a span.
    pub fn arrived(&self, span: Span) -> impl Iterator<Item = &Ended> {
        let ns = |s: f64| (s * 1e9) as u64;
        self.tasks.iter().filter(move |task| (ns(span.from_s)..ns(span.to_s)).contains(&task.arrived.0))
    }

    /// A quantile of the time of good tasks that arrived in a span, in ms; 0 if there was none.
    pub fn latency_ms(&self, span: Span, quantile: f64) -> f64 {
        let mut all: Vec<u64> = self.arrived(span).filter_map(|task| task.latency_ns).collect();
        if all.is_empty() {
            return 0.0;
        }
        let place = ((all.len() - 1) as f64 * quantile) as usize;
        *all.select_nth_unstable(place).1 as f64 / NANOS_PER_MILLI as f64
    }

    /// The coefficient of variation of what is good in a bin.
    pub fn oscillation(&self, span: Span) -> f64 {
        let good: Vec<f64> = self.span(span).iter().map(|bin| bin.good as f64).collect();
        let mean = good.iter().sum::<f64>() / good.len() as f64;
        let variance = good.iter().map(|good| (good - mean).powi(2)).sum::<f64>() / good.len() as f64;
        if mean > 0.0 { variance.sqrt() / mean } else { 0.0 }
    }

    /// Requests that reached servers, over the calls that they could complete.
    pub fn requests_per_capacity(&self, span: Span) -> f64 {
        let at = |at_s| self.world.services.iter().map(|service| service.capacity_per_s(at_s)).sum::<f64>();
        let capacity = |stretch: Span| at(stretch.from_s + MOMENT_S) * stretch.length_s();
        self.sum(span, |bin| bin.requests) / self.stretches(span).into_iter().map(capacity).sum::<f64>()
    }

    /// Calls that were run for tasks that failed, as a share of all that were run.
    pub fn wasted(&self, span: Span) -> f64 {
        let run = self.sum(span, |bin| bin.run);
        let calls = |task: &Ended| if task.latency_ns.is_some() { self.world.kinds[task.kind].calls.len() } else { 0 };
        let useful: usize = self.arrived(span).map(calls).sum();
        (1.0 - useful as f64 / run.max(1.0)).max(0.0)
    }

    /// Success by tenths of the order of importance, the most important first.
    pub fn success_by_tenth(&self, span: Span) -> [f64; 10] {
        let mut tasks: Vec<(Key, bool)> =
            self.arrived(span).map(|task| (task.key, task.latency_ns.is_some())).collect();
        tasks.sort_unstable();
        let len = tasks.len();
        std::array::from_fn(|tenth| {
            let part = &tasks[len * tenth / 10..len * (tenth + 1) / 10];
            part.iter().filter(|(_, good)| *good).count() as f64 / part.len().max(1) as f64
        })
    }

    /// Success of the kinds of tasks.
    pub fn success_by_kind(&self, span: Span) -> Vec<f64> {
        self.success_by(span, self.world.kinds.len(), |task| task.kind)
    }

    /// Success of the processes that call.
    pub fn success_by_process(&self, span: Span) -> Vec<f64> {
        self.success_by(span, self.world.callers.processes(), |task| task.process)
    }

    fn success_by(&self, span: Span, groups: usize, group: impl Fn(&Ended) -> usize) -> Vec<f64> {
        let mut counts = vec![(0u64, 0u64); groups];
        for task in self.arrived(span) {
            let (good, all) = &mut counts[group(task)];
            *good += u64::from(task.latency_ns.is_some());
            *all += 1;
        }
        counts.iter().map(|&(good, all)| good as f64 / all.max(1) as f64).collect()
    }
}
