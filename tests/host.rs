//! Given a host's directory and C programs that have opened it, when somebody writes, replaces, damages or abandons its
//! segments, then every program answers what it must: the news with its next call, or *no policy*, by name.
//!
//! The programs are `tests/c/host.c`, one line a question. They are given their clock, so nothing here waits.

mod support;

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::LazyLock;

use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::admission::{Cursor, Mode};
use mcrpc_core::host::control::{Author, Mechanism, Operator, Setting, Target};
use mcrpc_core::host::fail;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Format, State};
use mcrpc_core::host::region::View;
use mcrpc_core::host::stat::{CounterKey, Counters, Kind as CounterKind, Stat};
use mcrpc_core::host::trace::{Read, Record, Traces};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;
use support::{Linkage, command, compile, linkages, run};
use tempfile::TempDir;

const SECOND: u64 = 1_000_000_000;
const STRATEGY: u32 = Segment::Strategy as u32;
const AUTHOR: Author = Author { uid: 0, at_s: 1 };

const SETTINGS: Settings =
    Settings { capacity: 1_000, seats: 4, counters: 64, trace_cells: 64, fail_capacity: 100, ..Settings::DEFAULT };
/// The word of the strategies that says when they were refreshed.
const REFRESHED_MS: usize = 11;

/// A directory and its publisher.
struct Host {
    _root: TempDir,
    path: PathBuf,
    publisher: Publisher,
}

/// The program that opens a directory.
fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        compile(directory, &["tests/c/host.c"], &["-std=c11"], Linkage::Static)
    });
    &PROGRAM
}

impl Host {
    fn new() -> Host {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("mcrpc");
        let (publisher, _) = Publisher::open(&path, SETTINGS).unwrap();
        Host { path, publisher, _root: root }
    }

    fn process(&self) -> Process {
        Process::start(program(), self.path.to_str().unwrap())
    }

    fn set(&mut self, last: u8, pass_rate: u16) {
        let pass_rate = Per10k::new(pass_rate).unwrap();
        let entry = Entry { pass_rate, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
        self.publisher.set(&endpoint(last, 7), &entry, Counts::default()).unwrap();
    }

    fn operate<R>(&self, act: impl FnOnce(&Operator<'_>) -> R) -> R {
        let mapping = self.publisher.directory().map_writable(Segment::Control).unwrap();
        act(&Operator::attach(mapping.shared(), mapping.len()).unwrap())
    }

    fn sum(&self, id: u32, key: u32) -> u64 {
        let mapping = self.publisher.directory().map(Segment::Stat).unwrap();
        sum(&Counters::attach(mapping.view(), mapping.len()).unwrap(), id, key)
    }

    /// The processes that have a seat of their own, by seat.
    fn seats(&self) -> Vec<Option<u32>> {
        let mapping = self.publisher.directory().map(Segment::Stat).unwrap();
        let counters = Counters::attach(mapping.view(), mapping.len()).unwrap();
        (1..=counters.seat_count()).map(|seat| counters.occupant(seat).map(|occupant| occupant.pid)).collect()
    }
}

fn sum(counters: &Counters<'_>, id: u32, key: u32) -> u64 {
    let wanted = CounterKey { id, key, kind: CounterKind::Sum };
    let column = counters.counters().find(|(counter, _)| *counter == wanted);
    column.map_or(0, |(_, column)| counters.sum(column))
}

fn endpoint(last: u8, service_id: u32) -> Endpoint {
    Endpoint::new(format!("10.0.0.{last}:1").parse().unwrap(), service_id)
}

/// A C program that answers lines, until there are no more: then it must end well.
struct Process {
    child: Child,
    /// `None` once it is dead.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(program: &Path, directory: &str) -> Process {
        let mut child = command(program).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Process { child, input, output }
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{question}").unwrap();
        let mut answer = String::new();
        self.output.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "no answer to {question:?}: it died");
        answer.trim_end().to_owned()
    }

    #[track_caller]
    fn expect(&mut self, question: &str, answer: &str) {
        assert_eq!(self.ask(question), answer, "{question}");
    }

