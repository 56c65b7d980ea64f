//! Given a pool over two Redis servers with the library in front, when one of them dies, returns, or both become slow, then calls go
//! on, the dead one is shielded and gets its share back, and of the slow ones the important callers get what there is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::ONE_AT_A_TIME;
use crate::program::{Built, Running};
use crate::support::{Linkage, linkages};

/// Longer than anything here takes on a machine that stalls.
const PATIENCE: Duration = Duration::from_secs(90);

/// A `redis-server` on a port of its own, which is killed with this.
struct Redis {
    port: u16,
    child: Child,
}

impl Redis {
    fn start(port: u16, directory: &Path) -> Redis {
        let port_text = port.to_string();
        let arguments = ["--port", &port_text, "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes"];
        let mut command = Command::new("redis-server");
        command.args(arguments).arg("--dir").arg(directory).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed (Debian: redis-server)");
        let mut redis = Redis { port, child };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = redis.child.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "redis-server does not start: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps a server busy, 10 ms out of hardly more, as long as `slow` says so: each of its connections is answered once in a while.
fn slow_down(port: u16, slow: &AtomicBool) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    while slow.load(Ordering::Relaxed) {
        stream.write_all(b"DEBUG SLEEP 0.01\r\n").unwrap();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
}

/// Below those that the kernel gives to connections: one to a dead server could get the server's own port, and connect to itself.
fn free_ports() -> [u16; 2] {
    let first = 10_000 + (std::process::id() % 20_000) as u16;
    let mut free = (first..32_000).filter(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok());
    [(); 2].map(|()| free.next().expect("a port is free"))
}

fn build(linkage: Linkage) -> Built {
    let header = Path::new("/usr/include/hiredis/hiredis.h");
    assert!(header.exists(), "{} is missing: install hiredis (Debian: libhiredis-dev)", header.display());
    let flags = ["-std=c++17", "-Wconversion", "-Wl,--no-as-needed", "-lhiredis"];
    Built::new("cpp-examples/adopt/redis_pool.cpp", &flags, linkage)
}

/// What happened in 200 ms.
struct Period(Value);

impl Period {
    fn read(pool: &mut Running) -> Period {
        Period(serde_json::from_str(&pool.read_line()).unwrap())
    }

    fn count(&self, callers: &str, what: &str) -> u64 {
        self.0[callers][what].as_u64().unwrap()
    }

    /// Over both kinds of callers.
    fn all(&self, what: &str) -> u64 {
        self.count("important", what) + self.count("ordinary", what)
    }

    fn sent(&self, instance: usize) -> u64 {
        self.0["instances"][instance]["sent"].as_u64().unwrap()
    }

    fn state(&self, instance: usize) -> &str {
        self.0["instances"][instance]["state"].as_str().unwrap()
    }
}

/// Reads on until a period is as wanted.
fn wait_until(pool: &mut Running, what: &str, is_wanted: impl Fn(&Period) -> bool) -> Vec<Period> {
    let start = Instant::now();
    let mut periods = Vec::new();
    loop {
        let period = Period::read(pool);
        let wanted = is_wanted(&period);
        periods.push(period);
        if wanted {
            return periods;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: {}", periods.last().unwrap().0);
    }
}

fn both_serve(period: &Period) -> bool {
    let sent = [period.sent(0), period.sent(1)];
    sent.iter().all(|&count| count * 10 > 3 * (sent[0] + sent[1])) && period.all("answered") > 50
}

#[test]
fn an_instance_that_dies_costs_no_answer_and_gets_its_share_back() {
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for linkage in linkages() {
        let (program, ports) = (build(linkage), free_ports());
        let [_first, second] = ports.map(|port| Redis::start(port, program.directory()));
        let arguments = ports.map(|port| port.to_string());
        let mut pool = Running::start(Command::new(&program.path).args(arguments).stdin(Stdio::piped()));
        wait_until(&mut pool, "both serve", both_serve);

        let port = second.port;
        drop(second);
        let dying = wait_until(&mut pool, "the dead one is shielded", |period| period.state(1) == "shielded");
        let failed: u64 = dying.iter().map(|period| period.all("failed")).sum();
        assert!(failed <= 8, "at most what was under way: {failed}");
        let after: Vec<_> = (0..5).map(|_| Period::read(&mut pool)).collect();
        let sum = |count: &dyn Fn(&Period) -> u64| after.iter().map(count).sum::<u64>();
        let (answered, failed) = (sum(&|period| period.all("answered")), sum(&|period| period.all("failed")));
        // A machine that stalls for longer than a reply may take fails a call now and then.
        assert!(answered > 250 && failed * 50 <= answered, "calls go on: {answered} answered, {failed} failed");
        assert!(sum(&|period| period.sent(1)) <= 10, "but for a probe, nothing is sent to it");

        let _second = Redis::start(port, program.directory());
        wait_until(&mut pool, "it gets its share back", |period| period.state(1) == "normal" && both_serve(period));
    }
}

#[test]
fn of_slow_instances_the_important_callers_get_what_there_is() {
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for linkage in linkages() {
        let (program, ports) = (build(linkage), free_ports());
        let _servers = ports.map(|port| Redis::start(port, program.directory()));
        let arguments = ports.map(|port| port.to_string());
        let mut pool = Running::start(Command::new(&program.path).args(arguments).stdin(Stdio::piped()));
        wait_until(&mut pool, "both serve", both_serve);

        let slow = AtomicBool::new(true);
        std::thread::scope(|scope| {
            for port in ports {
                scope.spawn({
                    let slow = &slow;
                    move || slow_down(port, slow)
                });
            }
            wait_until(&mut pool, "calls are refused", |period| period.all("refused") > 0);
            let periods: Vec<_> = (0..20).map(|_| Period::read(&mut pool)).collect();
            slow.store(false, Ordering::Relaxed);
            let refused_share = |callers: &str| {
                let sum = |what| periods.iter().map(|period| period.count(callers, what)).sum::<u64>();
                let [answered, refused, failed] = ["answered", "refused", "failed"].map(sum);
                println!("{callers}: {answered} answered, {refused} refused, {failed} failed");
                refused as f64 / (answered + refused + failed) as f64
            };
            let (important, ordinary) = (refused_share("important"), refused_share("ordinary"));
            assert!(important < 0.4 && 3.0 * important < ordinary, "{important:.3} of the important, {ordinary:.3}");
        });
        wait_until(&mut pool, "nothing is refused any more", |period| {
            period.all("refused") + period.all("failed") == 0 && period.all("answered") > 50
        });
    }
}
