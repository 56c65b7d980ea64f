//! Given a C server before and after it adopts the library, when more is asked of it than it can do, then the one answers too
//! late, and the other refuses by name and goes on answering in time. Ten lines are the difference.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcrpc_core::status::{Class, Status};
use nix::fcntl::{Flock, FlockArg};

use crate::ONE_AT_A_TIME;
use crate::program::{Built, Running};
use crate::support::{Linkage, linkages, root};

const BEFORE: &str = "c-examples/adopt/server_before.c";
pub const AFTER: &str = "c-examples/adopt/server_after.c";

const WORKERS: usize = 4;
const QUEUE_LEN: usize = 256;
/// More than there are places.
const CALLERS: usize = WORKERS + QUEUE_LEN + 40;
const CAPACITY_PER_S: f64 = WORKERS as f64 * 100.0;
/// How long a caller waits for an answer that is of use.
const BUDGET: Duration = Duration::from_millis(300);
/// The service's own code for a full queue.
const BUSY: i32 = 1;

fn start(server: &Built, table: &Path) -> (Running, String) {
    let mut running = Running::start(Command::new(&server.path).arg("0").arg(table));
    let address = running.wait_for("listening ");
    (running, address)
}

struct Caller(BufReader<TcpStream>);

impl Caller {
    fn connect(address: &str) -> Caller {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Caller(BufReader::new(stream))
    }

    fn send(&mut self, what: &str, user: usize) {
        let line = format!("{what} {user} {}\n", BUDGET.as_millis());
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> i32 {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim().parse().unwrap_or_else(|_| panic!("no code: {line:?}"))
    }

    fn ask(&mut self, what: &str, user: usize) -> (i32, Duration) {
        let start = Instant::now();
        self.send(what, user);
        (self.receive(), start.elapsed())
    }
}

fn is_refusal(code: i32) -> bool {
    matches!(Status(code).class(), Class::Overload | Class::Deadline)
}

/// More requests than there are places, while a lock holds all workers up until every caller has given up. Returns how often
/// each code was answered, and whether a caller who comes when the lock is gone, and asks for so long, is served in time.
fn after_a_lock(source: &str, linkage: Linkage, patience: Duration) -> (HashMap<i32, usize>, bool) {
    let server = Built::new(source, &["-std=c11"], linkage);
    let table = server.directory().join("table");
    let lock = Flock::lock(File::create(&table).unwrap(), FlockArg::LockExclusive).unwrap();
    let (_running, address) = start(&server, &table);
    let mut callers: Vec<_> = (0..CALLERS).map(|_| Caller::connect(&address)).collect();
    for (user, caller) in callers.iter_mut().enumerate() {
        caller.send("list", user);
    }
    let mut latest = Caller::connect(&address);
    std::thread::sleep(3 * BUDGET);
    drop(lock);
    let start = Instant::now();
    let mut is_served = false;
    while !is_served && start.elapsed() < patience {
        let (code, took) = latest.ask("pay", CALLERS);
        is_served = code == 0 && took < BUDGET;
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut codes = HashMap::new();
    for caller in &mut callers {
        *codes.entry(caller.receive()).or_default() += 1;
    }
    (codes, is_served)
}

#[test]
fn requests_whose_callers_have_given_up_are_run_before_and_answered_by_name_after() {
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (codes, is_served) = after_a_lock(BEFORE, Linkage::Static, BUDGET);
    // A worker that is slow to begin leaves a place less.
    let run = codes[&0];
    assert!((QUEUE_LEN..=QUEUE_LEN + WORKERS).contains(&run), "all in the queue are run for nobody: {codes:?}");
    assert_eq!(codes[&BUSY], CALLERS - run);
    assert!(!is_served, "and who comes now waits for them, twice as long as the answer is of use");

    for linkage in linkages() {
        let (codes, is_served) = after_a_lock(AFTER, linkage, 30 * BUDGET);
        assert!(codes.get(&0).is_none_or(|&run| run <= WORKERS), "only those run that ran already: {codes:?}");
        assert!(codes.contains_key(&Status::DEADLINE_IN_QUEUE.0), "{codes:?}");
        assert!(codes.keys().all(|&code| code == 0 || code == BUSY || is_refusal(code)), "{codes:?}");
        assert!(is_served, "who comes now is served");
    }
}

#[derive(Debug, Default)]
struct Counts {
    in_time: AtomicU64,
    late: AtomicU64,
    refused: AtomicU64,
}

/// Callers who ask again as soon as they are answered, a little later if they were refused: many more than can be served in time.
fn under_load(source: &str, linkage: Linkage) -> (Counts, f64) {
    const EAGER: usize = 240;
    const PAUSE: Duration = Duration::from_millis(100);
    let server = Built::new(source, &["-std=c11"], linkage);
    let (_running, address) = start(&server, Path::new("/dev/null"));
    let (stop, counts) = (AtomicBool::new(false), Counts::default());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for user in 0..EAGER {
            let (address, stop, counts) = (&address, &stop, &counts);
            scope.spawn(move || {
                let mut caller = Caller::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    let (code, took) = caller.ask(if user % 4 == 0 { "pay" } else { "list" }, user);
                    let count = match code {
                        0 if took <= BUDGET => &counts.in_time,
                        0 => &counts.late,
                        _ => &counts.refused,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    assert!(code == 0 || code == BUSY || is_refusal(code), "{code}");
                    if code != 0 {
                        std::thread::sleep(PAUSE);
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_secs(4));
        stop.store(true, Ordering::Relaxed);
    });
    (counts, start.elapsed().as_secs_f64())
}

#[test]
fn under_overload_answers_are_late_before_and_in_time_after() {
    let _machine = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (counts, seconds) = under_load(BEFORE, Linkage::Static);
    println!("before: {counts:?} in {seconds:.1} s");
    let (in_time, late) = (counts.in_time.into_inner(), counts.late.into_inner());
    assert!(late > 4 * in_time, "before: {in_time} in time, {late} late");

    for linkage in linkages() {
        let (counts, seconds) = under_load(AFTER, linkage);
        println!("after: {counts:?} in {seconds:.1} s");
        let (in_time, late) = (counts.in_time.into_inner(), counts.late.into_inner());
        assert!(in_time as f64 > 0.25 * CAPACITY_PER_S * seconds, "after: {in_time} in time in {seconds:.1} s");
        assert!(in_time > 4 * late, "after: {in_time} in time, {late} late");
        assert!(counts.refused.into_inner() > 0);
    }
}

/// What `diff` prints of the two files, with some lines around each change.
pub fn difference(around: &str) -> String {
    let labels = ["--label", "server_before.c", "--label", "server_after.c"];
    let mut diff = Command::new("diff");
    diff.args([around]).args(labels).args([BEFORE, AFTER].map(|path| root().join(path)));
    String::from_utf8(diff.output().expect("diff is installed (Debian: diffutils)").stdout).unwrap()
}

#[test]
fn adoption_is_ten_lines_and_changes_none() {
    let difference = difference("-U0");
    let changes = difference.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++"));
    let (added, removed): (Vec<_>, Vec<_>) =
        changes.filter(|line| !line.starts_with("@@")).partition(|line| line.starts_with('+'));
    assert!(added.len() <= 10, "{added:#?}");
    assert_eq!(removed, Vec::<&str>::new());
    for line in added {
        assert!(line.matches(';').count() <= 1 && line.len() <= 121, "one statement a line: {line}");
    }
}
