//! The results as one HTML page that needs nothing else: the verdicts, the plots, all tables.

use std::fmt::Write as _;

use anyhow::Result;
use mcrpc_sim::campaign::{Cell, Results};
use mcrpc_sim::required::OURS;
use mcrpc_sim::scenario::Scenario;

use super::plot::{self, Palette};
use super::report::{Judged, Table, calls_text};
use crate::demo::page::{begin, end, escaped, figure, legend};

/// Fewer loads make no plot.
const LOADS_OF_PLOT: usize = 3;

/// The tables of the demo have text in other columns than these.
const STYLE: &str = "<style>\n\
    th:nth-child(n+2), td:nth-child(n+2) { text-align: right; min-width: 0; }\n\
    .verdicts th, .verdicts td { text-align: left; white-space: normal; }\n\
    tr.ours td { font-weight: 700; }\n\
    tr.miss td:first-child { color: #c83e4d; font-weight: 700; }\n\
    </style>\n";

/// The whole page.
pub(crate) fn html(
    scenarios: &[Scenario],
    results: &Results,
    tables: &[Table],
    judged: &[Judged],
    beaten: &[String],
) -> Result<String> {
    let mut page = begin("mcrpc sim", "Services under overload, simulated");
    page += STYLE;
    page += "<p>The real core and its rivals in the same worlds, with the same arrivals. Figures are medians over the seeds. \
             Shares are good tasks (all calls answered before the deadline of the task) of those that an omniscient server would \
             have completed; M^k is a task of k calls, one after the other; loads are multiples of the capacity.</p>\n";
    verdicts(&mut page, judged)?;
    page += "<h2>Where rivals are better</h2>\n<ul>\n";
    for line in beaten {
        writeln!(page, "<li>{}</li>", escaped(line))?;
    }
    page += "</ul>\n";
    shares(&mut page, scenarios, &results.cells)?;
    curves(&mut page, results)?;
    page += "<h2>All tables</h2>\n<p>The share of the optimum at each load, then other figures, at the load named if there are \
             several.</p>\n";
    for table in tables {
        write_table(&mut page, table)?;
    }
    page += end();
    Ok(page)
}

fn verdicts(page: &mut String, judged: &[Judged]) -> Result<()> {
    *page += "<h2>Required figures</h2>\n<div class=\"scroll verdicts\">\n<table>\n\
              <thead><tr><th></th><th>required</th><th>measured (the worst case)</th></tr></thead>\n<tbody>\n";
    for judged in judged {
        let class = if judged.is_met == Some(false) { "miss" } else { "" };
        let [word, required, measured] = [judged.word(), &judged.required, &judged.measured].map(escaped);
        writeln!(page, "<tr class=\"{class}\"><td>{word}</td><td>{required}</td><td>{measured}</td></tr>")?;
    }
    *page += "</tbody>\n</table>\n</div>\n";
    Ok(())
}

fn shares(page: &mut String, scenarios: &[Scenario], cells: &[Cell]) -> Result<()> {
    let palette = Palette::new(cells);
    *page += "<h2>Share of the optimum over load</h2>\n";
    legend(page, &palette.legend())?;
    *page += "<div class=\"grid wide\">\n";
    for scenario in scenarios {
        let mut calls: Vec<_> = scenario.cases.iter().map(|case| case.calls_per_task).collect();
        calls.dedup();
        for calls in calls {
            let of_plot = |cell: &&Cell| cell.scenario == scenario.name && cell.calls_per_task == calls;
            let loads = scenario.cases.iter().filter(|case| case.calls_per_task == calls).count();
            if loads >= LOADS_OF_PLOT {
                let cells: Vec<_> = cells.iter().filter(of_plot).collect();
                let caption = format!("{}{}", scenario.name, calls_text(calls));
                figure(page, &caption, &plot::share_over_load(&cells, &palette)?)?;
            }
        }
    }
    *page += "</div>\n";
    Ok(())
}

fn curves(page: &mut String, results: &Results) -> Result<()> {
    *page += "<h2>Goodput over time</h2>\n";
    legend(page, &plot::over_time_legend())?;
    for of_case in results.curves.chunk_by(|a, b| a.scenario == b.scenario && a.calls_per_task == b.calls_per_task) {
        writeln!(page, "<h3>{}{}</h3>", of_case[0].scenario, calls_text(of_case[0].calls_per_task))?;
        *page += "<div class=\"grid\">\n";
        for curve in of_case {
            figure(page, curve.policy, &plot::over_time(curve)?)?;
        }
        *page += "</div>\n";
    }
    Ok(())
}

fn write_table(page: &mut String, table: &Table) -> Result<()> {
    write!(page, "<h3>{}</h3>\n<div class=\"scroll\">\n<table>\n<thead><tr>", escaped(&table.title))?;
    for heading in &table.header {
        write!(page, "<th>{}</th>", escaped(heading))?;
    }
    *page += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        *page += if row.first().is_some_and(|policy| policy == OURS) { "<tr class=\"ours\">" } else { "<tr>" };
        for cell in row {
            write!(page, "<td>{}</td>", escaped(cell))?;
        }
        *page += "</tr>\n";
    }
    *page += "</tbody>\n</table>\n</div>\n";
    Ok(())
}
