//! The seconds of the agent, and what happens in between: probes end, reports come, and reject levels follow
//! their cursors.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::agent::Agent;
use crate::clock;
use crate::event::Event;
use crate::reports::socket::Reports;

const SECOND: Duration = Duration::from_secs(1);
/// A cursor moves with each of a server's windows, which are as long.
const LEVELS_EACH: Duration = Duration::from_millis(100);

/// Publishes until `end`, and tells what happens. In a tokio runtime with network and time.
pub async fn run(mut agent: Agent, mut reports: Reports, end: impl Future<Output = ()>, mut tell: impl FnMut(&Event)) {
    let mut end = pin!(end);
    let mut prober = agent.prober();
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
            // Last, so that no flood of them keeps the agent from anything else; they wait while there is nothing to count in.
            Ok((datagram, sender)) = reports.next(), if agent.counts() => {
                let answer = agent.reported(datagram, sender.as_ref(), clock::monotonic());
                sender.iter().for_each(|sender| reports.answer(&answer, sender));
            }
        }
    }
    agent.close();
}