    #[track_caller]
    fn expect_all<const N: usize>(&mut self, questions: [&str; N], answers: [&str; N]) {
        for (question, answer) in questions.into_iter().zip(answers) {
            self.expect(question, answer);
        }
    }

    /// Why a segment is used or not.
    fn status(&mut self, segment: u32) -> String {
        self.ask(&format!("segment {segment}")).split(' ').next().unwrap().to_owned()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.input = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.input.take().is_some() {
            let status = self.child.wait().unwrap();
            assert!(status.success() || std::thread::panicking(), "{status}");
        }
    }
}

const PASS: &str = "10000 0 536870912";

#[test]
fn without_a_host_everything_passes_and_says_no_policy() {
    let root = tempfile::tempdir().unwrap();
    let empty = root.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    std::fs::set_permissions(&empty, Permissions::from_mode(0o755)).unwrap();
    for linkage in linkages() {
        let program = compile(root.path(), &["tests/c/host.c"], &["-std=c11"], linkage);
        for (directory, reason) in [
            ("-", "no_policy"),
            ("/nonexistent/mcrpc", "segment_missing"),
            (empty.to_str().unwrap(), "segment_missing"),
        ] {
            let mut process = Process::start(&program, directory);
            process.expect("tick 1000000000", "ok");
            process.expect("strategy 1 7", &format!("no_policy {PASS}"));
            process.expect("mode 0 1 2", "2 0");
            process.expect("dyed 1 1", "0");
            process.expect("shield 1 1", "ok");
            process.expect("skip 7 1 1", "ok");
            process.expect("full 1 1", "ok");
            for question in ["count 1 1 1", "max 1 1 1 1", "add 1 1", "pour 1 1", "empty 1", "trace 1 text"] {
                process.expect(question, "no_policy");
            }
            process.expect("counter 1 1", "no_policy 0");
            process.expect("bucket 1", "no_policy 0");
            assert_eq!(process.status(STRATEGY), reason);
            // Four questions were answered with "let it pass, nobody has told me anything".
            let unanswered = process.ask("segment 0").split(' ').next_back().unwrap().to_owned();
            assert_eq!(unanswered, "4");
            process.expect("close", "ok");
            process.expect("count 1 1 1", "not_initialised");
        }
    }
}

#[test]
fn a_strategy_is_seen_with_the_next_call() {
    let mut host = Host::new();
    let mut process = host.process();
    process.expect("strategy 1 7", &format!("ok {PASS}"));
    host.set(1, 3_500);
    process.expect("strategy 1 7", "ok 3500 1 536870912");
    process.expect("strategy 1 8", &format!("ok {PASS}"));
    host.set(1, 0);
    process.expect("strategy 1 7", "ok 0 1 536870912");
    let shielded =
        Entry { pass_rate: Per10k::ALL, kind: Kind::Shielded, reject_level: RejectLevel::from_cursor(Cursor(1 << 20)) };
    host.publisher.set(&endpoint(1, 7), &shielded, Counts::default()).unwrap();
    process.expect("strategy 1 7", &format!("ok 10000 3 {}", 1 << 20));
    host.publisher.remove(&endpoint(1, 7));
    process.expect("strategy 1 7", &format!("ok {PASS}"));
}

#[test]
fn a_writer_that_stops_is_noticed_on_the_processs_own_clock_and_trusted_again_when_it_goes_on() {
    let mut host = Host::new();
    host.set(1, 0);
    host.publisher.refresh().unwrap();
    let mut process = host.process();
    for second in 1..=5 {
        process.expect(&format!("tick {}", second * SECOND), "ok");
        process.expect("strategy 1 7", "ok 0 1 536870912");
    }
    process.expect(&format!("tick {}", 7 * SECOND), "ok");
    process.expect("strategy 1 7", &format!("no_policy {PASS}"));
    // It stood still from the first look, at 1 ns, on.
    process.expect("segment 0", "segment_stale 6999 5000 1");
    host.publisher.refresh().unwrap();
    process.expect(&format!("tick {}", 8 * SECOND), "ok");
    process.expect("strategy 1 7", "ok 0 1 536870912");
}

