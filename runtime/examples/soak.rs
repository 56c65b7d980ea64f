//! A million calls over a thousand connections whose callers behave badly: `cargo run --release -p mcrpc --example soak [CALLS]`.
//!
//! Callers disconnect in the middle of a frame or of their answers, read slowly, cancel, or end their side early. Every answer is
//! checked: its payload is that of the call, and no call is answered twice. Every call is answered that was not given up. At
//! the end nothing is left behind: no connection, no request, no place in admission, no memory.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mcrpc::server::Config;
use mcrpc::{Address, Request, Server, Status};
use mcrpc_core::admission::{Config as AdmissionConfig, Mode};
use mcrpc_core::wire::header::method_id;
use mcrpc_core::wire::{Frame, Header, Kind, Limits, Writer};

const CONNECTIONS: usize = 1_000;
/// Threads of callers, each with one connection at a time.
const CALLERS: usize = 50;
const METHODS: [&str; 4] = ["soak.Soak.Inline", "soak.Soak.Async", "soak.Soak.Waiting", "soak.Soak.Blocking"];

#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    answered: AtomicU64,
}

fn main() {
    // Callers that disconnect leave some of theirs unmade.
    let calls: u64 = std::env::args().nth(1).map_or(1_200_000, |calls| calls.parse().expect("a number of calls"));
    let echo = |request: Request| async move { Ok(request.into_payload()) };
    // Nothing is refused, so that every call has to be answered well.
    let admission = AdmissionConfig { mode: Mode::Observe, ..AdmissionConfig::DEFAULT };
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 2, blocking_workers: 2, queue_limit: 30_000, admission, ..Config::default() })
        .inline_method(METHODS[0], |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .method(METHODS[1], echo)
        .method(METHODS[2], |request: Request| async move {
            tokio::time::sleep(Duration::from_micros(500)).await;
            Ok(request.into_payload())
        })
        .blocking_method(METHODS[3], |request| Ok(request.into_payload()))
        .start()
        .unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
    let (counts, began) = (Arc::new(Counts::default()), Instant::now());
    let left = Arc::new(Mutex::new((0..CONNECTIONS as u64).collect::<Vec<_>>()));
    let each = calls / CONNECTIONS as u64;
    let memory = Arc::new(Mutex::new(Vec::new()));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (left, counts, memory) = (left.clone(), counts.clone(), memory.clone());
            thread::spawn(move || {
                while let Some(number) = { left.lock().unwrap().pop() } {
                    let mut random = fastrand::Rng::with_seed(number);
                    let manners = Manners::ALL[number as usize % Manners::ALL.len()];
                    converse(address, manners, each, &mut random, &counts);
                    if number % 100 == 0 {
                        memory.lock().unwrap().push(resident_kib());
                    }
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    let elapsed = began.elapsed();
    let patience = Instant::now() + Duration::from_secs(30);
    while (server.connections(), server.queued(), server.request_memory()) != (0, 0, 0) {
        assert!(
            Instant::now() < patience,
            "left behind: {} connections, {} requests, {} bytes",
            server.connections(),
            server.queued(),
            server.request_memory()
        );
        thread::sleep(Duration::from_millis(10));
    }
    let page = get(address, "/admission");
    assert!(
        !page.contains("queued 1") && page.matches("queued 0, running 0").count() == 3,
        "left in admission:\n{page}"
    );
    let [sent, answered] = [&counts.sent, &counts.answered].map(|count| count.load(Relaxed));
    println!("{sent} calls sent over {CONNECTIONS} connections in {elapsed:.1?}; {answered} answered well");
    println!("resident KiB, of server and callers, as it went: {:?}", memory.lock().unwrap());
    println!("nothing lost, nothing answered twice, nothing left behind");
}

/// How a caller behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manners {
    /// Waits for all its answers.
    Good,
    /// Writes in pieces, and reads in small ones.
    Slow,
    /// Ends its side, and waits for its answers.
    HalfClosed,
    /// Cancels every tenth call.
    Cancelling,
    /// Goes away in the middle of a frame, without reading its answers.
    Rude,
}

impl Manners {
    const ALL: [Manners; 5] = [Manners::Good, Manners::Slow, Manners::HalfClosed, Manners::Cancelling, Manners::Rude];
}

fn converse(address: SocketAddr, manners: Manners, calls: u64, random: &mut fastrand::Rng, counts: &Counts) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut heard = Heard { calls: vec![Call::Open; calls as usize], received: Vec::new() };
    let mut next = 0;
    while next < calls {
        let burst = random.u64(1..=64).min(calls - next);
        let mut bytes = Vec::new();
        for id in next..next + burst {
            bytes.extend(call(id as u32, random));
            if manners == Manners::Cancelling && random.u8(..10) == 0 {
                bytes.extend(Header::new(Kind::Cancel, id as u32).emit());
                heard.calls[id as usize] = Call::GivenUp;
            }
        }
        next += burst;
        counts.sent.fetch_add(burst, Relaxed);
        if manners == Manners::Rude && (next >= calls || random.u8(..16) == 0) {
            // Whatever the server makes of it.
            let _ = socket.write_all(&bytes[..random.usize(..bytes.len())]);
            return;
        }
        let piece = if manners == Manners::Slow { random.usize(1..500) } else { bytes.len() };
        for piece in bytes.chunks(piece) {
            socket.write_all(piece).unwrap();
        }
        // Some are read later, with those of the next burst.
        let wanted = if random.bool() || next >= calls { next } else { next - burst / 2 };
        if next >= calls && manners == Manners::HalfClosed {
            socket.shutdown(std::net::Shutdown::Write).unwrap();
        }
        heard.until(wanted, &mut socket, if manners == Manners::Slow { 300 } else { 65_536 }, counts);
    }
    assert!(heard.calls.iter().all(|&call| call != Call::Open), "{manners:?}: some calls were not answered");
}

/// Calls with the payload that their id says.
fn call(id: u32, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut header = Header::new(Kind::Request, id);
    header.method_id = method_id(METHODS[id as usize % METHODS.len()].as_bytes());
    (header.uin, header.budget_ms, header.priority) = (random.u64(1..), u32::MAX, random.u8(..4));
    let payload = payload_of(id);
    let mut head = [0; 64];
    let len = Writer::new(&mut head).finish(&header, payload.len() as u32).unwrap();
    [&head[..len], &payload].concat()
}

fn payload_of(id: u32) -> Vec<u8> {
    let len = if id.is_multiple_of(97) { 100_000 } else { id as usize % 200 };
    vec![id as u8; len]
}

/// What became of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Open,
    /// It may be answered or not.
    GivenUp,
    Answered,
}

struct Heard {
    calls: Vec<Call>,
    received: Vec<u8>,
}

impl Heard {
    /// Reads until the first so many calls are answered.
    fn until(&mut self, wanted: u64, socket: &mut TcpStream, piece: usize, counts: &Counts) {
        let mut buffer = vec![0; piece];
        while self.calls[..wanted as usize].contains(&Call::Open) {
            let len = match socket.read(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("no answer: {error}"),
            };
            assert!(len > 0, "the server has hung up");
            self.received.extend_from_slice(&buffer[..len]);
            let mut used = 0;
            while let Ok(frame) = Frame::new_checked(&self.received[used..], &Limits::WIDEST) {
                used += frame.len;
                if frame.header.kind != Kind::Response {
                    continue;
                }
                let id = frame.header.call_id;
                let before = std::mem::replace(&mut self.calls[id as usize], Call::Answered);
                assert!(before != Call::Answered, "call {id} was answered twice");
                assert!(frame.header.status == Status::OK, "call {id} was refused: {}", frame.header.status);
                assert!(frame.payload == payload_of(id), "call {id} got another's answer");
                counts.answered.fetch_add(1, Relaxed);
            }
            self.received.drain(..used);
        }
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    page
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
