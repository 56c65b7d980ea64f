//! `mcrpc doctor`: for each finding about a host's directory a host on which it is so.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use mcrpc_agent::clock;
use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Author, Mechanism, Operator, Setting};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::log::{Level, Log, Origin};
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::host::stat::Stat;
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;
use serde_json::Value;

const AUTHOR: Author = Author { uid: 0, at_s: 1 };

struct Host {
    _temp: tempfile::TempDir,
    path: PathBuf,
    publisher: Option<Publisher>,
}

impl Host {
    /// One on which all is well; on a file system in memory if there is one.
    fn new() -> Host {
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = temp.path().join("mcrpc");
        let mut host = Host { _temp: temp, path, publisher: None };
        host.start(2, 64);
        host
    }

    /// The agent starts, with so many seats and cells of a log ring.
    fn start(&mut self, seats: u32, log_cells: u32) {
        let settings = Settings { capacity: 100, counters: 64, trace_cells: 64, fail_capacity: 4, ..Settings::DEFAULT };
        let settings = Settings { seats, log_cells: Some(log_cells), ..settings };
        self.publisher = Some(Publisher::open(&self.path, settings).unwrap().0);
    }

    /// Two programs take seats.
    fn seat_two(&self) {
        (0..2).for_each(|_| self.seat(std::process::id(), 0));
    }

    /// A program writes so many lines at once.
    fn log(&self, lines: usize) {
        let mapping = self.mapped(Segment::Log);
        let ring = Log::attach(mapping.shared(), mapping.len()).unwrap().ring(1);
        (0..lines).for_each(|_| _ = ring.write(Level::Info, &Origin::default(), b"x"));
    }

    fn file(&self, segment: Segment) -> PathBuf {
        self.path.join(segment.file_name().to_str().unwrap())
    }

    fn mapped(&self, segment: Segment) -> WritableMapping {
        Directory::open(&self.path, None).unwrap().map_writable(segment).unwrap()
    }

    /// Overwrites eight bytes of a file.
    fn write(&self, segment: Segment, word: u64, value: u64) {
        let file = OpenOptions::new().write(true).open(self.file(segment)).unwrap();
        file.write_all_at(&value.to_ne_bytes(), word * 8).unwrap();
    }

    fn operate(&self, work: impl FnOnce(&Operator<'_>)) {
        let mapping = self.mapped(Segment::Control);
        work(&Operator::attach(mapping.shared(), mapping.len()).unwrap());
    }

    /// A process takes a seat, and has its last heartbeat so many seconds from now.
    fn seat(&self, pid: u32, beat_in_s: i64) {
        let mapping = self.mapped(Segment::Stat);
        let seats = Stat::attach(mapping.shared(), mapping.len()).unwrap().seats();
        let beat = Nanos(clock::monotonic().0.saturating_add_signed(beat_in_s * 1_000_000_000));
        let seat = seats.claim(pid, beat, &mut |_, owner| owner == 0).unwrap();
        seats.beat(seat, 0, beat);
        seats.report(seat, &QueueReport { reported_ns: clock::monotonic().0, ..QueueReport::default() });
    }
}

/// The exit code and the report.
fn report(path: &Path, more: &[&str]) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.args(["doctor", "--json", "--dir"]).arg(path).args(more);
    let output = command.env_remove("MCRPC_DIR").env_remove("MCRPC_OWNER_UID").output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output.status.code().unwrap(), report)
}

/// The exit code, and the findings as `check/finding` with their severity.
fn doctor(path: &Path, more: &[&str]) -> (i32, BTreeSet<(String, String)>) {
    let (code, report) = report(path, more);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let of_host =
        |finding: &&Value| !["nofile", "somaxconn", "filesystem", "cpu"].contains(&finding["check"].as_str().unwrap());
    let bad = findings.filter(of_host).filter(|finding| finding["finding"] != "ok");
    let bad = bad.inspect(|finding| assert!(!text(&finding["remedy"]).is_empty(), "{finding}"));
    let named = bad.map(|finding| {
        (format!("{}/{}", text(&finding["check"]), text(&finding["finding"])), text(&finding["severity"]))
    });
    (code, named.collect())
}

type Case = (&'static str, &'static str, fn(&mut Host));

