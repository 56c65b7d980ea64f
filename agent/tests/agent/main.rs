//! Given a host's directory, an agent with a stepped clock, and processes that report what their calls met, when seconds
//! pass, then the table says what follows, and whatever happens to agent or segment, nothing counts twice.

mod calls;
mod damage;
mod judge;
mod levels;
mod probes;
mod reports;
mod scale;
mod strategies;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mcrpc_agent::agent::{Agent, Sources};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::generator::{Choice, Generator};
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::breaker::{Settings as Breaker, State};
use mcrpc_core::shield::health::{Health, Rules, Totals, wrapping_ms};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::Entry;
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};
use tempfile::TempDir;

const RULES: Rules = Rules { breaker: Breaker::DEFAULT, leak: None };

struct Host {
    root: TempDir,
    agent: Option<Agent>,
    now: Nanos,
}

impl Host {
    /// One whose agent has looked once.
    fn new(sources: Sources) -> Host {
        let mut host = Host { root: tempfile::tempdir().unwrap(), agent: None, now: Nanos(1_000 * NANOS_PER_SECOND) };
        host.restart(sources);
        host
    }

    fn generating(name: &str) -> Host {
        Host::new(generating(name))
    }

    fn path(&self) -> PathBuf {
        self.root.path().join("mcrpc")
    }

    /// The agent is killed, and another one is started.
    fn restart(&mut self, sources: Sources) {
        drop(self.agent.take());
        let settings = Settings { capacity: 100, fail_capacity: 100, seats: 2, counters: 16, ..Settings::DEFAULT };
        let (publisher, _) = Publisher::open(&self.path(), settings).unwrap();
        self.agent = Some(Agent::new(publisher, sources));
        self.second();
    }

    fn agent(&mut self) -> &mut Agent {
        self.agent.as_mut().unwrap()
    }

    /// A second passes; what the agent told.
    fn second(&mut self) -> Vec<String> {
        self.now = self.now.plus(NANOS_PER_SECOND);
        let now = self.now;
        self.agent().second(now).iter().map(ToString::to_string).collect()
    }

    /// A process hands over the outcomes of calls that were well enough for the breaker.
    fn hand_over(&self, endpoint: Endpoint, ok: u64, failed: u64) {
        self.with(endpoint, |health| health.add(&Totals { calls: [ok, 0, failed, 0], time_us: 0 }));
    }

    /// Calls fail until the breaker shields the endpoint.
    fn shield(&self, endpoint: Endpoint) {
        self.with(endpoint, |health| while !health.report(Outcome::Failed, false, &RULES, self.now) {});
    }

    fn with<R>(&self, endpoint: Endpoint, act: impl FnOnce(&Health<'_>) -> R) -> R {
        with_health(&self.path(), endpoint, act)
    }

    fn state(&self, endpoint: Endpoint) -> State {
        self.with(endpoint, |health| health.breaker().state(&Breaker::DEFAULT, wrapping_ms(self.now)))
    }

    fn entry(&self, endpoint: Endpoint) -> Option<Entry> {
        let mapping = Directory::open(&self.path(), None).unwrap().map(Segment::Strategy).unwrap();
        Table::attach(mapping.view(), mapping.len()).unwrap().lookup(&endpoint)
    }

    /// In ten-thousandths.
    fn pass_rate(&self, endpoint: Endpoint) -> u16 {
        self.entry(endpoint).map_or(10_000, |entry| entry.pass_rate.get())
    }
}

/// As a process has it that attaches the segment now.
fn with_health<R>(path: &Path, endpoint: Endpoint, act: impl FnOnce(&Health<'_>) -> R) -> R {
    let mapping = Directory::open(path, None).unwrap().map_writable(Segment::Fail).unwrap();
    let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
    act(&cells.health(cells.bucket(&endpoint).unwrap()).unwrap())
}

fn generating(name: &str) -> Sources {
    let choice: Choice = name.parse().unwrap();
    Sources { generator: Some(Generator::open(&choice).unwrap()), ..Sources::default() }
}

fn endpoint(last: u8) -> Endpoint {
    at(SocketAddr::from(([10, 0, 0, last], 80)))
}

fn at(socket: SocketAddr) -> Endpoint {
    Endpoint::new(socket, 7)
}
