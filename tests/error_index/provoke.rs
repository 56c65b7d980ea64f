//! Makes every status happen: runs `tests/c/errors_*.c`, and prepares for them the directories that a host may meet.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::bucket::Fingerprint;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Format, Header};
use mcrpc_core::id::Per10k;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use tempfile::TempDir;

use super::support::{Linkage, compile, run};

const SETTINGS: Settings = Settings {
    capacity: 100,
    seats: 2,
    counters: 64,
    trace_cells: 64,
    log_cells: Some(64),
    fail_capacity: 100,
    ..Settings::DEFAULT
};
/// Nobody who runs tests.
const STRANGER_UID: u32 = u32::MAX - 1;
const NOBODY: u32 = 65_534;

/// Every status that happens, by name, and which function gave it.
pub fn provoked(linkage: Linkage) -> BTreeMap<String, String> {
    let work = tempfile::tempdir().unwrap();
    readable_by_all(work.path());
    let program = |name: &str| {
        let directory = work.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        compile(&directory, &[&format!("tests/c/{name}.c")], &["-std=c11"], linkage)
    };
    let host = program("errors_host");
    let mut told =
        vec![run(&mut Command::new(program("errors_wire"))), run(&mut Command::new(program("errors_calls")))];
    told.push(run(Command::new(&host).arg("memory")));
    told.push(operators_orders(&host));
    told.push(stale_strategies(&host));
    for (status, prepare) in FILES {
        let line = unusable_strategies(&host, prepare);
        assert_eq!(line.split('\t').next(), status.description().map(|entry| entry.name.get().to_str().unwrap()));
        told.push(line);
    }
    told.push(foreign_directory(&host));
    told.push(denied_file(&host));
    let mut found: BTreeMap<String, String> =
        told.iter().flat_map(|lines| lines.lines()).map(|line| pair(line, '\t')).collect();
    assert_eq!(colliding_endpoints(), Status::KEY_COLLISION);
    found.insert("key_collision".to_owned(), "mcrpc agent".to_owned());
    found
}

fn pair(line: &str, separator: char) -> (String, String) {
    let (left, right) = line.split_once(separator).unwrap_or_else(|| panic!("{line:?} has no {separator:?}"));
    (left.to_owned(), right.to_owned())
}

fn readable_by_all(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A directory with all segments, just refreshed. It is removed with the first of the pair.
fn published() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    readable_by_all(temp.path());
    let path = temp.path().join("mcrpc");
    let (publisher, _) = Publisher::open(&path, SETTINGS).unwrap();
    drop(publisher);
    (temp, path)
}

fn file_status(host: &Path, directory: &Path, more: &[&str]) -> String {
    let segment = (Segment::Strategy as u32).to_string();
    run(Command::new(host).arg("file").arg(directory).arg(segment).args(more))
}

fn operators_orders(host: &Path) -> String {
    let (_temp, path) = published();
    for arguments in [["shield", "10.0.0.9:80"].as_slice(), &["skip", "7", "100%"]] {
        run(Command::new(env!("CARGO_BIN_EXE_mcrpc")).args(arguments).arg("--dir").arg(&path));
    }
    run(Command::new(host).arg("operator").arg(&path))
}

fn stale_strategies(host: &Path) -> String {
    let (_temp, path) = published();
    run(Command::new(host).arg("stale").arg(&path))
}

fn foreign_directory(host: &Path) -> String {
    let (_temp, path) = published();
    file_status(host, &path, &[&STRANGER_UID.to_string()])
}

