//! `mcrpc agent --proxy`: programs in Python, with nothing but Python, call servers in Rust and in C++, whatever happens to one of
//! them.

#[path = "../discovery/tests/support/etcd.rs"]
mod etcd;
mod support;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::thread;

use etcd::until;
use mcrpc::{Client, Host, Server};
use mcrpc_agent::names::ServiceList;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::wire::metadata::RejectState;
use mcrpc_core::wire::{Header, Kind};
use rustix::process::{Pid, Signal, kill_process};
use support::frames::{frame, read_frame};
use support::{need, root, run};
use tempfile::TempDir;

const ECHO: &str = "mcrpc.example.Echo.Echo";
const CPP_SERVER: &str = env!("MCRPC_BRIDGE_SERVER_STATIC");

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A host whose agent is a proxy.
struct World {
    agent: Killed,
    root: TempDir,
}

impl World {
    fn new() -> World {
        need("python3", "python3");
        let root = tempfile::tempdir().unwrap();
        let mut agent = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        agent.args(["agent", "--capacity", "1000", "--seats", "8", "--counters", "16", "--proxy", "--proxy-protos"]);
        agent.arg(support::root().join("examples/python/proto")).env("MCRPC_DIR", root.path().join("run"));
        let world = World { agent: Killed(agent.stdout(Stdio::null()).spawn().unwrap()), root };
        until("it serves", || world.dir().join("proxy-http.sock").exists());
        world
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("run")
    }

    fn host(&self) -> Arc<Host> {
        Arc::new(Host::new(self.dir()))
    }

    /// Says that a server is there, for as long as the test takes.
    fn register(&self, service: &str, address: &str) {
        let names = format!("unix:{}", self.dir().join("names.sock").display());
        let agent = Client::builder("test").service("mcrpc.Names", [names]).build().unwrap();
        let entry = format!("{service} {address} for_ms=60000");
        agent.call("mcrpc.Names", "mcrpc.Names.Register", entry).wait().unwrap();
        until("it is known", || {
            let list = std::fs::read_to_string(self.dir().join("names").join(service)).unwrap_or_default();
            list.contains(address.rsplit_once(':').unwrap().1)
        });
    }

    /// Starts an example as its readers do: `calls` of one user each.
    fn python(&self, program: &str, message: &str, calls: usize) -> Lines<BufReader<ChildStdout>> {
        let socket = if program == "http_client.py" { "proxy-http.sock" } else { "proxy.sock" };
        let mut python = Command::new("python3");
        python.arg(root().join("examples/python").join(program)).arg(self.dir().join(socket));
        python.args(["Echo", ECHO, message, &calls.to_string()]);
        let mut python = python.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(python.stdout.take().unwrap()).lines();
        thread::spawn(move || python.wait());
        lines
    }
}

fn rust_server(world: &World) -> Server {
    let echo = |request: mcrpc::Request| async move { Ok(request.into_payload()) };
    Server::builder().listen("127.0.0.1:0").host(world.host()).method(ECHO, echo).start().unwrap()
}

fn cpp_server() -> (Killed, String) {
    let mut server = Command::new(CPP_SERVER).arg("--die-with-parent").stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    (Killed(server), line.trim().strip_prefix("listening ").unwrap().to_owned())
}

