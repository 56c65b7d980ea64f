//! The place of this process among those of its host: tools show its name, its number and when it last did its housekeeping, also
//! when it hangs, and the agent says there how busy its CPUs are (`docs/shared-memory.md`, *Seats*).
//!
//! The seat belongs to whoever has locked its byte of a file. The kernel drops the lock however the process ends, so nobody has to
//! clean up. Without a free seat a process is not shown, and nothing else changes.

use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_core::host::calls::{CallCounters, Calls};
use mcrpc_core::host::files::{SEATS_LOCK, Segment};
use mcrpc_core::host::seat::{COMMON, NAME_LEN, QueueReport, Seats};
use mcrpc_core::host::stat::Stat;
use mcrpc_core::time::Nanos;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// A file: device and inode.
pub(crate) type Identity = (u64, u64);

/// The seat of this process, if it has one.
#[derive(Default)]
pub(crate) struct Seat(Option<Taken>);

struct Taken {
    stat: WritableMapping,
    number: u32,
    /// Of the counters, and of the file with the locks: others may take their place.
    files: [Option<Identity>; 2],
    /// A child that was forked has a seat of its own.
    pid: u32,
    /// Holds the lock.
    _lock: File,
}

impl Seat {
    /// Takes a seat unless it has one, and says that the process lives.
    pub(crate) fn look(&mut self, directory: &Directory, now: Nanos) {
        let files = [Segment::Stat.file_name(), SEATS_LOCK].map(|name| identity_of(&directory.path_of(name)));
        let is_taken = |taken: &Taken| taken.files == files && taken.pid == std::process::id();
        if !self.0.as_ref().is_some_and(is_taken) {
            // The old one first: its lock ends with it.
            self.0 = None;
            self.0 = Taken::take(directory, files[0], now);
        }
        if let Some(taken) = &self.0 {
            taken.with_seats(|seats| seats.beat(taken.number, 0, now));
        }
    }

    /// Its number; [`COMMON`] without a seat.
    pub(crate) fn number(&self) -> u32 {
        self.0.as_ref().map_or(COMMON, |taken| taken.number)
    }

    /// Says what the process's admission does. Nobody is told without a seat.
    pub(crate) fn report(&self, report: &QueueReport) {
        if let Some(taken) = &self.0 {
            taken.with_seats(|seats| seats.report(taken.number, report));
        }
    }

    /// Counts what calls to a service met. `false` without a seat.
    pub(crate) fn count_calls(&self, service_id: u32, calls: &Calls) -> bool {
        let Some(taken) = &self.0 else { return false };
        let stat = Stat::attach(taken.stat.shared(), taken.stat.len());
        stat.is_ok_and(|stat| {
            CallCounters::open(&stat, service_id).add(&stat, taken.number, calls);
            true
        })
    }
}

impl Taken {
    fn take(directory: &Directory, stat_file: Option<Identity>, now: Nanos) -> Option<Taken> {
        let stat = directory.map_writable(Segment::Stat).ok()?;
        let (lock, lock_file) = directory.open_seats_lock().ok()?;
        let pid = std::process::id();
        let seats = Stat::attach(stat.shared(), stat.len()).ok()?.seats();
        let number = seats.claim(pid, now, &mut |seat, _| lock_byte(&lock, seat))?;
        seats.set_name(number, &own_name());
        seats.set_pid_namespace(number, identity_of(Path::new("/proc/self/ns/pid")).map_or(0, |(_, inode)| inode));
        Some(Taken { number, files: [stat_file, Some(lock_file)], pid, _lock: lock, stat })
    }

    fn with_seats(&self, work: impl FnOnce(&Seats<'_>)) {
        if let Ok(stat) = Stat::attach(self.stat.shared(), self.stat.len()) {
            work(&stat.seats());
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A child's end is not its parent's.
        if self.pid == std::process::id() {
            self.with_seats(|seats| seats.release(self.number));
        }
    }
}

/// Which file has this name, if any.
pub(crate) fn identity_of(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()))
}

/// Locks one byte for as long as the file is open. `false` if somebody else has it.
fn lock_byte(file: &File, offset: u32) -> bool {
    let range = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset.into(),
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&range)).is_ok()
}

/// What the process is called: its program's file.
pub(crate) fn own_name() -> [u8; NAME_LEN] {
    let program = std::env::current_exe().unwrap_or_default();
    let bytes = program.file_name().map(|name| name.as_bytes()).unwrap_or_default();
    let mut name = [0; NAME_LEN];
    name.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
    name
}
