//! Is a process still there? The kernel releases the byte of its seat when it dies, its number may be given to another
//! process, and its heartbeat stands still when it hangs: the three together say which.

use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mcrpc_core::host::files::SEATS_LOCK;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::io::Errno;
use rustix::process::Pid;
use serde::Serialize;

use super::text::printable;

/// A process whose heartbeat is older hangs, or nothing in it does the housekeeping.
pub(crate) const HUNG_AFTER_MS: u64 = 3_000;

/// What is known of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Life {
    /// It is there, and its heartbeat moves.
    Alive,
    /// It is there, and its heartbeat stands still.
    Hung,
    /// It is gone. Its seat is taken over by the next process that needs one.
    Dead,
}

impl Life {
    /// `locked` is `None` where locks cannot be seen.
    pub(crate) const fn of(locked: Option<bool>, pid_exists: bool, beat_age_ms: u64) -> Life {
        let beats = beat_age_ms <= HUNG_AFTER_MS;
        let there = match locked {
            Some(true) => true,
            // A number alone may be another process's by now, unless the seat's heartbeat still moves.
            Some(false) => pid_exists && beats,
            None => pid_exists,
        };
        match (there, beats) {
            (false, _) => Life::Dead,
            (true, true) => Life::Alive,
            (true, false) => Life::Hung,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Life::Alive => "alive",
            Life::Hung => "hung",
            Life::Dead => "dead",
        }
    }
}

/// Whether there is a process with this number, in this namespace, that has not ended.
pub(crate) fn pid_exists(pid: u64) -> bool {
    let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
        return false;
    };
    !matches!(rustix::process::test_kill_process(pid), Err(Errno::SRCH)) && !has_ended(pid)
}

/// Whether it only waits for its parent to take note of its end. The state stands behind the name, which is in brackets.
fn has_ended(pid: Pid) -> bool {
    let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.iter().rposition(|byte| *byte == b')').and_then(|bracket| stat.get(bracket + 2));
    matches!(state, Some(b'Z' | b'X'))
}

/// What the kernel calls a process that has given itself no name.
pub(crate) fn kernel_name(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(printable(name.trim_ascii_end()))
}

/// The file in which each process locks the byte of its seat. It is only looked at.
pub(crate) struct SeatLocks(Option<File>);

impl SeatLocks {
    /// Of a directory; without the file, or the right to read it, nothing is known.
    pub(crate) fn open(dir: &Path) -> SeatLocks {
        let path = dir.join(std::ffi::OsStr::from_bytes(SEATS_LOCK.to_bytes()));
        SeatLocks(OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path).ok())
    }

    /// Whether somebody has locked the seat.
    pub(crate) fn is_locked(&self, seat: u32) -> Option<bool> {
        let mut lock = libc::flock {
            l_type: libc::F_WRLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: seat.into(),
            l_len: 1,
            l_pid: 0,
        };
        // This question sees locks of processes and those of open files, and takes none.
        fcntl(self.0.as_ref()?, FcntlArg::F_OFD_GETLK(&mut lock)).ok()?;
        Some(i32::from(lock.l_type) != libc::F_UNLCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_says_more_than_a_number_and_a_heartbeat_tells_hung_from_alive() {
        assert_eq!(Life::of(Some(true), true, 10), Life::Alive);
        assert_eq!(Life::of(Some(true), false, 10), Life::Alive, "a process of another namespace");
        assert_eq!(Life::of(Some(true), true, 3_001), Life::Hung);
        assert_eq!(Life::of(Some(false), true, 60_000), Life::Dead, "the number is another process's");
        assert_eq!(Life::of(Some(false), true, 10), Life::Alive);
        assert_eq!(Life::of(None, false, 10), Life::Dead);
        assert_eq!(Life::of(None, true, 60_000), Life::Hung);
    }

    #[test]
    fn locks_are_seen_without_taking_them() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(SeatLocks::open(dir.path()).is_locked(1), None);
        let file = File::create(dir.path().join("seats.lock")).unwrap();
        let mut lock = libc::flock { l_type: libc::F_WRLCK as _, l_whence: 0, l_start: 2, l_len: 1, l_pid: 0 };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock.clone())).unwrap();
        let locks = SeatLocks::open(dir.path());
        assert_eq!([1, 2, 3].map(|seat| locks.is_locked(seat)), [Some(false), Some(true), Some(false)]);
        lock.l_type = libc::F_UNLCK as _;
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        assert_eq!(locks.is_locked(2), Some(false));
    }

    #[test]
    fn numbers_that_are_no_process_do_not_exist() {
        assert!(pid_exists(std::process::id().into()));
        assert!(kernel_name(std::process::id()).is_some_and(|name| !name.is_empty()));
        let mut ended = std::process::Command::new("true").stdout(std::process::Stdio::piped()).spawn().unwrap();
        // Its end of the pipe is closed when it ends.
        std::io::copy(ended.stdout.as_mut().unwrap(), &mut std::io::sink()).unwrap();
        let soon = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while pid_exists(ended.id().into()) && std::time::Instant::now() < soon {
            std::thread::yield_now();
        }
        assert!(!pid_exists(ended.id().into()), "nobody has waited for it yet");
        ended.wait().unwrap();
        assert!(!pid_exists(0) && !pid_exists(u64::MAX) && !pid_exists(i32::MAX as u64));
    }
}
