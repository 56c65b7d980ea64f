//! Files of hours that are over.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use mcrpc_logs::archive::{list, path_of, tidy};

/// 2026-11-23T10.
const HOUR: u64 = 498_730;

fn gunzip(path: &Path) -> String {
    let mut text = String::new();
    MultiGzDecoder::new(File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

fn gzip(path: &Path, text: &str) {
    let mut encoder = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_has_the_name_of_its_hour() {
    assert_eq!(path_of(Path::new("/logs"), HOUR).to_str(), Some("/logs/mcrpc-2026-11-23T10.log"));
    assert_eq!(path_of(Path::new("/logs"), 0).to_str(), Some("/logs/mcrpc-1970-01-01T00.log"));
}

/// A machine that starts with the wrong year has it right an hour later.
#[test]
fn a_clock_that_jumps_ahead_removes_nothing_and_what_it_wrote_there_is_put_away() {
    const YEAR: u64 = 366 * 24;
    let root = tempfile::tempdir().unwrap();
    let path = |hour| path_of(root.path(), hour);
    for hour in [HOUR - 100, HOUR - 1, HOUR, HOUR + YEAR] {
        fs::write(path(hour), format!("of {hour}\n")).unwrap();
    }
    tidy(root.path(), HOUR + YEAR, 7).unwrap();
    assert_eq!(list(root.path()).unwrap().len(), 4);
    let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs((HOUR - 2) * 3_600);
    File::options().write(true).open(path(HOUR + YEAR)).unwrap().set_modified(written).unwrap();
    tidy(root.path(), HOUR + 1, 7).unwrap();
    assert!(list(root.path()).unwrap().iter().all(|file| file.is_compressed), "{:?}", names(root.path()));
}

#[test]
fn hours_that_are_over_are_compressed_and_old_ones_removed() {
    let root = tempfile::tempdir().unwrap();
    let path = |hour| path_of(root.path(), hour);
    for hour in [HOUR - 49, HOUR - 48, HOUR - 1, HOUR, HOUR + 1] {
        fs::write(path(hour), format!("of {hour}\n")).unwrap();
        fs::set_permissions(path(hour), fs::Permissions::from_mode(0o640)).unwrap();
    }
    fs::write(root.path().join("mcrpc-notes.log"), "somebody's").unwrap();
    fs::write(root.path().join("other-2020-01-01T00.log"), "somebody's").unwrap();
    tidy(root.path(), HOUR, 2).unwrap();
    let expected = [
        "mcrpc-2026-11-21T10.log.gz",
        "mcrpc-2026-11-23T09.log.gz",
        "mcrpc-2026-11-23T10.log",
        "mcrpc-2026-11-23T11.log",
        "mcrpc-notes.log",
        "other-2020-01-01T00.log",
    ];
    assert_eq!(names(root.path()), expected);
    assert_eq!(gunzip(&path(HOUR - 1).with_extension("log.gz")), format!("of {}\n", HOUR - 1));
    let mode = fs::metadata(path(HOUR - 1).with_extension("log.gz")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    let listed: Vec<_> = list(root.path()).unwrap().iter().map(|file| (file.hour, file.is_compressed)).collect();
    assert_eq!(listed, [(HOUR - 48, true), (HOUR - 1, true), (HOUR, false), (HOUR + 1, false)]);
    tidy(root.path(), HOUR, 2).unwrap();
    assert_eq!(names(root.path()), expected, "there is nothing left to do");
}

/// A kill between any two steps, and the next one goes on from there: every line once.
#[test]
fn what_was_half_done_is_finished() {
    let cases: [&[(&str, &str)]; 4] = [
        // Killed while it was compressed.
        &[("log", "all"), ("log.gz.part", "")],
        // Killed before the compressed file got its name.
        &[("log.done", "all"), ("log.gz.part", "all")],
        // Killed before the plain file was removed.
        &[("log.done", "all"), ("log.gz", "all")],
        // Killed before anything.
        &[("log", "all")],
    ];
    for case in cases {
        let root = tempfile::tempdir().unwrap();
        let path = path_of(root.path(), HOUR - 1);
        for (extension, text) in case {
            match *extension {
                "log.gz.part" | "log.gz" => gzip(&path.with_extension(extension), text),
                _ => fs::write(path.with_extension(extension), text).unwrap(),
            }
        }
        tidy(root.path(), HOUR, 2).unwrap();
        assert_eq!(names(root.path()), ["mcrpc-2026-11-23T09.log.gz"], "{case:?}");
        assert_eq!(gunzip(&path.with_extension("log.gz")), "all", "{case:?}");
    }
}

/// A clock that went back opens the file of an hour that has an archive already.
#[test]
fn an_hour_that_comes_twice_keeps_both() {
    let root = tempfile::tempdir().unwrap();
    let path = path_of(root.path(), HOUR - 1);
    gzip(&path.with_extension("log.gz"), "first\n");
    fs::write(&path, "second\n").unwrap();
    tidy(root.path(), HOUR, 2).unwrap();
    assert_eq!(gunzip(&path.with_extension("log.gz")), "first\nsecond\n");
    assert_eq!(names(root.path()), ["mcrpc-2026-11-23T09.log.gz"]);
}

#[test]
fn a_directory_that_is_not_there_is_an_error_with_its_name() {
    let error = tidy(Path::new("/nowhere/at/all"), HOUR, 2).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/at/all: "), "{error}");
}

/// What stands where an archive is made is not followed, and what only looks like a half-done archive is somebody's.
#[test]
fn files_of_others_are_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let others = root.path().join("other.log.done");
    fs::write(&others, "somebody's").unwrap();
    fs::write(path_of(root.path(), HOUR - 1), "a line\n").unwrap();
    symlink(&others, path_of(root.path(), HOUR - 1).with_extension("log.gz.part")).unwrap();
    tidy(root.path(), HOUR, 2).unwrap();
    assert_eq!(fs::read_to_string(&others).unwrap(), "somebody's");
    assert_eq!(names(root.path()), ["mcrpc-2026-11-23T09.log.gz", "other.log.done"]);
    assert_eq!(gunzip(&path_of(root.path(), HOUR - 1).with_extension("log.gz")), "a line\n");
}
