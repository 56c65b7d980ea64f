//! Scenarios: worlds that have names, and what is measured in them.
//!
//! | module | |
//! |---|---|
//! | `loads` | steady load, steps, waves, bursts, users who come again |
//! | `servers` | what servers are like: times of calls, cost of refusing, queues, processes, one that is slow |
//! | `callers` | what callers are like: many, old, forging; and how important their tasks are |
//!
//! A scenario has one case for each number of calls per task and load, which tell its cases apart. Loads are multiples of the
//! usual capacity. The steady ones run for 140 s of which the first 90 are not measured: rivals that learn slowly are to be
//! measured by what they have learnt.

mod callers;
mod loads;
mod servers;

use std::ops::Range;

use crate::metric::Metric;
use crate::record::Span;
use crate::world::{Callers, World};

/// Cases under a name.
pub struct Scenario {
    /// Its name, as in tables and on the command line.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Its worlds.
    pub cases: Vec<Case>,
}

/// A world, and what is measured in it.
#[derive(Clone)]
pub struct Case {
    /// Calls that each task makes; `None`: tasks differ.
    pub calls_per_task: Option<usize>,
    /// The load where it is measured.
    pub load: f64,
    /// When it is measured. A disturbance ends with this time, if there is one.
    pub measured: Span,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// The same world without the disturbance.
    pub compared: Option<World>,
    /// The processes that are the others in [`Metric::OthersLoss`].
    pub others: Range<usize>,
    /// Whether goodput over time is of interest.
    pub has_curve: bool,
    world: World,
    of_seed: fn(&mut World),
}

impl Case {
    fn new(calls_per_task: usize, load: f64, measured: Span, metrics: &[Metric], world: World) -> Case {
        Case {
            calls_per_task: Some(calls_per_task),
            load,
            measured,
            metrics: metrics.to_vec(),
            compared: None,
            others: 0..world.callers.processes(),
            has_curve: false,
            world,
            of_seed: |_| {},
        }
    }

    fn measures(mut self, more: &[Metric]) -> Case {
        self.metrics.extend_from_slice(more);
        self
    }

    /// It is compared with the world as it is now, by what the others lose.
    fn compare(&mut self) {
        self.compared = Some(self.world.clone());
        self.metrics.push(Metric::OthersLoss);
    }

    fn called_by(&mut self, callers: Callers) {
        self.others = 0..callers.processes();
        self.world.callers = callers;
    }

    /// The world of a seed.
    pub fn world(&self, seed: u64) -> World {
        let mut world = World { seed, ..self.world.clone() };
        (self.of_seed)(&mut world);
        world
    }

    /// The world of a seed that it is compared with.
    pub fn compared_world(&self, seed: u64) -> Option<World> {
        self.compared.clone().map(|world| World { seed, ..world })
    }
}

/// How long worlds run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// As long as fair measurements take.
    Whole,
    /// As long as an impression takes.
    Quick,
}

impl Extent {
    /// One of two lengths.
    const fn s(self, whole_s: f64, quick_s: f64) -> f64 {
        match self {
            Extent::Whole => whole_s,
            Extent::Quick => quick_s,
        }
    }

    /// When steady worlds are measured, which is until their end.
    const fn steady(self) -> Span {
        Span { from_s: self.s(90.0, 20.0), to_s: self.s(140.0, 40.0) }
    }
}

/// What is measured where the load is steady.
const STEADY: [Metric; 10] = [
    Metric::OptimumShare,
    Metric::WorstSecond,
    Metric::P50,
    Metric::P99,
    Metric::Oscillation,
    Metric::HighPriorityServed,
    Metric::TopHalfServed,
    Metric::Inversion,
    Metric::RequestsPerCapacity,
    Metric::Wasted,
];

/// What is measured where it is not.
const CHANGING: [Metric; 6] =
    [Metric::OptimumShare, Metric::WorstSecond, Metric::P50, Metric::P99, Metric::RequestsPerCapacity, Metric::Wasted];

/// A scenario of steady worlds: each number of calls at each load.
fn steady(
    name: &'static str,
    about: &'static str,
    span: Span,
    calls: &[usize],
    loads: &[f64],
    shape: impl Fn(&mut Case),
) -> Scenario {
    let mut cases = Vec::new();
    for &calls in calls {
        for &load in loads {
            let mut case = Case::new(calls, load, span, &STEADY, World::steady(calls, load, span.to_s));
            shape(&mut case);
            cases.push(case);
        }
    }
    Scenario { name, about, cases }
}

/// All scenarios.
pub fn all(extent: Extent) -> Vec<Scenario> {
    let mut all = loads::scenarios(extent);
    all.extend(servers::scenarios(extent));
    all.extend(callers::scenarios(extent));
    all
}
