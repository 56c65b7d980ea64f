//! One run: a fleet with one policy, and the users of one scenario.

use anyhow::Result;

use super::super::shield::clock::{now_ms, sleep_until};
use super::figures::RunFigures;
use super::fleet::Fleet;
use super::plan::{BUCKET, Run, Timing};
use super::users;

/// Does a run.
pub(crate) async fn measure(run: Run, timing: Timing) -> Result<RunFigures> {
    let mut fleet = Fleet::start(run.policy, run.number + 1).await?;
    let address = fleet.address();
    // With the servers' buckets, once there was time to connect.
    let start_ms = (now_ms() + 50).next_multiple_of(BUCKET.as_millis() as u64);
    let offer = |backs| users::offer(address, run, timing, sleep_until(start_ms), backs);
    let counts = fleet.during(offer).await?;
    let series = fleet.stop().await?;
    let from_ms = start_ms + timing.before.as_millis() as u64;
    let calls = series.sum(from_ms..from_ms + timing.overload.as_millis() as u64);
    Ok(RunFigures::new(run, timing, &counts, calls))
}
