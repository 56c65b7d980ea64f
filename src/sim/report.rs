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

/// Figures that only the page has where there are several loads: a terminal is not wide enough.
const DETAILS: [Metric; 4] = [Metric::P50, Metric::Oscillation, Metric::TopHalfServed, Metric::Inversion];

/// A table.
pub(crate) struct Table {
    /// What it is of.
    pub title: String,
    /// Its columns.
    pub header: Vec<String>,
    /// Which of them are for the page alone.
    pub is_detail: Vec<bool>,
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
    let is_detail = |(_, metric): &(f64, Metric)| cases.len() > 1 && DETAILS.contains(metric);
    Table {
        title: format!("{}{}: {}", scenario.name, calls_text(calls), scenario.about),
        is_detail: [false].into_iter().chain(columns.iter().map(is_detail)).collect(),
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
    /// With borders, without details.
    pub(crate) fn for_terminal(&self) -> TerminalTable {
        let mut table = TerminalTable::new();
        let shown = |row: &[String]| -> Vec<String> {
            row.iter()
                .zip(&self.is_detail)
                .filter(|(_, is_detail)| !**is_detail)
                .map(|(text, _)| text.clone())
                .collect()
        };
        let header = shown(&self.header).iter().map(|heading| heading.replace(' ', "\n")).collect::<Vec<_>>();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
        for row in &self.rows {
            table.add_row(shown(row));
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mcrpc_sim::campaign::Figure;
    use mcrpc_sim::scenario::{Extent, all};

    use super::*;

    fn cell(policy: &'static str, load: f64, share: f64) -> Cell {
        let figure = |value| Figure { median: value, least: value, most: value };
        let figures = BTreeMap::from([(Metric::OptimumShare, figure(share)), (Metric::P99, figure(129.4))]);
        Cell { scenario: "steady", policy, calls_per_task: Some(1), load, seeds: 1, figures }
    }

    #[test]
    fn a_table_has_a_row_per_policy_with_shares_by_load_and_then_other_figures() {
        let scenarios = all(Extent::Quick);
        let steady: Vec<_> = scenarios.into_iter().filter(|scenario| scenario.name == "steady").collect();
        let cells = [cell("none", 0.5, 1.0), cell(OURS, 0.5, 0.9996), cell("none", 2.0, 0.25), cell(OURS, 2.0, 0.99)];
        let tables = tables(&steady, &cells);
        let ours = &tables[0].rows[1];
        let column = |heading: &str| tables[0].header.iter().position(|other| other == heading).unwrap();
        assert_eq!([&ours[0], &ours[column("0.5×")], &ours[column("2×")]], [OURS, "1.000", "0.990"]);
        assert_eq!(ours[column("p99 ms 2×")], "129");
        assert_eq!(tables[0].rows[0][column("2×")], "0.250");
        assert!(!tables[0].for_terminal().to_string().contains("inversion"));
    }

    #[test]
    fn a_rival_that_is_better_is_named_and_so_is_that_none_is() {
        let lines = beaten_lines(&[cell("a rival", 0.5, 0.995), cell(OURS, 0.5, 0.98)]);
        assert_eq!(lines, ["steady, M^1 at 0.5×: a rival is better, 0.995 of the optimum instead of 0.980 with mcrpc"]);
        let lines = beaten_lines(&[cell("a rival", 0.5, 0.984), cell(OURS, 0.5, 0.98)]);
        assert!(lines.len() == 1 && lines[0].starts_with("No rival"), "{lines:?}");
        assert!(beaten_lines(&[cell(OURS, 0.5, 0.98)]).is_empty());
    }

    #[test]
    fn a_missed_figure_says_by_how_much() {
        let cells = [cell(OURS, 0.9, 0.9796), cell(OURS, 2.0, 0.9804)];
        let judged: Vec<_> = required::judge(&cells).iter().map(Judged::new).collect();
        let find = |name: &str| judged.iter().find(|judged| judged.required.starts_with(name)).unwrap();
        let missed = find("steady at 0.9x");
        assert_eq!((missed.word(), &*missed.measured), ("FAIL", "0.9796 at 0.9×, M^1; limit 0.9800"));
        assert_eq!(find("steady at 1.2x..4x: optimum").word(), "pass");
        assert_eq!(find("brownout").measured, "not measured");
    }
}
