//! Given a table that readers look at all the time, when its writer is killed at any moment, or a reader is stopped for
//! any time, then no answer is ever wrong, no key is ever missing, and the next writer goes on.
//!
//! The processes are this test program, started again with the name of an ignored test.

mod keys;
mod killer;
mod reader;
mod writer;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_agent::started::Origin;
use mcrpc_core::strategy::cold::Counts;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use keys::{Key, STABLE};
use killer::Summary;
use reader::Tally;
use writer::{SETTINGS, Worker};

const DIRECTORY: &str = "MCRPC_TEST_DIRECTORY";
/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory in memory, as `/run` is.
fn directory() -> TempDir {
    let in_memory = std::path::Path::new("/dev/shm");
    if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() }.unwrap()
}

/// This program again, as the process that an ignored test describes.
fn again(test: &str, directory: &TempDir) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(DIRECTORY, directory.path());
    command
}

fn own_directory() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

#[test]
#[ignore = "a process that the other tests start"]
fn writer_process() {
    if let Some(directory) = own_directory() {
        writer::run_for_ever(&directory);
    }
}

#[test]
#[ignore = "a process that the other tests start"]
fn reader_process() {
    let Some(directory) = own_directory() else { return };
    writer::die_with_parent();
    let tally = Tally::default();
    let last_said = AtomicU64::new(0);
    reader::check(&directory, 1, &tally, || {
        let lookups = tally.lookups.load(Ordering::Relaxed);
        if lookups >= last_said.load(Ordering::Relaxed) + 10_000 {
            last_said.store(lookups, Ordering::Relaxed);
            println!("lookups {lookups}");
        }
        true
    });
    assert_eq!(tally.first_failure.into_inner().unwrap(), None);
}

#[test]
fn a_writer_that_is_killed_at_any_moment_leaves_a_table_that_is_right_and_whole() {
    let directory = directory();
    writer::prepare(directory.path());
    // On a slow machine more of the writers are killed before they have said or done anything.
    let is_enough = |summary: &Summary| {
        summary.kills >= 320 && summary.lookups > 100_000 && summary.adoptions > 200 && summary.moves > 1_000
    };
    let goes_on = |summary: &Summary| !is_enough(summary) && summary.kills < 3_200;
    let summary = killer::run(directory.path(), goes_on, || again("writer_process", &directory));
    println!("{summary}");
    assert!(summary.is_clean() && is_enough(&summary), "{summary}");

    let (publisher, _) = Publisher::open(directory.path(), SETTINGS).unwrap();
    for number in 0..STABLE {
        let key = Key::Stable(number);
        let found = publisher.entries().find(|(record, _)| record.endpoint == key.endpoint());
        assert_eq!(found.map(|(_, entry)| entry), Some(key.entry(0)), "{key:?}");
    }
}

#[test]
fn a_reader_that_is_stopped_for_any_time_is_right_when_it_goes_on() {
    let directory = directory();
    writer::prepare(directory.path());
    let (publisher, _) = Publisher::open(directory.path(), SETTINGS).unwrap();
    let mut reader = ReaderProcess::start(&directory);
    let (stop, refreshes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (stop, refreshes) = (&stop, &refreshes);
        let writes = scope.spawn(move || {
            let mut worker = Worker::new(publisher, 1);
            while !stop.load(Ordering::Relaxed) {
                worker.work();
                refreshes.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            worker.publisher.close();
        });
        for round in 0..20 {
            reader.wait_for_lookups();
            std::thread::sleep(Duration::from_micros(round * 137));
            reader.stop();
            // In this time entries come, go and move, and now and then the table is replaced under the reader.
            let stopped_at = refreshes.load(Ordering::Relaxed);
            wait_until(|| {
                assert!(!writes.is_finished(), "the writer ended");
                refreshes.load(Ordering::Relaxed) >= stopped_at + 5
            });
            reader.go_on();
        }
        reader.wait_for_lookups();
        stop.store(true, Ordering::Relaxed);
        writes.join().unwrap();
    });
    // The table is closed now, so the reader ends, and says whether it has met a wrong answer.
    let output = reader.child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_second_publisher_is_refused_and_told_who_is_the_first() {
    let directory = directory();
    writer::prepare(directory.path());
    let mut first = again("writer_process", &directory).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("adopted ")), "the first one works");
    let error = Publisher::open(directory.path(), SETTINGS).map(|_| ()).unwrap_err().to_string();
    let pid = first.id();
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(error.contains("writer.lock") && error.contains(&format!("process {pid} ")), "{error}");
    assert!(Publisher::open(directory.path(), SETTINGS).is_ok(), "the kernel has released the lock of the dead one");
}

#[test]
fn a_quarter_of_a_million_entries_are_adopted() {
    println!("adopted in {:?}", adoptions(3));
}

#[test]
#[ignore = "a measurement: run it with --release, on a machine that does nothing else"]
fn a_quarter_of_a_million_entries_are_adopted_within_ten_milliseconds() {
    let taken = adoptions(41);
    let (fastest, median, slowest) = (taken[0], taken[20], taken[40]);
    println!("opened, mapped and adopted in {median:?} (median of 41; from {fastest:?} to {slowest:?})");
    assert!(median < Duration::from_millis(10), "{median:?}");
}

/// How long it takes from opening both files to a writer that works, at the default capacity, full; the shortest first.
fn adoptions(times: usize) -> Vec<Duration> {
    let (directory, settings) = (directory(), Settings::DEFAULT);
    let (mut publisher, _) = Publisher::open(directory.path(), settings).unwrap();
    for number in 0..settings.capacity {
        let key = Key::Stable(number);
        publisher.set(&key.endpoint(), &key.entry(0), Counts::default()).unwrap();
    }
    drop(publisher);
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let (_, started) = Publisher::open(directory.path(), settings).unwrap();
            let Origin::Adopted { adoption, .. } = started.table else { panic!("{started}") };
            assert_eq!(adoption.adopted.entries, settings.capacity);
            adoption.took
        })
        .collect();
    taken.sort();
    taken
}

struct ReaderProcess {
    child: Child,
    /// As it last said.
    lookups: Arc<AtomicU64>,
}

impl ReaderProcess {
    fn start(directory: &TempDir) -> ReaderProcess {
        let mut child =
            again("reader_process", directory).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (output, lookups) = (child.stdout.take().unwrap(), Arc::new(AtomicU64::new(0)));
        let heard = Arc::clone(&lookups);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(count) = line.strip_prefix("lookups ") {
                    heard.store(count.parse().unwrap(), Ordering::Relaxed);
                }
            }
        });
        ReaderProcess { child, lookups }
    }

    /// Until it has said twice more that it goes on.
    fn wait_for_lookups(&mut self) {
        for _ in 0..2 {
            let before = self.lookups.load(Ordering::Relaxed);
            wait_until(|| {
                let ended = self.child.try_wait().unwrap();
                assert_eq!(ended, None, "the reader ended");
                self.lookups.load(Ordering::Relaxed) > before
            });
        }
    }

    fn stop(&self) {
        self.signal(Signal::STOP);
        let status = format!("/proc/{}/stat", self.child.id());
        wait_until(|| std::fs::read_to_string(&status).unwrap().contains(") T "));
    }

    fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}
