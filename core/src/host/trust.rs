//! Whether a file may be attached: decided here once, from what `fstat` says, for every side that maps one.
//!
//! The directory is named by the program's own configuration. It must belong to root, to the program's own user or to
//! the user that the configuration names, and nobody else may write it: then no other user can have put the files there.
//! A file must belong to the directory's owner or root. It may be writable by the directory's group if it is one that all
//! processes write; never by the world, unless its owner chose so for exactly those files.

use super::header::Mismatch;
use crate::status::Status;

const GROUP_WRITE: u32 = 0o020;
const WORLD_WRITE: u32 = 0o002;

/// What `fstat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is of the wanted kind: a directory, or a regular file.
    pub is_expected_kind: bool,
    /// The user it belongs to.
    pub owner_uid: u32,
    /// The permission bits.
    pub mode: u32,
    /// Bytes.
    pub len: u64,
}

/// Who writes a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// Its owner alone.
    Owner,
    /// Every process that the file's mode lets.
    Everybody,
}

/// The directory may be used by a program that runs as `own_uid` and, if that is some, expects `wanted_owner`.
///
/// # Errors
///
/// [`Status::SEGMENT_NOT_A_FILE`], [`Status::SEGMENT_WRONG_OWNER`] or [`Status::SEGMENT_UNSAFE_MODE`].
pub fn check_directory(facts: &Facts, own_uid: u32, wanted_owner: Option<u32>) -> Result<(), Mismatch> {
    check_kind(facts)?;
    if let Some(wanted) = wanted_owner {
        Mismatch::check(Status::SEGMENT_WRONG_OWNER, facts.owner_uid.into(), wanted.into())?;
    } else if facts.owner_uid != 0 {
        Mismatch::check(Status::SEGMENT_WRONG_OWNER, facts.owner_uid.into(), own_uid.into())?;
    }
    check_mode(facts, GROUP_WRITE | WORLD_WRITE)
}

/// The file may be attached: its directory belongs to `directory_uid`.
///
/// # Errors
///
/// As for [`check_directory`].
pub fn check_file(facts: &Facts, directory_uid: u32, writers: Writers) -> Result<(), Mismatch> {
    check_kind(facts)?;
    if facts.owner_uid != 0 {
        Mismatch::check(Status::SEGMENT_WRONG_OWNER, facts.owner_uid.into(), directory_uid.into())?;
    }
    match writers {
        Writers::Owner => check_mode(facts, GROUP_WRITE | WORLD_WRITE),
        Writers::Everybody => Ok(()),
    }
}

fn check_kind(facts: &Facts) -> Result<(), Mismatch> {
    Mismatch::check(Status::SEGMENT_NOT_A_FILE, facts.is_expected_kind.into(), 1)
}

fn check_mode(facts: &Facts, forbidden: u32) -> Result<(), Mismatch> {
    let allowed = facts.mode & !forbidden;
    Mismatch::check(Status::SEGMENT_UNSAFE_MODE, facts.mode.into(), allowed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Facts = Facts { is_expected_kind: true, owner_uid: 7, mode: 0o755, len: 4096 };

    #[test]
    fn a_directory_belongs_to_root_to_oneself_or_to_whom_one_named() {
        let status = |facts: Facts, wanted| check_directory(&facts, 1000, wanted).err().map(|error| error.status);
        assert_eq!(status(GOOD, None), Some(Status::SEGMENT_WRONG_OWNER));
        assert_eq!(status(GOOD, Some(7)), None);
        assert_eq!(status(GOOD, Some(8)), Some(Status::SEGMENT_WRONG_OWNER));
        assert_eq!(status(Facts { owner_uid: 1000, ..GOOD }, None), None);
        assert_eq!(status(Facts { owner_uid: 0, ..GOOD }, None), None);
        assert_eq!(status(Facts { owner_uid: 0, mode: 0o775, ..GOOD }, None), Some(Status::SEGMENT_UNSAFE_MODE));
        assert_eq!(status(Facts { is_expected_kind: false, ..GOOD }, Some(7)), Some(Status::SEGMENT_NOT_A_FILE));
    }

    #[test]
    fn a_file_belongs_to_the_directorys_owner() {
        let status = |facts: Facts, writers| check_file(&facts, 7, writers).err().map(|error| error.status);
        assert_eq!(status(Facts { mode: 0o644, ..GOOD }, Writers::Owner), None);
        assert_eq!(status(Facts { owner_uid: 9, ..GOOD }, Writers::Owner), Some(Status::SEGMENT_WRONG_OWNER));
        assert_eq!(status(Facts { mode: 0o664, ..GOOD }, Writers::Owner), Some(Status::SEGMENT_UNSAFE_MODE));
        assert_eq!(status(Facts { mode: 0o660, ..GOOD }, Writers::Everybody), None);
    }
}
