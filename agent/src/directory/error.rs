//! Why a directory or a file of it is not used.

use std::io;
use std::path::{Path, PathBuf};

use mcrpc_core::host::header::Mismatch;
use mcrpc_core::status::Status;
use rustix::io::Errno;

/// Why a directory or a file of it is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is there, and is not what it should be.
    #[error("{path}: {mismatch}", path = path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Which check failed.
        #[source]
        mismatch: Mismatch,
    },
    /// The operating system says no.
    #[error("{path}: {doing}: {source}", path = path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
    /// Two segments that only make sense together are of two different tables.
    #[error("{path} belongs to another table than the one beside it", path = path.display())]
    NotAPair {
        /// The second of them.
        path: PathBuf,
    },
    /// Another process writes it.
    #[error("{path} is locked: {who} {doing}; stop it first", path = path.display(), who = who(*pid))]
    Locked {
        /// The lock.
        path: PathBuf,
        /// What that process does.
        doing: &'static str,
        /// The process, if it has written its number into the lock.
        pid: Option<u32>,
    },
}

fn who(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl Error {
    /// The status that says the same at the C boundary.
    pub fn status(&self) -> Status {
        match self {
            Error::Refused { mismatch, .. } => mismatch.status,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Status::SEGMENT_MISSING,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Status::SEGMENT_DENIED,
            Error::Io { .. } => Status::SEGMENT_IO,
            Error::NotAPair { .. } => Status::SEGMENT_OTHER_LAYOUT,
            Error::Locked { .. } => Status::SEGMENT_NOT_READY,
        }
    }

    /// Whether the file is missing or not to be believed, rather than out of reach for now.
    pub(crate) fn is_of_the_file(&self) -> bool {
        matches!(self, Error::Refused { .. } | Error::NotAPair { .. }) || self.status() == Status::SEGMENT_MISSING
    }
}

pub(crate) fn not_a_file() -> Mismatch {
    Mismatch { status: Status::SEGMENT_NOT_A_FILE, found: 0, expected: 1 }
}

pub(crate) fn plain(status: Status) -> Mismatch {
    Mismatch { status, found: 0, expected: 0 }
}

pub(crate) fn refused(path: &Path, mismatch: Mismatch) -> Error {
    Error::Refused { path: path.to_owned(), mismatch }
}

pub(crate) fn io_error(path: &Path, doing: &'static str) -> impl Fn(Errno) -> Error {
    move |error| io_error_std(path, doing, error.into())
}

pub(crate) fn io_error_std(path: &Path, doing: &'static str, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), doing, source }
}
