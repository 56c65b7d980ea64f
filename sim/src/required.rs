//! What ours has to reach, as a table, and the judgement of what was measured.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use crate::campaign::Cell;
use crate::metric::Metric;

/// The policy that is judged.
pub const OURS: &str = "mcrpc";

/// A figure that has to be reached in some cells of a scenario.
#[derive(Clone, Debug)]
pub struct Required {
    /// The scenario.
    pub scenario: &'static str,
    /// Calls per task of the cells meant; none: all.
    pub calls: &'static [usize],
    /// Loads of the cells meant.
    pub loads: RangeInclusive<f64>,
    /// The figure.
    pub metric: Metric,
    /// What it has to be.
    pub bound: Bound,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// No further below that of the same case of another scenario.
    BelowAtMost {
        /// The other scenario.
        scenario: &'static str,
        /// How far.
        by: f64,
    },
    /// No more than that of the best rival that carries at least 0.9 of what ours does, times this.
    BestRivalTimes(f64),
}

/// Whether a required figure was reached.
#[derive(Clone, Debug)]
pub struct Verdict<'a> {
    /// What was required.
    pub required: Required,
    /// The cell that does worst by its bound, its figure and that bound; `None`: not measured.
    pub worst: Option<Worst<'a>>,
}

/// The worst of the cells that a requirement is about.
#[derive(Clone, Copy, Debug)]
pub struct Worst<'a> {
    /// The cell.
    pub cell: &'a Cell,
    /// Its figure.
    pub value: f64,
    /// What was required of it.
    pub limit: f64,
    /// By how much it is better than required.
    margin: f64,
}

impl Worst<'_> {
    /// Whether it is good enough.
    pub fn is_met(&self) -> bool {
        self.margin >= 0.0
    }
}

/// All that is required.
pub fn all() -> Vec<Required> {
    use Bound::{AtLeast, AtMost, BelowAtMost, BestRivalTimes};
    use Metric::{
        Fairness, HighPriorityServed, Inversion, Latches, LowPhaseRefused, OptimumShare, Oscillation, OthersLoss, P99,
        Recovery, RequestsPerCapacity, TopHalfServed, WorstSecond,
    };
    const ANY: RangeInclusive<f64> = 0.0..=f64::INFINITY;
    const OVERLOAD: RangeInclusive<f64> = 1.2..=4.0;
    let required = |scenario, calls, loads, metric, bound| Required { scenario, calls, loads, metric, bound };
    let mut all = vec![
        required("steady", &[], 0.9..=0.9, OptimumShare, AtLeast(0.98)),
        required("steady", &[], 1.0..=1.0, OptimumShare, AtLeast(0.96)),
        required("steady", &[1, 2], 1.0..=1.0, OptimumShare, AtLeast(0.97)),
        required("steady", &[], OVERLOAD, OptimumShare, AtLeast(0.98)),
        required("steady", &[1], 2.0..=2.0, P99, AtMost(150.0)),
        required("steady", &[4], 2.0..=2.0, P99, AtMost(470.0)),
        required("steady", &[], ANY, P99, AtMost(500.0)),
        required("steady", &[], 2.0..=2.0, HighPriorityServed, AtLeast(0.95)),
        // Of what happens in 500 bins, the coefficient of variation has a standard error of 3 %; these are three of them.
        required("steady", &[], OVERLOAD, Oscillation, BestRivalTimes(1.1)),
        required("step", &[2], ANY, OptimumShare, AtLeast(0.98)),
        required("step", &[2], ANY, WorstSecond, AtLeast(0.9)),
        required("step", &[2], ANY, Recovery, AtMost(1.0)),
        required("square-1s", &[], ANY, LowPhaseRefused, AtMost(0.02)),
        required("brownout", &[], ANY, OptimumShare, AtLeast(0.96)),
        required("user-retries", &[], ANY, OptimumShare, AtLeast(0.97)),
        required("user-retries", &[], ANY, Recovery, AtMost(5.0)),
        required("bursts", &[], ANY, Latches, AtMost(0.0)),
        required("bursts-retries", &[], ANY, Latches, AtMost(0.0)),
        required("businesses", &[], 2.0..=2.0, TopHalfServed, AtLeast(0.995)),
        required("businesses", &[], 2.0..=2.0, Inversion, AtMost(0.005)),
        required("mixed-kinds", &[], ANY, Fairness, AtLeast(0.999)),
        required("exponential", &[4], OVERLOAD, OptimumShare, AtLeast(0.97)),
        required("fast-servers", &[], ANY, OptimumShare, AtLeast(0.99)),
        required("shared-queue", &[], ANY, OptimumShare, BelowAtMost { scenario: "steady", by: 0.005 }),
        required("slow-server", &[4], ANY, OptimumShare, AtLeast(0.93)),
        required("two-services", &[], ANY, OptimumShare, AtLeast(0.9)),
    ];
    for (scenario, share) in [("refusal-cost-10", 0.96), ("refusal-cost-30", 0.94)] {
        all.push(required(scenario, &[], 4.0..=4.0, OptimumShare, AtLeast(share)));
        all.push(required(scenario, &[], ANY, RequestsPerCapacity, AtMost(1.25)));
    }
    for scenario in ["forger", "old-clients-3-in-10", "slow-1-percent", "wrong-clock"] {
        all.push(required(scenario, &[], ANY, OthersLoss, AtMost(0.05)));
    }
    all
}

