//! A file system that is full: an error by name, nothing half-made is left, and what was there is used on.
//!
//! The processes are this test program, started again, with less room: by a limit for the length of files, and, where
//! that is allowed, in a small file system of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcrpc_agent::directory::Error;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::strategy::cold::Counts;

use super::{ALL_NAMES, SMALL, all, directory, endpoint, entry, names, publish, read};

const DIRECTORY: &str = "MCRPC_TEST_DIRECTORY";

#[test]
#[ignore = "a process that the other tests start"]
fn process_with_little_room() {
    let Some(root) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    a_large_table_finds_no_room_and_the_small_one_is_used_on(&root.join("small"));
    a_first_publisher_finds_no_room(&root.join("large"));
}

fn a_large_table_finds_no_room_and_the_small_one_is_used_on(path: &Path) {
    let (mut publisher, _) = Publisher::open(path, SMALL).unwrap();
    publish(&mut publisher, 100);
    names_its_file(&publisher.resize(250_000).unwrap_err());
    assert_eq!(names(path), ALL_NAMES);
    assert_eq!(read(path, 100), all(100));

    // More than it has room for: each refresh tries a larger one, fails, and the heartbeat moves all the same.
    for number in 100..20_000 {
        assert!(publisher.set(&endpoint(number), &entry(number % 10_000), Counts::default()).is_err());
    }
    for _ in 0..3 {
        names_its_file(&publisher.refresh().unwrap_err());
        assert_eq!(names(path), ALL_NAMES);
        assert_eq!(read(path, 100), all(100));
    }
    for number in 100..20_000 {
        publisher.remove(&endpoint(number));
    }
    publisher.set(&endpoint(0), &entry(0), Counts::default()).unwrap();
    publisher.refresh().unwrap();
    drop(publisher);

    let (publisher, started) = Publisher::open(path, Settings { capacity: 250_000, ..SMALL }).unwrap();
    assert!(started.to_string().contains("could not change the capacity"), "{started}");
    assert_eq!((publisher.len(), read(path, 100)), (100, all(100)));
}

fn a_first_publisher_finds_no_room(path: &Path) {
    let error = Publisher::open(path, Settings::default()).map(|_| ()).unwrap_err();
    names_its_file(&error);
    assert_eq!(names(path), ["writer.lock"]);
}

fn names_its_file(error: &Error) {
    let text = error.to_string();
    assert!(text.contains(".strategy") && text.contains("allocating its blocks: "), "{text}");
}

fn run(script: &str) {
    let directory = directory();
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "full::process_with_little_room", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn files_must_not_be_long_enough() {
    run("trap '' XFSZ; ulimit -f 256; exec \"$0\" \"$@\"");
}

#[test]
fn the_file_system_is_too_small() {
    let may_mount = Command::new("unshare").args(["-m", "true"]).output().is_ok_and(|output| output.status.success());
    if !may_mount {
        println!("skipped: this user may not mount a file system");
        return;
    }
    let mount_and_go_on = "mount -t tmpfs -o size=640k none \"$MCRPC_TEST_DIRECTORY\" && exec \"$0\" \"$@\"";
    run(&format!("exec unshare -m sh -c '{mount_and_go_on}' \"$0\" \"$@\""));
}
