//! The results as one HTML page that needs nothing else: the sentences, the table, a plot of each run.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::page::{begin, end, escaped, figure, legend};
use super::figures::{Results, RunFigures};
use super::plan::{ATTEMPT_TIMEOUT, CALLS_PER_S, CLIENTS, Fault, Protection};
use super::{plot, report};

/// The whole page.
pub(crate) fn html(results: &Results) -> Result<String> {
    let mut page = begin("mcrpc demo shield", "A service whose machines fail, and what its callers make of it");
    writeln!(
        page,
        "<p>{CLIENTS} C++ client processes make {CALLS_PER_S} calls per second each, at random and whether or not they are \
         answered, to servers on this machine; an attempt has {} ms. Machines fail and recover. What stands between them and \
         the users:</p>\n<ul>",
        ATTEMPT_TIMEOUT.as_millis()
    )?;
    for protection in Protection::ALL {
        writeln!(page, "<li><b>{}</b>: {}</li>", protection.name(), escaped(protection.meaning()))?;
    }
    page += "</ul>\n<h2>What happened</h2>\n<ul>\n";
    for sentence in report::sentences(results) {
        writeln!(page, "<li>{}</li>", escaped(&sentence))?;
    }
    page += "</ul>\n";
    curves(&mut page, &results.runs)?;
    table(&mut page, &results.runs)?;
    page += end();
    Ok(page)
}

fn curves(page: &mut String, runs: &[RunFigures]) -> Result<()> {
    *page += "<h2>Each run over time</h2>\n";
    legend(page, &plot::legend())?;
    for fault in Fault::ALL {
        let runs: Vec<_> = runs.iter().filter(|run| run.fault == fault).collect();
        if runs.is_empty() {
            continue;
        }
        writeln!(page, "<h3>{}: {}</h3>\n<div class=\"grid\">", fault.name(), escaped(fault.meaning()))?;
        for run in runs {
            figure(page, &format!("{}, {}", fault.name(), run.protection.name()), &plot::run(run)?)?;
        }
        *page += "</div>\n";
    }
    Ok(())
}

fn table(page: &mut String, runs: &[RunFigures]) -> Result<()> {
    *page += "<h2>All runs</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr>";
    for column in report::COLUMNS {
        write!(page, "<th>{column}</th>")?;
    }
    *page += "</tr></thead>\n<tbody>\n";
    for run in runs {
        let class = if run.protection == Protection::Host { "on" } else { "off" };
        write!(page, "<tr class=\"{class}\">")?;
        for cell in report::row(run) {
            write!(page, "<td>{}</td>", escaped(&cell))?;
        }
        *page += "</tr>\n";
    }
    *page += "</tbody>\n</table>\n</div>\n<p class=\"note\">Answered, attempts per call, probes and the latency of answered \
              calls are those of the fault's time; <i>after 1 s</i> and <i>to faulty</i>, the share of the attempts that went \
              to machines that failed, leave out its first second. Back to share: from the end of the fault to the \
              first second in which those machines have their usual share of the attempts, within a tenth. Answered again: to \
              the first one in which 99&nbsp;% of the calls are.</p>\n";
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::run;
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let page = html(&Results { runs: vec![run(3_000)] }).unwrap();
        assert!(page.ends_with("</html>\n") && page.contains("<td>3.0 s</td>"));
        let links = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!links.contains("http") && !links.contains("<script"));
    }
}
