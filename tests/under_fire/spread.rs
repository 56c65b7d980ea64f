//! How soon all processes of a host refuse by themselves what a server has begun to refuse: by the endpoint's cell, which
//! whoever hears a refusal writes, and by the table, which those go by that must not write.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use mcrpc::{Client, Host, Status};
use mcrpc_agent::clock::monotonic;
use mcrpc_core::admission::Cursor;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::RejectLevel;
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::metadata::RejectState;
use mcrpc_core::wire::{Header, Kind};

use super::support::frames::{frame, read_frame};
use super::{ECHO, PATIENCE, Process, entry, told, until, with_health};

const CLIENTS: usize = 5;
const HOLD_MS: u16 = 300;
const EACH: Duration = Duration::from_millis(2);

/// Says how its calls end, and what the table has of the server, with the time, whenever that changes.
#[test]
#[ignore = "a process that another test starts"]
fn client_process() {
    let Some((directory, address)) = told() else { return };
    let endpoint = Endpoint::new(address.parse().unwrap(), method_id(b"Echo"));
    let host = Arc::new(Host::new(&directory));
    let client = Client::builder("test").host(host).service("Echo", [address]).build().unwrap();
    let (mut last, mut was_level) = (None, false);
    for uin in 1.. {
        let status =
            client.call("Echo", ECHO, "").uin(uin).wait().map_or_else(|failure| failure.status(), |_| Status::OK);
        // Each refusal of the server's, and each change.
        if status == Status::BELOW_CURSOR || last.replace(status) != Some(status) {
            last = Some(status);
            println!("@{} {}", status.0, monotonic().0);
        }
        let is_level = entry(&directory, &endpoint).flatten().is_some_and(|it| it.reject_level != RejectLevel::OPEN);
        if std::mem::replace(&mut was_level, is_level) != is_level {
            println!("@{} {}", if is_level { "level" } else { "open" }, monotonic().0);
        }
        std::thread::sleep(EACH);
    }
}

/// A server that refuses everything as long as it is told to.
#[derive(Default)]
struct Overloadable {
    is_overloaded: AtomicBool,
    /// When it began to send the first refusal, on the monotonic clock; 0: it did not yet.
    refused_at: AtomicU64,
}

impl Overloadable {
    fn start() -> (Arc<Overloadable>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Arc::new(Overloadable::default());
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        (server, address)
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        while let Ok(received) = read_frame(&mut stream) {
            if received.header.kind != Kind::Request {
                continue;
            }
            let answer = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, received.header.call_id) };
            let answer = if self.is_overloaded.load(SeqCst) {
                let _ = self.refused_at.compare_exchange(0, monotonic().0, SeqCst, SeqCst);
                let refusal = Header { status: Status::BELOW_CURSOR, cursor: 1, ..answer };
                let state = RejectState { hold_ms: HOLD_MS, share_per_10k: 10_000 };
                frame(refusal, |writer| _ = writer.reject_state(state), b"")
            } else {
                answer.emit().to_vec()
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }
}

/// What a client process said, and when.
struct Heard {
    client: usize,
    what: String,
    at_ns: u64,
}

/// Starts client processes, whose words come together here.
fn clients(directory: &Path, address: &str) -> Receiver<Heard> {
    let (send, heard) = channel();
    for client in 0..CLIENTS {
        let mut process = Process::again("spread::client_process", directory, address);
        let send = send.clone();
        // The process is killed when nobody listens to it any more.
        std::thread::spawn(move || {
            while let Some(line) = process.hear() {
                let (what, at) = line.split_once(' ').unwrap();
                if send.send(Heard { client, what: what.to_owned(), at_ns: at.parse().unwrap() }).is_err() {
                    return;
                }
            }
        });
    }
    heard
}

/// Waits until each client has said each of these things, and returns when it first did; and all else that was said.
fn hear_all(heard: &Receiver<Heard>, wanted: &[&str]) -> (BTreeMap<(String, usize), u64>, Vec<Heard>) {
    let (mut first, mut others) = (BTreeMap::new(), Vec::new());
    let until = Instant::now() + PATIENCE;
    while first.len() < wanted.len() * CLIENTS {
        let said = heard.recv_timeout(until.saturating_duration_since(Instant::now())).expect("all clients say so");
        if wanted.contains(&said.what.as_str()) {
            first.entry((said.what, said.client)).or_insert(said.at_ns);
        } else {
            others.push(said);
        }
    }
    (first, others)
}

/// How long after the server's first refusal the last process refused, in ms.
#[derive(Debug)]
struct Round {
    by_cell_ms: f64,
    by_table_ms: f64,
    /// The most calls of one process that the server refused before that process refused by itself.
    calls: usize,
}

fn overload(server: &Overloadable, heard: &Receiver<Heard>, phase_ms: u64) -> Round {
    std::thread::sleep(Duration::from_millis(phase_ms));
    let (ok, refused, withheld) = ("0".to_owned(), Status::BELOW_CURSOR.0.to_string(), Status::WITHHELD.0.to_string());
    server.refused_at.store(0, SeqCst);
    server.is_overloaded.store(true, SeqCst);
    let (first, others) = hear_all(heard, &[&withheld, "level"]);
    server.is_overloaded.store(false, SeqCst);
    let began_ns = server.refused_at.load(SeqCst);
    let last_ms = |what: &str| {
        let times = first.iter().filter(|((said, _), _)| said == what).map(|(_, &at_ns)| at_ns);
        (times.max().unwrap() - began_ns) as f64 / 1e6
    };
    let before = |said: &&Heard, client| {
        said.client == client && said.what == refused && said.at_ns <= first[&(withheld.clone(), client)]
    };
    let calls = (0..CLIENTS).map(|client| others.iter().filter(|said| before(said, client)).count()).max();
    hear_all(heard, &[&ok, "open"]);
    Round { by_cell_ms: last_ms(&withheld), by_table_ms: last_ms("level"), calls: calls.unwrap_or_default() }
}

fn overload_again_and_again(rounds: u64) -> Vec<Round> {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("run");
    let _agent = Process::agent(&directory);
    let other = Endpoint::new("10.0.0.1:80".parse().unwrap(), 7);
    until("the agent has looked", || with_health(&directory, &other, |_| ()).is_some());
    let (server, address) = Overloadable::start();
    let heard = clients(&directory, &address);
    hear_all(&heard, &["0"]);
    // At another moment of the agent's second each time.
    let rounds: Vec<_> = (0..rounds).map(|round| overload(&server, &heard, round * 370 % 1_000)).collect();
    let worst = |of: fn(&Round) -> f64| rounds.iter().map(of).fold(0.0, f64::max);
    let (cell_ms, table_ms) = (worst(|round| round.by_cell_ms), worst(|round| round.by_table_ms));
    println!(
        "the last of {CLIENTS} processes, in the worst of {} rounds: {cell_ms:.1} ms by the cell, {table_ms:.0} ms by the table",
        rounds.len()
    );
    rounds
}

/// How soon is for the other test, on a quiet machine.
#[test]
fn what_a_server_refuses_all_processes_of_the_host_refuse_after_one_call_at_most() {
    for round in overload_again_and_again(3) {
        assert!(round.calls <= 1, "{round:?}");
    }
}

#[test]
#[ignore = "it measures"]
fn the_last_process_refuses_within_1200_ms_of_the_first_refusal() {
    for round in overload_again_and_again(30) {
        assert!(round.calls <= 1 && round.by_table_ms <= 1_200.0, "{round:?}");
    }
}
