//! A host's directory as an agent and a few programs leave it: in seat 1 this process, in seat 2 a child that has
//! ended, in seat 3 a process that is there but does no housekeeping.

use std::path::PathBuf;
use std::process::Command;

use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_agent::mapping::{Mapping, WritableMapping};
use mcrpc_core::host::control;
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::log::{self, Level, Log, Origin};
use mcrpc_core::host::region::Shared;
use mcrpc_core::host::seat::{NAME_LEN, QueueReport};
use mcrpc_core::host::stat::{self, CounterKey, Kind, Stat};
use mcrpc_core::host::trace::{self, Trace};
use mcrpc_core::id::{Per10k, Salt};
use mcrpc_core::shield::breaker;
use mcrpc_core::shield::health::Totals;
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::strategy::cold::{self, Counts};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{self, Entry, RejectLevel};
use mcrpc_core::strategy::table;
use mcrpc_core::strategy::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};
use mcrpc_core::time::Nanos;

const CAPACITY: u32 = 100;
pub const SHIELDED: &str = "10.1.2.3:80";
pub const FAILING: &str = "[2001:db8::1]:443";

/// The directory; it is removed with this.
pub struct Host {
    _temp: tempfile::TempDir,
    pub path: PathBuf,
    pub directory: Directory,
    stat: WritableMapping,
}

pub fn empty_dir() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("mcrpc");
    (temp, path)
}

impl Host {
    pub fn new() -> Host {
        let (temp, path) = empty_dir();
        let directory = Directory::open_or_create(&path).unwrap();
        let make = |segment, len, fill: &dyn Fn(Shared<'_>) -> Result<(), Status>| {
            directory.replace(segment, len, SharedMode::GROUP, fill).unwrap()
        };
        make(Segment::Control, control::SEGMENT_LEN, &|words| control::create(words, 1, 2, Salt(3)));
        let fail = make(Segment::Fail, fail::segment_len(50), &|words| fail::create(words, 50, 1, 2));
        let stat = make(Segment::Stat, stat::segment_len(4, 64), &|words| stat::create(words, 4, 64, 1, 2));
        let trace = make(Segment::Trace, trace::segment_len(4, 64), &|words| trace::create(words, 4, 64, 1, 2));
        let log = make(Segment::Log, log::segment_len(4, 64), &|words| log::create(words, 4, 64, 1, 2));
        fill(&log);
        pour(&fail);
        write_strategies(&directory);
        let host = Host { _temp: temp, path, directory, stat };
        host.take_seats();
        host.count();
        record(&trace);
        host
    }

    /// This process in seat 1, one that has ended in seat 2, and one that is there but hangs in seat 3: the parent.
    fn take_seats(&self) {
        let seats = Stat::attach(self.stat.shared(), self.stat.len()).unwrap().seats();
        let now = clock::monotonic();
        let mut child = Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let hung = std::os::unix::process::parent_id();
        let long_ago = Nanos(now.0.saturating_sub(60_000_000_000));
        for (pid, name, beat) in
            [(std::process::id(), "alive", now), (dead, "dead", long_ago), (hung, "hung", long_ago)]
        {
            let seat = seats.claim(pid, beat, &mut |_, owner| owner == 0).unwrap();
            let mut bytes = [0; NAME_LEN];
            bytes[..name.len()].copy_from_slice(name.as_bytes());
            seats.set_name(seat, &bytes);
            seats.beat(seat, 0, beat);
        }
        self.report(100, now);
    }

    /// What a program under overload reports: two requests refused for each that is admitted.
    pub fn report(&self, admitted: u64, now: Nanos) {
        let seats = Stat::attach(self.stat.shared(), self.stat.len()).unwrap().seats();
        let mut report = QueueReport { reported_ns: now.0, queued: 7, running: 8, ..QueueReport::default() };
        (report.admitted, report.mode, report.shedding) = (admitted, 2, 1);
        report.refused[Refusal::BelowCursor as usize] = admitted * 2;
        seats.report(1, &report);
        seats.beat(1, 0, now);
    }

    fn count(&self) {
        let stat = Stat::attach(self.stat.shared(), self.stat.len()).unwrap();
        let column = stat.column(CounterKey { id: 12, key: 34, kind: Kind::Sum }).unwrap();
        stat.add(1, column, 40);
        stat.add(2, column, 2);
        let column = stat.column(CounterKey { id: 12, key: 34, kind: Kind::Max }).unwrap();
        stat.set_max(1, column, 999, clock::monotonic());
    }

    pub fn file(&self, segment: Segment) -> PathBuf {
        self.directory.path_of(segment.file_name())
    }

    pub fn control(&self) -> Mapping {
        self.directory.map(Segment::Control).unwrap()
    }
}

/// Lines that nobody takes, until one has no room.
fn fill(log: &WritableMapping) {
    let ring = Log::attach(log.shared(), log.len()).unwrap().ring(1);
    while ring.write(Level::Info, &Origin::default(), b"x").is_ok() {}
}

fn pour(fail: &WritableMapping) {
    let buckets = FailBuckets::attach(fail.shared(), fail.len()).unwrap();
    let bucket = buckets.bucket(&Endpoint::new(FAILING.parse().unwrap(), 0)).unwrap();
    for _ in 0..5 {
        buckets.pour(bucket, &Leak::DEFAULT, clock::monotonic()).unwrap();
    }
    let health = buckets.health(bucket).unwrap();
    health.add(&Totals { calls: [50, 10, 20, 0], time_us: 1 });
    // Longer than any test takes.
    let settings =
        breaker::Settings { backoff_min_ms: 3_600_000, backoff_max_ms: 3_600_000, ..breaker::Settings::DEFAULT };
    health.trip(breaker::Reason::Rate, &settings, clock::monotonic());
}

fn write_strategies(directory: &Directory) {
    let ready = |_: Shared<'_>| Ok(());
    let table = directory.replace(Segment::Strategy, table::segment_len(CAPACITY), SharedMode::GROUP, ready).unwrap();
    let cold = directory.replace(Segment::Cold, cold::segment_len(CAPACITY), SharedMode::GROUP, ready).unwrap();
    let (mut slots, mut records) = (vec![0; slot_count(CAPACITY)], vec![0; CAPACITY as usize]);
    let mut filter = vec![0; FILTER_WORDS];
    let memory = Memory { slots: &mut slots, records: &mut records, filter: &mut filter };
    let identity = Identity { seed: 0xABCD_EF01_2345, instance: 9, pid: std::process::id() };
    let mut writer = Writer::create(table.shared(), cold.shared(), memory, CAPACITY, identity).unwrap();
    let entry = Entry {
        pass_rate: Per10k::new(2_500).unwrap(),
        kind: entry::Kind::Probe,
        reject_level: RejectLevel::new(17).unwrap(),
    };
    let endpoint = Endpoint::new(SHIELDED.parse().unwrap(), 5);
    writer.set(&endpoint, &entry, Counts { requests: 400, failures: 300 }, clock::boottime_ms()).unwrap();
    writer.open();
    writer.finish_refresh(clock::boottime_ms());
}

fn record(trace: &WritableMapping) {
    let ring = Trace::attach(trace.shared(), trace.len()).unwrap().ring(1);
    ring.write(3, b"first \x1b[2J", clock::monotonic()).unwrap();
    ring.write(4, b"a line that was logged\n", clock::monotonic()).unwrap();
    ring.write(5, b"the last one", clock::monotonic()).unwrap();
}