/// What is found, how bad it is, and how it comes about.
const CASES: [Case; 32] = [
    ("directory/segment_missing", "error", |host| host.path = host.path.join("nowhere")),
    ("directory/segment_unsafe_mode", "error", |host| set_mode(&host.path, 0o777)),
    ("directory/segment_not_a_file", "error", |host| host.path = host.file(Segment::Control)),
    ("fail/segment_missing", "error", |host| fs::remove_file(host.file(Segment::Fail)).unwrap()),
    ("control/segment_missing", "note", |host| fs::remove_file(host.file(Segment::Control)).unwrap()),
    ("control/segment_unsafe_mode", "error", |host| set_mode(&host.file(Segment::Control), 0o666)),
    ("stat/segment_not_a_file", "error", |host| {
        fs::remove_file(host.file(Segment::Stat)).unwrap();
        std::os::unix::fs::symlink("elsewhere", host.file(Segment::Stat)).unwrap();
    }),
    ("trace/segment_too_short", "error", |host| {
        File::create(host.file(Segment::Trace)).unwrap();
    }),
    ("fail/segment_bad_magic", "error", |host| host.write(Segment::Fail, 0, 1)),
    ("fail/segment_other_major", "error", |host| host.write(Segment::Fail, 1, 9 << 32)),
    ("fail/segment_other_layout", "error", |host| {
        let mapping = host.mapped(Segment::Fail);
        let view = mapping.shared().view();
        let header = mcrpc_core::host::header::raw(view).header;
        let other = mcrpc_core::host::header::Format { layout_hash: 1, ..Segment::Fail.format() };
        mcrpc_core::host::header::write(mapping.shared(), &other, &header);
        mcrpc_core::host::header::set_state(mapping.shared(), mcrpc_core::host::header::State::Ready);
    }),
    ("fail/segment_bad_checksum", "error", |host| host.write(Segment::Fail, 5, 77)),
    ("fail/segment_not_ready", "error", |host| {
        let mapping = host.mapped(Segment::Fail);
        mcrpc_core::host::header::set_state(mapping.shared(), mcrpc_core::host::header::State::Superseded);
    }),
    ("stat/other_minor", "note", |host| {
        let mapping = host.mapped(Segment::Stat);
        let header = mcrpc_core::host::header::raw(mapping.shared().view()).header;
        let older = mcrpc_core::host::header::Format { minor: 1, ..Segment::Stat.format() };
        mcrpc_core::host::header::write(mapping.shared(), &older, &header);
        mcrpc_core::host::header::set_state(mapping.shared(), mcrpc_core::host::header::State::Ready);
    }),
    ("fail/world_writable", "warning", |host| set_mode(&host.file(Segment::Fail), 0o666)),
    ("agent/agent_hung", "error", |host| host.write(Segment::Strategy, 11, clock::boottime_ms() - 60_000)),
    ("agent/agent_dead", "error", |host| {
        host.write(Segment::Strategy, 11, clock::boottime_ms() - 60_000);
        host.write(Segment::Strategy, 17, u64::from(u32::MAX >> 1));
    }),
    ("strategy/segment_not_ready", "error", |host| host.publisher.take().unwrap().close()),
    ("agent/keys_missing", "warning", |host| fs::remove_file(host.file(Segment::Cold)).unwrap()),
    ("agent/table_full", "warning", |host| host.write(Segment::Strategy, 19, 3)),
    ("control/killed", "warning", |host| host.operate(|operator| _ = operator.set_killed(true, AUTHOR))),
    ("control/mode_set", "note", |host| {
        let setting = Setting { mode: Mode::Observe, share: Per10k::ALL };
        host.operate(|operator| operator.set_mechanism(Mechanism::Skip, Some(setting), AUTHOR));
    }),
    ("fail/table_full", "warning", |host| {
        let mapping = host.mapped(Segment::Fail);
        let fail = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        for port in 1..=4 {
            fail.bucket(&Endpoint::new(([10, 0, 0, 1], port).into(), 0)).unwrap();
        }
    }),
    ("fail/damaged", "warning", |host| {
        let mapping = host.mapped(Segment::Fail);
        let fail = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
        let bucket = fail.bucket(&Endpoint::new(([10, 0, 0, 1], 80).into(), 0)).unwrap();
        // The word of its cell in which the bucket is that leaks by time.
        host.write(Segment::Fail, 512 + u64::from(bucket.number() as u32) * 16 + 2, u64::MAX);
    }),
    ("trace/damaged", "warning", |host| host.write(Segment::Trace, 512, u64::MAX)),
    ("log/dropped", "warning", |host| host.log(100)),
    ("control/shields_over", "note", |host| {
        let endpoint = Endpoint::new(([10, 0, 0, 1], 80).into(), 0);
        host.operate(|operator| operator.shield(&endpoint, Some(Nanos(1)), Nanos(1), AUTHOR).unwrap());
    }),
    ("processes/no_seat", "warning", |host| host.seat_two()),
    // Where no seat is locked, a number that is a process's is believed.
    ("processes/hung", "warning", |host| {
        fs::remove_file(host.path.join("seats.lock")).unwrap();
        host.seat(std::process::id(), -60);
    }),
    ("processes/dead", "note", |host| host.seat(u32::MAX >> 1, -60)),
    ("processes/old_library", "note", |host| host.seat(std::process::id(), 0)),
    ("clocks/skew", "error", |host| host.seat(std::process::id(), 3_600)),
];

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn each_fault_of_a_host_is_found_with_its_severity_and_a_remedy() {
    for (name, severity, happens) in CASES {
        let mut host = Host::new();
        assert_eq!(doctor(&host.path, &[]).1, BTreeSet::new(), "all is well at first");
        happens(&mut host);
        let (code, findings) = doctor(&host.path, &[]);
        assert!(findings.contains(&(name.to_owned(), severity.to_owned())), "{name}, {severity}: {findings:?}");
        let worst = |wanted: &str| findings.iter().any(|(_, severity)| severity == wanted);
        if worst("error") {
            assert_eq!(code, 2, "{name}");
        } else if worst("warning") {
            assert_eq!(code, 1, "{name}");
        }
    }
}

