//! Locks on files of the directory, which say who holds them.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::Directory;
use super::error::{Error, io_error, refused};

/// Room for a process number and the end of the line.
const PID_LEN: usize = 16;

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
    /// [`Error::Locked`], with the other process's number, if another process has it and `wait` is false.
    pub fn lock(&self, name: &CStr, doing: &'static str, wait: bool) -> Result<Lock, Error> {
        let path = self.path_of(name);
        let flags = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.fd, name, flags, Mode::from_raw_mode(0o600));
        let fd = opened.map_err(|error| match error {
            Errno::LOOP => refused(&path, super::error::not_a_file()),
            error => io_error(&path, "opening the lock")(error),
        })?;
        self.give_to_directorys_owner(&fd).map_err(io_error(&path, "giving it to the directory's owner"))?;
        let operation = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
        match rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, operation)) {
            Ok(()) => {
                sign(&fd);
                Ok(Lock { fd })
            }
            Err(Errno::WOULDBLOCK) => Err(Error::Locked { path, doing, pid: signature(&fd) }),
            Err(error) => Err(io_error(&path, "locking")(error)),
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
