//! The results as one HTML page that needs nothing else: the sentences, the table, a plot of each cell.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::page::{begin, end, escaped, figure, legend};
use super::figures::{Cell, Results};
use super::plan::{ATTEMPTS, CALLS_PER_TASK, DEADLINE, Policy, SERVERS, SERVICE_MS, Scenario, WORKERS};
use super::{plot, report};

/// The whole page.
pub(crate) fn html(results: &Results) -> Result<String> {
    let mut page = begin("mcrpc demo overload", "A service with more to do than it can, under rival policies");
    writeln!(
        page,
        "<p>A front process takes tasks from users, at random and whether or not they are answered. A task is {CALLS_PER_TASK} \
         calls, one after the other, to {SERVERS} C++ servers with {WORKERS} workers of {SERVICE_MS} ms each, which can do \
         {:.0} calls per second together; it is good if all of them are answered within {} ms. Under every policy a call has up to \
         {ATTEMPTS} attempts, and what its caller waits for no more is not run. What the servers do about overload:</p>\n<ul>",
        results.capacity_per_s,
        DEADLINE.as_millis()
    )?;
    for policy in Policy::ALL {
        writeln!(page, "<li><b>{}</b>: {}</li>", policy.name(), escaped(policy.meaning()))?;
    }
    page += "</ul>\n<p>With all but mcrpc, the front tries a refused call again at once, at another server, and tells the servers \
             nothing of tasks. Half a millisecond of network lies before each request.</p>\n\
             <h2>What happened</h2>\n<ul>\n";
    for sentence in report::sentences(results) {
        writeln!(page, "<li>{}</li>", escaped(&sentence))?;
    }
    page += "</ul>\n";
    curves(&mut page, &results.cells)?;
    table(&mut page, &results.cells)?;
    page += end();
    Ok(page)
}

fn curves(page: &mut String, cells: &[Cell]) -> Result<()> {
    *page += "<h2>Tasks over time</h2>\n";
    legend(page, &plot::legend())?;
    for scenario in Scenario::ALL {
        writeln!(page, "<h3>{}: {}</h3>\n<div class=\"grid\">", scenario.name(), escaped(scenario.meaning()))?;
        for cell in cells.iter().filter(|cell| cell.scenario == scenario) {
            figure(page, &format!("{}, {}", scenario.name(), cell.policy.name()), &plot::cell(cell)?)?;
        }
        *page += "</div>\n";
    }
    Ok(())
}

fn table(page: &mut String, cells: &[Cell]) -> Result<()> {
    *page += "<h2>All figures</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr>";
    for column in report::COLUMNS {
        write!(page, "<th>{column}</th>")?;
    }
    *page += "</tr></thead>\n<tbody>\n";
    for cell in cells {
        let class = if cell.policy == Policy::Mcrpc { "on" } else { "off" };
        write!(page, "<tr class=\"{class}\">")?;
        for text in report::row(cell) {
            write!(page, "<td>{}</td>", escaped(&text))?;
        }
        *page += "</tr>\n";
    }
    let repetitions = cells.first().map_or(0, |cell| cell.repetitions);
    write!(
        page,
        "</tbody>\n</table>\n</div>\n<p class=\"note\">Medians of {repetitions} runs each. Everything but the recovery is of the \
         overload's time. Of optimum: good tasks over those that an ideal service would do well. Recovery: from the \
         end of the overload to the first second in which 95&nbsp;% of those who ask are answered. Wasted: calls that were \
         executed for tasks that failed. Requests/capacity: calls that reach the servers over those that they can do.</p>\n"
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::figures::cells;
    use super::super::figures::tests::run;
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let page = html(&Results { capacity_per_s: 750.0, cells: cells(&[run(Policy::Mcrpc, 7)]) }).unwrap();
        assert!(page.ends_with("</html>\n") && page.contains("<td>0.7 s</td>"));
        let links = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!links.contains("http") && !links.contains("<script"));
    }
}
