//! Scenarios × policies × seeds, on all processors.
//!
//! The order of the results is that of the scenarios, their cases and the policies, whatever order the runs end in. All policies
//! meet the same arrivals: seeds are 1, 2, 3 and so on. What is given is the median over the seeds, with the least and the most.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::metric::{Measurement, Metric};
use crate::policy::Policy;
use crate::record::{BIN_MS, Record};
use crate::run::run;
use crate::scenario::{Case, Scenario};

/// What one policy came to in one case.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The policy's name.
    pub policy: &'static str,
    /// Calls that each task makes; `None`: tasks differ.
    pub calls_per_task: Option<usize>,
    /// The load, as a multiple of the usual capacity.
    pub load: f64,
    /// How many runs.
    pub seeds: u64,
    /// What was measured.
    pub figures: BTreeMap<Metric, Figure>,
}

/// A figure over all seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// In the middle; of latches the sum.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// Goodput over time, of the first seed.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The scenario's name.
    pub scenario: &'static str,
    /// The policy's name.
    pub policy: &'static str,
    /// Calls that each task makes.
    pub calls_per_task: Option<usize>,
    /// Length of a bin.
    pub bin_ms: u64,
    /// Tasks that arrived in each bin, per second.
    pub offered_per_s: Vec<f64>,
    /// Tasks that were completed in time in each bin, per second.
    pub good_per_s: Vec<f64>,
    /// Tasks that could be served, per second.
    pub capacity_per_s: Vec<f64>,
}

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// By scenario, case and policy.
    pub cells: Vec<Cell>,
    /// Of the cases that have them.
    pub curves: Vec<Curve>,
}

impl Cell {
    /// A median, if it was measured.
    pub fn median(&self, metric: Metric) -> Option<f64> {
        self.figures.get(&metric).map(|figure| figure.median)
    }

    /// Whether two cells are of the same case.
    pub fn is_beside(&self, other: &Cell) -> bool {
        self.scenario == other.scenario && self.has_case(other.calls_per_task, other.load)
    }

    /// Whether it is of a case of its scenario.
    pub fn has_case(&self, calls_per_task: Option<usize>, load: f64) -> bool {
        self.calls_per_task == calls_per_task && self.load == load
    }
}

/// The medians by their names, then least and most as `spread`; what is infinite is null.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("scenario", self.scenario)?;
        map.serialize_entry("policy", self.policy)?;
        if let Some(calls) = self.calls_per_task {
            map.serialize_entry("calls_per_task", &calls)?;
        }
        map.serialize_entry("load", &self.load)?;
        map.serialize_entry("seeds", &self.seeds)?;
        for (metric, figure) in &self.figures {
            map.serialize_entry(metric.name(), &figure.median)?;
        }
        let spread: BTreeMap<&str, [f64; 2]> =
            self.figures.iter().map(|(metric, figure)| (metric.name(), [figure.least, figure.most])).collect();
        map.serialize_entry("spread", &spread)?;
        map.end()
    }
}

/// How many runs a campaign makes.
pub fn run_count(scenarios: &[Scenario], policies: usize, seeds: u64) -> u64 {
    let cases: usize = scenarios.iter().map(|scenario| scenario.cases.len()).sum();
    (cases * policies) as u64 * seeds
}

/// Runs all policies in all scenarios; `ran` is called after each run, from any thread.
pub fn campaign(scenarios: &[Scenario], policies: &[Box<dyn Policy>], seeds: u64, ran: &(dyn Fn() + Sync)) -> Results {
    let mut jobs = Vec::new();
    for scenario in scenarios {
        for case in &scenario.cases {
            jobs.extend(policies.iter().map(|policy| (scenario, case, &**policy)));
        }
    }
    let runs: Vec<(usize, u64)> = (0..jobs.len()).flat_map(|job| (1..=seeds).map(move |seed| (job, seed))).collect();
    let measured: Vec<Measured> = runs
        .into_par_iter()
        // One by one: runs differ a hundredfold in length.
        .with_max_len(1)
        .map(|(job, seed)| {
            let (scenario, case, policy) = jobs[job];
            let measured = measure(scenario, case, policy, seed);
            ran();
            measured
        })
        .collect();
    let mut results = Results { cells: Vec::new(), curves: Vec::new() };
    for (&(scenario, case, policy), of_seeds) in jobs.iter().zip(measured.chunks(seeds.max(1) as usize)) {
        results.cells.push(Cell {
            scenario: scenario.name,
            policy: policy.name(),
            calls_per_task: case.calls_per_task,
            load: case.load,
            seeds,
            figures: figures(case, of_seeds),
        });
        results.curves.extend(of_seeds.iter().find_map(|measured| measured.curve.clone()));
    }
    results
}

/// What one run came to: the case's metrics in their order.
struct Measured {
    values: Vec<f64>,
    curve: Option<Curve>,
}

fn measure(scenario: &Scenario, case: &Case, policy: &dyn Policy, seed: u64) -> Measured {
    let record = run(&case.world(seed), policy);
    let compared = case.compared_world(seed).map(|world| run(&world, policy));
    let measurement = Measurement::new(case, &record, compared.as_ref());
    let values = case.metrics.iter().map(|&metric| measurement.of(metric)).collect();
    let has_curve = case.has_curve && seed == 1;
    Measured { values, curve: has_curve.then(|| curve(scenario, case, policy, &record)) }
}

fn curve(scenario: &Scenario, case: &Case, policy: &dyn Policy, record: &Record) -> Curve {
    let bins_per_s = 1e3 / BIN_MS as f64;
    let bins = &record.bins[..((record.world.length_s * bins_per_s) as usize).min(record.bins.len())];
    Curve {
        scenario: scenario.name,
        policy: policy.name(),
        calls_per_task: case.calls_per_task,
        bin_ms: BIN_MS,
        offered_per_s: bins.iter().map(|bin| bin.offered as f64 * bins_per_s).collect(),
        good_per_s: bins.iter().map(|bin| bin.good as f64 * bins_per_s).collect(),
        capacity_per_s: (0..bins.len())
            .map(|bin| record.world.possible_tasks_per_s((bin as f64 + 0.5) / bins_per_s))
            .collect(),
    }
}

fn figures(case: &Case, of_seeds: &[Measured]) -> BTreeMap<Metric, Figure> {
    let figure = |(place, &metric): (usize, &Metric)| {
        let mut values: Vec<f64> = of_seeds.iter().map(|measured| measured.values[place]).collect();
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else { return None };
        let median = match metric {
            Metric::Latches => values.iter().sum(),
            _ => f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]),
        };
        Some((metric, Figure { median, least, most }))
    };
    case.metrics.iter().enumerate().filter_map(figure).collect()
}