/// Judges what was measured.
pub fn judge(cells: &[Cell]) -> Vec<Verdict<'_>> {
    all().into_iter().map(|required| Verdict { worst: required.worst(cells), required }).collect()
}

/// The cells, the figure and the bound: its name wherever required figures are told apart.
impl Display for Required {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.scenario)?;
        for (place, calls) in self.calls.iter().enumerate() {
            write!(f, "{} M^{calls}", if place == 0 { "" } else { "," })?;
        }
        match (*self.loads.start(), *self.loads.end()) {
            (_, f64::INFINITY) => {}
            (from, to) if from == to => write!(f, " at {from}x")?,
            (from, to) => write!(f, " at {from}x..{to}x")?,
        }
        write!(f, ": {} ", self.metric.name())?;
        match self.bound {
            Bound::AtLeast(limit) => write!(f, ">= {limit}"),
            Bound::AtMost(limit) => write!(f, "<= {limit}"),
            Bound::BelowAtMost { scenario, by } => write!(f, ">= that of {scenario} - {by}"),
            Bound::BestRivalTimes(factor) => write!(f, "<= {factor} x the best rival's"),
        }
    }
}

impl Required {
    fn is_about(&self, cell: &Cell) -> bool {
        let has_calls = self.calls.is_empty() || cell.calls_per_task.is_some_and(|calls| self.calls.contains(&calls));
        cell.policy == OURS && cell.scenario == self.scenario && has_calls && self.loads.contains(&cell.load)
    }

    fn worst<'a>(&self, cells: &'a [Cell]) -> Option<Worst<'a>> {
        let judged = cells.iter().filter(|cell| self.is_about(cell)).filter_map(|cell| self.judged(cell, cells));
        judged.min_by(|a, b| a.margin.total_cmp(&b.margin))
    }

    fn judged<'a>(&self, cell: &'a Cell, cells: &[Cell]) -> Option<Worst<'a>> {
        let value = cell.median(self.metric)?;
        let limit = match self.bound {
            Bound::AtLeast(limit) | Bound::AtMost(limit) => limit,
            Bound::BelowAtMost { scenario, by } => {
                let has_case = |other: &&Cell| {
                    other.scenario == scenario && other.policy == OURS && other.has_case(cell.calls_per_task, cell.load)
                };
                cells.iter().find(has_case)?.median(self.metric)? - by
            }
            Bound::BestRivalTimes(factor) => {
                // Who serves little does so evenly.
                let least_share = 0.9 * cell.median(Metric::OptimumShare)?;
                let carries =
                    |other: &Cell| other.median(Metric::OptimumShare).is_some_and(|share| share >= least_share);
                let rivals =
                    cells.iter().filter(|other| is_rival(other.policy) && other.is_beside(cell) && carries(other));
                rivals.filter_map(|rival| rival.median(self.metric)).min_by(f64::total_cmp)? * factor
            }
        };
        let margin = match self.bound {
            Bound::AtLeast(_) | Bound::BelowAtMost { .. } => value - limit,
            Bound::AtMost(_) | Bound::BestRivalTimes(_) => limit - value,
        };
        Some(Worst { cell, value, limit, margin })
    }
}

/// Whether a policy is a rival: neither ours nor a part of ours.
pub fn is_rival(policy: &str) -> bool {
    !policy.starts_with(OURS)
}

/// A case in which a rival does better than ours.
#[derive(Clone, Copy, Debug)]
pub struct Beaten<'a> {
    /// Ours.
    pub ours: &'a Cell,
    /// The best rival.
    pub rival: &'a Cell,
}

/// Cases in which the best rival's share of the optimum is larger than ours by more than this.
pub fn beaten(cells: &[Cell], by: f64) -> Vec<Beaten<'_>> {
    let share = |cell: &Cell| cell.median(Metric::OptimumShare).unwrap_or(0.0);
    let best_rival = |ours: &'_ Cell| {
        let rivals = cells.iter().filter(|other| is_rival(other.policy) && other.is_beside(ours));
        rivals.max_by(|a, b| share(a).total_cmp(&share(b)))
    };
    let ours = cells.iter().filter(|cell| cell.policy == OURS);
    let pairs = ours.filter_map(|ours| Some(Beaten { ours, rival: best_rival(ours)? }));
    pairs.filter(|pair| share(pair.rival) > share(pair.ours) + by).collect()
}
