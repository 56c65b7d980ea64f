//! Locks on files of the directory, which say who holds them.

use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::trust::{self, Writers};
use mcrpc_core::status::Status;
use rustix::fs::{FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::Directory;
use super::error::{Error, io_error, refused};

/// Room for a process number and the end of the line.
const PID_LEN: usize = 16;

const RETRY_AFTER: Duration = Duration::from_millis(20);

/// A lock that is held.
#[derive(Debug)]
pub struct Lock {
    fd: OwnedFd,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing alone: another thread may be starting a process, which has a copy of the file until it runs.
        let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
    }
}

impl Directory {
    /// Takes a lock that lasts until it is dropped, or the process dies however it dies. A process that this one starts
    /// does not have it: the file is closed on `exec`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], with the other process's number, if another process has it; the file is not one that the
    /// directory's owner or root has made for this.
    pub fn lock(&self, name: &CStr, doing: &'static str) -> Result<Lock, Error> {
        let path = self.path_of(name);
        let fd = self.open_lock(name, &path)?;
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {
                sign(&fd);
                Ok(Lock { fd })
            }
            Err(Errno::WOULDBLOCK) => Err(Error::Locked { path, doing, pid: signature(&fd) }),
            Err(error) => Err(io_error(&path, "locking")(error)),
        }
    }

    /// As [`lock`](Self::lock), but waits for another process for at most `patience`.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if it is locked after that.
    pub fn lock_within(&self, name: &CStr, doing: &'static str, patience: Duration) -> Result<Lock, Error> {
        let give_up = Instant::now() + patience;
        loop {
            match self.lock(name, doing) {
                Err(Error::Locked { .. }) if Instant::now() < give_up => sleep(RETRY_AFTER),
                result => return result,
            }
        }
    }

    /// Makes the file in which each process locks the byte of its seat, or lets it be if it is there: whoever has
    /// locked a byte of it goes on holding it.
    ///
    /// # Errors
    ///
    /// The directory cannot be written, or the name is taken by something else than a file.
    pub fn create_seats_lock(&self, shared_mode: super::SharedMode) -> Result<(), Error> {
        let name = mcrpc_core::host::files::SEATS_LOCK;
        let path = self.path_of(name);
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(shared_mode.0);
        let opened = rustix::fs::openat(&self.fd, name, flags, mode);
        let fd = opened.map_err(|error| match error {
            Errno::LOOP | Errno::ISDIR => refused(&path, super::error::not_a_file()),
            error => io_error(&path, "making the file")(error),
        })?;
        self.give_to_directorys_owner(&fd).map_err(io_error(&path, "giving it to the directory's owner"))?;
        rustix::fs::fchmod(&fd, mode).map_err(io_error(&path, "setting its mode"))
    }
}

impl Directory {
    /// A new lock file belongs to the directory's owner. One that is there is written to, so it must be what it seems: a
    /// file of the directory's owner or root that has no other name.
    fn open_lock(&self, name: &CStr, path: &Path) -> Result<OwnedFd, Error> {
        let flags = OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = |flags| rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600));
        match open(flags | OFlags::CREATE | OFlags::EXCL) {
            Ok(fd) => {
                self.give_to_directorys_owner(&fd).map_err(io_error(path, "giving it to the directory's owner"))?;
                return Ok(fd);
            }
            Err(Errno::EXIST) => {}
            Err(error) => return Err(io_error(path, "making the lock")(error)),
        }
        let fd = open(flags).map_err(|error| match error {
            Errno::LOOP | Errno::ISDIR => refused(path, super::error::not_a_file()),
            error => io_error(path, "opening the lock")(error),
        })?;
        let stat = rustix::fs::fstat(&fd).map_err(io_error(path, "looking at the lock"))?;
        trust::check_file(&super::facts(&stat, FileType::RegularFile), self.owner_uid, Writers::Owner)
            .and_then(|()| Mismatch::check(Status::SEGMENT_NOT_A_FILE, stat.st_nlink as u64, 1))
            .map_err(|mismatch| refused(path, mismatch))?;
        Ok(fd)
    }
}

/// Writes this process's number, for people. The lock is held whether that works or not.
fn sign(fd: &OwnedFd) {
    let text = format!("{}\n", std::process::id());
    if rustix::io::pwrite(fd, text.as_bytes(), 0) == Ok(text.len()) {
        let _ = rustix::fs::ftruncate(fd, text.len() as u64);
    }
}

/// The number that the holder has written.
fn signature(fd: &OwnedFd) -> Option<u32> {
    let mut text = [0; PID_LEN];
    let len = rustix::io::pread(fd, &mut text, 0).ok()?;
    std::str::from_utf8(text.get(..len)?).ok()?.trim().parse().ok()
}