/// How both examples show a reply to `hello`.
fn shown(program: &str) -> (&'static str, &'static str) {
    if program == "http_client.py" {
        (r#"{"text": "hello"}"#, r#"{"text": "hello"}"#)
    } else {
        ("hello", "0 b'hello' 0")
    }
}

#[test]
fn python_calls_servers_in_rust_and_in_cpp_and_goes_on_when_one_of_them_is_killed() {
    for program in ["http_client.py", "native_client.py"] {
        let world = World::new();
        let rust = rust_server(&world);
        let (cpp, address) = cpp_server();
        world.register("Echo", &rust.addresses()[0].to_string());
        world.register("Echo", &address);
        let (message, reply) = shown(program);
        let mut lines = world.python(program, message, 2_000);
        for call in 0..2_000 {
            if call == 500 {
                kill_process(Pid::from_raw(cpp.0.id().cast_signed()).unwrap(), Signal::KILL).unwrap();
            }
            assert_eq!(lines.next().expect("it goes on").unwrap(), reply, "{program}, call {call}");
        }
        assert!(lines.next().is_none());
        let handled = rust.stats(ECHO).unwrap().ended(Outcome::Ok);
        assert!((1_500..2_000).contains(&handled), "both were called: {handled}");
    }
}

/// A server that refuses all, and says for how long.
fn overloaded() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Ok(request) = read_frame(&mut stream) {
                if request.header.kind != Kind::Request {
                    continue;
                }
                let status = Status::BELOW_CURSOR;
                let header = Header { status, cursor: 0, ..Header::new(Kind::Response, request.header.call_id) };
                let reject = RejectState { hold_ms: 60_000, share_per_10k: 10_000 };
                let write = |writer: &mut mcrpc_core::wire::Writer<'_>| _ = writer.reject_state(reject);
                stream.write_all(&frame(header, write, b"")).unwrap();
            }
        }
    });
    address
}

#[test]
fn python_is_told_why_an_overloaded_service_refuses_and_for_how_long() {
    let world = World::new();
    world.register("Echo", &overloaded());
    let mut lines = world.python("http_client.py", "{}", 2);
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("below_cursor (-217): ") && first.ends_with("retry_after_ms=60000"), "{first}");
    // Nothing is sent any more, by no process of the host.
    let second = lines.next().unwrap().unwrap();
    assert!(second.starts_with("withheld (-216): "), "{second}");
    let native = world.python("native_client.py", "x", 1).next().unwrap().unwrap();
    assert!(native.starts_with("-216 "), "{native}");
    let client = Client::builder("test").host(world.host()).build().unwrap();
    until("others know", || client.call("Echo", ECHO, "").wait().unwrap_err().status() == Status::WITHHELD);
}

#[test]
fn a_proxy_is_shown_obeys_the_operator_and_ends_with_its_agent() {
    let mut world = World::new();
    let rust = rust_server(&world);
    world.register("Echo", &rust.addresses()[0].to_string());
    let command = |arguments: &[&str]| {
        run(Command::new(env!("CARGO_BIN_EXE_mcrpc")).args(arguments).env("MCRPC_DIR", world.dir()))
    };
    let call = || world.python("http_client.py", r#"{"text": "hello"}"#, 1).next().unwrap().unwrap();
    assert_eq!(call(), r#"{"text": "hello"}"#);
    until("it is shown", || command(&["top", "--once"]).contains(&world.agent.0.id().to_string()));
    command(&["skip", &ServiceList::id_of("Echo").to_string(), "100%"]);
    until("its calls are left out", || call().starts_with("skipped (-232): "));
    command(&["kill", "on"]);
    until("nothing is", || call() == r#"{"text": "hello"}"#);

    kill_process(Pid::from_raw(world.agent.0.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert!(world.agent.0.wait().unwrap().success());
    assert!(!world.dir().join("proxy.sock").exists() && !world.dir().join("proxy-http.sock").exists());
}

#[test]
fn what_a_proxy_cannot_start_with_is_said() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("bad.proto"), "syntax = \"proto3\";\nmessage {").unwrap();
    let agent = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
        let output = command.arg("agent").args(arguments).env("MCRPC_DIR", root.path().join("run")).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let protos = root.path().to_str().unwrap();
    let said = agent(&["--proxy", "--proxy-protos", protos]);
    assert!(said.contains("bad.proto:2:9"), "{said}");
    assert!(agent(&["--proxy", "--proxy-protos", "/nowhere"]).contains("/nowhere"));
    assert!(agent(&["--proxy", "--proxy-http", "8080"]).contains("8080"));
    assert!(agent(&["--proxy-protos", protos]).contains("--proxy"));
}
