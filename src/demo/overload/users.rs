//! The users: tasks that arrive whether or not the service keeps up, and in a retry storm users who ask again.
//!
//! Arrival times are drawn beforehand and are absolute, so a slow service or a late timer delays none of them.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::super::client::{Caller, Client, TaskContext, pass_on_panic};
use super::super::load::poisson_arrivals;
use super::super::record::Recorder;
use super::fleet::Backs;
use super::plan::{
    CONNECTIONS, DEADLINE, Run, SEED, Scenario, Timing, USER_RETRIES, USER_RETRY_DELAY, USER_RETRY_SHARE,
};
use super::record::{Counts, Record};

/// Offers the tasks of a run, and slows the servers down where the scenario says so.
pub(crate) async fn offer(
    address: SocketAddr,
    run: Run,
    timing: Timing,
    start: impl Future<Output = ()>,
    backs: &Backs,
) -> Result<Counts> {
    let mut random = StdRng::seed_from_u64(SEED + run.number);
    let arrivals = poisson_arrivals(&run.scenario.rates(timing), &mut random);
    let streams = Client::connect(address, CONNECTIONS).await?;
    // The front's answers are counted as tasks, and nowhere else.
    let client = Client::new(address, streams, Rc::new(Recorder::start(Duration::ZERO..Duration::ZERO)));
    start.await;
    let overload = timing.before..timing.before + timing.overload;
    let record = Rc::new(Record::start(overload.clone(), timing.total()));
    let at = |offset: Duration| sleep_until((record.start_time() + offset).into());
    let suffer = async {
        at(overload.start).await;
        backs.slow_down(true);
        at(overload.end).await;
        backs.slow_down(false);
    };
    let arrive = async {
        let mut users = JoinSet::new();
        for arrival in arrivals {
            if arrival > record.now() {
                at(arrival).await;
            }
            // Users differ in what they do after a failure, but do the same under all policies.
            let own_random = StdRng::seed_from_u64(random.random());
            users.spawn_local(be_user(client.caller(), Rc::clone(&record), arrival, run.scenario, own_random));
            while let Some(ended) = users.try_join_next() {
                pass_on_panic(ended);
            }
        }
        at(timing.total() + DEADLINE).await;
    };
    if run.scenario == Scenario::Brownout {
        tokio::join!(suffer, arrive);
    } else {
        arrive.await;
    }
    let counts = record.take();
    client.close();
    Ok(counts)
}

/// One user: a task, and the same one again where it failed and he has patience.
async fn be_user(caller: Caller, record: Rc<Record>, arrival: Duration, scenario: Scenario, mut random: StdRng) {
    let uin = random.random_range(1..=u64::MAX);
    let retries = if scenario == Scenario::RetryStorm { USER_RETRIES } else { 0 };
    let mut began = arrival;
    for number in 0..=retries {
        record.try_began(began, number == 0);
        let deadline = record.start_time() + began + DEADLINE;
        let result = caller.call_once(&TaskContext { uin, deadline, continues_task: false }).await;
        let now = record.now();
        if result.is_ok() && now <= began + DEADLINE {
            return record.try_good(began, now);
        }
        if number == retries || !random.random_bool(USER_RETRY_SHARE) {
            return;
        }
        // In (0, 1], so the logarithm is finite.
        let uniform: f64 = 1.0 - random.random::<f64>();
        sleep(USER_RETRY_DELAY.mul_f64(-uniform.ln())).await;
        began = record.now();
    }
}
