//! The results as tables and lines.
//!
//! A table is of one scenario and number of calls, with a row for each policy: the share of the optimum at each load, then the
//! other figures at one load that tells most.

use comfy_table::{CellAlignment, Table as TerminalTable, presets};
use mcrpc_sim::campaign::Cell;
use mcrpc_sim::metric::Metric;
use mcrpc_sim::required::{self, OURS, Verdict};
use mcrpc_sim::scenario::{Case, Scenario};
use serde::Serialize;

/// The load at which figures other than the share of the optimum are shown, where there is such a load.
const TELLING_LOAD: f64 = 2.0;
/// A rival is better than ours if its share of the optimum is larger by more than this.
const BETTER_BY: f64 = 0.005;

/// A table.
pub(crate) struct Table {
    /// What it is of.
    pub title: String,
    /// Its columns.
    pub header: Vec<String>,
    /// Its rows, each with its policy's name first.
    pub rows: Vec<Vec<String>>,
}

/// All tables.
pub(crate) fn tables(scenarios: &[Scenario], cells: &[Cell]) -> Vec<Table> {
    let mut tables = Vec::new();
    for scenario in scenarios {
        let mut calls: Vec<_> = scenario.cases.iter().map(|case| case.calls_per_task).collect();
        calls.dedup();
        tables.extend(calls.into_iter().map(|calls| table(scenario, calls, cells)));
    }
    tables
}

fn table(scenario: &Scenario, calls: Option<usize>, cells: &[Cell]) -> Table {
    let cases: Vec<&Case> = scenario.cases.iter().filter(|case| case.calls_per_task == calls).collect();
    let telling = cases.iter().find(|case| case.load == TELLING_LOAD).or(cases.last());
    let mut columns: Vec<(f64, Metric)> = cases.iter().map(|case| (case.load, Metric::OptimumShare)).collect();
    if let Some(case) = telling {
        let others = case.metrics.iter().filter(|&&metric| metric != Metric::OptimumShare);
        columns.extend(others.map(|&metric| (case.load, metric)));
    }
    let heading = |&(load, metric): &(f64, Metric)| match metric {
        Metric::OptimumShare => format!("{load}×"),
        _ if cases.len() > 1 => format!("{} {load}×", short(metric)),
        _ => short(metric).to_owned(),
    };
    let of_table =
        |cell: &&Cell| cell.scenario == scenario.name && cell.calls_per_task == calls && cell.load == cases[0].load;
    let row = |of_policy: &Cell| {
        let value = |&(load, metric): &(f64, Metric)| {
            let has_case = |cell: &&Cell| {
                cell.scenario == scenario.name && cell.policy == of_policy.policy && cell.has_case(calls, load)
            };
            let value = cells.iter().find(has_case).and_then(|cell| cell.median(metric));
            value.map_or_else(String::new, |value| shown(metric, value))
        };
        [of_policy.policy.to_owned()].into_iter().chain(columns.iter().map(value)).collect()
    };
    Table {
        title: format!("{}{}: {}", scenario.name, calls_text(calls), scenario.about),
        header: ["policy".to_owned()].into_iter().chain(columns.iter().map(heading)).collect(),
        rows: cells.iter().filter(of_table).map(row).collect(),
    }
}

/// For titles: as the literature writes it.
pub(crate) fn calls_text(calls: Option<usize>) -> String {
    calls.map_or_else(String::new, |calls| format!(", M^{calls}"))
}

/// A heading.
fn short(metric: Metric) -> &'static str {
    match metric {
        Metric::OptimumShare => "share",
        Metric::WorstSecond => "worst second",
        Metric::Recovery => "normal after s",
        Metric::P50 => "p50 ms",
        Metric::P99 => "p99 ms",
        Metric::Oscillation => "oscillation",
        Metric::HighPriorityServed => "high priority",
        Metric::TopHalfServed => "top half",
        Metric::Inversion => "inversion",
        Metric::Fairness => "Jain index",
        Metric::RequestsPerCapacity => "requests / capacity",
        Metric::Wasted => "wasted",
        Metric::LowPhaseRefused => "refused while low",
        Metric::OthersLoss => "others lose",
        Metric::Latches => "latches",
    }
}

