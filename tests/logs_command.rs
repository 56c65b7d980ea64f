//! Given `mcrpc agent --logs` and a program in C, when that logs, forks and dies, then `mcrpc logs` tells what all of it said.

mod support;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::files::Segment;
use support::{compile, linkages};
use tempfile::TempDir;

/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host whose agent keeps logs.
struct Host {
    root: TempDir,
    agent: Option<Child>,
}

impl Host {
    fn new() -> Host {
        Host { root: tempfile::tempdir().unwrap(), agent: None }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn start(&mut self, options: &[&str]) {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--capacity", "1000", "--seats", "8", "--counters", "16"]).args(options);
        agent.env("MCRPC_DIR", self.dir()).stdout(Stdio::null()).stderr(Stdio::inherit());
        self.agent = Some(agent.spawn().unwrap());
        let logs = options.contains(&"--logs");
        let is_there = || Directory::open(&self.dir(), None).is_ok_and(|it| it.map(Segment::Log).is_ok() == logs);
        until("the agent has begun", || is_there() && self.root.path().join("run/reports.sock").exists());
    }

    fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    fn logs(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        command.arg("logs").args(options).env("MCRPC_LOGS", self.root.path().join("logs")).output().unwrap()
    }

    /// What lines say behind their heads.
    fn texts(&self, options: &[&str]) -> Vec<String> {
        let output = self.logs(options);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what}");
        sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_a_program_said_before_it_died_is_told_by_program_user_trace_and_level() {
    for linkage in linkages() {
        let mut host = Host::new();
        let logs = host.root.path().join("logs");
        host.start(&["--logs", logs.to_str().unwrap()]);
        let program = compile(host.root.path(), &["c-examples/log.c"], &["-std=c11"], linkage);
        let status = Command::new(&program).arg(host.dir()).stderr(Stdio::inherit()).status().unwrap();
        assert!(!status.success(), "it dies");
        let all = [
            "begins",
            "works for user 42",
            "a child that has not looked at the host yet",
            "a child with a seat of its own",
            "the last words\\nof a program with a bug",
        ];
        until("all of it is in the files", || host.texts(&[]).len() >= all.len());
        assert_eq!(host.texts(&[]), all);
        assert_eq!(host.texts(&["--program", "log"]), [all[0], all[1], all[3], all[4]], "a child has no name at first");
        assert_eq!(host.texts(&["--uin", "42"]), all[1..]);
        assert_eq!(host.texts(&["--uin", "43"]), [""; 0]);
        assert_eq!(host.texts(&["--level", "warn"]), [all[1], all[4]]);
        assert_eq!(host.texts(&["--level", "ERROR", "--since", "10m"]), [all[4]]);
        assert_eq!(host.texts(&["bug", "--trace", "7472616365206f662072657175657374"]), [all[4]]);
        assert_eq!(host.texts(&["--pid", "1"]), [""; 0]);
    }
}

/// Lines wait in memory for an agent that was killed, and one that keeps no logs says so to those who begin then.
#[test]
fn an_agent_may_die_and_its_logs_may_be_turned_off() {
    let mut host = Host::new();
    let logs = host.root.path().join("logs");
    let program = compile(host.root.path(), &["c-examples/log.c"], &["-std=c11"], linkages()[0]);
    let run = |host: &Host| Command::new(&program).arg(host.dir()).output().unwrap();
    host.start(&["--logs", logs.to_str().unwrap()]);
    host.kill();
    assert!(run(&host).stderr.is_empty(), "the lines wait");
    assert!(host.texts(&[]).is_empty());
    host.start(&["--logs", logs.to_str().unwrap()]);
    until("the next agent writes them", || host.texts(&[]).len() == 5);
    host.kill();
    host.start(&[]);
    let said = String::from_utf8(run(&host).stderr).unwrap();
    assert!(said.contains("begins\n"), "{said:?}");
}

#[test]
fn wrong_options_are_named_with_what_would_be_right() {
    let host = Host::new();
    for (options, words) in [
        (["--level", "loud"], "error, warn, info, debug or trace"),
        (["--trace", "4b"], "32 hexadecimal digits"),
        (["--since", "soon"], "--since"),
        (["--logs", "/nowhere"], "/nowhere: is this where mcrpc agent --logs writes?"),
    ] {
        let output = host.logs(&options);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
    }
    let agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"))
        .args(["agent", "--logs", "x", "--log-cells", "100"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&agent.stderr).contains("a power of two from 64 to 65536"));
}
