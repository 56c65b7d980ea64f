//! How a segment gets its name: complete, or not at all.
//!
//! It is made under a temporary name with all its blocks, filled, and renamed. If that fails anywhere, the temporary
//! file is removed, and what had the name keeps it. Only a process that is killed leaves a temporary file behind; the
//! next one removes it, or, if it was the second of a pair whose first has its name already, finishes the work
//! ([`Directory::publish_left`]).

use std::fs::File;
use std::io::{self, Read as _};

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, State};
use mcrpc_core::host::log::{Log, MAX_RING_CELLS};
use mcrpc_core::host::region::Shared;
use mcrpc_core::status::Status;
use rustix::fs::{AtFlags, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use super::error::{Error, io_error, io_error_std, plain, refused};
use super::{Directory, SharedMode};
use crate::mapping::WritableMapping;

/// A segment under its temporary name, which is removed when this is dropped.
pub(crate) struct Pending<'d> {
    directory: &'d Directory,
    segment: Segment,
    is_published: bool,
}

impl Directory {
    /// Makes a segment of `len` bytes and puts it in place: `fill` is given zeroed memory and leaves a segment that is
    /// ready. The segment that had the name is marked superseded afterwards.
    ///
    /// # Errors
    ///
    /// There is no room, the directory cannot be written, or `fill` fails. Then everything is as it was.
    pub fn replace(
        &self,
        segment: Segment,
        len: usize,
        shared_mode: SharedMode,
        fill: impl FnOnce(Shared<'_>) -> Result<(), Status>,
    ) -> Result<WritableMapping, Error> {
        let (pending, mapping) = self.prepare(segment, len, shared_mode)?;
        fill(mapping.shared()).map_err(|status| refused(&self.path_of(segment.file_name()), plain(status)))?;
        pending.publish()?;
        Ok(mapping)
    }

    /// The first half of [`replace`](Self::replace): a zeroed file under a temporary name.
    pub(crate) fn prepare(
        &self,
        segment: Segment,
        len: usize,
        shared_mode: SharedMode,
    ) -> Result<(Pending<'_>, WritableMapping), Error> {
        let name = temporary_name(segment);
        let path = self.path.join(&name);
        match rustix::fs::unlinkat(&self.fd, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(io_error(&path, "removing what a dead process left")(error)),
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.fd, &name, flags, Mode::from_raw_mode(0o600));
        let file = File::from(made.map_err(io_error(&path, "making the file"))?);
        let pending = Pending { directory: self, segment, is_published: false };
        allocate(&file, len as u64).map_err(|source| io_error_std(&path, "allocating its blocks", source))?;
        self.give_to_directorys_owner(&file).map_err(io_error(&path, "giving it to the directory's owner"))?;
        let mode = Mode::from_raw_mode(mode_of(segment, shared_mode));
        rustix::fs::fchmod(&file, mode).map_err(io_error(&path, "setting its mode"))?;
        let mapping = WritableMapping::new(&file, segment).map_err(|source| io_error_std(&path, "mapping", source))?;
        Ok((pending, mapping))
    }

    /// Maps the temporary file that a process left when it was killed, if it passes the checks for a published one.
    pub(crate) fn map_left(&self, segment: Segment) -> Result<WritableMapping, Error> {
        self.map_writable_as(segment, &temporary_name(segment))
    }

    /// Gives the temporary file that [`map_left`](Self::map_left) has mapped its name.
    pub(crate) fn publish_left(&self, segment: Segment) -> Result<(), Error> {
        Pending { directory: self, segment, is_published: false }.publish()
    }
}

impl Pending<'_> {
    /// The second half of [`Directory::replace`]: gives the file its name, and tells those who have mapped the old one.
    pub(crate) fn publish(mut self) -> Result<(), Error> {
        let (fd, segment) = (&self.directory.fd, self.segment);
        let old = self.directory.map_writable(segment).ok();
        rustix::fs::renameat(fd, temporary_name(segment), fd, segment.file_name())
            .map_err(io_error(&self.directory.path_of(segment.file_name()), "giving a new file this name"))?;
        self.is_published = true;
        old.iter().for_each(|old| supersede(old, segment));
        Ok(())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_published {
            // Without it the next attempt would find a full file system just as full.
            let _ = rustix::fs::unlinkat(&self.directory.fd, temporary_name(self.segment), AtFlags::empty());
        }
    }
}

/// Every block now, so that nobody gets SIGBUS later.
fn allocate(file: &File, len: u64) -> io::Result<()> {
    match rustix::io::retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len)) {
        // Some file systems can only be written.
        Err(Errno::OPNOTSUPP) => io::copy(&mut io::repeat(0).take(len), &mut &*file).map(|_| ()),
        result => Ok(result?),
    }
}

pub(super) fn mode_of(segment: Segment, shared_mode: SharedMode) -> u32 {
    match segment {
        Segment::Strategy | Segment::Control => 0o644,
        Segment::Cold => 0o640,
        Segment::Fail | Segment::Stat | Segment::Trace | Segment::Log => shared_mode.0,
    }
}

/// Tells those who have mapped a segment that it has lost its name. Nobody takes lines out of the rings of logs any more, so these
/// take none.
pub(super) fn supersede(old: &WritableMapping, segment: Segment) {
    if segment == Segment::Log
        && let Ok(log) = Log::attach(old.shared(), old.len())
    {
        shut(&log);
    }
    if header::read(old.shared().view(), old.len(), &segment.format()).is_ok() {
        header::set_state(old.shared(), State::Superseded);
    }
}

/// Leaves no room in any ring: a line is refused, and not told that it is safe.
fn shut(log: &Log<'_>) {
    for seat in 0..=log.seat_count() {
        let ring = log.ring(seat);
        let head = ring.head(log.journal().progress(seat).tail);
        ring.empty_until(head.wrapping_sub(MAX_RING_CELLS.into()));
    }
}

fn temporary_name(segment: Segment) -> String {
    format!(".{}.new", segment.file_name().to_str().expect("the names are ASCII"))
}
