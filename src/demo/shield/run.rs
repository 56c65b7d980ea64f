//! One run: a service, its clients, for one of the protections an agent, and a fault.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;
use tokio::process::Command;

use super::super::process::Process;
use super::clock::{Moments, now_ms};
use super::figures::RunFigures;
use super::fleet::Fleet;
use super::plan::{ATTEMPT_TIMEOUT, CALLS_PER_S, CLIENTS, Fault, OWN_ZONE, Protection, Scenario, Timing};
use super::series::Series;

const CLIENT: &str = env!("MCRPC_RESILIENT_CLIENT_STATIC");

/// Does a run.
pub(crate) async fn measure(scenario: Scenario, timing: Timing) -> Result<RunFigures> {
    let host = match scenario.protection {
        Protection::Host => Some(Host::start().await?),
        _ => None,
    };
    let mut fleet = Fleet::start(scenario.fault).await?;
    let usual_shares = fleet.usual_shares()?;
    let moments = Moments::after(now_ms(), timing);
    let clients = Clients::start(scenario, &fleet.endpoints(), host.as_ref(), &moments)?;
    fleet.suffer(&moments).await?;
    let series = clients.finish().await?;
    fleet.stop().await?;
    if let Some(host) = host {
        host.agent.stop().await.context("the agent")?;
    }
    Ok(RunFigures::new(scenario, &moments, &usual_shares, &series))
}

/// A host of the clients' own: a directory and its agent.
struct Host {
    // Before the directory: it tidies up there when it ends.
    agent: Process,
    directory: TempDir,
}

impl Host {
    async fn start() -> Result<Host> {
        let directory = tempfile::tempdir().context("cannot make a directory for the agent")?;
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(["agent", "--dir"]).arg(directory.path().join("mcrpc"));
        let ready = |line: &str| line.starts_with("mcrpc agent").then_some(());
        let (agent, ()) = Process::start_until(command, ready).await.context("the agent")?;
        Ok(Host { agent, directory })
    }
}

/// The client processes of a run.
struct Clients {
    processes: Vec<Process>,
    read: Rc<RefCell<Result<Series>>>,
}

impl Clients {
    fn start(scenario: Scenario, endpoints: &str, host: Option<&Host>, moments: &Moments) -> Result<Clients> {
        let duration = Duration::from_millis(moments.end_ms.saturating_sub(now_ms())).as_secs_f64();
        let mut clients = Clients { processes: Vec::new(), read: Rc::new(RefCell::new(Ok(Series::default()))) };
        for number in 0..CLIENTS {
            let mut command = Command::new(CLIENT);
            command
                .args(["--endpoints", endpoints, "--protection", scenario.protection.name()])
                .args(["--rate", &CALLS_PER_S.to_string(), "--duration", &duration.to_string()])
                .args(["--timeout-ms", &ATTEMPT_TIMEOUT.as_millis().to_string(), "--seed", &(number + 1).to_string()]);
            if let Some(host) = host {
                command.arg("--host").arg(host.directory.path().join("mcrpc"));
            }
            if scenario.fault == Fault::Zone {
                command.args(["--zone", &OWN_ZONE.to_string()]);
            }
            let read = Rc::clone(&clients.read);
            let process = Process::start(command, move |line| read_line(&mut read.borrow_mut(), line));
            clients.processes.push(process.with_context(named)?);
        }
        Ok(clients)
    }

    /// Waits for their end.
    async fn finish(self) -> Result<Series> {
        for process in self.processes {
            process.finish().await.with_context(named)?;
        }
        self.read.replace(Ok(Series::default()))
    }
}

fn named() -> String {
    format!("the client {CLIENT}")
}

/// After a line that is none the others do not matter.
fn read_line(read: &mut Result<Series>, line: &str) {
    if let Ok(series) = read
        && let Err(error) = series.add_line(line)
    {
        *read = Err(error);
    }
}
