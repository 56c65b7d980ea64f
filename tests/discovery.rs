//! `mcrpc agent` with services by name: programs in C and in Rust find them, whatever happens to the agent.

#[path = "../discovery/tests/support/etcd.rs"]
mod etcd;
mod support;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use etcd::{Etcd, until};
use mcrpc::{Client, Host, Server};
use support::{compile, linkages};
use tempfile::TempDir;

const ECHO: &str = "echo.Echo.Say";

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Agent {
    root: TempDir,
    arguments: Vec<String>,
}

impl Agent {
    fn new(arguments: &[&str]) -> Agent {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Agent { root: tempfile::tempdir().unwrap(), arguments }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn start(&self) -> Killed {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--capacity", "1000", "--seats", "4", "--counters", "16"]).args(&self.arguments);
        let agent = agent.env("MCRPC_DIR", self.dir()).stdout(Stdio::null()).spawn().unwrap();
        until("it answers", || self.resolve(&[]).starts_with("etcd: "));
        Killed(agent)
    }

    /// What `mcrpc resolve` prints.
    fn resolve(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        let output = command.arg("resolve").args(arguments).env("MCRPC_DIR", self.dir()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn host(&self) -> Arc<Host> {
        Arc::new(Host::new(self.dir()))
    }
}

fn server(agent: &Agent, service: &str) -> Server {
    let builder = Server::builder().listen("127.0.0.1:0").host(agent.host()).register(service);
    builder.method(ECHO, |request| async move { Ok(request.into_payload()) }).start().unwrap()
}

fn c_program(program: &Path, arguments: &[&str]) -> (Killed, BufReader<ChildStdout>) {
    let mut child = support::command(program).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (Killed(child), lines)
}

fn next_line(lines: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    line
}

#[test]
fn given_a_client_and_a_server_in_c_then_they_find_each_other_and_outlive_the_agent() {
    for linkage in linkages() {
        let programs = tempfile::tempdir().unwrap();
        let program = compile(programs.path(), &["c-examples/names.c"], &["-std=c11"], linkage);
        let agent = Agent::new(&[]);
        let running = agent.start();
        let dir = agent.dir();
        let dir = dir.to_str().unwrap();
        let (client, mut client_says) = c_program(&program, &[dir, "VOA.Crawl"]);
        let (first, mut first_says) = c_program(&program, &[dir, "VOA.Crawl", "127.0.0.1:8001"]);
        assert_eq!(next_line(&mut first_says), "registered: ok\n");
        assert_eq!(next_line(&mut client_says), "1 servers, user 1: port 8001, user 2: port 8001, user 3: port 8001\n");
        drop(running);
        let _again = agent.start();
        let (_second, mut second_says) = c_program(&program, &[dir, "VOA.Crawl", "[::1]:8002"]);
        assert_eq!(next_line(&mut second_says), "registered: ok\n");
        assert!(next_line(&mut client_says).starts_with("2 servers, user 1: port 800"));
        drop(first);
        assert_eq!(next_line(&mut client_says), "1 servers, user 1: port 8002, user 2: port 8002, user 3: port 8002\n");
        drop(client);
    }
}

#[test]
fn given_an_agent_that_is_killed_then_names_are_still_answered_and_the_next_one_goes_on_from_its_files() {
    let mut etcd = Etcd::start();
    let agent = Agent::new(&["--etcd", &etcd.url(), "--region", "south", "--zone", "sz"]);
    let running = agent.start();
    let server = server(&agent, "VOA.Crawl");
    let address = server.addresses()[0].to_string();
    let (ip, port) = address.rsplit_once(':').unwrap();
    let line = format!("server {ip} {port} weight=100 region=9053 zone=26682 group=0 south sz -");
    until("it is known", || agent.resolve(&["VOA.Crawl"]).contains(&line));
    until("it is registered", || etcd.has(&format!("/mcrpc/services/VOA.Crawl/{address}")));
    let near = ["VOA.Crawl", "--strategy", "zone_only", "--region", "south", "--zone", "gz"];
    assert!(agent.resolve(&near).ends_with("servers 0\n"));

    drop(running);
    etcd.stop();
    assert!(agent.resolve(&["VOA.Crawl"]).contains(&line));
    assert!(agent.resolve(&[]).starts_with("no agent answers; it knew last:\nVOA.Crawl: 1 servers, etcd"));
    let client = || Client::builder("test").host(agent.host()).build().unwrap();
    assert_eq!(client().call("VOA.Crawl", ECHO, "hello").wait().unwrap(), "hello");

    let _again = agent.start();
    until("it has tried", || agent.resolve(&[]).contains("no connection"));
    assert!(agent.resolve(&["VOA.Crawl"]).contains(&line));
    assert_eq!(client().call("VOA.Crawl", ECHO, "hello").wait().unwrap(), "hello");
}

#[test]
fn given_options_that_make_no_sense_then_the_agent_says_what_would() {
    for (arguments, words) in [
        (&["--zone-strategy", "zone_first", "--region", "south"][..], "need --zone"),
        (&["--zone-strategy", "region"], "needs --region"),
        (&["--zone-strategy", "near"], "expected anywhere, zone_first"),
        (&["--region", "a b"], "1 to 64 letters"),
        (&["--etcd-prefix", "services"], "begins and ends with a slash"),
        (&["--lease", "1s"], "expected 2 s at least"),
        (&["--routes", "/nowhere"], "--idc"),
    ] {
        let root = tempfile::tempdir().unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        let output = agent.arg("agent").args(arguments).env("MCRPC_DIR", root.path().join("run")).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(words), "{arguments:?}: {error}");
        assert!(!root.path().join("run").exists(), "{arguments:?}");
    }
}
