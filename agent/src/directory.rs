//! The directory of a host's shared segments: `/run/mcrpc` unless told otherwise.
//!
//! A file appears under its name complete, and never becomes shorter: it is made under another name, its blocks are
//! allocated (a full file system is an error here, not a SIGBUS in a reader), filled, and then renamed. A file that is
//! replaced is marked *superseded*; whoever has mapped it keeps the old one until it attaches the new one.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch, State};
use mcrpc_core::host::region::Shared;
use mcrpc_core::host::trust::{self, Facts};
use mcrpc_core::status::Status;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::mapping::{Mapping, WritableMapping};

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
    /// Another process writes it.
    #[error("{path} is locked: another process {doing}; stop it first", path = path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// What that process does.
        doing: &'static str,
    },
}

impl Error {
    /// The status that says the same at the C boundary.
    pub fn status(&self) -> Status {
        match self {
            Error::Refused { mismatch, .. } => mismatch.status,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => Status::SEGMENT_MISSING,
            Error::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Status::SEGMENT_DENIED,
            Error::Io { .. } => Status::SEGMENT_IO,
            Error::Locked { .. } => Status::SEGMENT_NOT_READY,
        }
    }
}

/// Who may write the segments that all processes write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMode(u32);

impl SharedMode {
    /// The directory's group: the default.
    pub const GROUP: SharedMode = SharedMode(0o660);
    /// Everybody on the host.
    pub const WORLD: SharedMode = SharedMode(0o666);
}

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    fd: OwnedFd,
    owner_uid: u32,
}

