//! Given a host under load, when its agent is killed again and again, a server hangs, or one becomes overloaded, then no call
//! fails for it, it is found out, and all processes know it soon.
//!
//! The processes are this test program, started again with the name of an ignored test.

mod hang;
mod kills;
mod spread;
#[path = "../support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::health::Health;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::Entry;
use mcrpc_core::strategy::table::Table;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};

/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ECHO: &str = "echo.Echo.Say";
/// What a process is told: the host's directory, and an address.
const DIRECTORY: &str = "MCRPC_TEST_DIRECTORY";
const ADDRESS: &str = "MCRPC_TEST_ADDRESS";

/// A process that is killed when this is dropped.
struct Process {
    child: Child,
    said: Option<BufReader<ChildStdout>>,
}

impl Process {
    fn start(command: &mut Command) -> Process {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let said = child.stdout.take().map(BufReader::new);
        Process { child, said }
    }

    /// This program again, as the process that an ignored test describes.
    fn again(test: &str, directory: &Path, address: &str) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
        Process::start(command.env(DIRECTORY, directory).env(ADDRESS, address))
    }

    fn agent(directory: &Path) -> Process {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--capacity", "1000", "--seats", "16", "--counters", "64"]);
        Process::start(agent.env("MCRPC_DIR", directory).stderr(Stdio::null()))
    }

    /// The next line that a process of this program means.
    fn hear(&mut self) -> Option<String> {
        let lines = self.said.as_mut().unwrap().lines().map_while(Result::ok);
        lines.filter_map(|line| Some(line.split_once('@')?.1.to_owned())).next()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed()).unwrap()
    }

    /// Stops it, and returns when all its threads have.
    fn stop(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped());
    }

    fn go_on(&self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an ignored test was told, if it is a process of another one.
fn told() -> Option<(PathBuf, String)> {
    let told = (std::env::var_os(DIRECTORY)?.into(), std::env::var(ADDRESS).ok()?);
    set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
    Some(told)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What a process that attaches now finds in the table; the outer `None` if there is none that it believes.
fn entry(directory: &Path, endpoint: &Endpoint) -> Option<Option<Entry>> {
    let mapping = Directory::open(directory, None).ok()?.map(Segment::Strategy).ok()?;
    let table = Table::attach(mapping.view(), mapping.len()).ok()?;
    Some(table.lookup(endpoint))
}

/// As a process has it that attaches the segment now.
fn with_health<R>(directory: &Path, endpoint: &Endpoint, act: impl FnOnce(&Health<'_>) -> R) -> Option<R> {
    let mapping = Directory::open(directory, None).ok()?.map_writable(Segment::Fail).ok()?;
    let cells = FailBuckets::attach(mapping.shared(), mapping.len()).ok()?;
    Some(act(&cells.health(cells.bucket(endpoint).ok()?).ok()?))
}
