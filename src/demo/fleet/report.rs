//! The results in words: the table, and sentences drawn from the measured numbers, also where they fall short of the aims.

use comfy_table::{CellAlignment, Table, presets};

use super::figures::{Results, SceneFigures};
use super::plan::Scene;

/// When an instance is killed: of the calls that it did not have.
const AIM_SUCCESS_OF_REST: f64 = 0.999;

/// The columns of the table, here and on the page.
pub(crate) const COLUMNS: [&str; 11] = [
    "scene",
    "offered/s",
    "ok/s",
    "success",
    "of the rest",
    "publishing",
    "refused",
    "held",
    "failed",
    "not sent",
    "p50/p99 ms",
];

/// One row, in the order of [`COLUMNS`].
pub(crate) fn row(of: &SceneFigures) -> [String; 11] {
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.0}"));
    [
        of.name.clone(),
        format!("{:.0}", of.offered_per_s),
        format!("{:.0}", of.ok_per_s),
        percent(of.success),
        percent(of.success_of_rest),
        percent(of.success_of_publishing),
        of.refused.to_string(),
        of.held.to_string(),
        of.failed.to_string(),
        of.not_sent.to_string(),
        format!("{}/{}", ms(of.p50_ms), ms(of.p99_ms)),
    ]
}

/// All scenes as a table for the terminal.
pub(crate) fn table(scenes: &[SceneFigures]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(COLUMNS);
    for scene in scenes {
        table.add_row(row(scene));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// What the numbers show.
pub(crate) fn sentences(results: &Results) -> Vec<String> {
    let scenes = &results.scenes;
    let mut texts = Vec::new();
    if let Some(overload) = scenes.iter().find(|of| of.scene == Scene::Overload) {
        texts.push(format!(
            "At four times the store's capacity {:.0} of {:.0} calls per second are answered, p99 {:.0} ms; of those that publish, \
             which go first, {}. {} calls never left for the store: it had said that it would refuse them.",
            overload.ok_per_s,
            results.capacity_per_s,
            overload.p99_ms.unwrap_or(0.0),
            percent(overload.success_of_publishing),
            overload.not_sent,
        ));
    }
    let killed: Vec<_> = scenes.iter().filter(|of| matches!(of.scene, Scene::Kill(_))).collect();
    let sum =
        |of: fn(&SceneFigures) -> u64, scenes: &[&SceneFigures]| -> u64 { scenes.iter().map(|scene| of(scene)).sum() };
    if !killed.is_empty() {
        texts.push(format!(
            "One of three instances of each tier is killed: of {} calls {} were with it and must not be run twice, {} of the others \
             were not answered.",
            sum(|of| of.calls, &killed),
            sum(|of| of.held, &killed),
            sum(|of| of.refused + of.failed, &killed),
        ));
    }
    let restarted: Vec<_> = scenes.iter().filter(|of| matches!(of.scene, Scene::Restart(_))).collect();
    if !restarted.is_empty() {
        texts.push(format!(
            "All instances of all tiers are restarted under load: of {} calls {} failed.",
            sum(|of| of.calls, &restarted),
            sum(|of| of.refused + of.held + of.failed, &restarted),
        ));
    }
    texts.extend(scenes.iter().filter_map(shortfall));
    texts
}

fn shortfall(of: &SceneFigures) -> Option<String> {
    match of.scene {
        Scene::Kill(_) if of.success_of_rest < AIM_SUCCESS_OF_REST => Some(format!(
            "{}: {} of the calls that the dead instance did not have were answered, less than 99.9 %.",
            of.name,
            percent(of.success_of_rest)
        )),
        Scene::Restart(_) if of.refused + of.held + of.failed > 0 => {
            Some(format!("{}: {} calls failed, and none should.", of.name, of.refused + of.held + of.failed))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Curves;
    use super::super::figures::tests::figures;
    use super::super::plan::Tier;
    use super::*;

    #[test]
    fn what_falls_short_is_said() {
        let of = |scenes: Vec<SceneFigures>| {
            let results = Results { capacity_per_s: 400.0, scenes, curves: Curves::default() };
            sentences(&results)
                .into_iter()
                .filter(|text| text.contains("less than") || text.contains("none should"))
                .count()
        };
        let (kill, restart) = (Scene::Kill(Tier::Front), Scene::Restart(Tier::Store));
        assert_eq!(
            of(vec![figures(kill, 1, 20, 0), figures(restart, 0, 0, 0)]),
            1,
            "one of 980 is more than a thousandth"
        );
        assert_eq!(
            of(vec![figures(kill, 0, 20, 0), figures(restart, 0, 0, 0), figures(Scene::Overload, 500, 0, 9)]),
            0
        );
        assert_eq!(of(vec![figures(kill, 0, 0, 2), figures(restart, 0, 1, 0)]), 2);
    }

    #[test]
    fn rows_are_compact() {
        let row = row(&figures(Scene::Steady, 0, 0, 0));
        assert_eq!(row[..5], ["steady", "200", "200", "100.00 %", "100.00 %"]);
        assert_eq!(row[10], "35/–");
    }
}
