//! The processes: three instances of each tier and the host's agent, and what happens to them.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use mcrpc_agent::directory::Directory;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Counters;
use mcrpc_example_feed::tier::IDC;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::super::port::free_port;
use super::super::process::Process;
use super::plan::{DEADLINE, INSTANCES, SETTLING, SLOW_RUNS, SLOW_STANDS, Tier};

const TIMELINE: &str = env!("MCRPC_FEED_TIMELINE_STATIC");
/// The host's counter of calls that the timelines did not send: examples/feed/timeline/timeline.cpp.
const NOT_SENT: (u32, u32) = (70, 1);

/// What an instance does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Down,
    Running,
    Slow,
    Draining,
}

/// What all instances do, for whoever shows it.
#[derive(Clone, Default)]
pub(crate) struct States(Rc<[[Cell<State>; INSTANCES]; 3]>);

impl States {
    pub(crate) fn of(&self, tier: Tier) -> [State; INSTANCES] {
        self.0[tier as usize].each_ref().map(Cell::get)
    }

    fn set(&self, tier: Tier, instance: usize, state: State) {
        self.0[tier as usize][instance].set(state);
    }
}

/// What all processes of the host count.
pub(crate) struct HostCounts(PathBuf);

impl HostCounts {
    /// The calls that were not sent to the store so far, because it had said that it would refuse them.
    pub(crate) fn not_sent(&self) -> u64 {
        let sum = || {
            let mapping = Directory::open(&self.0, None).ok()?.map(Segment::Stat).ok()?;
            let counters = Counters::attach(mapping.view(), mapping.len()).ok()?;
            let ours = counters.counters().find(|(counter, _)| (counter.id, counter.key) == NOT_SENT);
            ours.map(|(_, column)| counters.sum(column))
        };
        sum().unwrap_or(0)
    }
}

/// All processes, running.
pub(crate) struct Cast {
    dir: TempDir,
    ports: [[u16; INSTANCES]; 3],
    running: [[Option<Process>; INSTANCES]; 3],
    states: States,
    agent: Process,
}

impl Cast {
    /// Starts the agent and all tiers, from the last one on.
    pub(crate) async fn start(states: States) -> Result<Cast> {
        let dir = tempfile::tempdir().context("cannot make a directory for the host")?;
        let mut command = this_program()?;
        command.args(["agent", "--dir"]).arg(host_of(dir.path()));
        let ready = |line: &str| line.starts_with("mcrpc agent in").then_some(());
        let (agent, ()) = Process::start_until(command, ready).await.context("the agent")?;
        let mut ports = [[0; INSTANCES]; 3];
        for port in ports.iter_mut().flatten() {
            *port = free_port()?;
        }
        let mut cast = Cast { dir, ports, running: Default::default(), states, agent };
        Tier::ALL.iter().try_for_each(|&tier| cast.write_routes(tier))?;
        for tier in Tier::ALL.into_iter().rev() {
            for instance in 0..INSTANCES {
                cast.start_instance(tier, instance).await?;
            }
        }
        Ok(cast)
    }

    /// The files that say where everything is.
    pub(crate) fn routes(&self) -> &Path {
        self.dir.path()
    }

    /// Where all processes count.
    pub(crate) fn host(&self) -> HostCounts {
        HostCounts(host_of(self.dir.path()))
    }

    /// Kills an instance, and starts it again after a while.
    pub(crate) async fn kill(&mut self, tier: Tier, instance: usize, down_for: Duration) -> Result<()> {
        if let Some(process) = self.running[tier as usize][instance].take() {
            process.kill().await?;
        }
        self.states.set(tier, instance, State::Down);
        sleep(down_for).await;
        self.start_instance(tier, instance).await
    }

    /// Has each instance of a tier drain, and starts it again, one after the other.
    pub(crate) async fn restart(&mut self, tier: Tier) -> Result<()> {
        for instance in 0..INSTANCES {
            self.states.set(tier, instance, State::Draining);
            if let Some(process) = self.running[tier as usize][instance].take() {
                process.stop().await.with_context(|| named(tier))?;
            }
            self.start_instance(tier, instance).await?;
            sleep(SETTLING).await;
        }
        Ok(())
    }

    /// Lets an instance have only a part of its processor for so long.
    pub(crate) async fn slow_down(&mut self, tier: Tier, instance: usize, time: Duration) -> Result<()> {
        let Some(process) = &self.running[tier as usize][instance] else { return Ok(()) };
        self.states.set(tier, instance, State::Slow);
        let until = Instant::now() + time;
        while Instant::now() < until {
            process.signal(Signal::STOP);
            sleep(SLOW_STANDS).await;
            process.signal(Signal::CONT);
            sleep(SLOW_RUNS).await;
        }
        self.states.set(tier, instance, State::Running);
        Ok(())
    }

    /// Ends all processes; an error if one was not running well any more.
    pub(crate) async fn stop(self) -> Result<()> {
        for (tier, instances) in Tier::ALL.into_iter().zip(self.running) {
            for process in instances.into_iter().flatten() {
                process.stop().await.with_context(|| named(tier))?;
            }
        }
        self.agent.stop().await.context("the agent")
    }

    async fn start_instance(&mut self, tier: Tier, instance: usize) -> Result<()> {
        let mut command = match tier {
            Tier::Timeline => Command::new(TIMELINE),
            _ => this_program()?,
        };
        if tier != Tier::Timeline {
            command.args(["demo", "tier", tier.name()]);
        }
        let (workers, work_us) = tier.size();
        command
            .args(["--listen", &format!("127.0.0.1:{}", self.ports[tier as usize][instance])])
            .args(["--workers", &workers.to_string(), "--work-us", &work_us.to_string(), "--host"])
            .arg(host_of(self.dir.path()))
            .arg("--routes")
            .arg(self.dir.path());
        let started = Process::start_until(command, |line| line.starts_with("ready ").then_some(())).await;
        let (process, ()) = started.with_context(|| named(tier))?;
        self.running[tier as usize][instance] = Some(process);
        self.states.set(tier, instance, State::Running);
        Ok(())
    }

    fn write_routes(&self, tier: Tier) -> Result<()> {
        let name = tier.name();
        let mut route = format!("[Service]\nId = {}\nName = {name}\n", tier as usize + 1);
        for (number, port) in self.ports[tier as usize].iter().enumerate() {
            route += &format!("\n[Server{number}]\nIP = 127.0.0.1\nPort = {port}\n");
        }
        let client = format!("[Timeouts]\nCallMs = {}\n", DEADLINE.as_millis());
        let place = |kind: &str| self.dir.path().join(kind);
        for (directory, file, text) in [
            (place("route/global"), format!("{name}_route.conf"), route),
            (place("client").join(IDC), format!("{name}_cli.conf"), client),
        ] {
            std::fs::create_dir_all(&directory)
                .and_then(|()| std::fs::write(directory.join(file), text))
                .with_context(|| format!("cannot write routes in {}", directory.display()))?;
        }
        Ok(())
    }
}

fn this_program() -> Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot find this program")?))
}

fn host_of(dir: &Path) -> PathBuf {
    dir.join("host")
}

fn named(tier: Tier) -> String {
    format!("an instance of the {}", tier.name())
}