/// A figure, as tables have it.
pub(crate) fn shown(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Recovery if value.is_infinite() => "never".to_owned(),
        Metric::Recovery => format!("{value:.1}"),
        Metric::P50 | Metric::P99 | Metric::Latches => format!("{value:.0}"),
        Metric::RequestsPerCapacity => format!("{value:.2}"),
        Metric::Wasted | Metric::LowPhaseRefused | Metric::OthersLoss | Metric::Inversion => {
            format!("{:.1} %", 100.0 * value)
        }
        Metric::Fairness => format!("{value:.4}"),
        _ => format!("{value:.3}"),
    }
}

impl Table {
    /// With borders.
    pub(crate) fn for_terminal(&self) -> TerminalTable {
        let mut table = TerminalTable::new();
        let header = self.header.iter().map(|heading| heading.replace(' ', "\n"));
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
        for row in &self.rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// A required figure and what was measured of it.
#[derive(Serialize)]
pub(crate) struct Judged {
    /// What is required.
    pub required: String,
    /// Whether it is so; nothing if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_met: Option<bool>,
    /// The worst of the cells it is about.
    pub measured: String,
}

impl Judged {
    /// Of a verdict.
    pub(crate) fn new(verdict: &Verdict<'_>) -> Judged {
        let required = verdict.required.to_string();
        let Some(worst) = &verdict.worst else {
            return Judged { required, is_met: None, measured: "not measured".to_owned() };
        };
        let metric = verdict.required.metric;
        let place = format!("{}×{}", worst.cell.load, calls_text(worst.cell.calls_per_task));
        let spread = match worst.cell.figures.get(&metric) {
            Some(figure) if worst.cell.seeds > 1 && figure.least < figure.most => {
                format!(", over the seeds {} to {}", shown(metric, figure.least), shown(metric, figure.most))
            }
            _ => String::new(),
        };
        let measured =
            format!("{} at {place}{spread}; limit {}", exactly(metric, worst.value), exactly(metric, worst.limit));
        Judged { required, is_met: Some(worst.is_met()), measured }
    }

    /// In a word.
    pub(crate) const fn word(&self) -> &'static str {
        match self.is_met {
            Some(true) => "pass",
            Some(false) => "FAIL",
            None => "–",
        }
    }
}

/// With one more place than in tables, so that a miss by little does not look like none.
fn exactly(metric: Metric, value: f64) -> String {
    match metric {
        Metric::OptimumShare | Metric::WorstSecond | Metric::HighPriorityServed | Metric::TopHalfServed => {
            format!("{value:.4}")
        }
        Metric::Fairness => format!("{value:.5}"),
        _ => shown(metric, value),
    }
}

/// All required figures.
pub(crate) fn judgement(judged: &[Judged]) -> TerminalTable {
    let mut table = TerminalTable::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["", "required", "measured (the worst case)"]);
    for judged in judged {
        table.add_row([judged.word(), &judged.required, &judged.measured]);
    }
    table
}

/// A line for each case in which a rival is better than ours.
pub(crate) fn beaten_lines(cells: &[Cell]) -> Vec<String> {
    let share = |cell: &Cell| cell.median(Metric::OptimumShare).unwrap_or(0.0);
    let line = |pair: &required::Beaten<'_>| {
        let place = format!("{}{} at {}×", pair.ours.scenario, calls_text(pair.ours.calls_per_task), pair.ours.load);
        format!(
            "{place}: {} is better, {:.3} of the optimum instead of {:.3} with {OURS}",
            pair.rival.policy,
            share(pair.rival),
            share(pair.ours)
        )
    };
    let beaten: Vec<String> = required::beaten(cells, BETTER_BY).iter().map(line).collect();
    let measured = |wanted: fn(&str) -> bool| cells.iter().any(|cell| wanted(cell.policy));
    if beaten.is_empty() && measured(required::is_rival) && measured(|policy| policy == OURS) {
        return vec![format!("No rival is better than {OURS} by more than {BETTER_BY} of the optimum in any case.")];
    }
    beaten
}
