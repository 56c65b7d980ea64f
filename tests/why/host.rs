//! A host's directory in which each test says what operator, agent, servers and calls have done.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_core::host::control::{self, Author, Operator};
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::region::Shared;
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::host::stat::{self, Stat};
use mcrpc_core::id::Salt;
use mcrpc_core::shield::health::Health;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{self, Counts};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::Entry;
use mcrpc_core::strategy::table;
use mcrpc_core::strategy::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};
use serde_json::Value;

const CAPACITY: u32 = 100;
pub const SERVICE: u32 = 5;
/// Two endpoints that this host has called.
pub const ENDPOINTS: [&str; 2] = ["10.1.2.3:80", "10.1.2.4:80"];
pub const AUTHOR: Author = Author { uid: 42, at_s: 1_700_000_000 };

/// The directory; it is removed with this.
pub struct Host {
    _temp: tempfile::TempDir,
    pub path: PathBuf,
    directory: Directory,
    control: WritableMapping,
    fail: WritableMapping,
    stat: WritableMapping,
}

impl Host {
    /// One on which all is well.
    pub fn new() -> Host {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("mcrpc");
        let directory = Directory::open_or_create(&path).unwrap();
        let make = |segment, len, fill: &dyn Fn(Shared<'_>) -> Result<(), Status>| {
            directory.replace(segment, len, SharedMode::GROUP, fill).unwrap()
        };
        let control = make(Segment::Control, control::SEGMENT_LEN, &|words| control::create(words, 1, 2, Salt(3)));
        let fail = make(Segment::Fail, fail::segment_len(50), &|words| fail::create(words, 50, 1, 2));
        let stat = make(Segment::Stat, stat::segment_len(4, 64), &|words| stat::create(words, 4, 64, 1, 2));
        let host = Host { _temp: temp, path, directory, control, fail, stat };
        for endpoint in ENDPOINTS {
            host.health(endpoint, |_| ());
        }
        host
    }

    pub fn operate(&self, work: impl FnOnce(&Operator<'_>)) {
        work(&Operator::attach(self.control.shared(), self.control.len()).unwrap());
    }

    /// Does something to an endpoint's cell.
    pub fn health(&self, endpoint: &str, work: impl FnOnce(&Health<'_>)) {
        let fail = FailBuckets::attach(self.fail.shared(), self.fail.len()).unwrap();
        work(&fail.health(fail.bucket(&of(endpoint)).unwrap()).unwrap());
    }

    /// The agent has just written these strategies, or so long ago.
    pub fn strategies(&self, entries: &[(&str, Entry)], age_ms: u64) {
        let ready = |_: Shared<'_>| Ok(());
        let replace = |segment, len| self.directory.replace(segment, len, SharedMode::GROUP, ready).unwrap();
        let table = replace(Segment::Strategy, table::segment_len(CAPACITY));
        let cold = replace(Segment::Cold, cold::segment_len(CAPACITY));
        let (mut slots, mut records) = (vec![0; slot_count(CAPACITY)], vec![0; CAPACITY as usize]);
        let mut filter = vec![0; FILTER_WORDS];
        let memory = Memory { slots: &mut slots, records: &mut records, filter: &mut filter };
        let identity = Identity { seed: 7, instance: 9, pid: std::process::id() };
        let mut writer = Writer::create(table.shared(), cold.shared(), memory, CAPACITY, identity).unwrap();
        let at_ms = clock::boottime_ms().saturating_sub(age_ms);
        for (endpoint, entry) in entries {
            writer.set(&of(endpoint), entry, Counts::default(), at_ms).unwrap();
        }
        writer.open();
        writer.finish_refresh(at_ms);
    }

    /// This process reports a queue.
    pub fn report(&self, report: &QueueReport) {
        let seats = Stat::attach(self.stat.shared(), self.stat.len()).unwrap().seats();
        let now = clock::monotonic();
        let seat = seats.claim(std::process::id(), now, &mut |_, owner| owner == 0 || owner == std::process::id());
        seats.report(seat.unwrap(), &QueueReport { reported_ns: now.0, ..*report });
        seats.beat(seat.unwrap(), 0, now);
    }

    /// What `mcrpc why` says of a call of this service.
    pub fn why(&self, arguments: &[&str]) -> Value {
        why(&self.path, arguments)
    }

    /// All bytes of all files.
    pub fn bytes(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

fn of(endpoint: &str) -> Endpoint {
    Endpoint::new(endpoint.parse().unwrap(), SERVICE)
}

pub fn why(path: &Path, arguments: &[&str]) -> Value {
    let service = SERVICE.to_string();
    ask(path, &[&["--uin", "7", "--service", &service], arguments].concat())
}

pub fn ask(path: &Path, arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.args(["why", "--json", "--dir", path.to_str().unwrap()]).args(arguments);
    let output = command.env_remove("MCRPC_DIR").env_remove("MCRPC_OWNER_UID").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
