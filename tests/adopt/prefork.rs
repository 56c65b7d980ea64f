//! Given a service on a prefork framework that has the library in its callbacks alone, when a child is killed and replaced, then
//! what was queued and running there is counted no more, and all children go on behind one controller.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcrpc_core::status::{Class, Status};
use nix::fcntl::{Flock, FlockArg};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::ONE_AT_A_TIME;
use crate::program::{Built, Running};
use crate::support::{Linkage, linkages, root};

const FRAMEWORK: &str = "cpp-examples/adopt/prefork_framework.hpp";
const SERVICE: &str = "cpp-examples/adopt/prefork.cpp";

const CHILDREN: usize = 3;
const WORKERS: usize = 2;
const CAPACITY_PER_S: f64 = (CHILDREN * WORKERS) as f64 * 100.0;

struct Server {
    running: Running,
    address: String,
    pids: Vec<i32>,
    /// While it is there, no request is finished.
    lock: Option<Flock<File>>,
    _built: Built,
}

impl Server {
    fn start(linkage: Linkage) -> Server {
        let built = Built::new(SERVICE, &["-std=c++17", "-Wconversion"], linkage);
        let table = built.directory().join("table");
        let lock = Some(Flock::lock(File::create(&table).unwrap(), FlockArg::LockExclusive).unwrap());
        let counts = [CHILDREN, WORKERS].map(|count| count.to_string());
        let mut running = Running::start(Command::new(&built.path).args(counts).arg(&table));
        let pids = (0..CHILDREN).map(|child| read_pid(&mut running, child)).collect();
        let address = running.wait_for("listening ");
        Server { running, address, pids, lock, _built: built }
    }

    /// Kills a child with SIGKILL, and waits until it is replaced.
    fn kill(&mut self, child: usize) {
        kill_process(Pid::from_raw(self.pids[child]).unwrap(), Signal::KILL).unwrap();
        self.pids[child] = read_pid(&mut self.running, child);
    }

    fn report(&mut self, signal: Signal) -> Value {
        kill_process(Pid::from_raw(self.running.child.id() as i32).unwrap(), signal).unwrap();
        serde_json::from_str(&format!("{{{}", self.running.wait_for("{"))).unwrap()
    }

    fn sum(&mut self, count: &str) -> u64 {
        let report = self.report(Signal::USR1);
        report["queues"].as_array().unwrap().iter().map(|queue| queue[count].as_u64().unwrap()).sum()
    }

    fn wait_until_in_system(&mut self, wanted: u64) {
        let start = Instant::now();
        while self.sum("queued") + self.sum("running") != wanted {
            assert!(start.elapsed() < Duration::from_secs(60), "wanted {wanted}: {}", self.report(Signal::USR1));
        }
    }
}

fn read_pid(running: &mut Running, child: usize) -> i32 {
    running.wait_for(&format!("child {child} pid ")).parse().unwrap()
}

fn connect(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    BufReader::new(stream)
}

fn send(stream: &mut BufReader<TcpStream>, user: usize, budget_ms: u32) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{user} {budget_ms}\n").as_bytes())
}

/// The code of the next answer; none if the connection has ended.
fn receive(stream: &mut BufReader<TcpStream>) -> Option<i32> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.trim().parse().ok()
}

#[test]
fn a_killed_child_leaves_nothing_in_the_counts_and_the_others_nothing_undone() {
    const CALLERS: usize = 30;
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for linkage in linkages() {
        let mut server = Server::start(linkage);
        let mut callers: Vec<_> = (0..CALLERS).map(|_| connect(&server.address)).collect();
        for (user, caller) in callers.iter_mut().enumerate() {
            send(caller, user, 60_000).unwrap();
        }
        server.wait_until_in_system(CALLERS as u64);
        let before = server.report(Signal::USR1);
        server.kill(0);
        let in_system = |report: &Value, child: usize| {
            let queue = &report["queues"][child];
            queue["queued"].as_u64().unwrap() + queue["running"].as_u64().unwrap()
        };
        let lost = in_system(&before, 0);
        server.wait_until_in_system(CALLERS as u64 - lost);
        let after = server.report(Signal::USR1);
        assert_eq!(in_system(&after, 0), 0, "{after}");
        assert_eq!(in_system(&after, 1), in_system(&before, 1), "the other children's requests are still there");

        server.lock = None;
        let codes: Vec<_> = callers.iter_mut().map(receive).collect();
        let answered = codes.iter().filter(|&&code| code == Some(0)).count();
        assert_eq!((answered as u64, codes.iter().flatten().count()), (CALLERS as u64 - lost, answered), "{codes:?}");
        server.wait_until_in_system(0);
        assert_eq!((server.sum("admitted"), server.sum("completed")), (CALLERS as u64, CALLERS as u64 - lost));
    }
}

#[derive(Debug, Default)]
struct Counts {
    good: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

#[test]
fn under_overload_children_are_killed_and_the_rest_goes_on() {
    const CALLERS: usize = 120;
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for linkage in linkages() {
        let mut server = Server::start(linkage);
        server.lock = None;
        let (stop, counts, address) = (AtomicBool::new(false), Counts::default(), server.address.clone());
        let start = Instant::now();
        std::thread::scope(|scope| {
            for user in 0..CALLERS {
                let (stop, counts, address) = (&stop, &counts, &address);
                scope.spawn(move || call_until_stopped(address, user, stop, counts));
            }
            for child in 0..2 * CHILDREN {
                std::thread::sleep(Duration::from_millis(400));
                server.kill(child % CHILDREN);
            }
            std::thread::sleep(Duration::from_millis(400));
            stop.store(true, Ordering::Relaxed);
        });
        let seconds = start.elapsed().as_secs_f64();
        println!("{counts:?} in {seconds:.1} s");
        let good = counts.good.into_inner();
        assert!(good as f64 > 0.3 * CAPACITY_PER_S * seconds, "{good} in {seconds:.1} s");
        assert!(counts.refused.into_inner() > 0 && counts.lost.into_inner() > 0);
        // The last successor may not have struck out yet what was lost.
        server.wait_until_in_system(0);
        let report = server.report(Signal::TERM);
        for queue in report["queues"].as_array().unwrap() {
            assert_eq!((&queue["queued"], &queue["running"]), (&0.into(), &0.into()), "{report}");
            assert!(queue["completed"].as_u64() > Some(0), "every child served: {report}");
        }
    }
}

/// One request after the other, a little later after a refusal, on a new connection when the old one breaks.
fn call_until_stopped(address: &str, user: usize, stop: &AtomicBool, counts: &Counts) {
    let mut stream = connect(address);
    while !stop.load(Ordering::Relaxed) {
        let answer = send(&mut stream, user, 300).ok().and_then(|()| receive(&mut stream));
        let count = match answer {
            Some(0) => &counts.good,
            Some(code) if matches!(Status(code).class(), Class::Overload | Class::Deadline) => &counts.refused,
            Some(code) => panic!("unexpected: {code}"),
            None => &counts.lost,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if answer.is_none() {
            stream = connect(address);
        } else if answer != Some(0) {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn the_framework_has_not_a_line_of_the_library() {
    let framework = std::fs::read_to_string(root().join(FRAMEWORK)).unwrap();
    let code = framework.lines().filter(|line| !line.trim_start().starts_with("//"));
    assert_eq!(code.filter(|line| line.contains("mcrpc")).collect::<Vec<_>>(), Vec::<&str>::new());
}
