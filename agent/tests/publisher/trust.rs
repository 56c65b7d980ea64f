//! Directories that are not to be trusted, and names that are not directories: refused, and nothing is made in them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use mcrpc_agent::publisher::Publisher;
use mcrpc_core::status::Status;

use super::{SMALL, directory, names};

fn refusal(path: &Path) -> (Status, String) {
    let error = Publisher::open(path, SMALL).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    (error.status(), error.to_string())
}

#[test]
fn a_directory_that_others_may_write() {
    for mode in [0o777, 0o1777, 0o775] {
        let directory = directory();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(refusal(directory.path()).0, Status::SEGMENT_UNSAFE_MODE);
        assert!(names(directory.path()).is_empty());
    }
}

#[test]
fn a_directory_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a directory away");
        return;
    }
    let directory = directory();
    std::os::unix::fs::chown(directory.path(), Some(12_345), None).unwrap();
    let (status, text) = refusal(directory.path());
    assert_eq!(status, Status::SEGMENT_WRONG_OWNER);
    assert!(text.contains("12345"), "{text}");
    assert!(names(directory.path()).is_empty());
}

#[test]
fn a_name_that_is_no_directory() {
    let parent = directory();
    let (file, link) = (parent.path().join("file"), parent.path().join("link"));
    fs::write(&file, "").unwrap();
    symlink(parent.path(), &link).unwrap();
    assert_eq!(refusal(&file).0, Status::SEGMENT_NOT_A_FILE);
    assert_eq!(refusal(&link).0, Status::SEGMENT_NOT_A_FILE);
    assert_eq!(refusal(&parent.path().join("no/such/parent")).0, Status::SEGMENT_MISSING);
}

#[test]
fn a_lock_that_is_a_link() {
    for name in ["writer.lock", "seats.lock"] {
        let directory = directory();
        symlink(directory.path().join("elsewhere"), directory.path().join(name)).unwrap();
        let error = Publisher::open(directory.path(), SMALL).map(|_| ()).unwrap_err();
        assert_eq!(error.status(), Status::SEGMENT_NOT_A_FILE);
        assert!(error.to_string().contains(name), "{error}");
        assert!(!directory.path().join("elsewhere").exists());
    }
}
