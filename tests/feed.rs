//! Given the feed of three tiers, Rust, C++ and Rust, under load, when servers are killed or restarted, then callers notice as little
//! as can be; and when its last tier is overloaded, what it would refuse is not sent to it.

mod support;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use mcrpc::{Class, Client, Failure, Status};
use mcrpc_example_feed::feed::{FeedRequest, FeedServiceClient, PublishRequest};
use mcrpc_example_feed::front::LOST_BEHIND;
use rustix::process::{Pid, Signal, kill_process};
use support::{need, root, run};

const MCRPC: &str = env!("CARGO_BIN_EXE_mcrpc");
const TIMELINE: &str = env!("MCRPC_FEED_TIMELINE_STATIC");
const TIERS: [&str; 3] = ["front", "timeline", "store"];
const INSTANCES: usize = 3;
/// Below the ports that the kernel gives to clients: while a server is down nobody else must get its port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Longer than a machine stalls that has other things to do.
const PATIENCE: Duration = Duration::from_secs(20);
const GAP: Duration = Duration::from_millis(12);

/// A port that nobody listens on.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = (std::process::id() * 61 % PORTS.len() as u32) as u16;
    let mut candidates =
        std::iter::repeat_with(|| PORTS.start + (begin + NEXT.fetch_add(1, SeqCst)) % PORTS.len() as u16);
    candidates.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).unwrap()
}

struct Program(Child);

