//! The same input gives the same decisions on every machine: traces of the controller and of the choice of endpoints hash to
//! the values in `golden.txt`, whatever the width and the order of bytes of the machine (`.ci/cross` runs this on others).
//!
//! A change of a decision changes the values: `MCRPC_UPDATE=1 cargo test -p mcrpc-core --test trace_hash` writes them anew, and
//! the counts beside them say how much has moved. It uses nothing but the core, so that it builds fast for any target.

#![deny(clippy::float_arithmetic)]

mod endpoints;
mod server;
mod trace;

use std::fmt::Write as _;
use std::path::Path;

use mcrpc_core::admission::Config;

use server::Scenario;
use trace::Trace;

const STEPS: &[(u64, u64)] = &[(0, 50), (2_000, 300), (6_000, 80), (8_000, 150), (12_000, 0)];

fn admission_traces() -> Vec<(&'static str, Trace)> {
    let one_queue = Scenario {
        config: Config { workers_per_queue: 8, ..Config::DEFAULT },
        workers_per_queue: 8,
        service_us: 8_000,
        steps: STEPS,
        brownout: (9_000, 11_000, 3),
        callers_heed: false,
    };
    let prefork = Config { queue_count: 8, workers_per_queue: 1, ..Config::DEFAULT };
    let unknown_workers = Config { workers_per_queue: 0, ..Config::DEFAULT };
    [
        ("one queue", Scenario { ..one_queue }),
        ("one queue, workers unknown", Scenario { config: unknown_workers, ..one_queue }),
        ("one queue, callers heed the cursor", Scenario { callers_heed: true, ..one_queue }),
        ("eight queues", Scenario { config: prefork, workers_per_queue: 1, ..one_queue }),
        (
            "eight queues, callers heed the cursor",
            Scenario { config: prefork, workers_per_queue: 1, callers_heed: true, ..one_queue },
        ),
    ]
    .map(|(name, scenario)| (name, server::run(&scenario)))
    .into()
}

#[test]
fn the_same_input_gives_the_same_decisions_on_every_machine() {
    let mut traces = admission_traces();
    traces.push(("endpoints of one host", endpoints::run()));
    let found = traces.iter().fold(String::new(), |mut text, (name, trace)| {
        assert!(trace.refused() > 0, "{name}: it was meant to show refusals too");
        writeln!(text, "{name}: {trace}").unwrap();
        text
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace_hash/golden.txt");
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden, found,
        "{path:?} differs. If the decisions were meant to change: \
         MCRPC_UPDATE=1 cargo test -p mcrpc-core --test trace_hash, and review the counts"
    );
}
