//! The results in words: the table, and a few plain sentences drawn from the measured numbers.
//!
//! The sentences are chosen by the numbers, so they also say where admission control falls short of its aims.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};

use super::figures::{Results, RunFigures, StepFigures};
use super::plan::{Mode, on_off};

/// What admission control is meant to reach at the highest load, by calls per task.
const AIM_SHARE: [(u32, f64); 2] = [(1, 0.95), (2, 0.93)];
/// And the latency of plain calls.
const AIM_P99_MS: f64 = 250.0;

/// The columns of the table, here and on the page.
pub(crate) const COLUMNS: [&str; 12] = [
    "mode",
    "admission",
    "calls",
    "load",
    "offered/s",
    "good/s",
    "of optimum",
    "p50 ms",
    "p99 ms",
    "p999 ms",
    "refused",
    "wasted",
];

/// One row, in the order of [`COLUMNS`].
pub(crate) fn row(run: &RunFigures) -> [String; 12] {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.0}"));
    [
        run.mode.name().to_owned(),
        on_off(run.admission).to_owned(),
        run.calls_per_task.to_string(),
        format!("{}×", run.load),
        format!("{:.0}", run.offered_per_s),
        format!("{:.0}", run.good_per_s),
        percent(run.optimum_share),
        ms(run.p50_ms),
        ms(run.p99_ms),
        ms(run.p999_ms),
        refusals(&run.refused),
        percent(run.wasted_share),
    ]
}

