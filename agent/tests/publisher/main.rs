//! A publisher starts with whatever it finds: nothing, what an earlier one left, or what somebody has damaged. It takes
//! over what it can believe, makes anew what it cannot, and says which and why.

mod damage;
mod full;
mod restart;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};

use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_agent::started::{Origin, Started};
use mcrpc_core::host::files::Segment;
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::strategy::table::Table;
use tempfile::TempDir;

const SMALL: Settings =
    Settings { capacity: 100, seats: 2, counters: 16, trace_cells: 16, fail_capacity: 64, ..Settings::DEFAULT };

/// A directory in memory, as `/run` is.
fn directory() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir() { TempDir::new_in(in_memory) } else { TempDir::new() }.unwrap()
}

fn endpoint(number: u32) -> Endpoint {
    Endpoint { address: number.into(), port: 80, service_id: 1 }
}

fn entry(rate: u32) -> Entry {
    let pass_rate = Per10k::new(rate as u16).unwrap();
    Entry { pass_rate, kind: Kind::Normal, reject_level: RejectLevel::OPEN }
}

/// Publishes entries for the endpoints below `count`, each with its own number as pass rate.
fn publish(publisher: &mut Publisher, count: u32) {
    for number in 0..count {
        let _ = publisher.set(&endpoint(number), &entry(number), Counts { requests: number, failures: 1 });
    }
    publisher.refresh().unwrap();
}

/// What a reader that attaches now finds: which of the endpoints below `count` have their entry; `None` if it cannot
/// attach.
fn read(path: &Path, count: u32) -> Option<Vec<u32>> {
    let mapping = Directory::open(path, None).unwrap().map(Segment::Strategy).ok()?;
    let table = Table::attach(mapping.view(), mapping.len()).ok()?;
    Some((0..count).filter(|&number| table.lookup(&endpoint(number)) == Some(entry(number))).collect())
}

fn all(count: u32) -> Option<Vec<u32>> {
    Some((0..count).collect())
}

fn file(directory: &TempDir, segment: Segment) -> PathBuf {
    directory.path().join(segment.file_name().to_str().unwrap())
}

/// How many entries were adopted; `None` if the table was made.
fn adopted(started: &Started) -> Option<u32> {
    match &started.table {
        Origin::Adopted { adoption, .. } => Some(adoption.adopted.entries),
        Origin::Made { .. } => None,
    }
}

/// The names of what is in a directory.
fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const ALL_NAMES: [&str; 9] = [
    "control.lock",
    "control.v1",
    "fail.v1",
    "seats.lock",
    "stat.v1",
    "strategy.cold.v1",
    "strategy.v1",
    "trace.v1",
    "writer.lock",
];