impl Directory {
    /// Opens a directory that belongs to root, to this process's user or, if that is said, to `owner_uid`.
    ///
    /// # Errors
    ///
    /// It is missing, belongs to somebody else, or others may write it.
    pub fn open(path: &Path, owner_uid: Option<u32>) -> Result<Directory, Error> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR | Errno::LOOP => refused(path, not_a_file()),
            error => io_error(path, "opening the directory")(error),
        })?;
        let facts = facts(&fd, FileType::Directory).map_err(io_error(path, "looking at the directory"))?;
        let own_uid = rustix::process::geteuid().as_raw();
        trust::check_directory(&facts, own_uid, owner_uid).map_err(|mismatch| refused(path, mismatch))?;
        Ok(Directory { path: path.to_owned(), fd, owner_uid: facts.owner_uid })
    }

    /// Opens the directory, or makes it, for this process's user.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), or it cannot be made.
    pub fn open_or_create(path: &Path) -> Result<Directory, Error> {
        match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            // The mode above is cut by the umask.
            Ok(()) => {
                rustix::fs::chmod(path, Mode::from_raw_mode(0o755)).map_err(io_error(path, "setting its mode"))?
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(io_error(path, "making the directory")(error)),
        }
        Directory::open(path, Some(rustix::process::geteuid().as_raw()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it, for messages.
    pub fn path_of(&self, name: &CStr) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(name.to_bytes()))
    }

    /// Maps a segment to read it. Its header is not checked yet: the core does that.
    ///
    /// # Errors
    ///
    /// It is missing, no regular file, or others may write it than should.
    pub fn map(&self, segment: Segment) -> Result<Mapping, Error> {
        let file = self.open_checked(segment, OFlags::RDONLY)?;
        Mapping::new(&file).map_err(|error| self.failed(segment, "mapping", error))
    }

    /// Maps a segment to write it.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    pub fn map_writable(&self, segment: Segment) -> Result<WritableMapping, Error> {
        let file = self.open_checked(segment, OFlags::RDWR)?;
        WritableMapping::new(&file).map_err(|error| self.failed(segment, "mapping", error))
    }

    fn open_checked(&self, segment: Segment, access: OFlags) -> Result<File, Error> {
        let path = self.path_of(segment.file_name());
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd =
            rustix::fs::openat(&self.fd, segment.file_name(), flags, Mode::empty()).map_err(|error| match error {
                Errno::LOOP => refused(&path, not_a_file()),
                error => io_error(&path, "opening")(error),
            })?;
        let facts = facts(&fd, FileType::RegularFile).map_err(io_error(&path, "looking at the file"))?;
        trust::check_file(&facts, self.owner_uid, segment.writers()).map_err(|mismatch| refused(&path, mismatch))?;
        if facts.len < header::PAGE as u64 {
            let (found, expected) = (facts.len, header::PAGE as u64);
            return Err(refused(&path, Mismatch { status: Status::SEGMENT_TOO_SHORT, found, expected }));
        }
        Ok(File::from(fd))
    }

    /// Makes a segment of `len` bytes and puts it in place: `fill` is given zeroed memory and leaves a segment that is
    /// ready. The segment that had the name is marked superseded afterwards.
    ///
    /// # Errors
    ///
    /// There is no room, the directory cannot be written, or `fill` fails.
    pub fn replace(
        &self,
        segment: Segment,
        len: usize,
        shared_mode: SharedMode,
        fill: impl FnOnce(Shared<'_>) -> Result<(), Status>,
    ) -> Result<WritableMapping, Error> {
        let mapping = self.prepare(segment, len)?;
        fill(mapping.shared()).map_err(|status| refused(&self.path_of(segment.file_name()), plain(status)))?;
        self.publish(segment, shared_mode)?;
        Ok(mapping)
    }

    /// The first half of [`replace`](Self::replace): a zeroed file under a temporary name.
    pub(crate) fn prepare(&self, segment: Segment, len: usize) -> Result<WritableMapping, Error> {
        let name = temporary_name(segment);
        let path = self.path.join(&name);
        match rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io_error(&path, "removing what a dead process left")(error)),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.fd, &name, flags, Mode::from_raw_mode(0o600));
        let file = File::from(made.map_err(io_error(&path, "making the file"))?);
        // Every block now, so that nobody gets SIGBUS later. Unlike the system call, this works on any file system.
        let allocated = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len as u64);
        let mapped = allocated
            .map_err(io_error(&path, "allocating its blocks"))
            .and_then(|()| WritableMapping::new(&file).map_err(|source| io_error_std(&path, "mapping", source)));
        if mapped.is_err() {
            // Without it the next attempt would find the file system just as full.
            let _ = rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty());
        }
        mapped
    }

    /// The second half: gives the prepared file its name, and tells those who have mapped the old one.
    pub(crate) fn publish(&self, segment: Segment, shared_mode: SharedMode) -> Result<(), Error> {
        let name = temporary_name(segment);
        let path = self.path.join(&name);
        let old = self.map_writable(segment).ok();
        let mode = match segment {
            Segment::Strategy | Segment::Control => 0o644,
            Segment::Cold => 0o640,
            Segment::Fail | Segment::Stat | Segment::Trace => shared_mode.0,
        };
        rustix::fs::chmodat(&self.fd, &name, Mode::from_raw_mode(mode), AtFlags::empty())
            .map_err(io_error(&path, "setting its mode"))?;
        rustix::fs::renameat(&self.fd, &name, &self.fd, segment.file_name())
            .map_err(io_error(&path, "giving it its name"))?;
        if let Some(old) = old
            && header::read(old.shared().view(), old.len(), &segment.format()).is_ok()
        {
            header::set_state(old.shared(), State::Superseded);
        }
        Ok(())
    }

    /// Takes a lock that lasts until it is dropped, or the process dies however it dies. Not inherited by `fork` and
    /// `exec`, since the file is closed on `exec` and nobody else holds its description.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process has it and `wait` is false.
    pub fn lock(&self, name: &CStr, doing: &'static str, wait: bool) -> Result<Lock, Error> {
        let path = self.path_of(name);
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600))
            .map_err(io_error(&path, "opening the lock"))?;
        let operation = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
        match rustix::fs::flock(&fd, operation) {
            Ok(()) => Ok(Lock { _fd: fd }),
            Err(Errno::WOULDBLOCK) => Err(Error::Locked { path, doing }),
            Err(error) => Err(io_error(&path, "locking")(error)),
        }
    }

    /// Makes the file in which each process locks the byte of its seat.
    ///
    /// # Errors
    ///
    /// The directory cannot be written.
    pub fn create_seats_lock(&self, shared_mode: SharedMode) -> Result<(), Error> {
        let name = mcrpc_core::host::files::SEATS_LOCK;
        let path = self.path_of(name);
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(shared_mode.0);
        let fd = rustix::fs::openat(&self.fd, name, flags, mode).map_err(io_error(&path, "making the file"))?;
        rustix::fs::fchmod(&fd, mode).map_err(io_error(&path, "setting its mode"))
    }

    fn failed(&self, segment: Segment, doing: &'static str, source: io::Error) -> Error {
        io_error_std(&self.path_of(segment.file_name()), doing, source)
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    _fd: OwnedFd,
}

fn temporary_name(segment: Segment) -> String {
    format!(".{}.new", segment.file_name().to_str().expect("the names are ASCII"))
}

fn facts(fd: impl AsFd, wanted: FileType) -> Result<Facts, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(Facts {
        is_expected_kind: FileType::from_raw_mode(stat.st_mode) == wanted,
        owner_uid: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        len: stat.st_size as u64,
    })
}

fn not_a_file() -> Mismatch {
    Mismatch { status: Status::SEGMENT_NOT_A_FILE, found: 0, expected: 1 }
}

fn plain(status: Status) -> Mismatch {
    Mismatch { status, found: 0, expected: 0 }
}

fn refused(path: &Path, mismatch: Mismatch) -> Error {
    Error::Refused { path: path.to_owned(), mismatch }
}

fn io_error(path: &Path, doing: &'static str) -> impl Fn(Errno) -> Error {
    move |error| io_error_std(path, doing, error.into())
}

fn io_error_std(path: &Path, doing: &'static str, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), doing, source }
}