#[test]
fn an_agent_that_shuts_down_takes_its_strategies_with_it_and_a_new_one_brings_them_back() {
    let mut host = Host::new();
    host.set(1, 0);
    let mut process = host.process();
    process.expect("strategy 1 7", "ok 0 1 536870912");
    let Host { path, publisher, _root, .. } = host;
    publisher.close();
    process.expect(&format!("tick {SECOND}"), "ok");
    process.expect("strategy 1 7", &format!("no_policy {PASS}"));
    assert_eq!(process.status(STRATEGY), "segment_not_ready");
    let settings = Settings { capacity: 1_000, ..Settings::default() };
    let (mut publisher, _) = Publisher::open(&path, settings).unwrap();
    let entry = Entry { pass_rate: Per10k::NONE, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    publisher.set(&endpoint(1, 7), &entry, Counts::default()).unwrap();
    process.expect(&format!("tick {}", 2 * SECOND), "ok");
    process.expect("strategy 1 7", "ok 0 1 536870912");
}

#[test]
fn a_replaced_segment_is_attached_and_numbers_of_the_old_one_are_refused() {
    let mut host = Host::new();
    host.set(1, 100);
    let mut process = host.process();
    process.expect("strategy 1 7", "ok 100 1 536870912");
    let bucket = process.ask("bucket 1").replace("ok ", "");
    process.expect(&format!("pour {bucket} 1"), "ok");
    let mut second = 1;
    for turn in 1..=6 {
        // Each attaches a larger table. The old ones stay mapped until a minute has passed: after that they make room.
        host.publisher.resize(1_000 + 100 * turn).unwrap();
        host.set(1, 100 + turn as u16);
        for _ in 0..61 {
            host.publisher.refresh().unwrap();
            process.expect(&format!("tick {}", second * SECOND), "ok");
            second += 1;
        }
        process.expect("strategy 1 7", &format!("ok {} 1 536870912", 100 + turn));
    }
    let directory = host.publisher.directory();
    directory
        .replace(Segment::Fail, fail::segment_len(50), SharedMode::GROUP, |words| fail::create(words, 50, 1, 77))
        .unwrap();
    process.expect(&format!("pour {bucket} 1"), "ok");
    process.expect(&format!("tick {}", second * SECOND), "ok");
    process.expect(&format!("pour {bucket} 1"), "stale_id");
    process.expect(&format!("full {bucket} 1"), "ok");
    let renewed = process.ask("bucket 1").replace("ok ", "");
    process.expect(&format!("pour {renewed} 1"), "ok");
}

#[test]
fn many_replacements_within_a_minute_keep_the_mapping_that_is_used() {
    let mut host = Host::new();
    host.set(1, 100);
    let mut process = host.process();
    for turn in 1..=8 {
        host.publisher.resize(1_000 + 100 * turn).unwrap();
        host.set(1, 200);
        host.publisher.refresh().unwrap();
        process.expect(&format!("tick {}", u64::from(turn) * SECOND / 2), "ok");
        let answer = process.ask("strategy 1 7");
        assert!(["ok 200 1 536870912", &format!("no_policy {PASS}")].contains(&answer.as_str()), "{answer}");
    }
    // A leap of the clock frees nothing: the process may have been stopped all that time, in the midst of a question.
    host.publisher.refresh().unwrap();
    process.expect(&format!("tick {}", 1_000 * SECOND), "ok");
    process.expect("strategy 1 7", &format!("no_policy {PASS}"));
    for second in 1_001..1_062 {
        host.publisher.refresh().unwrap();
        process.expect(&format!("tick {}", second * SECOND), "ok");
    }
    process.expect("strategy 1 7", "ok 200 1 536870912");
}

#[test]
fn what_a_dead_agent_left_is_believed_only_when_somebody_refreshes_it() {
    let mut host = Host::new();
    host.set(1, 0);
    let mapping = host.publisher.directory().map_writable(Segment::Strategy).unwrap();
    for stamp in [0, u64::MAX] {
        mapping.shared().set(REFRESHED_MS, stamp);
        let mut process = host.process();
        process.expect("strategy 1 7", &format!("no_policy {PASS}"));
        assert_eq!(process.status(STRATEGY), "segment_stale");
        process.expect(&format!("tick {SECOND}"), "ok");
        process.expect("strategy 1 7", &format!("no_policy {PASS}"));
        host.publisher.refresh().unwrap();
        process.expect(&format!("tick {}", 2 * SECOND), "ok");
        process.expect("strategy 1 7", "ok 0 1 536870912");
    }
}

#[test]
fn a_mechanism_that_is_off_takes_no_effect_whatever_else_was_said() {
    let mut host = Host::new();
    host.set(1, 0);
    let now = Nanos(SECOND);
    let target = Target { service_id: 7, method_id: 0 };
    host.operate(|operator| operator.shield(&endpoint(9, 0), None, now, AUTHOR)).unwrap();
    host.operate(|operator| operator.skip(target, Per10k::ALL, now, AUTHOR)).unwrap();
    let mut process = host.process();
    let bucket = process.ask("bucket 1").replace("ok ", "");
    for _ in 0..10 {
        process.expect(&format!("pour {bucket} {SECOND}"), "ok");
    }
    let questions = ["strategy 1 7", "shield 9 1", &format!("full {bucket} {SECOND}"), "skip 7 1 1"];
    let in_force = ["ok 0 1 536870912", "shielded", "bucket_full", "skipped"];
    let passing = [&format!("ok {PASS}"), "ok", "ok", "ok"];
    process.expect_all(questions, in_force);
    host.operate(|operator| operator.set_killed(true, AUTHOR));
    process.expect_all(questions, passing);
    host.operate(|operator| operator.set_killed(false, AUTHOR));
    process.expect_all(questions, in_force);
    let half = Setting { mode: Mode::Enforce, share: Per10k::new(5_000).unwrap() };
    host.operate(|operator| operator.set_mechanism(Mechanism::PassRate, Some(half), AUTHOR));
    let enforced = (0..1_000).filter(|uin| process.ask(&format!("strategy 1 7 {uin}")).starts_with("ok 0 ")).count();
    assert!((400..600).contains(&enforced), "{enforced} of 1000 users");
    for mode in [Mode::Off, Mode::Observe] {
        for mechanism in [Mechanism::PassRate, Mechanism::Shield, Mechanism::Skip] {
            let setting = Setting { mode, share: Per10k::ALL };
            host.operate(|operator| operator.set_mechanism(mechanism, Some(setting), AUTHOR));
        }
        process.expect_all(questions, passing);
    }
}

#[test]
fn what_an_operator_says_is_seen_with_the_next_call() {
    let host = Host::new();
    let mut process = host.process();
    process.expect("mode 0 1 2", "2 0");
    host.operate(|operator| operator.set_killed(true, AUTHOR));
    process.expect("mode 0 1 2", "0 1");
    host.operate(|operator| operator.set_killed(false, AUTHOR));
    let observe = Setting { mode: Mode::Observe, share: Per10k::ALL };
    host.operate(|operator| operator.set_mechanism(Mechanism::Admission, Some(observe), AUTHOR));
    process.expect("mode 0 1 2", "1 0");
    process.expect("mode 3 1 2", "2 0");

    let now = Nanos(100 * SECOND);
    host.operate(|operator| operator.shield(&endpoint(9, 0), Some(now.plus(5 * SECOND)), now, AUTHOR)).unwrap();
    process.expect(&format!("shield 9 {}", now.0), "shielded");
    process.expect(&format!("shield 8 {}", now.0), "ok");
    process.expect(&format!("shield 9 {}", now.0 + 5 * SECOND), "ok");

    let target = Target { service_id: 7, method_id: 0 };
    host.operate(|operator| operator.skip(target, Per10k::new(5_000).unwrap(), now, AUTHOR)).unwrap();
    let skipped = (0..1_000).filter(|uin| process.ask(&format!("skip 7 3 {uin}")) == "skipped").count();
    assert!((400..600).contains(&skipped), "{skipped} of 1000");
    process.expect("skip 8 3 1", "ok");
    host.operate(|operator| operator.set_killed(true, AUTHOR));
    assert!((0..100).all(|uin| process.ask(&format!("skip 7 3 {uin}")) == "ok"));
    process.expect(&format!("shield 9 {}", now.0), "ok");

    host.operate(|operator| operator.set_salt(Salt(77)));
    process.expect("salt 5", "77");
    host.operate(|operator| operator.set_salt(Salt(0)));
    process.expect("salt 5", "5");

    host.operate(|operator| operator.dye(Uin(42), None, now, AUTHOR)).unwrap();
    process.expect("dyed 42 1", "1");
    process.expect("dyed 43 1", "0");
}

#[test]
fn what_one_process_pours_fills_the_bucket_of_all() {
    let host = Host::new();
    let (mut first, mut second) = (host.process(), host.process());
    let (mine, yours) = (first.ask("bucket 1").replace("ok ", ""), second.ask("bucket 1").replace("ok ", ""));
    assert_eq!(mine, yours);
    for _ in 0..5 {
        first.expect(&format!("pour {mine} {SECOND}"), "ok");
        second.expect(&format!("full {yours} {SECOND}"), "ok");
        second.expect(&format!("pour {yours} {SECOND}"), "ok");
    }
    first.kill();
    second.expect(&format!("full {yours} {SECOND}"), "bucket_full");
    second.expect(&format!("full {yours} {}", 3 * SECOND), "ok");
    host.process().expect(&format!("full {yours} {SECOND}"), "bucket_full");
}

#[test]
fn sums_stay_exact_over_processes_that_die_and_their_seats_are_taken_again() {
    let host = Host::new();
    for round in 1..=5 {
        let (mut first, mut second) = (host.process(), host.process());
        first.expect("count 3 4 10", "ok");
        second.expect("count 3 4 1", "ok");
        let seats = host.seats();
        assert!(seats.contains(&Some(first.pid())) && seats.contains(&Some(second.pid())), "{seats:?}");
        first.kill();
        second.kill();
        assert_eq!(host.sum(3, 4), 11 * round);
    }
}

#[test]
fn more_processes_than_seats_share_the_common_one() {
    let host = Host::new();
    // One after the other, so that the first ones have the seats.
    let start = |_| {
        let mut process = host.process();
        process.expect("count 3 4 1", "ok");
        process.expect("trace 5 hello", "ok");
        process
    };
    let mut processes: Vec<_> = (0..6).map(start).collect();
    assert_eq!(host.sum(3, 4), 6);
    assert!(host.seats().iter().all(Option::is_some));
    processes[0].kill();
    processes[5].expect(&format!("tick {SECOND}"), "ok");
    assert!(host.seats().contains(&Some(processes[5].pid())));
}

#[test]
fn a_process_that_has_closed_its_files_or_whose_directory_was_made_anew_takes_a_seat_again() {
    let mut host = Host::new();
    let mut process = host.process();
    process.expect("closefiles", "closed");
    // Nothing says that the seat is taken, so another process may sit there until this one looks.
    let mut other = host.process();
    process.expect(&format!("tick {SECOND}"), "ok");
    other.expect(&format!("tick {SECOND}"), "ok");
    let seats = host.seats();
    assert!(seats.contains(&Some(process.pid())) && seats.contains(&Some(other.pid())), "{seats:?}");

    std::fs::remove_dir_all(&host.path).unwrap();
    let Host { _root, path, publisher } = host;
    drop(publisher);
    let (publisher, _) = Publisher::open(&path, SETTINGS).unwrap();
    host = Host { _root, path, publisher };
    process.expect(&format!("tick {}", 2 * SECOND), "ok");
    let mut newcomer = host.process();
    newcomer.expect("count 3 4 1", "ok");
    let seats = host.seats();
    assert!(seats.contains(&Some(process.pid())) && seats.contains(&Some(newcomer.pid())), "{seats:?}");
}

#[test]
fn a_forked_child_counts_at_once_and_gets_its_own_seat_with_its_first_housekeeping() {
    let host = Host::new();
    let mut process = host.process();
    process.expect("count 3 4 1", "ok");
    let parent = process.pid();
    let child: u32 = process.ask("fork").parse().unwrap();
    process.expect("count 3 4 1", "ok");
    process.expect("strategy 1 7", &format!("ok {PASS}"));
    assert!(!host.seats().contains(&Some(child)));
    process.expect(&format!("tick {SECOND}"), "ok");
    process.expect("count 3 4 1", "ok");
    process.expect("trace 5 from the child", "ok");
    let seats = host.seats();
    assert!(seats.contains(&Some(child)) && seats.contains(&Some(parent)), "{seats:?}");
    assert_eq!(host.sum(3, 4), 3);

    let mapping = host.publisher.directory().map(Segment::Trace).unwrap();
    let traces = Traces::attach(mapping.view(), mapping.len()).unwrap();
    let seat = 1 + seats.iter().position(|pid| *pid == Some(child)).unwrap() as u32;
    let mut record = Record::default();
    assert_eq!(traces.ring(seat).read(0, &mut record), Read::Record { next: 1 });
    assert_eq!((record.data(), record.time, record.kind), (&b"from the child"[..], Nanos(5), 9));
}

#[test]
fn a_process_is_told_how_busy_its_cpus_are_while_the_agent_says_so() {
    let host = Host::new();
    let (mut busy, mut idle) = (host.process(), host.process());
    let mapping = host.publisher.directory().map_writable(Segment::Stat).unwrap();
    let seats = Stat::attach(mapping.shared(), mapping.len()).unwrap().seats();
    let own_namespace = std::fs::metadata("/proc/self/ns/pid").unwrap().ino();
    busy.expect("cpu 1000000000", "no_policy");
    for process in [&mut busy, &mut idle] {
        process.expect("tick 1000000000", "ok");
        process.expect("cpu 1000000000", "no_policy");
    }
    for (process, utilisation) in [(&busy, 10_000), (&idle, 0)] {
        let its = |seat: &u32| seats.occupant(*seat).is_some_and(|occupant| occupant.pid == process.pid());
        let seat = (1..=SETTINGS.seats).find(its).unwrap();
        assert_eq!(seats.occupant(seat).unwrap().pid_namespace, own_namespace);
        seats.set_cpu(seat, Per10k::new(utilisation).unwrap(), Nanos(2 * SECOND));
    }
    busy.expect_all(
        ["cpu 2000000000", "cpu 4000000000", "cpu 4001000000"],
        ["10000 2000000000", "10000 2000000000", "no_policy"],
    );
    idle.expect_all(
        ["cpu 2000000000", "cpu 4000000000", "cpu 4001000000"],
        ["0 2000000000", "0 2000000000", "no_policy"],
    );
    busy.ask("fork");
    busy.expect_all(["cpu 2000000000", "tick 2000000000", "cpu 2000000000"], ["no_policy", "ok", "no_policy"]);
}

#[test]
fn children_that_are_killed_while_they_count_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("memory");
    let counted: u64 = run(command(program()).args(["memory", "40"]).arg(&file)).trim().parse().unwrap();
    let memory = std::fs::read(&file).unwrap();
    let words: Vec<std::sync::atomic::AtomicU64> =
        memory.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes).into()).collect();
    // The counters come first, and are as long as their header says.
    let len = words[3].load(std::sync::atomic::Ordering::Relaxed);
    let counters = Counters::attach(View::new(&words[..len as usize / 8]), len).unwrap();
    let sum = sum(&counters, 7, 7);
    assert!((counted..=counted + 40).contains(&sum), "{counted} counted, sum {sum}");
}

