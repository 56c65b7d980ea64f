//! The directory of a host's shared segments: `/run/mcrpc` unless told otherwise.
//!
//! A file appears under its name complete, and never becomes shorter: it is made under another name, its blocks are
//! allocated (a full file system is an error here, not a SIGBUS in a reader), filled, and then renamed. A file that is
//! replaced is marked *superseded*; whoever has mapped it keeps the old one until it attaches the new one.

mod error;
mod lock;
mod replacement;

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use mcrpc_core::host::files::{SEATS_LOCK, Segment};
use mcrpc_core::host::header::{self, Mismatch};
use mcrpc_core::host::trust::{self, Facts};
use mcrpc_core::status::Status;
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::path::Arg;

pub use error::Error;
pub(crate) use error::refused;
use error::{io_error, io_error_std, not_a_file};
pub use lock::Lock;
use replacement::supersede;

use crate::mapping::{Mapping, PrivateMapping, WritableMapping};

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
    group_gid: u32,
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
        let stat = rustix::fs::fstat(&fd).map_err(io_error(path, "looking at the directory"))?;
        let facts = facts(&stat, FileType::Directory);
        let own_uid = rustix::process::geteuid().as_raw();
        trust::check_directory(&facts, own_uid, owner_uid).map_err(|mismatch| refused(path, mismatch))?;
        Ok(Directory { path: path.to_owned(), fd, owner_uid: facts.owner_uid, group_gid: stat.st_gid })
    }

    /// Opens the directory, or makes it, for this process's user.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), or it cannot be made.
    pub fn open_or_create(path: &Path) -> Result<Directory, Error> {
        Directory::open_or_create_for(path, None)
    }

    /// As [`open_or_create`](Self::open_or_create); a directory that is made belongs to `owner_uid`, if that is said, which
    /// only root can do.
    ///
    /// # Errors
    ///
    /// As for [`open_or_create`](Self::open_or_create).
    pub fn open_or_create_for(path: &Path, owner_uid: Option<u32>) -> Result<Directory, Error> {
        let own_uid = rustix::process::geteuid().as_raw();
        let owner_uid = owner_uid.unwrap_or(own_uid);
        match rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)) {
            // The mode above is cut by the umask.
            Ok(()) => {
                rustix::fs::chmod(path, Mode::from_raw_mode(0o755)).map_err(io_error(path, "setting its mode"))?;
                if owner_uid != own_uid {
                    rustix::fs::chown(path, Some(Uid::from_raw(owner_uid)), None)
                        .map_err(io_error(path, "giving it to its owner"))?;
                }
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(io_error(path, "making the directory")(error)),
        }
        Directory::open(path, Some(owner_uid))
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
        let file = self.open_checked(segment, segment.file_name(), OFlags::RDONLY)?;
        Mapping::new(&file, segment).map_err(|error| io_error_std(&self.path_of(segment.file_name()), "mapping", error))
    }

    /// Maps a segment to read it, and to write what only this process sees.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    pub fn map_private(&self, segment: Segment) -> Result<PrivateMapping, Error> {
        let file = self.open_checked(segment, segment.file_name(), OFlags::RDONLY)?;
        PrivateMapping::new(&file).map_err(|error| io_error_std(&self.path_of(segment.file_name()), "mapping", error))
    }

    /// Maps a segment to write it.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map).
    pub fn map_writable(&self, segment: Segment) -> Result<WritableMapping, Error> {
        self.map_writable_as(segment, segment.file_name())
    }

    /// As [`map_writable`](Self::map_writable), under another name.
    fn map_writable_as(&self, segment: Segment, name: impl Arg + Copy) -> Result<WritableMapping, Error> {
        let file = self.open_checked(segment, name, OFlags::RDWR)?;
        WritableMapping::new(&file, segment)
            .map_err(|error| io_error_std(&self.path_of(segment.file_name()), "mapping", error))
    }

    /// Lets those write an existing segment whom `shared_mode` names, and nobody else.
    ///
    /// # Errors
    ///
    /// As for [`map`](Self::map), or the mode cannot be set.
    pub(crate) fn share(&self, segment: Segment, shared_mode: SharedMode) -> Result<(), Error> {
        let file = self.open_checked(segment, segment.file_name(), OFlags::RDWR)?;
        let path = self.path_of(segment.file_name());
        self.give_to_directorys_owner(&file).map_err(io_error(&path, "giving it to the directory's owner"))?;
        let mode = Mode::from_raw_mode(replacement::mode_of(segment, shared_mode));
        rustix::fs::fchmod(&file, mode).map_err(io_error(&path, "setting its mode"))
    }

    /// Removes a segment's name, if it is there. Who has mapped it keeps the mapping.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub(crate) fn remove(&self, segment: Segment) -> Result<(), Error> {
        let old = self.map_writable(segment).ok();
        match rustix::fs::unlinkat(&self.fd, segment.file_name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io_error(&self.path_of(segment.file_name()), "removing it")(error)),
        }
        old.iter().for_each(|old| supersede(old, segment));
        Ok(())
    }

    /// Opens the file whose bytes the processes with a seat lock, and says which file it is: device and inode.
    ///
    /// # Errors
    ///
    /// It is missing, or no regular file.
    pub fn open_seats_lock(&self) -> Result<(File, (u64, u64)), Error> {
        let path = self.path_of(SEATS_LOCK);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.fd, SEATS_LOCK, flags, Mode::empty()).map_err(io_error(&path, "opening"))?;
        let stat = rustix::fs::fstat(&fd).map_err(io_error(&path, "looking at the file"))?;
        if !facts(&stat, FileType::RegularFile).is_expected_kind {
            return Err(refused(&path, not_a_file()));
        }
        Ok((File::from(fd), (stat.st_dev, stat.st_ino)))
    }

    fn open_checked(&self, segment: Segment, name: impl Arg, access: OFlags) -> Result<File, Error> {
        let path = self.path_of(segment.file_name());
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|error| match error {
            // Opening a directory, a socket or a device without a driver fails in a way of its own.
            Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV => refused(&path, not_a_file()),
            error => io_error(&path, "opening")(error),
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(io_error(&path, "looking at the file"))?;
        let facts = facts(&stat, FileType::RegularFile);
        trust::check_file(&facts, self.owner_uid, segment.writers()).map_err(|mismatch| refused(&path, mismatch))?;
        if facts.len < header::PAGE as u64 {
            let (found, expected) = (facts.len, header::PAGE as u64);
            return Err(refused(&path, Mismatch { status: Status::SEGMENT_TOO_SHORT, found, expected }));
        }
        Ok(File::from(fd))
    }

    /// A file belongs to the user and the group of its directory, whoever makes it: root's `mcrpc kill` must not lock the
    /// agent out, and the group is the one that shares the files. The maker keeps what it may not give away.
    fn give_to_directorys_owner(&self, file: impl AsFd) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(&file)?;
        let owner = (stat.st_uid != self.owner_uid).then(|| Uid::from_raw(self.owner_uid));
        let group = (stat.st_gid != self.group_gid).then(|| Gid::from_raw(self.group_gid));
        if owner.is_none() && group.is_none() {
            return Ok(());
        }
        match rustix::fs::fchown(&file, owner, group) {
            Err(Errno::PERM) => Ok(()),
            result => result,
        }
    }
}

fn facts(stat: &Stat, wanted: FileType) -> Facts {
    Facts {
        is_expected_kind: FileType::from_raw_mode(stat.st_mode) == wanted,
        owner_uid: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        len: stat.st_size as u64,
    }
}
