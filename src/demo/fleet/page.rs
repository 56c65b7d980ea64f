//! The results as one HTML page that needs nothing else: the sentences, the plot, the table.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::page::{begin, end, escaped, figure, legend};
use super::figures::Results;
use super::plan::{DEADLINE, INSTANCES, PUBLISHING_OF_TEN, Tier};
use super::{plot, report};

/// The whole page.
pub(crate) fn html(results: &Results) -> Result<String> {
    let mut page = begin("mcrpc demo fleet", "A fleet of three tiers in Rust and C++, and what befalls it");
    let tiers: Vec<_> = Tier::ALL.iter().map(|tier| format!("{} ({})", tier.name(), tier.language())).collect();
    writeln!(
        page,
        "<p>A social feed of three tiers, {}, with {INSTANCES} instances each, on this machine. Users call at random and whether or \
         not they are answered, with a deadline of {} ms; {PUBLISHING_OF_TEN} of ten calls publish, which goes before reading and \
         must not be done twice. The store is the narrow tier: it does {:.0} calls per second.</p>\n<ul>",
        tiers.join(" → "),
        DEADLINE.as_millis(),
        results.capacity_per_s
    )?;
    for sentence in report::sentences(results) {
        writeln!(page, "<li>{}</li>", escaped(&sentence))?;
    }
    page += "</ul>\n<h2>All of it over time</h2>\n";
    legend(&mut page, &plot::legend())?;
    figure(&mut page, "calls per second", &plot::over_time(results)?)?;
    table(&mut page, results)?;
    page += end();
    Ok(page)
}

fn table(page: &mut String, results: &Results) -> Result<()> {
    *page += "<h2>All scenes</h2>\n<div class=\"scroll\">\n<table>\n<thead><tr>";
    for column in report::COLUMNS {
        write!(page, "<th>{column}</th>")?;
    }
    *page += "</tr></thead>\n<tbody>\n";
    for scene in &results.scenes {
        write!(page, "<tr title=\"{}\">", escaped(scene.scene.meaning()))?;
        for cell in report::row(scene) {
            write!(page, "<td>{}</td>", escaped(&cell))?;
        }
        *page += "</tr>\n";
    }
    *page += "</tbody>\n</table>\n</div>\n<p class=\"note\">Success is of all calls that arrived in the scene; <i>of the rest</i> leaves \
              out those that were <i>held</i>: a server died that had them, and they must not be run twice. <i>Publishing</i> is the \
              success of the calls that go first. <i>Not sent</i> counts calls that a timeline did not send to the store, because the \
              store's replies had said that it would refuse them, as counted once a second. Latencies are those of answered \
              calls, from the moment in which they were meant to begin.</p>\n";
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::figures::Curves;
    use super::super::figures::tests::figures;
    use super::super::plan::Scene;
    use super::*;

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let curves = Curves { offered_per_s: vec![9.0; 30], marks: vec![(0.0, "steady".into())], ..Curves::default() };
        let scenes = vec![figures(Scene::Steady, 0, 0, 0)];
        let page = html(&Results { capacity_per_s: 400.0, scenes, curves }).unwrap();
        assert!(page.ends_with("</html>\n") && page.contains("<td>steady</td>"));
        let links = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        assert!(!links.contains("http") && !links.contains("<script"));
    }
}
