//! From rings into files: in order, once, whoever is killed, and with a count of what had no room.
//!
//! The processes are this test program, started again with a role in the environment.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_agent::publisher::{Publisher, Settings as Sizes};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::log::{Level, Log, Origin, Ring, create, segment_len};
use mcrpc_core::host::stat::Stat;
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_logs::archive::{self, path_of};
use mcrpc_logs::line::Line;
use mcrpc_logs::{Logs, Settings};

const ROLE: &str = "MCRPC_TEST_ROLE";
const ROOT: &str = "MCRPC_TEST_ROOT";
const NUMBER: &str = "MCRPC_TEST_NUMBER";
const CELLS: u32 = 1_024;
const WRITERS: u32 = 4;
/// How many lines each process writes in a flood, and how long.
const FLOOD_PER_S: u64 = 25_000;
const FLOOD_S: u64 = 10;

/// A host with rings, and nobody who empties them.
struct Host {
    root: tempfile::TempDir,
    _publisher: Publisher,
}

impl Host {
    fn new() -> Host {
        Host::of(Sizes { capacity: 64, seats: 8, counters: 16, log_cells: Some(CELLS), ..Sizes::DEFAULT })
    }

    fn of(sizes: Sizes) -> Host {
        let root = tempfile::tempdir().unwrap();
        let (publisher, _) = Publisher::open(&host_directory(root.path()), sizes).unwrap();
        Host { root, _publisher: publisher }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn logs(&self) -> Logs {
        start_logs(self.path())
    }

    /// The lines of all files, oldest first.
    fn lines(&self) -> Vec<String> {
        let files = archive::list(&log_directory(self.path())).unwrap();
        files.iter().flat_map(|file| read(&file.path).lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    fn start(&self, role: &str, number: u32) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "--ignored", "--nocapture", "a_process"])
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        command.env(ROLE, role).env(ROOT, self.path()).env(NUMBER, number.to_string());
        Process(command.spawn().unwrap())
    }
}

struct Process(Child);

impl Process {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn host_directory(root: &Path) -> PathBuf {
    root.join("host")
}

fn log_directory(root: &Path) -> PathBuf {
    root.join("logs")
}

fn start_logs(root: &Path) -> Logs {
    let directory = Directory::open(&host_directory(root), None).unwrap();
    let settings = Settings { directory: log_directory(root), keep_days: 7 };
    Logs::start(directory, &settings, |event| panic!("{event}")).unwrap()
}

fn read(path: &Path) -> String {
    let mut text = String::new();
    let mut file = File::open(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    } else {
        file.read_to_string(&mut text).unwrap();
    }
    text
}

fn rings(root: &Path) -> WritableMapping {
    Directory::open(&host_directory(root), None).unwrap().map_writable(Segment::Log).unwrap()
}

fn ring(mapping: &WritableMapping, seat: u32) -> Ring<'_> {
    Log::attach(mapping.shared(), mapping.len()).unwrap().ring(seat)
}

fn origin(pid: u32, time: Nanos) -> Origin {
    Origin { time, pid, uin: Uin(42), ..Origin::default() }
}

/// Waits for what other processes do.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn lines_of_all_processes_get_into_one_file_in_order_of_time() {
    let host = Host::new();
    let mapping = rings(host.path());
    let now = clock::monotonic();
    let at = |n: u64| Nanos(now.0 + n * 1_000);
    for (seat, name) in [(1, "crawl"), (2, "feed")] {
        ring(&mapping, seat).open(seat * 100, name.as_bytes(), now).unwrap();
    }
    ring(&mapping, 2).write(Level::Warn, &origin(200, at(2)), b"second").unwrap();
    ring(&mapping, 1).write(Level::Info, &origin(100, at(1)), b"first").unwrap();
    ring(&mapping, 1).write(Level::Error, &origin(100, at(3)), b"third").unwrap();
    ring(&mapping, 0).write(Level::Debug, &origin(77, at(4)), b"of a process without a seat").unwrap();
    drop(host.logs());
    let lines = host.lines();
    let seen: Vec<_> =
        lines.iter().map(|line| Line::parse(line).unwrap()).map(|it| (it.level, it.name, it.text)).collect();
    let expected = [
        (Level::Info, "crawl", "first"),
        (Level::Warn, "feed", "second"),
        (Level::Error, "crawl", "third"),
        (Level::Debug, "?", "of a process without a seat"),
    ];
    assert_eq!(seen, expected);
    assert!(lines[0].contains("crawl[100] uin=42: first"), "{}", lines[0]);
    // What is written while it runs gets there too, without any end.
    let logs = host.logs();
    ring(&mapping, 1).write(Level::Info, &origin(100, at(5)), b"fifth").unwrap();
    until("a line is written soon", || host.lines().len() == 5);
    drop(logs);
}

