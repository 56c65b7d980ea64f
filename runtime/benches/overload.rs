//! What a server does with four times the calls that it can serve: `cargo bench -p mcrpc --bench overload`.
//!
//! 24 workers of 32 ms serve 750 calls a second. They are offered 3 000, by callers who do not wait for answers before they go on
//! and give up after 500 ms. Good answers count, and how soon a refusal comes: beside that of a thread which refuses all and does
//! nothing else, which takes as long as the machine does to run a thread that is woken.

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Address, Request, Server, Status};
use mcrpc_core::wire::{Frame, Header, Kind, Limits};
use support::{frame, request};

const WORKERS: usize = 24;
const SERVICE: Duration = Duration::from_millis(32);
const BUDGET_MS: u32 = 500;
/// Time that does not count, while the server learns what it can do.
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(5);
const TIMES: u64 = 4;

fn main() {
    let capacity = WORKERS as f64 / SERVICE.as_secs_f64();
    println!("{WORKERS} workers of {SERVICE:?}: {capacity:.0} calls a second; {TIMES} times as many are offered\n");
    println!("handlers that                    good / capacity    wanted           refusals: p50, p99       wanted");
    let blocking = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { blocking_workers: WORKERS, ..Config::default() })
        .blocking_method("t.T.Work", |_| {
            thread::sleep(SERVICE);
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    report("block a thread", &measure(address_of(&blocking), capacity), capacity);
    let waiting = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, coroutines_per_worker: WORKERS, ..Config::default() })
        .method("t.T.Work", |_: Request| async {
            tokio::time::sleep(SERVICE).await;
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    report("wait as coroutines", &measure(address_of(&waiting), capacity), capacity);
    let bare = measure(refuse_all(), capacity);
    println!("{:<62} {:>9} us, {:>6} us", "a thread that refuses all", bare.refusal_us(0.5), bare.refusal_us(0.99));
}

fn address_of(server: &Server) -> SocketAddr {
    let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
    address
}

/// Answers one connection, and nothing well.
fn refuse_all() -> SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut piece, mut received, mut answers) = (vec![0; 65_536], Vec::new(), Vec::new());
        while let Ok(len @ 1..) = socket.read(&mut piece) {
            received.extend_from_slice(&piece[..len]);
            let mut used = 0;
            while let Ok(frame) = Frame::new_checked(&received[used..], &Limits::WIDEST) {
                used += frame.len;
                let refusal =
                    Header { status: Status::QUEUE_FULL, ..Header::new(Kind::Response, frame.header.call_id) };
                answers.extend_from_slice(&refusal.emit());
            }
            received.drain(..used);
            if socket.write_all(&answers).is_err() {
                return;
            }
            answers.clear();
        }
    });
    address
}

struct Measured {
    good_per_s: f64,
    refusals_us: Vec<u64>,
}

impl Measured {
    fn refusal_us(&self, quantile: f64) -> u64 {
        self.refusals_us.get((self.refusals_us.len() as f64 * quantile) as usize).copied().unwrap_or(0)
    }
}

fn report(name: &str, measured: &Measured, capacity: f64) {
    let share = measured.good_per_s / capacity;
    let p99_us = measured.refusal_us(0.99);
    let verdict = |is_met| if is_met { "yes" } else { "NO" };
    println!(
        "{name:<32} {share:>15.3}    >= 0.95: {:<5} {:>9} us, {p99_us:>6} us       <= 1000 us: {}",
        verdict(share >= 0.95),
        measured.refusal_us(0.5),
        verdict(p99_us <= 1_000)
    );
}

fn measure(address: SocketAddr, capacity: f64) -> Measured {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let began = Instant::now();
    let (from, until) = (WARM_UP, WARM_UP + MEASURED);
    let interval = Duration::from_secs_f64(1.0 / (capacity * TIMES as f64));
    let calls = (until.as_secs_f64() / interval.as_secs_f64()) as u32;
    let sent: Arc<Vec<AtomicU64>> = Arc::new((0..calls).map(|_| AtomicU64::new(0)).collect());
    let reader = {
        let (mut socket, sent) = (socket.try_clone().unwrap(), sent.clone());
        thread::spawn(move || read(&mut socket, &sent, began, from, until))
    };
    send(socket, &sent, began, interval);
    reader.join().unwrap()
}

fn send(mut socket: TcpStream, sent: &[AtomicU64], began: Instant, interval: Duration) {
    use std::io::Write as _;
    for (call_id, moment) in (0u32..).zip(sent) {
        let due = interval * call_id;
        while let Some(early) = due.checked_sub(began.elapsed()).filter(|early| !early.is_zero()) {
            thread::sleep(early);
        }
        let mut header = request("t.T.Work", call_id);
        (header.uin, header.budget_ms) = (fastrand::u64(1..), BUDGET_MS);
        moment.store(began.elapsed().as_micros() as u64, Relaxed);
        socket.write_all(&frame(&header, &[0; 64])).unwrap();
    }
    thread::sleep(Duration::from_millis(u64::from(BUDGET_MS)));
    socket.shutdown(std::net::Shutdown::Both).unwrap();
}

fn read(socket: &mut TcpStream, sent: &[AtomicU64], began: Instant, from: Duration, until: Duration) -> Measured {
    use std::io::Read as _;
    let (mut good, mut refusals_us, mut received, mut used) = (0u64, Vec::new(), Vec::new(), 0);
    let mut piece = vec![0; 65_536];
    while let Ok(len @ 1..) = socket.read(&mut piece) {
        let now = began.elapsed();
        received.drain(..used);
        received.extend_from_slice(&piece[..len]);
        used = 0;
        while let Ok(frame) = Frame::new_checked(&received[used..], &Limits::WIDEST) {
            used += frame.len;
            if now < from || now >= until {
                continue;
            }
            let took_us = now.as_micros() as u64 - sent[frame.header.call_id as usize].load(Relaxed);
            match frame.header.status {
                Status::OK if took_us <= u64::from(BUDGET_MS) * 1_000 => good += 1,
                Status::OK => {}
                _ => refusals_us.push(took_us),
            }
        }
    }
    refusals_us.sort_unstable();
    Measured { good_per_s: good as f64 / MEASURED.as_secs_f64(), refusals_us }
}
