//! All that is traced, for this test and for machines without an operating system (tests/bare-metal).

use alloc::vec::Vec;

use mcrpc_core::admission::Config;

use crate::server::Scenario;
use crate::trace::Trace;
use crate::{endpoints, server};

const STEPS: &[(u64, u64)] = &[(0, 50), (2_000, 300), (6_000, 80), (8_000, 150), (12_000, 0)];

/// Each with its name.
pub fn traces() -> Vec<(&'static str, Trace)> {
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
    .into_iter()
    .chain([("endpoints of one host", endpoints::run())])
    .inspect(|(name, trace)| assert!(trace.refused() > 0, "{name}: it was meant to show refusals too"))
    .collect()
}