#[test]
fn threads_that_use_everything_at_once_lose_nothing() {
    for linkage in linkages() {
        let mut host = Host::new();
        host.set(1, 0);
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &["tests/c/threads.c"], &["-std=c11"], linkage);
        let counted: u64 = run(command(&program).arg(&host.path)).trim().parse().unwrap();
        assert_eq!(host.sum(7, 7), counted);
    }
}

#[test]
fn what_cannot_be_trusted_is_refused_by_name_and_everything_passes() {
    let mode = |mode: u32| move |path: &Path| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let overwrite = |at: usize, byte: u8| {
        move |path: &Path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[at] ^= byte;
            std::fs::write(path, bytes).unwrap();
        }
    };
    type Damage = Box<dyn Fn(&Path)>;
    let cases: Vec<(&str, Damage)> = vec![
        ("segment_unsafe_mode", Box::new(mode(0o646))),
        ("segment_unsafe_mode", Box::new(mode(0o664))),
        ("segment_bad_magic", Box::new(overwrite(0, 1))),
        ("segment_other_major", Box::new(overwrite(12, 3))),
        ("segment_bad_checksum", Box::new(overwrite(8, 1))),
        ("segment_bad_checksum", Box::new(overwrite(33, 1))),
        ("segment_not_ready", Box::new(overwrite(64, State::Ready as u8))),
        ("segment_too_short", Box::new(|path| std::fs::write(path, b"short").unwrap())),
        (
            "segment_bad_length",
            Box::new(|path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() - 4096]).unwrap();
            }),
        ),
        (
            "segment_not_a_file",
            Box::new(|path| {
                let real = path.with_extension("real");
                std::fs::rename(path, &real).unwrap();
                symlink(real, path).unwrap();
            }),
        ),
        (
            "segment_not_a_file",
            Box::new(|path| {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            }),
        ),
        ("segment_missing", Box::new(|path| std::fs::remove_file(path).unwrap())),
    ];
    for (reason, damage) in cases {
        let mut host = Host::new();
        host.set(1, 0);
        damage(&host.path.join("strategy.v1"));
        let mut process = host.process();
        process.expect("strategy 1 7", &format!("no_policy {PASS}"));
        assert_eq!(process.status(STRATEGY), reason);
        process.expect("count 1 1 1", "ok");
    }
}