#[test]
fn what_had_no_room_is_said_with_its_number() {
    let host = Host::new();
    let mapping = rings(host.path());
    let ring = ring(&mapping, 3);
    ring.open(300, b"flood", clock::monotonic()).unwrap();
    let outcomes: Vec<_> =
        (0..CELLS).map(|_| ring.write(Level::Info, &origin(300, clock::monotonic()), b"x")).collect();
    let dropped = outcomes.iter().filter(|outcome| **outcome == Err(Status::LINE_DROPPED)).count();
    assert!(dropped > 0);
    drop(host.logs());
    let lines = host.lines();
    assert_eq!(lines.iter().filter(|line| line.ends_with(": x")).count(), outcomes.len() - dropped);
    let said = format!("WARN flood[300]: {dropped} lines were dropped");
    assert_eq!(lines.iter().filter(|line| line.contains(&said)).count(), 1, "{lines:?}");
    drop(host.logs());
    assert_eq!(host.lines().len(), lines.len(), "it is said once");
}

/// Given a writer that died between taking its place and filling it, then what stands behind is written a second later.
#[test]
fn a_hole_keeps_nobody_waiting_for_long() {
    let host = Host::new();
    let mapping = rings(host.path());
    let ring = ring(&mapping, 1);
    ring.open(100, b"crawl", clock::monotonic()).unwrap();
    // The head of the ring, by docs/shared-memory.md: behind the header, the journal and the ring of nobody.
    let rings_at = 512 + 8 + 2 * (8 + 8 * 4_097_usize);
    let head = rings_at + (24 + CELLS as usize * 8);
    let taken = mapping.shared().add(head, 5);
    assert_eq!(taken, 2, "it is the head");
    ring.write(Level::Info, &origin(100, clock::monotonic()), b"behind it").unwrap();
    let logs = host.logs();
    until("what stands behind it is written", || host.lines().iter().any(|line| line.ends_with(": behind it")));
    ring.write(Level::Info, &origin(100, clock::monotonic()), b"later").unwrap();
    until("and so is all else", || host.lines().iter().any(|line| line.ends_with(": later")));
    drop(logs);
    assert_eq!(host.lines().len(), 2);
}

/// As the agent does that finds a segment damaged.
#[test]
fn rings_that_are_made_anew_are_emptied_too() {
    let host = Host::new();
    let directory = Directory::open(&host_directory(host.path()), None).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let told = Arc::clone(&told);
        move |event: &mcrpc_logs::Event| told.lock().unwrap().push(event.to_string())
    };
    let settings = Settings { directory: log_directory(host.path()), keep_days: 7 };
    let logs = Logs::start(Directory::open(&host_directory(host.path()), None).unwrap(), &settings, tell).unwrap();
    ring(&rings(host.path()), 0).write(Level::Info, &origin(1, clock::monotonic()), b"before").unwrap();
    until("the first line is written", || host.lines().len() == 1);
    let made = directory
        .replace(Segment::Log, segment_len(8, CELLS), SharedMode::GROUP, |words| create(words, 8, CELLS, 1, 2));
    ring(&made.unwrap(), 0).write(Level::Info, &origin(1, clock::monotonic()), b"after").unwrap();
    until("the second line is written", || host.lines().len() == 2);
    drop(logs);
    assert!(told.lock().unwrap()[0].contains("made anew"));
    assert_eq!(told.lock().unwrap().len(), 1);
}

/// A file system that is full: lines wait, nothing is written twice, and the operator is told once.
#[test]
fn a_full_disk_loses_nothing_that_has_room_in_memory() {
    let host = Host::new();
    let (mapping, directory) = (rings(host.path()), log_directory(host.path()));
    fs::create_dir(&directory).unwrap();
    let hour = (clock::unix_s() / 3_600, clock::unix_s() / 3_600 + 1);
    symlink("/dev/full", path_of(&directory, hour.0)).unwrap();
    symlink("/dev/full", path_of(&directory, hour.1)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = {
        let told = Arc::clone(&told);
        move |event: &mcrpc_logs::Event| told.lock().unwrap().push((event.is_error(), event.to_string()))
    };
    let settings = Settings { directory: directory.clone(), keep_days: 7 };
    let opened = Directory::open(&host_directory(host.path()), None).unwrap();
    let logs = Logs::start(opened, &settings, tell).unwrap();
    let ring = ring(&mapping, 1);
    for n in 0..10 {
        ring.write(Level::Info, &origin(100, clock::monotonic()), format!("line {n}").as_bytes()).unwrap();
        sleep(Duration::from_millis(20));
    }
    drop(logs);
    let told = told.lock().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 && told[0].1.contains("No space left on device"), "{told:?}");
    [hour.0, hour.1].iter().for_each(|hour| fs::remove_file(path_of(&directory, *hour)).unwrap());
    drop(host.logs());
    let texts: Vec<_> = host.lines().iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect();
    assert_eq!(texts, (0..10).map(|n| format!("line {n}")).collect::<Vec<_>>());
}

