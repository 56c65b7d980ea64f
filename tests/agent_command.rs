//! `mcrpc agent`: what it publishes is what readers find, and whatever happens to it or its file, the last good strategies
//! are in force. What processes report comes back as pass rates, shields and probes.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use mcrpc_agent::clock;
use mcrpc_agent::directory::Directory;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::breaker::{Reason, Settings as Breaker, State};
use mcrpc_core::shield::health::{Health, Totals, wrapping_ms};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::table::Table;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Host {
    root: TempDir,
}

impl Host {
    fn new(strategies: &str) -> Host {
        let host = Host { root: tempfile::tempdir().unwrap() };
        host.write(strategies);
        host
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("strategies")
    }

    /// As an editor does, so that nobody reads half a file.
    fn write(&self, strategies: &str) {
        fs::write(self.file().with_extension("new"), strategies).unwrap();
        fs::rename(self.file().with_extension("new"), self.file()).unwrap();
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        command.args(["agent", "--capacity", "1000", "--seats", "2", "--counters", "16", "--strategies"]);
        command.arg(self.file()).env("MCRPC_DIR", self.dir());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What a process that attaches now may send to an endpoint, in ten-thousandths; `None` if it cannot attach.
    fn pass_rate(&self, socket: &str) -> Option<u16> {
        let mapping = Directory::open(&self.dir(), None).ok()?.map(Segment::Strategy).ok()?;
        let table = Table::attach(mapping.view(), mapping.len()).ok()?;
        let endpoint = Endpoint::new(socket.parse().unwrap(), 7);
        Some(table.lookup(&endpoint).map_or(10_000, |entry| entry.pass_rate.get()))
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let agent = self.command().args(arguments).spawn().unwrap();
        // It is made after the table.
        wait_until(|| Directory::open(&self.dir(), None).is_ok_and(|directory| directory.map(Segment::Fail).is_ok()));
        agent
    }

    /// What all processes know of an endpoint.
    fn with_health<R>(&self, endpoint: &Endpoint, act: impl FnOnce(&Health<'_>) -> R) -> R {
        let mapping = Directory::open(&self.dir(), None).unwrap().map_writable(Segment::Fail).unwrap();
        let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        act(&cells.health(cells.bucket(endpoint).unwrap()).unwrap())
    }

    /// A process hands over the outcomes of calls.
    fn call(&self, endpoint: &Endpoint, ok: u64, failed: u64) {
        self.with_health(endpoint, |health| health.add(&Totals { calls: [ok, 0, failed, 0], time_us: 0 }));
    }

    fn beat(&self) -> Option<u64> {
        let mapping = Directory::open(&self.dir(), None).ok()?.map(Segment::Strategy).ok()?;
        Some(Table::inspect(mapping.view(), mapping.len()).ok()?.refresh_seq())
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn end(agent: Child, signal: Signal) -> Output {
    rustix::process::kill_process(Pid::from_raw(agent.id() as i32).unwrap(), signal).unwrap();
    agent.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn first_line(path: &Path, what: &str) -> String {
    format!("mcrpc agent in {}: {what}", path.display())
}

#[test]
fn what_the_file_says_is_in_force_within_a_second_and_ends_with_the_agent() {
    let host = Host::new("10.0.0.1:80 service=7 pass=35%\n10.0.0.2:80 service=7 pass=60%\n");
    let agent = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(3_500) && host.pass_rate("10.0.0.2:80") == Some(6_000));

    host.write("10.0.0.1:80 service=7 pass=20%\n10.0.0.3:80 service=7 kind=shielded\n");
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(2_000));
    wait_until(|| host.pass_rate("10.0.0.2:80") == Some(10_000) && host.pass_rate("10.0.0.3:80") == Some(0));

    let output = end(agent, Signal::TERM);
    assert!(output.status.success());
    let made = first_line(&host.dir(), "made a table of strategies; made: control, fail, stat, trace\n");
    assert_eq!((text(&output.stdout), text(&output.stderr)), (made, String::new()));
    assert_eq!(host.pass_rate("10.0.0.1:80"), None, "the table is closed");

    let agent = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(2_000));
    let output = end(agent, Signal::INT);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("adopted 2 of 1000 strategies in "), "{output:?}");
}

#[test]
fn a_bad_line_is_named_and_the_last_good_content_stays_in_force() {
    let host = Host::new("10.0.0.1:80 service=7 pass=35%\n");
    let mut agent = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(3_500));
    host.write("10.0.0.1:80 service=7 pass=1%\n10.0.0.2:80 pass=101%\n");
    let expected = format!("{}:2: pass=101%: ", host.file().display());
    let (mut said, mut errors) = (String::new(), agent.stderr.take().unwrap());
    while !said.contains(&expected) {
        let mut bytes = [0; 512];
        let len = errors.read(&mut bytes).unwrap();
        assert!(len > 0, "the agent ended: {said}");
        said += &text(&bytes[..len]);
    }
    // Two refreshes later it is still so.
    let beat = host.beat().unwrap();
    wait_until(|| host.beat().unwrap() >= beat + 2);
    assert_eq!(host.pass_rate("10.0.0.1:80"), Some(3_500));
    host.write("10.0.0.1:80 service=7 pass=1%\n");
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(100));
    assert!(end(agent, Signal::TERM).status.success());
}