#[test]
fn a_later_minor_version_is_read_and_another_major_one_is_refused_by_name() {
    for (major, minor, answer) in [(1, 1, "ok 0 1 536870912".to_owned()), (2, 0, format!("no_policy {PASS}"))] {
        let mut host = Host::new();
        host.set(1, 0);
        for segment in [Segment::Strategy, Segment::Fail] {
            let mapping = host.publisher.directory().map_writable(segment).unwrap();
            let format = segment.format();
            let written = header::read(mapping.shared().view(), mapping.len(), &format).unwrap();
            header::write(mapping.shared(), &Format { major, minor, ..format }, &written);
        }
        let mut process = host.process();
        process.expect("strategy 1 7", &answer);
        let bucket = process.ask("bucket 1");
        assert_eq!(bucket.starts_with("ok "), major == 1, "{bucket}");
        if major == 2 {
            process.expect("segment 0", "segment_other_major 2 1 1");
            process.expect("segment 2", "segment_other_major 2 1 1");
        }
    }
}

#[test]
fn a_directory_or_file_of_somebody_else_is_refused() {
    let mut host = Host::new();
    std::fs::set_permissions(&host.path, Permissions::from_mode(0o777)).unwrap();
    assert_eq!(host.process().status(STRATEGY), "segment_unsafe_mode");
    std::fs::set_permissions(&host.path, Permissions::from_mode(0o755)).unwrap();
    // Strategies that nobody has refreshed for 5 s are not believed, and a process may take its time to start.
    host.publisher.refresh().unwrap();
    let own = host.process().status(STRATEGY);
    assert_eq!(own, "ok");
    // Only root may give files away.
    if std::os::unix::fs::chown(host.path.join("strategy.v1"), Some(12_345), None).is_ok() {
        let mut process = host.process();
        assert_eq!(process.status(STRATEGY), "segment_wrong_owner");
        process.expect("strategy 1 7", &format!("no_policy {PASS}"));
        std::os::unix::fs::chown(&host.path, Some(12_345), None).unwrap();
        assert_eq!(host.process().status(STRATEGY), "segment_wrong_owner");
        assert!(Directory::open(&host.path, None).is_err());
        assert!(Directory::open(&host.path, Some(12_345)).is_ok());
    }
}

#[test]
fn a_reader_leaves_no_trace_in_what_it_only_reads() {
    let mut host = Host::new();
    host.set(1, 0);
    let files = ["strategy.v1", "control.v1", "strategy.cold.v1"].map(|name| host.path.join(name));
    let before = files.each_ref().map(|file| std::fs::read(file).unwrap());
    let mut process = host.process();
    for second in 1..20 {
        process.expect(&format!("tick {}", second * SECOND), "ok");
        process.ask("strategy 1 7");
        process.ask("mode 0 1 2");
        process.ask("skip 7 1 1");
        process.ask("shield 1 1");
    }
    process.expect("close", "ok");
    assert!(before == files.map(|file| std::fs::read(file).unwrap()));
}
