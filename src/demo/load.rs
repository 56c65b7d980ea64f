//! The load: tasks that arrive whether or not the server keeps up.
//!
//! Arrival times are drawn beforehand (Poisson: exponential gaps) and are absolute. A slow server or a late timer
//! delays none of them, and a task's latency counts from its intended arrival; what the client itself loses is in the
//! figures, not hidden (no coordinated omission). The capacity is measured the other way round, in a closed loop.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, bail};
use rand::{Rng, RngExt};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::client::{CallError, Caller, Client, TaskContext, pass_on_panic};
use super::plan::{CONNECTIONS, DEADLINE, Span};
use super::record::{Counts, Recorder};
use super::server::Server;

/// A time with a steady rate of arrivals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) length: Duration,
    pub(crate) tasks_per_s: f64,
}

/// The arrivals of a Poisson process whose rate changes from phase to phase, in order, as offsets.
pub(crate) fn poisson_arrivals(rates: &[Rate], rng: &mut impl Rng) -> Vec<Duration> {
    let mut arrivals = Vec::new();
    let mut phase_start_s = 0.0;
    for rate in rates {
        // The process has no memory, so each phase can begin afresh.
        let phase_end_s = phase_start_s + rate.length.as_secs_f64();
        let mut at_s = phase_start_s;
        loop {
            // In (0, 1], so the logarithm is finite.
            let uniform: f64 = 1.0 - rng.random::<f64>();
            at_s -= uniform.ln() / rate.tasks_per_s;
            if at_s >= phase_end_s {
                break;
            }
            arrivals.push(Duration::from_secs_f64(at_s));
        }
        phase_start_s = phase_end_s;
    }
    arrivals
}

/// Offers tasks of `calls_per_task` calls at these arrival times, until the end of `span`.
pub(crate) async fn open_loop(
    server: &mut Server,
    span: Span,
    arrivals: Vec<Duration>,
    calls_per_task: u32,
) -> Result<Counts> {
    let address = server.address();
    server
        .during(async {
            let streams = Client::connect(address, CONNECTIONS).await?;
            let recorder = Rc::new(Recorder::start(span.warm_up..span.total()));
            let client = Client::new(address, streams, Rc::clone(&recorder));
            let mut tasks = JoinSet::new();
            for arrival in arrivals {
                if arrival > recorder.now() {
                    sleep_until((recorder.start_time() + arrival).into()).await;
                }
                recorder.task_offered(arrival);
                tasks.spawn_local(run_task(client.caller(), Rc::clone(&recorder), arrival, calls_per_task));
                while let Some(ended) = tasks.try_join_next() {
                    pass_on_panic(ended);
                }
            }
            sleep_until((recorder.start_time() + recorder.end()).into()).await;
            let counts = recorder.counts();
            client.close();
            Ok(counts)
        })
        .await
}

/// One task: its calls one after the other, all for the same user, within one deadline.
async fn run_task(caller: Caller, recorder: Rc<Recorder>, arrival: Duration, calls: u32) {
    let mut task = TaskContext {
        uin: caller.random_uin(),
        deadline: recorder.start_time() + arrival + DEADLINE,
        continues_task: false,
    };
    for _ in 0..calls {
        match caller.call(&task).await {
            Ok(()) => task.continues_task = true,
            Err(CallError::Refused(_)) => return recorder.task_refused(recorder.now()),
            Err(CallError::TimedOut | CallError::ConnectionLost) => return,
        }
    }
    let now = recorder.now();
    if now <= arrival + DEADLINE {
        recorder.task_good(arrival, now);
    }
}

/// Answers per second when every connection always has one request outstanding.
pub(crate) async fn closed_loop(server: &mut Server, span: Span) -> Result<f64> {
    let address = server.address();
    let counts = server
        .during(async {
            let streams = Client::connect(address, CONNECTIONS).await?;
            let recorder = Rc::new(Recorder::start(span.warm_up..span.total()));
            let client = Client::new(address, streams, Rc::clone(&recorder));
            let mut loops = JoinSet::new();
            for connection in 0..CONNECTIONS {
                let caller = client.caller();
                loops.spawn_local(async move {
                    // A refused request ends its loop; the check below sees it.
                    while caller.patient_call(connection).await.is_ok() {}
                });
            }
            sleep(recorder.end().saturating_sub(recorder.now())).await;
            let counts = recorder.counts();
            if let Some(ended) = loops.try_join_next() {
                pass_on_panic(ended);
                bail!("the server refused requests while its capacity was measured");
            }
            client.close();
            Ok(counts)
        })
        .await?;
    if counts.ok_answers == 0 {
        bail!("the server answered nothing while its capacity was measured");
    }
    Ok(counts.ok_answers as f64 / span.measured.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const fn rate(seconds: u64, tasks_per_s: f64) -> Rate {
        Rate { length: Duration::from_secs(seconds), tasks_per_s }
    }

    #[test]
    fn arrivals_have_the_rate_and_the_spread_of_a_poisson_process() {
        let arrivals = poisson_arrivals(&[rate(100, 1000.0)], &mut StdRng::seed_from_u64(1));
        // The standard deviation of the count is sqrt(100 000) = 316.
        assert!((arrivals.len() as f64 - 100_000.0).abs() < 1000.0, "{}", arrivals.len());
        let gaps: Vec<f64> = arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // For exponential gaps the standard deviation equals the mean.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn each_phase_has_its_rate() {
        let arrivals =
            poisson_arrivals(&[rate(10, 100.0), rate(10, 1000.0), rate(10, 100.0)], &mut StdRng::seed_from_u64(2));
        assert!(arrivals.is_sorted());
        let within = |from, to| arrivals.iter().filter(|at| (from..to).contains(&at.as_secs())).count() as f64;
        assert!((within(0, 10) - 1000.0).abs() < 130.0);
        assert!((within(10, 20) - 10_000.0).abs() < 400.0);
        assert!((within(20, 30) - 1000.0).abs() < 130.0);
        assert_eq!(within(30, u64::MAX), 0.0);
    }
}
