//! An agent with its page, and a host for it to show.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mcrpc_agent::clock;
use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_core::host::calls::{CallCounters, Calls};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::host::stat::{CounterKey, Kind, Stat};
use mcrpc_core::shield::breaker::Settings;
use mcrpc_core::shield::health::{Health, Totals};
use mcrpc_core::status::Refusal;
use mcrpc_core::strategy::endpoint::Endpoint;
use serde_json::Value;
use tempfile::TempDir;

use crate::openmetrics::Exposition;

const PATIENCE: Duration = Duration::from_secs(60);
/// It backs off for long enough to be seen.
pub const LONG: Settings = Settings { backoff_min_ms: 600_000, backoff_max_ms: 600_000, ..Settings::DEFAULT };

/// An agent that shows its host, and what others write there.
pub struct Host {
    pub root: TempDir,
    agent: Child,
    pub address: SocketAddr,
    /// While it is read the agent can go on to write.
    _output: BufReader<std::process::ChildStdout>,
}

impl Host {
    pub fn start(arguments: &[&str]) -> Host {
        let root = tempfile::tempdir().unwrap();
        let mut agent = agent(&root.path().join("run"), arguments).spawn().unwrap();
        let mut output = BufReader::new(agent.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the agent has ended");
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split(',').next().unwrap().parse().unwrap();
            }
        };
        Host { root, agent, address, _output: output }
    }

    pub fn map(&self, segment: Segment) -> WritableMapping {
        Directory::open(&self.root.path().join("run"), None).unwrap().map_writable(segment).unwrap()
    }

    pub fn with_health(&self, endpoint: &Endpoint, act: impl Fn(&Health<'_>)) {
        let mapping = self.map(Segment::Fail);
        let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        act(&cells.health(cells.bucket(endpoint).unwrap()).unwrap());
    }

    pub fn with_stat<R>(&self, act: impl FnOnce(&Stat<'_>) -> R) -> R {
        let mapping = self.map(Segment::Stat);
        act(&Stat::attach(mapping.shared(), mapping.len()).unwrap())
    }

    pub fn get(&self, path: &str, headers: &str) -> Answer {
        get(self.address, path, headers)
    }

    /// What there is at this path, once it fits.
    pub fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let seen = serde_json::from_str(&self.get(path, "").body).unwrap();
            if fits(&seen) {
                return seen;
            }
            assert!(start.elapsed() < PATIENCE, "{seen:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The metrics of a look that fits.
    pub fn metrics(&self, fits: impl Fn(&Exposition) -> bool) -> Exposition {
        let start = Instant::now();
        loop {
            let answer = self.get("/metrics", "Accept: application/openmetrics-text\r\n");
            assert!(answer.head.contains("content-type: application/openmetrics-text"), "{}", answer.head);
            let all = Exposition::parse(&answer.body);
            if fits(&all) {
                return all;
            }
            assert!(start.elapsed() < PATIENCE, "{}", answer.body);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

pub fn agent(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.args(["agent", "--probe", "off"]);
    if !arguments.contains(&"--seats") {
        command.args(["--seats", "8", "--counters", "64"]);
    }
    command.arg("--logs").arg(dir.join("logs")).arg("--listen").args(arguments);
    command.env("MCRPC_DIR", dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub struct Answer {
    pub code: u16,
    pub head: String,
    pub body: String,
}

fn get(address: SocketAddr, path: &str, headers: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let host = if headers.contains("Host:") { String::new() } else { format!("Host: {address}\r\n") };
    // The older version, in which an answer is not cut into chunks.
    write!(stream, "GET {path} HTTP/1.0\r\n{host}{headers}\r\n").unwrap();
    answer_of(stream)
}

pub fn answer_of(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { code, head: head.to_lowercase(), body: body.to_owned() }
}

pub fn endpoint(number: u16) -> Endpoint {
    Endpoint::new(([10, 0, (number >> 8) as u8, number as u8], 8000).into(), 7)
}

/// A server that sheds, and calls service 7.
pub fn seat_a_server(stat: &Stat<'_>) -> u32 {
    let (seats, now) = (stat.seats(), clock::monotonic());
    let seat = seats.claim(std::process::id(), now, &mut |_, owner| owner == 0).unwrap();
    let mut name = [0; 32];
    name[..6].copy_from_slice(b"crawld");
    seats.set_name(seat, &name);
    seats.beat(seat, 3, now);
    let mut refused = [0; Refusal::COUNT];
    refused[Refusal::BelowCursor as usize] = 40;
    let report = QueueReport {
        reported_ns: now.0,
        queued: 5,
        running: 2,
        admitted: 100,
        completed: 93,
        mode: 2,
        shedding: 1,
        cursor: 0x10_0000,
        demand_mrps: 250_500,
        capacity_mrps: 100_000,
        refused,
        ..QueueReport::default()
    };
    seats.report(seat, &report);
    let mut durations = [0; 13];
    (durations[2], durations[8], durations[12]) = (20, 3, 1);
    let calls = Calls { totals: Totals { calls: [20, 1, 3, 2], time_us: 1_500_000 }, durations };
    CallCounters::open(stat, 7).add(stat, seat, &calls);
    stat.add(seat, stat.column(CounterKey { id: 4, key: 9, kind: Kind::Sum }).unwrap(), 11);
    seat
}
