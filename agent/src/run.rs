//! The seconds of the agent, and what happens in between: probes end, and reject levels follow their cursors.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::agent::Agent;
use crate::clock;
use crate::event::Event;
use crate::probe::Prober;

const SECOND: Duration = Duration::from_secs(1);
/// A cursor moves with each of a server's windows, which are as long.
const LEVELS_EACH: Duration = Duration::from_millis(100);

/// Publishes until `end`, and tells what happens. In a tokio runtime with network and time.
pub async fn run(mut agent: Agent, end: impl Future<Output = ()>, mut tell: impl FnMut(&Event)) {
    let mut end = pin!(end);
    let mut prober = Prober::default();
    let (mut seconds, mut levels) = (interval(SECOND), interval(LEVELS_EACH));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    levels.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut end => break,
            _ = seconds.tick() => {
                agent.second(clock::monotonic()).iter().for_each(&mut tell);
                prober.begin_round(agent.take_to_probe());
            }
            Some(probed) = prober.next() => agent.probed(&probed, clock::monotonic()),
            _ = levels.tick(), if agent.has_levels() => agent.follow_levels(clock::monotonic()),
        }
    }
    agent.close();
}