#[test]
fn one_that_is_killed_leaves_its_strategies_to_the_next_which_the_file_corrects() {
    let host = Host::new("10.0.0.1:80 service=7 pass=35%\n10.0.0.2:80 service=7 pass=60%\n");
    let agent = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.2:80") == Some(6_000));
    end(agent, Signal::KILL);
    assert_eq!(host.pass_rate("10.0.0.1:80"), Some(3_500), "until its readers find it stale");

    host.write("10.0.0.1:80 service=7 pass=36%\n");
    let agent = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(3_600) && host.pass_rate("10.0.0.2:80") == Some(10_000));
    let output = end(agent, Signal::TERM);
    assert!(text(&output.stdout).contains("adopted 2 of 1000 strategies"), "{output:?}");
}

#[test]
fn what_keeps_it_from_starting_is_said_in_a_sentence() {
    let host = Host::new("10.0.0.1:80 service=7 pass=35%\n");
    let first = host.command().spawn().unwrap();
    wait_until(|| host.pass_rate("10.0.0.1:80") == Some(3_500));
    let refused = |command: &mut Command, words: &str| {
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.starts_with("mcrpc: ") && said.contains(words), "{said}");
    };
    let pid = first.id();
    refused(&mut host.command(), &format!("writer.lock is locked: process {pid} publishes strategies there"));
    assert!(end(first, Signal::TERM).status.success());

    host.write("10.0.0.1:80 speed=7\n");
    refused(&mut host.command(), "strategies:1: speed=7: only service, pass, level and kind are known");
    fs::remove_file(host.file()).unwrap();
    refused(&mut host.command(), "strategies: No such file");
}

#[test]
fn what_processes_report_becomes_a_pass_rate_and_a_shield_without_a_file() {
    let host = Host::new("");
    let agent = host.spawn(&["--judge-failures", "1000,50%"]);
    let [partly, mostly] = ["10.0.0.1:80", "10.0.0.2:80"].map(|socket| Endpoint::new(socket.parse().unwrap(), 7));
    wait_until(|| {
        host.call(&partly, 9, 1);
        host.pass_rate("10.0.0.1:80").is_some_and(|rate| (8_500..9_500).contains(&rate))
    });
    wait_until(|| {
        host.call(&mostly, 4, 6);
        host.with_health(&mostly, |health| health.breaker().is_shielded())
    });
    host.with_health(&mostly, |health| assert_eq!(health.breaker().reason(), Reason::Rate));
    let output = end(agent, Signal::TERM);
    assert!(text(&output.stdout).contains("of their calls failed: 10.0.0.2:80 service=7\n"), "{output:?}");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn a_shielded_endpoint_whose_port_begins_to_listen_is_due() {
    let host = Host::new("");
    let agent = host.spawn(&["--generator", "none", "--judge-failures", "off", "--probe", "tcp"]);
    // Bound, so that nobody else gets the port, and refusing as long as it does not listen.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = Endpoint::new(socket.local_addr().unwrap(), 7);
    // For an hour: nothing but an answer ends it earlier.
    let long = Breaker { backoff_min_ms: 3_600_000, backoff_max_ms: 3_600_000, ..Breaker::DEFAULT };
    host.with_health(&endpoint, |health| health.trip(Reason::Failures, &long, clock::monotonic()));
    let state = || {
        let now_ms = wrapping_ms(clock::monotonic());
        host.with_health(&endpoint, |health| health.breaker().state(&long, now_ms))
    };
    let beat = host.beat().unwrap();
    wait_until(|| host.beat().unwrap() >= beat + 2);
    assert!(matches!(state(), State::Shielded { .. }));

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let _listener = socket.listen(16).unwrap();
    wait_until(|| state() == State::Due);
    assert!(end(agent, Signal::TERM).status.success());
}

#[test]
fn options_that_make_no_sense_are_refused_with_what_would_be_right() {
    let cases = [
        (["--generator", "wilsen"], "a generator is none, default, table"),
        (["--generator", "table:/nowhere"], "/nowhere: No such file"),
        (["--judge-failures", "20"], "as 20,20%, or off"),
        (["--judge-failures", "0,20%"], "no number of failures above 0"),
        (["--judge-failures", "20,0.2"], "write it as 5% or 0.25%"),
        (["--probe", "sometimes"], "sometimes"),
    ];
    for (arguments, words) in cases {
        let host = Host::new("");
        let output = host.command().args(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
        assert!(!host.dir().exists(), "nothing was touched");
    }
}