/// How many lines the writers were told are safe, and how many were dropped: a word each, shared with the test.
struct Tally(WritableMapping);

impl Tally {
    fn open(root: &Path) -> Tally {
        let path = root.join("tally");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        file.set_len(4_096).unwrap();
        Tally(WritableMapping::new(&file, Segment::Log).unwrap())
    }

    fn count(&self, writer: u32, outcome: Result<(), Status>) {
        self.0.shared().add(writer as usize * 16 + usize::from(outcome.is_err()) * 8, 1);
    }

    fn note_slowest(&self, writer: u32, took: Duration) {
        self.0.shared().add(256 + writer as usize, took.as_nanos() as u64);
    }

    fn slowest(&self, writer: u32) -> Duration {
        Duration::from_nanos(self.0.shared().load(256 + writer as usize))
    }

    fn of(&self, writer: u32) -> (u64, u64) {
        (self.0.shared().load(writer as usize * 16), self.0.shared().load(writer as usize * 16 + 8))
    }
}

#[test]
#[ignore = "a process that the other tests start"]
fn a_process() {
    let Some(root) = std::env::var_os(ROOT).map(PathBuf::from) else { return };
    let number: u32 = std::env::var(NUMBER).unwrap().parse().unwrap();
    match std::env::var(ROLE).unwrap().as_str() {
        "agent" => {
            let _logs = start_logs(&root);
            sleep(Duration::from_secs(600));
        }
        "writer" => write_for_ever(&root, number),
        "flooder" => flood(&root, number),
        role => panic!("{role}"),
    }
}

/// Numbered lines, as fast as the agent takes them. One that was refused is written again under the next number.
fn write_for_ever(root: &Path, number: u32) {
    let (mapping, tally) = (rings(root), Tally::open(root));
    let (seat, name) = (1 + number, format!("{:\0<32}", format!("writer{number}")));
    let stat = Directory::open(&host_directory(root), None).unwrap().map_writable(Segment::Stat).unwrap();
    let seats = Stat::attach(stat.shared(), stat.len()).unwrap().seats();
    seats.claim(std::process::id(), clock::monotonic(), &mut |free, _| free == seat).unwrap();
    seats.set_name(seat, name.as_bytes().try_into().unwrap());
    let ring = ring(&mapping, seat);
    while let Err(dropped) = ring.open(std::process::id(), name.as_bytes(), clock::monotonic()) {
        tally.count(number, Err(dropped));
        sleep(Duration::from_millis(1));
    }
    for n in 0_u64.. {
        let text = format!("{number} {n} {}", "x".repeat((n % 150) as usize));
        let outcome = ring.write(Level::Info, &origin(std::process::id(), clock::monotonic()), text.as_bytes());
        tally.count(number, outcome);
        if outcome.is_err() || n.is_multiple_of(64) {
            sleep(Duration::from_millis(1));
        }
    }
}

