//! The results in words: the table, and for each scenario sentences drawn from the measured numbers.
//!
//! The sentences also say where a rival is better than this library.

use comfy_table::{CellAlignment, Table, presets};

use super::figures::{Cell, Figures, Results};
use super::plan::{Policy, Scenario};

/// The columns of the table, here and on the page.
pub(crate) const COLUMNS: [&str; 9] =
    ["scenario", "policy", "of optimum", "worst 1 s", "recovery", "p50 ms", "p99 ms", "wasted", "requests/capacity"];

/// One row, in the order of [`COLUMNS`].
pub(crate) fn row(cell: &Cell) -> [String; 9] {
    let figures = &cell.figures;
    [
        cell.scenario.name().to_owned(),
        cell.policy.name().to_owned(),
        percent(figures.optimum_share),
        percent(figures.worst_1s),
        seconds(figures.recovery_s),
        ms(figures.p50_ms),
        ms(figures.p99_ms),
        percent(figures.wasted_share),
        times(figures.requests_per_capacity),
    ]
}

/// All cells as a table for the terminal.
pub(crate) fn table(cells: &[Cell]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(COLUMNS);
    for cell in cells {
        table.add_row(row(cell));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 1));
        if index > 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn seconds(value: Option<f64>) -> String {
    value.map_or_else(|| "never".to_owned(), |s| format!("{s:.1} s"))
}

fn ms(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"))
}

fn times(value: f64) -> String {
    format!("{value:.2}")
}

/// What the numbers show.
pub(crate) fn sentences(results: &Results) -> Vec<String> {
    Scenario::ALL.into_iter().flat_map(|scenario| of_scenario(&results.cells, scenario)).collect()
}

fn of_scenario(cells: &[Cell], scenario: Scenario) -> Vec<String> {
    let (own, rivals): (Vec<_>, Vec<_>) =
        cells.iter().filter(|cell| cell.scenario == scenario).partition(|cell| cell.policy == Policy::Mcrpc);
    let Some(own) = own.first() else {
        return Vec::new();
    };
    let shares: Vec<_> = rivals
        .iter()
        .map(|rival| format!("{} {}", rival.policy.name(), percent(rival.figures.optimum_share)))
        .collect();
    let summary = format!(
        "{}: {}. Of what an ideal service would do well during the overload, mcrpc does {} ({} in the worst second), {}.",
        scenario.name(),
        scenario.meaning(),
        percent(own.figures.optimum_share),
        percent(own.figures.worst_1s),
        shares.join(", "),
    );
    let better: Vec<_> = COMPARISONS.iter().filter_map(|comparison| comparison.text(own, &rivals)).collect();
    let losses = format!("{}: rivals are better in {}.", scenario.name(), better.join("; "));
    std::iter::once(summary).chain((!better.is_empty()).then_some(losses)).collect()
}

/// A figure in which a rival may be better, and by how much it must be for that to be more than chance.
struct Comparison {
    of: fn(&Figures) -> f64,
    lower_is_better: bool,
    margin: f64,
    name: &'static str,
    show: fn(f64) -> String,
}

const COMPARISONS: [Comparison; 6] = [
    Comparison {
        of: |figures| figures.optimum_share,
        lower_is_better: false,
        margin: 0.01,
        name: "the share of the optimum",
        show: percent,
    },
    Comparison {
        of: |figures| figures.worst_1s,
        lower_is_better: false,
        margin: 0.02,
        name: "the worst second",
        show: percent,
    },
    Comparison {
        of: |figures| figures.recovery_s.unwrap_or(f64::INFINITY),
        lower_is_better: true,
        margin: 0.3,
        name: "the time to recover",
        show: |s| seconds(Some(s)),
    },
    Comparison {
        of: |figures| figures.p99_ms.unwrap_or(f64::INFINITY),
        lower_is_better: true,
        margin: 10.0,
        name: "the p99 of good answers",
        show: |value| format!("{value:.0} ms"),
    },
    Comparison {
        of: |figures| figures.wasted_share,
        lower_is_better: true,
        margin: 0.01,
        name: "wasted work",
        show: percent,
    },
    Comparison {
        of: |figures| figures.requests_per_capacity,
        lower_is_better: true,
        margin: 0.05,
        name: "requests per unit of capacity",
        show: times,
    },
];

impl Comparison {
    /// Which rivals are better in this figure; `None` if none is.
    fn text(&self, own: &Cell, rivals: &[&Cell]) -> Option<String> {
        let own_value = (self.of)(&own.figures);
        let is_better = |value: f64| {
            let gain = if self.lower_is_better { own_value - value } else { value - own_value };
            value.is_finite() && gain > self.margin
        };
        let better: Vec<_> = rivals
            .iter()
            .map(|rival| (rival.policy.name(), (self.of)(&rival.figures)))
            .filter(|&(_, value)| is_better(value))
            .map(|(name, value)| format!("{name} {}", (self.show)(value)))
            .collect();
        let own_text = if own_value.is_finite() { (self.show)(own_value) } else { "never".to_owned() };
        (!better.is_empty()).then(|| format!("{} (mcrpc {own_text}): {}", self.name, better.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::run;
    use super::super::figures::{Results, cells};
    use super::*;

    fn results() -> Results {
        let mut cells = cells(&[run(Policy::Mcrpc, 7), run(Policy::DropTail, 2)]);
        cells[0].figures.optimum_share = 0.5;
        Results { capacity_per_s: 750.0, cells }
    }

    #[test]
    fn rows_are_compact() {
        let cells = cells(&[run(Policy::Mcrpc, 7)]);
        assert_eq!(row(&cells[0]), ["steady-2x", "mcrpc", "80 %", "32 %", "0.7 s", "120", "120", "20 %", "2.00"]);
    }

    #[test]
    fn where_a_rival_is_better_is_said() {
        let texts = sentences(&results());
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("mcrpc does 80 %") && texts[0].contains("drop-tail 50 %"), "{texts:?}");
        assert_eq!(texts[1], "steady-2x: rivals are better in the time to recover (mcrpc 0.7 s): drop-tail 0.2 s.");
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let json = serde_json::to_value(results()).unwrap();
        let cell = &json["cells"][1];
        assert_eq!((&cell["scenario"], &cell["policy"]), (&"steady-2x".into(), &"mcrpc".into()));
        for key in
            ["optimum_share", "worst_1s", "recovery_s", "p50_ms", "p99_ms", "wasted_share", "requests_per_capacity"]
        {
            assert!(cell[key].is_number(), "{key}");
        }
    }
}
