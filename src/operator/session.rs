//! The control segment, open for one change: mapped, locked, and made if there is none.
//!
//! The lock is a file's, so the kernel releases it however its holder dies. It is waited for only shortly: a kill
//! switch that hangs is none.

use std::cell::Cell;
use std::io::ErrorKind;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use mcrpc_agent::directory::{Directory, Error, Lock, SharedMode};
use mcrpc_agent::mapping::WritableMapping;
use mcrpc_core::host::control::{self, Author, Operator};
use mcrpc_core::host::files::{CONTROL_LOCK, Segment};
use mcrpc_core::id::Salt;
use mcrpc_core::status::Status;

use super::print_nothing_said;
use crate::host::control::Orders;
use crate::host::liveness::{Life, SeatLocks};
use crate::host::output::print;
use crate::host::place::{Moment, Place, advised};
use crate::host::stat;
use crate::host::text::count;

/// How long another command or the agent may hold the lock.
const PATIENCE: Duration = Duration::from_secs(3);

/// What to do about a control segment that is not usable.
const DAMAGED: &str = "Restart the agent, which makes it anew, or remove the file and say it again. Programs that have \
                       mapped the old file go on with what was said there until they attach the new one";

/// The segment, for one command.
pub(super) struct Session {
    directory: Directory,
    mapping: WritableMapping,
    now: Moment,
    is_new: bool,
    lock: Cell<Option<Lock>>,
}

impl Session {
    /// Opens the segment, and makes directory and segment if they are missing.
    pub(super) fn open(place: &Place) -> Result<Session> {
        let directory = match place.open() {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                let made = Directory::open_or_create_for(&place.dir, place.owner).map_err(|error| advised(&error))?;
                print(format_args!("Made the directory {}: there was none.", place.dir.display()))?;
                made
            }
            opened => opened.map_err(|error| advised(&error))?,
        };
        let lock = lock(&directory)?;
        let (mapping, is_new) = match directory.map_writable(Segment::Control) {
            Err(error) if error.status() == Status::SEGMENT_MISSING => (make(&directory)?, true),
            Err(error @ Error::Refused { .. }) => return Err(anyhow!("{error} {DAMAGED}.")),
            mapped => (mapped.map_err(|error| advised(&error))?, false),
        };
        let session = Session { directory, mapping, now: Moment::now(), is_new, lock: Cell::new(Some(lock)) };
        session.attach()?;
        Ok(session)
    }

    /// As [`open`](Self::open), but where nothing was ever said, nothing is made: `None`.
    pub(super) fn open_existing(place: &Place) -> Result<Option<Session>> {
        if look(place)?.is_none() {
            print_nothing_said(place)?;
            return Ok(None);
        }
        Session::open(place).map(Some)
    }

    fn attach(&self) -> Result<Operator<'_>> {
        let path = self.directory.path_of(Segment::Control.file_name());
        let attached = Operator::attach(self.mapping.shared(), self.mapping.len());
        attached.map_err(|mismatch| anyhow!("{}: {mismatch} {DAMAGED}.", path.display()))
    }

    /// What changes the segment.
    pub(super) fn operator(&self) -> Operator<'_> {
        self.attach().expect("it was attached when the session was opened, and only this process writes its header")
    }

    pub(super) const fn now(&self) -> &Moment {
        &self.now
    }

    /// Who says it: the user who called `sudo`, if root was reached by it.
    pub(super) fn author(&self) -> Author {
        let uid = rustix::process::getuid().as_raw();
        let before_sudo = std::env::var("SUDO_UID").ok().and_then(|text| text.parse().ok()).filter(|_| uid == 0);
        Author { uid: before_sudo.unwrap_or(uid), at_s: self.now.unix_s }
    }

    /// Prints a change, and whom it reaches when. The change is over: a terminal that does not take the words must not keep
    /// others from changing something.
    pub(super) fn say(&self, change: &str) -> Result<()> {
        drop(self.lock.take());
        print(change)?;
        let whose =
            if self.is_new { "the next call of each program that has attached it" } else { "each program's next call" };
        print(format_args!("In force with {whose}; {}.", self.reach()))
    }

    /// As [`say`](Self::say), for what the kill switch overrules.
    pub(super) fn say_unless_killed(&self, change: &str) -> Result<()> {
        self.say(change)?;
        if self.operator().control().is_killed() {
            print("The kill switch is ON, so every mechanism is off all the same: `mcrpc kill off` ends that.")?;
        }
        Ok(())
    }

    fn reach(&self) -> String {
        let mapping = match self.directory.map(Segment::Stat) {
            Ok(mapping) => mapping,
            Err(error) if error.status() == Status::SEGMENT_MISSING => return "no process has a seat here".to_owned(),
            Err(error) => return format!("how many programs there are is not known ({error})"),
        };
        let locks = SeatLocks::open(self.directory.path());
        match stat::read(mapping.view(), mapping.len(), &locks, &self.now) {
            Ok(stat) => {
                let there = stat.count(Life::Alive) + stat.count(Life::Hung);
                let hung = match stat.count(Life::Hung) {
                    0 => String::new(),
                    hung => format!(", {hung} of them hung"),
                };
                format!("{} here{hung}", count(there, "process has a seat", "processes have seats"))
            }
            Err(mismatch) => format!("how many programs there are is not known ({mismatch})"),
        }
    }
}

/// What is said; `None` if there is no segment. A directory that is missing is an error: it may be the wrong one.
pub(super) fn look(place: &Place) -> Result<Option<Orders>> {
    let directory = place.open().map_err(|error| advised(&error))?;
    let mapping = match directory.map(Segment::Control) {
        Err(error) if error.status() == Status::SEGMENT_MISSING => return Ok(None),
        mapped => mapped.map_err(|error| advised(&error))?,
    };
    let orders = crate::host::control::read(mapping.view(), mapping.len(), &Moment::now());
    let path = directory.path_of(Segment::Control.file_name());
    orders.map(Some).map_err(|mismatch| anyhow!("{}: {mismatch} {DAMAGED}.", path.display()))
}

fn lock(directory: &Directory) -> Result<Lock> {
    match directory.lock_within(CONTROL_LOCK, "changes the control segment", PATIENCE) {
        Err(Error::Locked { path, .. }) => bail!(
            "{}: another process has held it for {}: `fuser -v` on that file tells which; end it, and say it again",
            path.display(),
            humantime::format_duration(PATIENCE)
        ),
        locked => locked.map_err(|error| advised(&error)),
    }
}

fn make(directory: &Directory) -> Result<WritableMapping> {
    let salt = Salt(rand::random());
    let fill =
        |words: mcrpc_core::host::region::Shared<'_>| control::create(words, rand::random(), rand::random(), salt);
    let made = directory
        .replace(Segment::Control, control::SEGMENT_LEN, SharedMode::GROUP, fill)
        .map_err(|error| advised(&error))
        .context("cannot make the control segment")?;
    let path = directory.path_of(Segment::Control.file_name());
    print(format_args!("Made the control segment {}: there was none.", path.display()))?;
    Ok(made)
}