/// Given an agent and writers that are killed again and again at any moment, then each line that its writer was told is safe is in a file,
/// once and whole, and the dropped ones are counted exactly.
#[test]
fn whoever_is_killed_every_line_is_written_once() {
    let host = Host::new();
    let tally = Tally::open(host.path());
    let rounds = 12;
    for round in 0..rounds {
        let mut writers: Vec<_> = (0..WRITERS).map(|number| host.start("writer", number)).collect();
        for kill in 0..6 {
            let mut agent = host.start("agent", 0);
            sleep(Duration::from_millis(40 + 17 * (kill + round) % 60));
            agent.kill();
        }
        writers.iter_mut().for_each(Process::kill);
    }
    drop(host.logs());
    // Who died in the middle of a line leaves a hole, which is closed after a second.
    let logs = host.logs();
    let mapping = rings(host.path());
    let is_empty = |seat| {
        let log = Log::attach(mapping.shared(), mapping.len()).unwrap();
        let tail = log.journal().progress(seat).tail;
        log.ring(seat).head(tail) == tail
    };
    until("all rings are empty", || (0..=WRITERS).all(is_empty));
    drop(logs);
    let mut found: BTreeMap<u32, u64> = BTreeMap::new();
    let mut dropped = 0;
    for line in host.lines() {
        let line = Line::parse(&line).unwrap_or_else(|| panic!("{line:?}"));
        if line.level == Level::Warn {
            dropped += line.text.split(' ').next().unwrap().parse::<u64>().unwrap();
            continue;
        }
        let mut words = line.text.split(' ');
        let (number, n): (u32, u64) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
        assert_eq!(words.next().unwrap().len() as u64, n % 150, "{line:?}");
        assert_eq!(line.name, format!("writer{number}"));
        *found.entry(number).or_default() += 1;
    }
    let mut refused = 0;
    for writer in 0..WRITERS {
        let (safe, dropped) = tally.of(writer);
        refused += dropped;
        // One that was killed between the line and its count has written one more in that round.
        let lines = found.get(&writer).copied().unwrap_or_default();
        assert!((safe..=safe + rounds).contains(&lines), "{lines} lines, {safe} are safe");
        assert!(lines > 100, "{lines}");
    }
    assert!(
        (refused..=refused + rounds * u64::from(WRITERS)).contains(&dropped),
        "{dropped} were said, {refused} were refused"
    );
    assert_each_once(&host.lines());
}

/// No line of a process stands twice.
fn assert_each_once(lines: &[String]) {
    let mut texts: Vec<_> = lines.iter().filter(|line| !line.contains(" WARN ")).collect();
    let all = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all, "every line is there once");
}

/// 100 000 lines a second from four processes, with the exact count of those without room.
#[test]
#[ignore = "a measurement: cargo test --release -p mcrpc-logs --test keeping -- --ignored flood --nocapture"]
fn a_flood_blocks_nobody() {
    let sizes = Sizes { seats: 8, log_cells: Some(4_096), ..Sizes::DEFAULT };
    let host = Host::of(sizes);
    let (logs, before, tally) = (host.logs(), cpu_times(), Tally::open(host.path()));
    let mut flooders: Vec<_> = (0..WRITERS).map(|number| host.start("flooder", number)).collect();
    flooders.iter_mut().for_each(|flooder| assert!(flooder.0.wait().unwrap().success()));
    drop(logs);
    let [agent, writers] = std::array::from_fn(|of| cpu_times()[of] - before[of]);
    let (mut lines, mut said) = (0, 0);
    for line in host.lines() {
        match Line::parse(&line).unwrap() {
            Line { level: Level::Warn, text, .. } => said += text.split(' ').next().unwrap().parse::<u64>().unwrap(),
            _ => lines += 1,
        }
    }
    let (safe, dropped) = (0..WRITERS).map(|of| tally.of(of)).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
    let slowest = (0..WRITERS).map(|of| tally.slowest(of)).max().unwrap();
    println!("{lines} lines written in {FLOOD_S} s, {dropped} dropped; the slowest took {slowest:?}");
    println!("CPU of the agent's part {agent:?}, of the writers {writers:?}");
    assert_eq!((lines, said), (safe, dropped));
    assert_eq!(safe + dropped, FLOOD_PER_S * FLOOD_S * u64::from(WRITERS));
}

/// Lines at a constant rate.
fn flood(root: &Path, number: u32) {
    let (mapping, tally, pid) = (rings(root), Tally::open(root), std::process::id());
    let ring = ring(&mapping, 1 + number);
    ring.open(pid, b"flood", clock::monotonic()).unwrap();
    let text = "GET /crawl.CrawlService/GetList 200 in 3.1 ms, 4 of 5 endpoints asked, 1 attempt, from 10.0.0.17:8080";
    let (begin, mut slowest) = (Instant::now(), Duration::ZERO);
    for n in 0..FLOOD_PER_S * FLOOD_S {
        while begin.elapsed() < Duration::from_micros(n * 1_000_000 / FLOOD_PER_S) {
            sleep(Duration::from_micros(500));
        }
        let one = Instant::now();
        let outcome = ring.write(Level::Info, &origin(pid, clock::monotonic()), text.as_bytes());
        slowest = slowest.max(one.elapsed());
        tally.count(number, outcome);
    }
    tally.note_slowest(number, slowest);
}

/// What this process has used, and those that it has started and waited for.
fn cpu_times() -> [Duration; 2] {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
    [11, 13].map(|at| Duration::from_millis((ticks(at) + ticks(at + 1)) * 10))
}