impl Program {
    /// Starts a program, and waits until it says that it is ready.
    fn start(command: &mut Command, ready: &str) -> Program {
        let mut program = Program(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut output = BufReader::new(program.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with(ready) {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "{command:?} ended");
        }
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        program
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    fn kill(mut self) {
        self.signal(Signal::KILL);
        self.0.wait().unwrap();
    }

    /// Has it drain.
    fn end(mut self) {
        self.signal(Signal::TERM);
        let began = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a tier is made of.
#[derive(Clone, Copy)]
struct Size {
    workers: u32,
    work_us: u32,
}

/// All tiers, and the host's agent.
struct Fleet {
    dir: tempfile::TempDir,
    timeline: PathBuf,
    sizes: [Size; 3],
    ports: [[u16; INSTANCES]; 3],
    running: Vec<Vec<Option<Program>>>,
    _agent: Program,
}

impl Fleet {
    fn start(timeline: &Path, sizes: [Size; 3], timeout_ms: u32) -> Fleet {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = Command::new(MCRPC);
        let agent = Program::start(agent.args(["agent", "--dir"]).arg(dir.path().join("host")), "mcrpc agent in");
        let ports = [(); 3].map(|()| [(); INSTANCES].map(|()| free_port()));
        for (tier, ports) in TIERS.iter().zip(&ports) {
            write_routes(dir.path(), tier, ports, timeout_ms);
        }
        let running = (0..3).map(|_| (0..INSTANCES).map(|_| None).collect()).collect();
        let mut fleet = Fleet { dir, timeline: timeline.to_owned(), sizes, ports, running, _agent: agent };
        for tier in (0..3).rev() {
            (0..INSTANCES).for_each(|instance| fleet.start_instance(tier, instance));
        }
        fleet
    }

    fn start_instance(&mut self, tier: usize, instance: usize) {
        let mut command = match TIERS[tier] {
            "timeline" => Command::new(&self.timeline),
            name => {
                let mut command = Command::new(MCRPC);
                command.args(["demo", "tier", name]);
                command
            }
        };
        let Size { workers, work_us } = self.sizes[tier];
        command
            .args(["--listen", &format!("127.0.0.1:{}", self.ports[tier][instance])])
            .args(["--workers", &workers.to_string(), "--work-us", &work_us.to_string(), "--host"])
            .arg(self.dir.path().join("host"))
            .arg("--routes")
            .arg(self.dir.path());
        self.running[tier][instance] = Some(Program::start(&mut command, "ready "));
    }

    fn take(&mut self, tier: usize, instance: usize) -> Program {
        self.running[tier][instance].take().unwrap()
    }

    /// What `mcrpc top` shows.
    fn top(&self) -> serde_json::Value {
        let host = self.dir.path().join("host");
        let text = run(Command::new(MCRPC).args(["top", "--json", "--interval", "100ms", "--dir"]).arg(host));
        serde_json::from_str(&text).unwrap()
    }
}

fn write_routes(root: &Path, service: &str, ports: &[u16], timeout_ms: u32) {
    let id = TIERS.iter().position(|tier| *tier == service).unwrap() + 1;
    let mut route = format!("[Service]\nId = {id}\nName = {service}\n");
    for (number, port) in ports.iter().enumerate() {
        route += &format!("[Server{number}]\nIP = 127.0.0.1\nPort = {port}\n");
    }
    for (path, text) in [
        (format!("route/global/{service}_route.conf"), route),
        (format!("client/local/{service}_cli.conf"), format!("[Timeouts]\nCallMs = {timeout_ms}\n")),
    ] {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Outcome {
    ok: usize,
    /// Nobody knows whether they were run: the server that had them is dead.
    held: usize,
    refused: usize,
    failed: Vec<String>,
}

impl Outcome {
    fn add(&mut self, result: Result<(), Failure>) {
        let Err(failure) = result else { return self.ok += 1 };
        match (failure.status(), failure.status().class()) {
            (Status::READ_FAILED | Status::WRITE_FAILED | Status::WORKER_LOST | Status(LOST_BEHIND), _) => {
                self.held += 1
            }
            (_, Class::Overload | Class::Deadline) => self.refused += 1,
            _ => self.failed.push(failure.to_string()),
        }
    }

    fn all(&self) -> usize {
        self.ok + self.held + self.refused + self.failed.len()
    }
}

/// Users, who call whether or not they are answered.
struct Users {
    is_over: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<Outcome>,
}

impl Users {
    fn begin(fleet: &Fleet, gap: Duration) -> Users {
        let client = Client::builder("users").routes(fleet.dir.path(), "local").build().unwrap();
        let (is_over, in_flight) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (until, count) = (is_over.clone(), in_flight.clone());
        let thread = std::thread::spawn(move || call_until(&until, &count, client, gap));
        Users { is_over, in_flight, thread }
    }

    fn end(self) -> Outcome {
        self.is_over.store(true, SeqCst);
        let outcome = self.thread.join().unwrap();
        println!("{outcome:?}");
        outcome
    }
}

fn call_until(is_over: &AtomicBool, in_flight: &Arc<AtomicUsize>, client: Client, gap: Duration) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let feed = FeedServiceClient::from(client);
    runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        let mut at = tokio::time::Instant::now();
        for user in 1u64.. {
            if is_over.load(SeqCst) {
                break;
            }
            let (uin, feed, in_flight) = (user.wrapping_mul(0x9e37_79b9_7f4a_7c15), feed.clone(), in_flight.clone());
            calls.spawn(async move {
                in_flight.fetch_add(1, SeqCst);
                let result = match user % 2 {
                    0 => feed
                        .get_feed(&FeedRequest { count: 5 })
                        .uin(uin)
                        .await
                        .map(|posts| assert_eq!(posts.posts.len(), 5)),
                    // Not to be done twice.
                    _ => feed.publish(&PublishRequest { text: "news".into() }).uin(uin).await.map(drop),
                };
                in_flight.fetch_sub(1, SeqCst);
                result
            });
            at += gap;
            tokio::time::sleep_until(at).await;
        }
        let mut outcome = Outcome::default();
        while let Some(result) = calls.join_next().await {
            outcome.add(result.unwrap());
        }
        outcome
    })
}

const SMALL: [Size; 3] =
    [Size { workers: 2, work_us: 500 }, Size { workers: 16, work_us: 1_000 }, Size { workers: 4, work_us: 5_000 }];

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

#[test]
fn when_an_instance_of_each_tier_is_killed_only_calls_fail_that_it_had() {
    let mut fleet = Fleet::start(Path::new(TIMELINE), SMALL, PATIENCE.as_millis() as u32);
    let users = Users::begin(&fleet, GAP);
    let mut in_flight = 0;
    pause(1_000);
    for tier in 0..3 {
        in_flight += users.in_flight.load(SeqCst);
        fleet.take(tier, 0).kill();
        pause(2_000);
        fleet.start_instance(tier, 0);
        pause(1_500);
    }
    let outcome = users.end();
    let rest = outcome.all() - outcome.held;
    assert!(outcome.ok as f64 >= 0.999 * rest as f64, "{outcome:?}");
    // What was in flight at the three moments, and what was sent before anybody could know.
    assert!(outcome.held <= in_flight + 6, "{} held, {in_flight} were in flight", outcome.held);
}

#[test]
fn when_all_instances_of_all_tiers_are_restarted_under_load_no_call_fails() {
    let mut fleet = Fleet::start(Path::new(TIMELINE), SMALL, PATIENCE.as_millis() as u32);
    let users = Users::begin(&fleet, GAP);
    pause(1_000);
    for tier in 0..3 {
        for instance in 0..INSTANCES {
            fleet.take(tier, instance).end();
            fleet.start_instance(tier, instance);
            pause(300);
        }
    }
    pause(500);
    let outcome = users.end();
    assert!(outcome.ok > 100 && outcome.ok == outcome.all(), "{outcome:?}");
}

#[test]
fn what_the_last_tier_would_refuse_is_not_sent_to_it() {
    // The store does 3 * 2 / 40 ms = 150 a second, and is asked for 600.
    let sizes = [SMALL[0], Size { workers: 64, work_us: 500 }, Size { workers: 2, work_us: 40_000 }];
    let fleet = Fleet::start(Path::new(TIMELINE), sizes, 1_000);
    let users = Users::begin(&fleet, Duration::from_micros(1_667));
    let began = Instant::now();
    let withheld = loop {
        pause(1_000);
        let top = fleet.top();
        let counters = top["stat"]["counters"].as_array().expect("the agent keeps counters").iter();
        let withheld = counters.filter(|counter| counter["id"] == 70).find_map(|counter| counter["value"].as_u64());
        if withheld.is_some_and(|count| count > 100) || began.elapsed() > PATIENCE {
            break withheld;
        }
    };
    let outcome = users.end();
    assert!(withheld.is_some_and(|count| count > 100), "{withheld:?} were withheld, {outcome:?}");
    assert!(outcome.ok > 0 && outcome.refused > 0, "{outcome:?}");
}

#[test]
fn the_tier_in_cpp_builds_with_protocs_messages_too() {
    need("protoc", "protobuf-compiler");
    let out = tempfile::tempdir().unwrap();
    let protos = root().join("examples/feed/proto");
    run(Command::new(MCRPC).args(["gen", "--lang", "cpp", "feed.proto", "--out"]).arg(out.path()).current_dir(&protos));
    run(Command::new(MCRPC).args(["gen", "--lang", "proto", "--out"]).arg(out.path()));
    let mut protoc = Command::new("protoc");
    protoc.arg("-I").arg(&protos).arg("-I").arg(out.path()).arg("--cpp_out").arg(out.path());
    run(protoc.args(["feed.proto", "mcrpc/options.proto"]));
    let libraries = run(Command::new("pkg-config").args(["--cflags", "--libs", "protobuf"]));
    let mut compiler = Command::new(std::env::var("CXX").unwrap_or("c++".into()));
    let program = out.path().join("timeline");
    compiler.args(["-std=c++17", "-O0", "-pthread", "-I"]).arg(root().join("include")).arg("-I").arg(out.path());
    compiler.arg(root().join("examples/feed/timeline/timeline.cpp"));
    compiler.args(["feed.pb.cc", "mcrpc/options.pb.cc"].map(|name| out.path().join(name)));
    compiler.arg(Path::new(support::LIBRARY_DIR).join("libmcrpc.a")).args(libraries.split_whitespace());
    run(compiler.arg("-o").arg(&program));

    let fleet = Fleet::start(&program, SMALL, PATIENCE.as_millis() as u32);
    let users = Users::begin(&fleet, GAP);
    pause(500);
    let outcome = users.end();
    assert!(outcome.ok > 0 && outcome.ok == outcome.all(), "{outcome:?}");
}
