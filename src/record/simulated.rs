//! A server of a simulated world.

use std::time::Duration;

use anyhow::{Context as _, Result};
use mcrpc_sim::policy::Recording as RecordingPolicy;
use mcrpc_sim::run::run;
use mcrpc_sim::scenario::{self, Extent};

use crate::replay::file::Recording;

/// Simulates the case of a scenario for so long.
pub(super) fn record(scenario: &str, length: Duration) -> Result<Recording> {
    let (name, case) = scenario.rsplit_once(':').unwrap_or((scenario, "0"));
    let case: usize = case.parse().with_context(|| format!("{case:?} is no number of a case"))?;
    let all = scenario::all(Extent::Quick);
    let found = all.iter().find(|scenario| scenario.name == name);
    let found = found.with_context(|| format!("there is no scenario {name:?}: `mcrpc sim --list` names them"))?;
    let case = found.cases.get(case).with_context(|| format!("{name} has the cases 0 to {}", found.cases.len() - 1))?;
    let mut world = case.world(1);
    world.length_s = world.length_s.min(length.as_secs_f64());
    let policy = RecordingPolicy::default();
    run(&world, &policy);
    let recorded = policy.recorded().context("the world has no server")?;
    Ok(Recording { config: recorded.config, records: recorded.records() })
}
