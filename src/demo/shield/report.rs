//! The results in words: the table, and for each fault a sentence drawn from the measured numbers.
//!
//! The sentences also say where the host's shields fall short of their aims.

use comfy_table::{CellAlignment, Table, presets};

use super::figures::{Results, RunFigures};
use super::plan::{Fault, Protection};

/// What the shields of a host are meant to reach when one machine of three is down.
const AIM_SUCCESS: f64 = 0.999;
const AIM_SHARE: f64 = 0.01;
const AIM_BACK_S: f64 = 10.0;
/// And whatever fails.
const AIM_ATTEMPTS: f64 = 1.1;

/// The columns of the table, here and on the page.
pub(crate) const COLUMNS: [&str; 10] = [
    "fault",
    "protection",
    "answered",
    "after 1 s",
    "to faulty",
    "attempts/call",
    "back to share",
    "answered again",
    "probes",
    "p99 ms",
];

/// One row, in the order of [`COLUMNS`].
pub(crate) fn row(run: &RunFigures) -> [String; 10] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let seconds = |value: Option<f64>| or_dash(value.map(|s| format!("{s:.1} s")));
    [
        run.fault.name().to_owned(),
        run.protection.name().to_owned(),
        percent(run.success),
        percent(run.success_after_1s),
        percent(run.share_to_faulty),
        format!("{:.2}", run.attempts_per_call),
        seconds(run.back_to_share_s),
        seconds(run.back_to_success_s),
        run.probes.to_string(),
        or_dash(run.p99_ms.map(|ms| format!("{ms:.0}"))),
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
        if index > 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// What the numbers show.
pub(crate) fn sentences(results: &Results) -> Vec<String> {
    let of_fault = |fault| sentence(&results.runs, fault);
    Fault::ALL.into_iter().filter_map(of_fault).chain(shortfalls(&results.runs)).collect()
}

fn sentence(runs: &[RunFigures], fault: Fault) -> Option<String> {
    let find = |protection| runs.iter().find(|run| run.fault == fault && run.protection == protection);
    let (none, retries, host) = (find(Protection::None)?, find(Protection::Retries)?, find(Protection::Host)?);
    let back = match host.back_to_share_s {
        Some(seconds) => format!(" The users are where they were {seconds:.1} s after the fault."),
        None => String::new(),
    };
    Some(format!(
        "{}: {}. One attempt answers {} of the calls, blind retries {} with {:.2} attempts per call, the host's shields {} \
         with {:.2}.{}",
        fault.name(),
        fault.meaning(),
        percent(none.success),
        percent(retries.success),
        retries.attempts_per_call,
        percent(host.success),
        host.attempts_per_call,
        back,
    ))
}

fn shortfalls(runs: &[RunFigures]) -> Vec<String> {
    let mut texts = Vec::new();
    for run in runs.iter().filter(|run| run.protection == Protection::Host) {
        let is_down = run.fault == Fault::Down;
        if is_down && run.success_after_1s < AIM_SUCCESS {
            texts.push(format!(
                "down: {} of the calls are answered after the first second, less than 99.9 %.",
                percent(run.success_after_1s)
            ));
        }
        if is_down && run.share_to_faulty > AIM_SHARE {
            texts.push(format!(
                "down: {} of the attempts go to the machine that is down, more than 1 %.",
                percent(run.share_to_faulty)
            ));
        }
        if is_down && run.back_to_share_s.is_none_or(|seconds| seconds > AIM_BACK_S) {
            texts.push(format!("down: the machine does not have its share again within {AIM_BACK_S} s."));
        }
        if run.attempts_per_call > AIM_ATTEMPTS {
            texts.push(format!(
                "{}: {:.3} attempts per call, more than {AIM_ATTEMPTS}.",
                run.fault.name(),
                run.attempts_per_call
            ));
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::run;
    use super::*;

    #[test]
    fn rows_are_compact() {
        let expected = ["down", "host", "90.0 %", "100.0 %", "0.0 %", "1.00", "3.0 s", "0.0 s", "0", "2"];
        assert_eq!(row(&run(3_000)), expected);
    }

    #[test]
    fn what_falls_short_is_said() {
        assert!(shortfalls(&[run(3_000)]).is_empty());
        let texts = shortfalls(&[RunFigures { success_after_1s: 0.99, attempts_per_call: 1.2, ..run(60_000) }]);
        assert_eq!(texts.len(), 3, "{texts:?}");
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let json = serde_json::to_value(Results { runs: vec![run(3_000)] }).unwrap();
        let run = &json["runs"][0];
        assert_eq!((&run["protection"], &run["fault"]), (&"host".into(), &"down".into()));
        for key in ["success", "success_after_1s", "share_to_faulty", "attempts_per_call", "back_to_share_s"] {
            assert!(run[key].is_number(), "{key}");
        }
    }
}
