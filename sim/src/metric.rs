//! What is measured in a run, each figure by a name that tables, files and requirements share.

use std::cell::OnceCell;

use crate::record::Record;
use crate::scenario::Case;

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Good tasks, as a share of what an omniscient server would have completed.
    OptimumShare,
    /// The least such share in any second.
    WorstSecond,
    /// How long after its disturbance a world is normal again, in s; infinite: never.
    Recovery,
    /// Median time of a good task, in ms.
    P50,
    /// 99 of 100 good tasks take no longer than this, in ms.
    P99,
    /// Coefficient of variation of what is good in 100 ms.
    Oscillation,
    /// Success of the tenths of the order of importance that fit into 0.9 of the capacity.
    HighPriorityServed,
    /// Success of the more important half.
    TopHalfServed,
    /// The most by which a less important tenth does better than a more important one.
    Inversion,
    /// Jain's index over the success of the kinds of tasks.
    Fairness,
    /// Requests that reach servers, over the calls that those can complete.
    RequestsPerCapacity,
    /// Calls run for tasks that failed, as a share of all that were run.
    Wasted,
    /// Of the tasks that came while the load was low, those that failed.
    LowPhaseRefused,
    /// What the others lose: their success in the world without the disturbance, less that with it, as a share of the former.
    OthersLoss,
    /// Worlds that are not normal at their end, of all seeds.
    Latches,
}

impl Metric {
    /// All of them.
    pub const ALL: [Metric; 15] = [
        Metric::OptimumShare,
        Metric::WorstSecond,
        Metric::Recovery,
        Metric::P50,
        Metric::P99,
        Metric::Oscillation,
        Metric::HighPriorityServed,
        Metric::TopHalfServed,
        Metric::Inversion,
        Metric::Fairness,
        Metric::RequestsPerCapacity,
        Metric::Wasted,
        Metric::LowPhaseRefused,
        Metric::OthersLoss,
        Metric::Latches,
    ];

    /// Its name in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::OptimumShare => "optimum_share",
            Metric::WorstSecond => "worst_1s",
            Metric::Recovery => "recovery_s",
            Metric::P50 => "p50_ms",
            Metric::P99 => "p99_ms",
            Metric::Oscillation => "oscillation",
            Metric::HighPriorityServed => "high_priority_served",
            Metric::TopHalfServed => "top_half_served",
            Metric::Inversion => "inversion",
            Metric::Fairness => "fairness",
            Metric::RequestsPerCapacity => "requests_per_capacity",
            Metric::Wasted => "wasted",
            Metric::LowPhaseRefused => "low_phase_refused",
            Metric::OthersLoss => "others_loss",
            Metric::Latches => "latches",
        }
    }
}

/// A run of a case, to be measured.
pub struct Measurement<'a> {
    case: &'a Case,
    record: &'a Record,
    /// The run of the world that the case is compared with.
    compared: Option<&'a Record>,
    /// Success by tenths of the order of importance, which several figures need.
    success_by_tenth: OnceCell<[f64; 10]>,
}

impl<'a> Measurement<'a> {
    /// Nothing is measured yet.
    pub fn new(case: &'a Case, record: &'a Record, compared: Option<&'a Record>) -> Measurement<'a> {
        Measurement { case, record, compared, success_by_tenth: OnceCell::new() }
    }

    /// A figure.
    pub fn of(&self, metric: Metric) -> f64 {
        let (record, span) = (self.record, self.case.measured);
        match metric {
            Metric::OptimumShare => record.optimum_share(span),
            Metric::WorstSecond => record.worst_second(span),
            Metric::Recovery => record.recovery_s(span.to_s).unwrap_or(f64::INFINITY),
            Metric::P50 => record.latency_ms(span, 0.5),
            Metric::P99 => record.latency_ms(span, 0.99),
            Metric::Oscillation => record.oscillation(span),
            Metric::HighPriorityServed => mean(&self.tenths()[..tenths_that_fit(record.overload(span.from_s))]),
            Metric::TopHalfServed => mean(&self.tenths()[..5]),
            Metric::Inversion => inversion(self.tenths()),
            Metric::Fairness => jain_index(&record.success_by_kind(span)),
            Metric::RequestsPerCapacity => record.requests_per_capacity(span),
            Metric::Wasted => record.wasted(span),
            Metric::LowPhaseRefused => record.low_phase_refused(span),
            Metric::OthersLoss => self.others_loss(),
            Metric::Latches => f64::from(u8::from(record.recovery_s(span.to_s).is_none())),
        }
    }

    fn tenths(&self) -> &[f64; 10] {
        self.success_by_tenth.get_or_init(|| self.record.success_by_tenth(self.case.measured))
    }

    fn others_loss(&self) -> f64 {
        let others = self.case.others.clone();
        let success = |record: &Record| mean(&record.success_by_process(self.case.measured)[others.clone()]);
        let undisturbed = self.compared.map_or(0.0, success);
        if undisturbed > 0.0 { 1.0 - success(self.record) / undisturbed } else { 0.0 }
    }
}

/// How many of ten equal parts of the load fit into 0.9 of the capacity; all if there is no overload.
fn tenths_that_fit(overload: f64) -> usize {
    if overload <= 1.0 { 10 } else { (10.0 * 0.9 / overload) as usize }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn inversion(success_by_tenth: &[f64]) -> f64 {
    let mut least = f64::INFINITY;
    let mut most = 0.0f64;
    for &success in success_by_tenth {
        most = most.max(success - least);
        least = least.min(success);
    }
    most
}

fn jain_index(values: &[f64]) -> f64 {
    let (sum, squares) = values.iter().fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
    if squares > 0.0 { sum * sum / (values.len() as f64 * squares) } else { 1.0 }
}
