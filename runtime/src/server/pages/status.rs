//! Methods: how many requests, how long each stage took lately, how they ended (SPEC M4, M5).

use std::fmt::Write as _;

use mcrpc_core::shield::outcome::Outcome;

use super::ms;
use crate::clock;
use crate::methods::Run;
use crate::server::shared::Shared;
use crate::stats::window::Lately;

const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

pub(super) fn text(shared: &Shared) -> String {
    let now = clock::now();
    let mut methods: Vec<_> = shared.methods.iter().collect();
    methods.sort_by(|a, b| a.name.cmp(&b.name));
    let mut counts = format!(
        "up for {} s\n\n{:<40} {:>9} {:>12} {:>9} {:>9} {:>9} | {:>11} {:>7}\n",
        now.since(shared.observed.started_at) / 1_000_000_000,
        "method",
        "runs",
        "ok",
        "own fail",
        "failed",
        "refused",
        "requests/s",
        "running"
    );
    let mut times = String::new();
    for method in methods {
        let (name, stats) = (&method.name, &method.stats);
        let place = match method.run {
            Run::Inline(_) => "inline",
            Run::Async(_) => "async",
            Run::Blocking(_) => "blocking",
        };
        let (elapsed, lately) = shared.observed.window.lately(method.number, stats, now);
        let [ok, own, failed, refused] = Outcome::ALL.map(|outcome| stats.ended(outcome));
        let rate = lately.ended as f64 / elapsed.as_secs_f64().max(1.0);
        let running = stats.running();
        let _ = writeln!(
            counts,
            "{name:<40} {place:>9} {ok:>12} {own:>9} {failed:>9} {refused:>9} | {rate:>11.1} {running:>7}"
        );
        times.push_str(&stages(name, &lately));
    }
    format!(
        "{counts}\nmilliseconds, of the last 10 to 20 s{:<4} {:<24} {:>9} {:>9} {:>9} {:>9}\n{times}",
        "", "stage", "p50", "p90", "p99", "p99.9"
    )
}

fn stages(name: &str, lately: &Lately) -> String {
    let stages = [
        ("T1-T2 waited in the queue", &lately.queue_wait),
        ("T2-T3 was handled", &lately.service_time),
        ("T3-T4 reply was written", &lately.reply_time),
    ];
    let mut text = String::new();
    for (row, (stage, counts)) in stages.into_iter().enumerate() {
        let name = if row == 0 { name } else { "" };
        let _ = write!(text, "{name:<40} {stage:<25}");
        for share in SHARES {
            let _ = write!(text, " {:>9.3}", ms(counts.quantile(share)));
        }
        text.push('\n');
    }
    text
}
