//! Files that somebody has damaged: each is refused by name, and made anew.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};

use mcrpc_agent::publisher::Publisher;
use mcrpc_agent::segments::Done;
use mcrpc_agent::started::{Origin, Started};
use mcrpc_core::host::files::Segment;
use mcrpc_core::status::Status;
use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use super::{ALL_NAMES, SMALL, adopted, all, directory, file, names, publish, read};

/// The fixed words of a header.
const FIXED_BYTES: u64 = 64;

fn published() -> TempDir {
    let directory = directory();
    let (mut publisher, _) = Publisher::open(directory.path(), SMALL).unwrap();
    publish(&mut publisher, 20);
    directory
}

/// Why a segment was made anew; `None` if it was not.
fn because(started: &Started, segment: Segment) -> Option<(Status, String)> {
    let error = match segment {
        Segment::Strategy | Segment::Cold => match &started.table {
            Origin::Made { because } => Some(because),
            Origin::Adopted { .. } => None,
        },
        _ => {
            started.segments.iter().find(|outcome| outcome.segment == segment).and_then(|outcome| match &outcome.done {
                Done::Remade(because) => Some(because),
                _ => None,
            })
        }
    };
    error.map(|error| (error.status(), error.to_string()))
}

/// What a publisher makes that keeps no logs.
fn made() -> impl Iterator<Item = Segment> {
    Segment::ALL.into_iter().filter(|segment| *segment != Segment::Log)
}

/// Damages a segment, and starts a publisher: it has to say of which file it is and why, and all is well again.
fn is_made_anew(segment: Segment, damage: impl FnOnce(&TempDir), expected: Option<Status>) {
    let directory = published();
    damage(&directory);
    let (mut publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    let (status, text) = because(&started, segment).unwrap_or_else(|| panic!("{segment:?} was kept: {started}"));
    assert!(expected.is_none_or(|expected| expected == status), "{text}");
    assert!(text.contains(segment.file_name().to_str().unwrap()), "{text}");
    assert!(started.to_string().contains(&text), "{started}");
    publish(&mut publisher, 20);
    assert_eq!(read(directory.path(), 20), all(20));
    assert_eq!(names(directory.path()), ALL_NAMES);
    assert!(fs::symlink_metadata(file(&directory, segment)).unwrap().is_file());
}

fn flip(directory: &TempDir, segment: Segment, byte: u64, bits: u8) {
    let file = fs::File::options().read(true).write(true).open(file(directory, segment)).unwrap();
    let mut found = [0];
    file.read_exact_at(&mut found, byte).unwrap();
    file.write_all_at(&[found[0] ^ bits], byte).unwrap();
}

#[test]
fn any_byte_of_the_fixed_part_of_a_header() {
    for segment in made() {
        for byte in (0..FIXED_BYTES).step_by(5) {
            is_made_anew(segment, |directory| flip(directory, segment, byte, 1 << (byte % 8)), None);
        }
    }
}

#[test]
fn any_byte_behind_it_leaves_all_entries_or_none() {
    for segment in [Segment::Strategy, Segment::Cold] {
        for byte in FIXED_BYTES..256 {
            let directory = published();
            flip(&directory, segment, byte, 0x81);
            let (publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
            let entries = adopted(&started).unwrap_or(0);
            assert!(entries == 0 || entries == 20, "{byte}: {started}");
            assert_eq!(read(directory.path(), 20), all(entries), "{byte}: {started}");
            assert_eq!(publisher.len(), entries);
        }
    }
}

#[test]
fn damaged_records_and_entries_cost_themselves_and_no_other() {
    let directory = published();
    let records = fs::read(file(&directory, Segment::Cold)).unwrap();
    // The first record's address.
    flip(&directory, Segment::Cold, 4_096 + 8, 1);
    assert_ne!(records, fs::read(file(&directory, Segment::Cold)).unwrap());
    let (publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!(adopted(&started), Some(19), "{started}");
    assert!(started.to_string().contains("dropped 1 records and 1 entries"), "{started}");
    assert_eq!(publisher.entries().count(), 19);
    assert_eq!(read(directory.path(), 20).unwrap().len(), 19);
}

#[test]
fn a_file_that_is_too_short_or_too_long() {
    for segment in made() {
        let set_len = |len: fn(u64) -> u64| {
            move |directory: &TempDir| {
                let file = fs::File::options().write(true).open(file(directory, segment)).unwrap();
                file.set_len(len(file.metadata().unwrap().len())).unwrap();
            }
        };
        is_made_anew(segment, set_len(|_| 0), Some(Status::SEGMENT_TOO_SHORT));
        is_made_anew(segment, set_len(|_| 100), Some(Status::SEGMENT_TOO_SHORT));
        is_made_anew(segment, set_len(|len| len - 4_096), None);
        is_made_anew(segment, set_len(|len| len + 4_096), Some(Status::SEGMENT_BAD_LENGTH));
    }
}

#[test]
fn something_else_than_a_file() {
    for segment in made() {
        let other_directory = super::directory();
        let link = |directory: &TempDir| {
            let elsewhere = other_directory.path().join("elsewhere");
            fs::rename(file(directory, segment), &elsewhere).unwrap();
            symlink(&elsewhere, file(directory, segment)).unwrap();
        };
        is_made_anew(segment, link, Some(Status::SEGMENT_NOT_A_FILE));
        let fifo = |directory: &TempDir| {
            fs::remove_file(file(directory, segment)).unwrap();
            let mode = Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(CWD, file(directory, segment), FileType::Fifo, mode, 0).unwrap();
        };
        is_made_anew(segment, fifo, Some(Status::SEGMENT_NOT_A_FILE));
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_left_to_a_person() {
    for segment in made() {
        let directory = published();
        fs::remove_file(file(&directory, segment)).unwrap();
        fs::create_dir(file(&directory, segment)).unwrap();
        let error = Publisher::open(directory.path(), SMALL).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(segment.file_name().to_str().unwrap()) && error.contains("irectory"), "{error}");
        assert_eq!(names(directory.path()), ALL_NAMES, "nothing half-made is left");
    }
}

#[test]
fn a_file_that_others_may_write() {
    for segment in [Segment::Strategy, Segment::Cold, Segment::Control] {
        for mode in [0o666, 0o664, 0o646] {
            let chmod = |directory: &TempDir| {
                fs::set_permissions(file(directory, segment), fs::Permissions::from_mode(mode)).unwrap();
            };
            is_made_anew(segment, chmod, Some(Status::SEGMENT_UNSAFE_MODE));
        }
    }
}

#[test]
fn a_file_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    for segment in made() {
        let chown =
            |directory: &TempDir| std::os::unix::fs::chown(file(directory, segment), Some(12_345), None).unwrap();
        is_made_anew(segment, chown, Some(Status::SEGMENT_WRONG_OWNER));
    }
}

#[test]
fn a_table_from_before_the_machine_was_started() {
    // The high half of the time of the last refresh.
    let directory = published();
    flip(&directory, Segment::Strategy, 11 * 8 + 7, 0x40);
    let (publisher, started) = Publisher::open(directory.path(), SMALL).unwrap();
    assert_eq!(because(&started, Segment::Strategy).unwrap().0, Status::SEGMENT_STALE);
    assert!(publisher.is_empty());
}
