//! The segments that all processes write, and the operator's: made once, then kept, since processes use them.

use std::time::Duration;

use mcrpc_core::host::control::{self, Control};
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::files::{CONTROL_LOCK, Segment};
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::log::{self, Log};
use mcrpc_core::host::region::Shared;
use mcrpc_core::host::stat::{self, Stat};
use mcrpc_core::host::trace::{self, Trace};
use mcrpc_core::id::Salt;
use mcrpc_core::status::Status;

use crate::directory::{Directory, Error, refused};
use crate::publisher::Settings;

/// How long a command may hold the lock of the control segment.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a segment.
#[derive(Debug)]
pub struct Outcome {
    /// Which one.
    pub segment: Segment,
    /// What was done.
    pub done: Done,
}

/// What was done about a segment.
#[derive(Debug)]
pub enum Done {
    /// It was there, and is used on.
    Kept {
        /// Whether it is of the size that the settings ask for.
        is_wanted_len: bool,
    },
    /// There was none.
    Made,
    /// The one that was there is not believed; processes that have mapped it are told to attach the new one.
    Remade(Error),
}

/// Keeps or makes each of them, and the file in which seats are locked.
///
/// # Errors
///
/// There is no room, the directory cannot be written, or the settings are impossible.
pub(crate) fn keep_or_make(directory: &Directory, settings: &Settings) -> Result<Vec<Outcome>, Error> {
    let Settings { mut seats, counters, trace_cells, log_cells, fail_capacity, shared_mode, .. } = *settings;
    let kept = Keeper { directory, settings };
    let control = {
        // Not while a command makes it, or has just said something into one that would be replaced.
        let _lock = directory.lock_within(CONTROL_LOCK, "changes the control segment", PATIENCE)?;
        kept.keep_or_make(
            Segment::Control,
            control::SEGMENT_LEN,
            |words, len| Control::attach(words.view(), len).map(|_| ()),
            |words| control::create(words, rand::random(), rand::random(), Salt(rand::random())),
        )?
    };
    let fail = kept.keep_or_make(
        Segment::Fail,
        fail::segment_len(fail_capacity),
        |words, len| FailBuckets::attach(words, len).map(|_| ()),
        |words| fail::create(words, fail_capacity, rand::random(), rand::random()),
    )?;
    let stat = kept.keep_or_make(
        Segment::Stat,
        stat::segment_len(seats, counters),
        |words, len| Stat::attach(words, len).map(|stat| seats = stat.seat_count()),
        |words| stat::create(words, settings.seats, counters, rand::random(), rand::random()),
    )?;
    // A ring for each seat that there is.
    let trace = kept.keep_or_make(
        Segment::Trace,
        trace::segment_len(seats, trace_cells),
        |words, len| Trace::attach(words, len).map(|_| ()),
        |words| trace::create(words, seats, trace_cells, rand::random(), rand::random()),
    )?;
    let log = match log_cells {
        Some(cells) => Some(kept.keep_or_make(
            Segment::Log,
            log::segment_len(seats, cells),
            |words, len| Log::attach(words, len).map(|_| ()),
            |words| log::create(words, seats, cells, rand::random(), rand::random()),
        )?),
        None => {
            // Processes that start from now on know that nobody takes their lines.
            directory.remove(Segment::Log)?;
            None
        }
    };
    directory.create_seats_lock(shared_mode)?;
    Ok([control, fail, stat, trace].into_iter().chain(log).collect())
}

struct Keeper<'a> {
    directory: &'a Directory,
    settings: &'a Settings,
}

impl Keeper<'_> {
    fn keep_or_make(
        &self,
        segment: Segment,
        len: usize,
        attach: impl FnOnce(Shared<'_>, u64) -> Result<(), Mismatch>,
        create: impl FnOnce(Shared<'_>) -> Result<(), Status>,
    ) -> Result<Outcome, Error> {
        let shared_mode = self.settings.shared_mode;
        let found = self.directory.map_writable(segment).and_then(|mapping| {
            let path = self.directory.path_of(segment.file_name());
            attach(mapping.shared(), mapping.len()).map_err(|mismatch| refused(&path, mismatch))?;
            self.directory.share(segment, shared_mode)?;
            Ok(mapping.len() == len as u64)
        });
        let done = match found {
            Ok(is_wanted_len) => Done::Kept { is_wanted_len },
            // Nothing is wrong with the file itself: what is in it is not thrown away for that.
            Err(error) if !error.is_of_the_file() => return Err(error),
            Err(error) if error.status() == Status::SEGMENT_MISSING => Done::Made,
            Err(error) => Done::Remade(error),
        };
        if !matches!(done, Done::Kept { .. }) {
            self.directory.replace(segment, len, shared_mode, create)?;
        }
        Ok(Outcome { segment, done })
    }
}
