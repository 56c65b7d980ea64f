//! Given several processes that share one controller, when the one that closes a window is killed at any moment, or stopped
//! for ten seconds, then the others go on, and what the controller knows stays sane.
//!
//! The processes are this test program, started again with the name of an ignored test. Their clock is stepped: ten seconds
//! of it pass in milliseconds.

mod server;
mod shared;
mod worker;

use std::process::Command;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcrpc_core::admission::Cursor;
use tempfile::TempDir;

use server::{Hit, Server};
use shared::{CONFIG, PROCESSES, Shared};

const FILE: &str = "MCRPC_TEST_FILE";
const PROCESS: &str = "MCRPC_TEST_PROCESS";

/// Within so many windows the controller goes on.
const WINDOWS: u64 = 5;
/// Of so many windows after the load has fallen one is calm at least.
const CALM_WITHIN_WINDOWS: u64 = 20;
const OVERLOAD_PERCENT: u64 = 200;
const CALM_PERCENT: u64 = 60;

/// The tests count on most of the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
#[ignore = "a process that the other tests start"]
fn worker_process() {
    if let (Some(file), Ok(process)) = (std::env::var_os(FILE), std::env::var(PROCESS)) {
        worker::serve(&Shared::open(file.as_ref()), process.parse().unwrap());
    }
}

/// Runs a test on a new server.
fn with_server(test: impl FnOnce(&mut Server)) {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let in_memory = std::path::Path::new("/dev/shm");
    let directory = if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() }.unwrap();
    let path = directory.path().join("admission");
    let shared = Shared::create(&path);
    let program = std::env::current_exe().unwrap();
    let mut server = Server::start(&shared, |process| {
        let mut command = Command::new(&program);
        command.args(["--exact", "worker_process", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(FILE, &path).env(PROCESS, process.to_string());
        command
    });
    server.board.load_percent.store(OVERLOAD_PERCENT, Ordering::Relaxed);
    server.let_step(0..PROCESSES);
    server.run_windows(20);
    test(&mut server);
}

#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    elected: u64,
    writing: u64,
    /// The fewest windows that were closed in the time in which the others had to go on.
    fewest_closed: u64,
}

impl Tally {
    fn count(&mut self, hit: Hit) {
        self.rounds += 1;
        self.elected += u64::from(hit == Hit::Elected);
        self.writing += u64::from(hit == Hit::Writing);
    }
}

#[test]
fn when_leaders_are_killed_at_any_moment_the_next_ones_go_on_within_five_windows() {
    with_server(|server| {
        let (start, mut tally) = (Instant::now(), Tally { fewest_closed: u64::MAX, ..Tally::default() });
        let enough = |tally: &Tally| start.elapsed() > Duration::from_secs(5) && tally.rounds >= 200;
        while !enough(&tally) {
            // Most of the time one process leads, so that what hits it hits a leader; else all compete.
            let victim = server.any_that_runs();
            let all_compete = tally.rounds % 4 == 3;
            server.let_step((0..PROCESSES).filter(|&process| process == victim || all_compete));
            let hit = server.kill(victim);
            tally.count(hit);
            let before = server.admission.snapshot();
            let next = server.any_that_runs();
            server.let_step(std::iter::once(next));
            server.replace(victim);
            server.run_windows(WINDOWS);

            let after = server.admission.snapshot();
            let closed = after.windows_closed - before.windows_closed;
            tally.fewest_closed = tally.fewest_closed.min(closed);
            assert!(closed > 0, "{hit:?}: no window was closed after {tally:?}");
            assert_eq!(server.insanity(), None, "{hit:?}, {tally:?}, before {before:?}");
            if tally.rounds % 50 == 0 {
                assert_calms_down(server, &tally);
            }
        }
        println!("{tally:?}, in {:?}", start.elapsed());
        assert!(tally.writing > 0, "no leader was killed while it wrote: {tally:?}");
        server.leave();
        for queue in 0..CONFIG.queue_count {
            let queue = server.admission.queue_snapshot(queue).unwrap();
            assert_eq!((queue.queued, queue.running), (0, 0), "{queue:?}");
        }
    });
}

/// Without overload the cursor opens, and what was offered is served. A process that the machine lets wait while the others step the
/// clock has requests that have waited, so that one window or another is not calm.
fn assert_calms_down(server: &Server, tally: &Tally) {
    server.board.load_percent.store(CALM_PERCENT, Ordering::Relaxed);
    server.run_windows(30);
    let is_calm = (0..CALM_WITHIN_WINDOWS).any(|_| {
        server.run_windows(1);
        let known = server.admission.snapshot();
        (known.cursor, known.shedding) == (Cursor::OPEN, false)
    });
    assert!(is_calm, "{tally:?}: {:?}", server.admission.snapshot());
    assert_eq!(server.insanity(), None, "{tally:?}");
    server.board.load_percent.store(OVERLOAD_PERCENT, Ordering::Relaxed);
    server.run_windows(10);
}

#[test]
fn when_a_leader_is_stopped_for_ten_seconds_nobody_waits_for_it() {
    const STOPPED_FOR_WINDOWS: u64 = 100;
    with_server(|server| {
        let (start, mut tally) = (Instant::now(), Tally { fewest_closed: u64::MAX, ..Tally::default() });
        let enough = |tally: &Tally| start.elapsed() > Duration::from_secs(3) && tally.rounds >= 20;
        while !enough(&tally) {
            let leader = server.any_that_runs();
            server.let_step(std::iter::once(leader));
            let hit = server.stop(leader);
            tally.count(hit);
            let (before, rounds_before) = (server.admission.snapshot(), server.rounds());
            let next = server.any_that_runs();
            server.let_step(std::iter::once(next));
            server.run_windows(STOPPED_FOR_WINDOWS);

            let closed = server.admission.snapshot().windows_closed - before.windows_closed;
            tally.fewest_closed = tally.fewest_closed.min(closed);
            assert!(closed >= STOPPED_FOR_WINDOWS * 9 / 10, "{hit:?}: {closed} windows closed, {tally:?}");
            server.wait_for_rounds(&rounds_before);
            assert_eq!(server.rounds()[leader], rounds_before[leader], "it is stopped");
            assert_eq!(server.insanity(), None, "{hit:?}, {tally:?}, before {before:?}");

            server.go_on();
            let before = server.admission.snapshot();
            server.run_windows(WINDOWS);
            assert!(server.admission.snapshot().windows_closed > before.windows_closed, "{hit:?}, {tally:?}");
            assert_eq!(server.insanity(), None, "{hit:?}, after it went on, {tally:?}, before {before:?}");
        }
        println!("{tally:?}, in {:?}", start.elapsed());
        assert!(tally.writing > 0, "no leader was stopped while it wrote: {tally:?}");
        assert_calms_down(server, &tally);
        server.leave();
    });
}