/// The agent keeps a segment in the size that it has: the remedy names the files that are in the way.
#[test]
fn once_a_remedy_that_needs_larger_segments_is_followed_the_same_programs_are_no_finding() {
    for (name, option) in [("no_seat", "--seats"), ("dropped", "--log-cells")] {
        let happens = |host: &Host| if name == "no_seat" { host.seat_two() } else { host.log(100) };
        let mut host = Host::new();
        happens(&host);
        let (_, report) = report(&host.path, &[]);
        let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["finding"] == name).unwrap();
        let remedy = finding["remedy"].as_str().unwrap();
        let (_, steps) = remedy.split_once("stop the agent, remove ").unwrap();
        let (files, start) = steps.split_once(", and start it with a larger ").unwrap();
        assert!(start.starts_with(option), "{remedy}");

        host.publisher.take().unwrap().close();
        for file in files.split([',', ' ']).filter(|word| word.ends_with(".v1")) {
            fs::remove_file(host.path.join(file)).unwrap();
        }
        host.start(8, 256);
        happens(&host);
        let (code, findings) = doctor(&host.path, &[]);
        assert!(code == 0 && !findings.iter().any(|(found, _)| found.ends_with(name)), "{remedy}: {findings:?}");
        let mapping = host.mapped(Segment::Log);
        let log = Log::attach(mapping.shared(), mapping.len()).unwrap();
        let stat = host.mapped(Segment::Stat);
        let seats = Stat::attach(stat.shared(), stat.len()).unwrap().seat_count();
        assert_eq!(log.seat_count(), seats, "each seat has a ring for lines: {remedy}");
    }
}

/// A host need not keep logs.
#[test]
fn nothing_is_wrong_without_logs() {
    let host = Host::new();
    fs::remove_file(host.file(Segment::Log)).unwrap();
    assert_eq!(doctor(&host.path, &[]), (0, BTreeSet::new()));
}

#[test]
fn route_files_are_checked_too() {
    let (host, root) = (Host::new(), tempfile::tempdir().unwrap());
    let path = root.path().join("client/sz/demo_cli.conf");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "[Retry]\nMaxAttempts = 0\n").unwrap();
    let (code, findings) = doctor(&host.path, &["--routes", root.path().to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(findings.contains(&("routes/bad_file".to_owned(), "error".to_owned())), "{findings:?}");
}