/// Root may open everything, so it asks as somebody else.
fn denied_file(host: &Path) -> String {
    let (_temp, path) = published();
    std::fs::set_permissions(strategies(&path), Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(host);
    if rustix::process::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(command.arg("file").arg(&path).arg((Segment::Strategy as u32).to_string()))
}

fn unusable_strategies(host: &Path, prepare: &Prepare) -> String {
    let (_temp, path) = published();
    prepare(&path);
    file_status(host, &path, &[])
}

type Prepare = fn(&Path);

/// What is done to a directory, and why its strategies are then not used.
const FILES: &[(Status, Prepare)] = &[
    (Status::SEGMENT_MISSING, |path| std::fs::remove_file(strategies(path)).unwrap()),
    (Status::SEGMENT_NOT_A_FILE, |path| {
        let real = path.join("real");
        std::fs::rename(strategies(path), &real).unwrap();
        symlink(real, strategies(path)).unwrap();
    }),
    (Status::SEGMENT_UNSAFE_MODE, |path| {
        std::fs::set_permissions(strategies(path), Permissions::from_mode(0o646)).unwrap();
    }),
    (Status::SEGMENT_TOO_SHORT, |path| rewrite(path, |bytes| bytes.truncate(64))),
    (Status::SEGMENT_BAD_MAGIC, |path| rewrite(path, |bytes| bytes[0] ^= 1)),
    (Status::SEGMENT_OTHER_MAJOR, |path| {
        rewrite_header(path, |format, _| format.major += 1);
    }),
    (Status::SEGMENT_BAD_CHECKSUM, |path| rewrite(path, |bytes| bytes[40] ^= 1)),
    (Status::SEGMENT_OTHER_LAYOUT, |path| {
        rewrite_header(path, |format, _| format.layout_hash ^= 1);
    }),
    (Status::SEGMENT_BAD_LENGTH, |path| rewrite(path, |bytes| bytes.truncate(bytes.len() - 4096))),
    (Status::SEGMENT_BAD_GEOMETRY, |path| {
        rewrite_header(path, |_, header| header.geometry *= 1_000);
    }),
    (Status::SEGMENT_NOT_READY, |path| rewrite(path, |bytes| bytes[64] = 0)),
    (Status::SEGMENT_IO, |path| {
        std::fs::remove_file(strategies(path)).unwrap();
        UnixListener::bind(strategies(path)).unwrap();
    }),
];

fn strategies(directory: &Path) -> PathBuf {
    directory.join("strategy.v1")
}

/// Damages the file as a stray writer would: offsets are those of docs/shared-memory.md.
fn rewrite(directory: &Path, damage: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(strategies(directory)).unwrap();
    damage(&mut bytes);
    std::fs::write(strategies(directory), bytes).unwrap();
}

/// Another version's header, whose checksum fits.
fn rewrite_header(directory: &Path, change: impl FnOnce(&mut Format, &mut Header)) {
    let mapping = Directory::open(directory, None).unwrap().map_writable(Segment::Strategy).unwrap();
    let mut format = Segment::Strategy.format();
    let mut written = header::read(mapping.shared().view(), mapping.len(), &format).unwrap();
    change(&mut format, &mut written);
    header::write(mapping.shared(), &format, &written);
}

/// No function of the C ABI writes tables, so none can find their keys collide: the agent does, for two endpoints with one
/// fingerprint in a table so small that all keys share their buckets.
fn colliding_endpoints() -> Status {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("mcrpc");
    let (mut publisher, _) = Publisher::open(&path, Settings { capacity: 4, ..SETTINGS }).unwrap();
    let mapping = publisher.directory().map(Segment::Strategy).unwrap();
    let seed = header::read(mapping.view(), mapping.len(), &Segment::Strategy.format()).unwrap().seed;
    let endpoint = |n: u32| Endpoint::new((std::net::Ipv4Addr::from(n), 80).into(), 0);
    let mut fingerprints: Vec<_> =
        (0..1_500_000).map(|n| (Fingerprint::of(endpoint(n).hash(seed)).with(0), n)).collect();
    fingerprints.sort_unstable();
    let twins = fingerprints.windows(2).find(|pair| pair[0].0 == pair[1].0).expect("16 pairs are expected");
    let entry = Entry { pass_rate: Per10k::NONE, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    publisher.set(&endpoint(twins[0].1), &entry, Counts::default()).unwrap();
    publisher.set(&endpoint(twins[1].1), &entry, Counts::default()).unwrap_err()
}
