//! The processes of one run: the servers of limited capacity, and the front that calls them.

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use anyhow::{Context, Result};
use rustix::process::Signal;
use tokio::process::Command;

use super::super::process::Process;
use super::plan::{ATTEMPTS, BROWNOUT, CALLS_PER_TASK, Policy, SERVERS, SERVICE_MS, WORKERS};
use super::series::Series;

const FRONT: &str = env!("MCRPC_FLEET_FRONT_STATIC");
const BACK: &str = env!("MCRPC_FLEET_BACK_STATIC");

/// The servers of limited capacity.
pub(crate) struct Backs(Vec<Process>);

impl Backs {
    /// Lets a brownout begin or end.
    pub(crate) fn slow_down(&self, is_slow: bool) {
        self.0.iter().for_each(|back| back.signal(if is_slow { Signal::USR1 } else { Signal::USR2 }));
    }
}

/// All processes, running.
pub(crate) struct Fleet {
    front: Process,
    address: SocketAddr,
    backs: Backs,
    printed: Rc<RefCell<Result<Series>>>,
}

impl Fleet {
    /// Starts the servers with a policy, and the front.
    pub(crate) async fn start(policy: Policy, seed: u64) -> Result<Fleet> {
        let printed = Rc::new(RefCell::new(Ok(Series::default())));
        let mut backs = Vec::new();
        let mut addresses = Vec::new();
        for number in 0..u64::from(SERVERS) {
            // Each of its workers has a seed of its own from there on.
            let seed = seed * 10_000 + number * 1_000;
            let (back, address) = start_back(policy, seed, Rc::clone(&printed)).await?;
            backs.push(back);
            addresses.push(address.to_string());
        }
        let mut command = Command::new(FRONT);
        command
            .args(["--servers", &addresses.join(","), "--caller", policy.caller(), "--die-with-parent"])
            .args(["--calls", &CALLS_PER_TASK.to_string(), "--attempts", &ATTEMPTS.to_string()])
            .args(["--seed", &seed.to_string()]);
        let started = Process::start_until(command, reader(Rc::clone(&printed))).await;
        let (front, address) = started.with_context(|| named(FRONT))?;
        Ok(Fleet { front, address, backs: Backs(backs), printed })
    }

    /// Where users send their tasks.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does `work` with the servers; an error as soon as the front ends meanwhile.
    pub(crate) async fn during<'a, T, W>(&'a mut self, work: impl FnOnce(&'a Backs) -> W) -> Result<T>
    where
        W: Future<Output = Result<T>> + 'a,
    {
        self.front.during(work(&self.backs)).await.with_context(|| named(FRONT))
    }

    /// Ends all processes; what they counted.
    pub(crate) async fn stop(self) -> Result<Series> {
        self.front.stop().await.with_context(|| named(FRONT))?;
        for back in self.backs.0 {
            back.stop().await.with_context(|| named(BACK))?;
        }
        self.printed.replace(Ok(Series::default()))
    }
}

async fn start_back(policy: Policy, seed: u64, printed: Rc<RefCell<Result<Series>>>) -> Result<(Process, SocketAddr)> {
    let slowed_ms = f64::from(SERVICE_MS) / BROWNOUT;
    let mut command = Command::new(BACK);
    command
        .args(["--policy", policy.name(), "--workers", &WORKERS.to_string(), "--die-with-parent"])
        .args(["--service-ms", &SERVICE_MS.to_string(), "--slowed-ms", &slowed_ms.to_string()])
        .args(["--seed", &seed.to_string()]);
    Process::start_until(command, reader(printed)).await.with_context(|| named(BACK))
}

/// Waits for the line that says where a program listens, and then adds up what it counts.
fn reader(printed: Rc<RefCell<Result<Series>>>) -> impl Fn(&str) -> Option<SocketAddr> {
    move |line| {
        let address = line.strip_prefix("listening ").and_then(|address| address.parse().ok());
        if address.is_none() {
            read_line(&mut printed.borrow_mut(), line);
        }
        address
    }
}

/// After a line that is none the others do not matter.
fn read_line(printed: &mut Result<Series>, line: &str) {
    if let Ok(series) = printed
        && let Err(error) = series.add_line(line)
    {
        *printed = Err(error);
    }
}

fn named(program: &str) -> String {
    format!("the server {program}")
}
