//! The results as one HTML page that needs nothing else: the table, the sentences, the plots.
//!
//! No script; the plots are SVG in the page, on white cards in light and dark mode alike.

use std::fmt::Write as _;

use anyhow::Result;

use super::figures::{Results, RunFigures};
use super::plan::{ATTEMPTS, CONNECTIONS, Mode, SERVER_QUEUE, SERVICE_MS, WORKERS, on_off};
use super::{plot, report};

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn html(results: &Results) -> Result<String> {
    let mut page = begin("mcrpc demo", "A server under overload, with and without admission control");
    write!(page, "<p>{}</p>\n<ul>\n", set_up(results))?;
    for sentence in report::sentences(results) {
        writeln!(page, "<li>{}</li>", escaped(&sentence))?;
    }
    page += "</ul>\n";
    if !results.steps.is_empty() {
        steps(&mut page, results)?;
    }
    shares(&mut page, results)?;
    table(&mut page, &results.runs)?;
    curves(&mut page, &results.runs)?;
    page += end();
    Ok(page)
}

/// A page from its start to its heading.
pub(crate) fn begin(title: &str, heading: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{heading}</h1>\n"
    )
}

/// What ends a page.
pub(crate) const fn end() -> &'static str {
    "</main>\n</body>\n</html>\n"
}

fn set_up(results: &Results) -> String {
    format!(
        "A C++ server with {WORKERS} workers, {SERVICE_MS} ms of waiting per request and an input queue of \
         {SERVER_QUEUE} answers {:.0} requests per second with threads. Tasks arrive at random over {CONNECTIONS} \
         connections, whether or not the server keeps up; each has {} ms and up to {ATTEMPTS} attempts per call.",
        results.capacity_per_s, results.deadline_ms
    )
}

/// What the colours of plots mean.
pub(crate) fn legend(page: &mut String, entries: &[(String, &str)]) -> Result<()> {
    *page += "<p class=\"legend\">";
    for (colour, name) in entries {
        write!(page, "<span><i style=\"background:{colour}\"></i>{name}</span> ")?;
    }
    *page += "</p>\n";
    Ok(())
}

fn steps(page: &mut String, results: &Results) -> Result<()> {
    *page += "<h2>A sudden overload</h2>\n";
    legend(page, &plot::legend())?;
    for step in &results.steps {
        let caption = format!("{}, admission {}", step.mode.name(), on_off(step.admission));
        figure(page, &caption, &plot::step(step)?)?;
    }
    Ok(())
}

fn shares(page: &mut String, results: &Results) -> Result<()> {
    *page += "<h2>Share of the optimum over load</h2>\n";
    *page += "<p>The optimum is every task that is offered or, above the capacity, as many as the server can do. ";
    *page += "Blue is with admission control, red without.</p>\n<div class=\"grid wide\">\n";
    for mode in Mode::ALL {
        for calls in [1, 2] {
            let runs: Vec<_> =
                results.runs.iter().filter(|run| run.mode == mode && run.calls_per_task == calls).collect();
            let caption = format!("{}, {}", mode.name(), report::calls_text(calls));
            figure(page, &caption, &plot::share_over_load(&runs)?)?;
        }
    }
    *page += "</div>\n";
    Ok(())
}

fn table(page: &mut String, runs: &[RunFigures]) -> Result<()> {
    *page += "<h2>All runs</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr>";
    for column in report::COLUMNS {
        write!(page, "<th>{column}</th>")?;
    }
    *page += "</tr></thead>\n<tbody>\n";
    for run in runs {
        write!(page, "<tr class=\"{}\">", on_off(run.admission))?;
        for cell in report::row(run) {
            write!(page, "<td>{}</td>", escaped(&cell))?;
        }
        *page += "</tr>\n";
    }
    *page += "</tbody>\n</table>\n</div>\n<p class=\"note\">Rates are tasks per second, latencies those of good tasks \
              from their arrival. Refusals count every attempt. Wasted is the share of OK answers that made no task \
              good. A share can exceed 100&nbsp;% by the error of the measured capacity.</p>\n";
    Ok(())
}

fn curves(page: &mut String, runs: &[RunFigures]) -> Result<()> {
    *page += "<h2>Each run over time</h2>\n";
    legend(page, &plot::legend())?;
    *page += "<div class=\"grid\">\n";
    for run in runs {
        let caption = format!(
            "{}, {}, load {}×, admission {}",
            run.mode.name(),
            report::calls_text(run.calls_per_task),
            run.load,
            on_off(run.admission)
        );
        figure(page, &caption, &plot::run_over_time(run)?)?;
    }
    *page += "</div>\n";
    Ok(())
}

/// A plot with its caption.
pub(crate) fn figure(page: &mut String, caption: &str, svg: &str) -> Result<()> {
    writeln!(page, "<figure><figcaption>{}</figcaption>{svg}</figure>", escaped(caption))?;
    Ok(())
}

/// As text of a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(" %", "&nbsp;%")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::run;
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let runs = vec![run(false, 1, 4.0, 0.1), run(true, 1, 4.0, 0.97)];
        let results = Results { capacity_per_s: 800.0, deadline_ms: 500, runs, steps: Vec::new() };
        let page = html(&results).unwrap();
        assert!(page.ends_with("</html>\n") && page.contains("<td>776</td>"));
        let links = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!links.contains("http") && !links.contains("<script"));
    }
}