/// All runs as a table for the terminal.
pub(crate) fn table(runs: &[RunFigures]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(COLUMNS);
    for run in runs {
        table.add_row(row(run));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((1, 1));
        if !matches!(index, 0 | 1 | 10) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Reasons with their counts, the most frequent first.
fn refusals(refused: &BTreeMap<String, u64>) -> String {
    let mut reasons: Vec<_> = refused.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let texts: Vec<String> =
        reasons.into_iter().map(|(name, count)| format!("{} {}", short_reason(name), compact(*count))).collect();
    if texts.is_empty() { "–".to_owned() } else { texts.join(", ") }
}

/// The status names are long; these are enough in a column headed "refused".
fn short_reason(name: &str) -> &str {
    match name {
        "below_cursor" => "cursor",
        "wait_above_soft_limit" => "soft wait",
        "wait_above_hard_limit" => "hard wait",
        "queue_full" => "queue full",
        "deadline_on_arrival" => "late on arrival",
        "deadline_in_queue" => "late in queue",
        other => other,
    }
}

fn compact(count: u64) -> String {
    if count < 1000 { count.to_string() } else { format!("{:.1}k", count as f64 / 1000.0) }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// What the numbers show.
pub(crate) fn sentences(results: &Results) -> Vec<String> {
    let mut sentences =
        vec![format!("A task is good if all its calls are answered within {} ms of its arrival.", results.deadline_ms)];
    for mode in Mode::ALL {
        for (calls, aim) in AIM_SHARE {
            sentences.extend(overload_sentence(&results.runs, mode, calls, aim));
        }
        sentences.extend(results.steps.iter().filter(|step| step.mode == mode).map(step_sentence));
    }
    sentences.push(low_load_sentence(&results.runs));
    sentences.extend(lowest_sentence(&results.runs));
    sentences
}

fn highest_load(runs: &[RunFigures]) -> f64 {
    runs.iter().map(|run| run.load).fold(0.0, f64::max)
}

fn overload_sentence(runs: &[RunFigures], mode: Mode, calls: u32, aim: f64) -> Option<String> {
    let load = highest_load(runs);
    let find = |admission| {
        runs.iter().find(|run| {
            run.mode == mode && run.calls_per_task == calls && run.load == load && run.admission == admission
        })
    };
    let (off, on) = (find(false)?, find(true)?);
    let verb = match on.good_per_s - off.good_per_s {
        gain if gain > 0.0 => "raises",
        0.0 => "leaves",
        _ => "lowers",
    };
    let mut text = format!(
        "{}, {}, {load}× the capacity: admission control {verb} good tasks from {:.0} to {:.0} per second, {} \
         to {} of the optimum",
        capitalised(mode.name()),
        calls_text(calls),
        off.good_per_s,
        on.good_per_s,
        percent(off.optimum_share),
        percent(on.optimum_share),
    );
    if let Some(p99_ms) = on.p99_ms {
        text += &format!("; 99 of 100 of them take at most {p99_ms:.0} ms");
    }
    text.push('.');
    if on.optimum_share < aim {
        text += &format!(" That is short of the aim of {}.", percent(aim));
    }
    if calls == 1 && on.p99_ms.is_some_and(|ms| ms > AIM_P99_MS) {
        text += &format!(" The latency is above the aim of {AIM_P99_MS} ms.");
    }
    Some(text)
}

fn step_sentence(step: &StepFigures) -> String {
    let reached = match step.reached_90_percent_after_s {
        Some(0.0) => "is at 90 % of the capacity right from the step".to_owned(),
        Some(seconds) => format!("is back at 90 % of the capacity {seconds:.1} s after the step"),
        None => "never reaches 90 % of the capacity".to_owned(),
    };
    let refused = match step.refused_after_1s {
        0 => "nothing is refused any more".to_owned(),
        count => format!("{count} requests are still refused"),
    };
    format!(
        "{}, a sudden overload, admission {}: good work {reached} and, after a second of overload, stands at {}. One \
         second after the overload is over, {refused} and {} of the tasks are good.",
        capitalised(step.mode.name()),
        on_off(step.admission),
        percent(step.share_after_1s),
        percent(step.good_share_after_end),
    )
}

/// The run in which admission control does worst, whatever the load.
fn lowest_sentence(runs: &[RunFigures]) -> Option<String> {
    let with_admission = runs.iter().filter(|run| run.admission);
    let lowest = with_admission.min_by(|a, b| a.optimum_share.total_cmp(&b.optimum_share))?;
    Some(format!(
        "The lowest share of the optimum in any run with admission control: {} ({}, {}, load {}×).",
        percent(lowest.optimum_share),
        lowest.mode.name(),
        calls_text(lowest.calls_per_task),
        lowest.load
    ))
}

/// For sentences and captions.
pub(crate) const fn calls_text(calls_per_task: u32) -> &'static str {
    if calls_per_task == 1 { "one call per task" } else { "two calls per task" }
}

fn low_load_sentence(runs: &[RunFigures]) -> String {
    let low: Vec<_> = runs.iter().filter(|run| run.admission && run.load < 1.0).collect();
    let refused: u64 = low.iter().flat_map(|run| run.refused.values()).sum();
    let offered: f64 = low.iter().map(|run| run.offered_per_s * f64::from(run.calls_per_task)).sum();
    match refused {
        0 => "Below the capacity, admission control refused nothing.".to_owned(),
        count => format!(
            "Below the capacity, admission control refused {count} requests although none needed to be; {offered:.0} \
             per second were offered in those {} runs.",
            low.len()
        ),
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::figures::Curves;
    use super::*;

    /// A run at this load.
    pub(crate) fn run(admission: bool, calls_per_task: u32, load: f64, optimum_share: f64) -> RunFigures {
        let optimum_per_s = (800.0 * load).min(800.0) / f64::from(calls_per_task);
        RunFigures {
            mode: Mode::Threads,
            admission,
            calls_per_task,
            load,
            capacity_per_s: 800.0,
            offered_per_s: 800.0 * load / f64::from(calls_per_task),
            good_per_s: optimum_share * optimum_per_s,
            optimum_share,
            p50_ms: Some(30.0),
            p99_ms: Some(90.0),
            p999_ms: None,
            refused: BTreeMap::from([("below_cursor".to_owned(), 3100)]),
            wasted_share: 0.25,
            curves: Curves { bucket_ms: 100, ..Curves::default() },
        }
    }

    #[test]
    fn rows_are_compact() {
        let row = row(&run(true, 1, 4.0, 0.97));
        assert_eq!(row[4..], ["3200", "776", "97 %", "30", "90", "–", "cursor 3.1k", "25 %"]);
    }

    #[test]
    fn what_falls_short_is_said() {
        let runs = [run(false, 1, 4.0, 0.1), run(true, 1, 4.0, 0.9)];
        let text = overload_sentence(&runs, Mode::Threads, 1, 0.95).unwrap();
        assert!(
            text.contains("raises good tasks from 80 to 720") && text.contains("short of the aim of 95 %"),
            "{text}"
        );
        let runs = [run(false, 1, 4.0, 0.98), run(true, 1, 4.0, 0.96)];
        let text = overload_sentence(&runs, Mode::Threads, 1, 0.95).unwrap();
        assert!(text.contains("lowers") && !text.contains("short"), "{text}");
        assert!(lowest_sentence(&runs).unwrap().contains("96 % (threads, one call per task, load 4×)"));
        assert!(low_load_sentence(&[run(true, 1, 0.5, 1.0)]).contains("3100 requests"));
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let results =
            Results { capacity_per_s: 800.0, deadline_ms: 500, runs: vec![run(true, 1, 4.0, 0.97)], steps: Vec::new() };
        let json = serde_json::to_value(&results).unwrap();
        assert_eq!(json["capacity_per_s"], 800.0);
        assert_eq!(json["deadline_ms"], 500);
        let run = &json["runs"][0];
        assert_eq!((&run["mode"], &run["admission"]), (&"threads".into(), &true.into()));
        assert_eq!(run["refused"]["below_cursor"], 3100);
        let keys = run.as_object().unwrap().keys().map(String::as_str).collect::<std::collections::BTreeSet<_>>();
        let expected = "mode admission calls_per_task load capacity_per_s offered_per_s good_per_s optimum_share p50_ms \
                        p99_ms p999_ms refused wasted_share";
        assert_eq!(keys, expected.split(' ').collect());
    }
}
