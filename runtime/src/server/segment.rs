//! The memory that all processes of a server share: its controllers of admission, and the rates of its callers.
//!
//! It is a file without a name, which children inherit. What one process learns, all know; what a process that was killed leaves
//! behind in it, the others go on with.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mcrpc_core::admission::{Admission, Config as AdmissionConfig};
use mcrpc_core::status::Status;
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};

use super::config::Config;
use super::controller::Controller;
use super::rates::Rates;

/// A multiple of every page size in use: parts are mapped by themselves.
const PART_ALIGN: usize = 64 << 10;

/// The memory, as one process sees it.
pub(crate) struct Segment {
    file: OwnedFd,
    /// Of the inline handlers, the workers, the blocking workers.
    pub(crate) controllers: [Controller; 3],
    pub(crate) rates: Rates,
}

impl Segment {
    /// New memory, for so many processes as the settings say.
    ///
    /// # Errors
    ///
    /// What the operating system says; [`io::ErrorKind::InvalidInput`] for settings of admission out of range.
    pub(crate) fn new(config: &Config) -> io::Result<Segment> {
        let file = rustix::fs::memfd_create("mcrpc-server", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let [first, ..] = config.admissions();
        let part_len = part_len(&first)?;
        rustix::fs::ftruncate(&file, (3 * part_len + Rates::LEN) as u64)?;
        // Nobody who has it can make a mapping fault by taking pages away.
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        for (number, settings) in config.admissions().iter().enumerate() {
            Controller::lay_out(map(&file, number * part_len, part_len)?, settings)?;
        }
        Segment::attach(file, config)
    }

    /// The memory that another process of the server has laid out, for the same number of processes.
    ///
    /// # Errors
    ///
    /// As for [`Segment::new`].
    pub(crate) fn attach(file: OwnedFd, config: &Config) -> io::Result<Segment> {
        let [first, ..] = config.admissions();
        let part_len = part_len(&first)?;
        let controller = |number| Controller::attach(map(&file, number * part_len, part_len)?);
        let controllers = [controller(0)?, controller(1)?, controller(2)?];
        let rates = Rates::attach(map(&file, 3 * part_len, Rates::LEN)?);
        Ok(Segment { file, controllers, rates })
    }

    /// A process has died, and all that it had taken with it. To be called before another takes its place.
    pub(crate) fn process_lost(&self, number: u32) {
        // Fails only for a queue that there is not.
        self.controllers.iter().for_each(|controller| _ = controller.queue_lost(number));
    }
}

impl AsFd for Segment {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn part_len(config: &AdmissionConfig) -> io::Result<usize> {
    Ok(Admission::memory_size(config).map_err(invalid)?.next_multiple_of(PART_ALIGN))
}

fn map(file: &OwnedFd, offset: usize, len: usize) -> io::Result<MmapRaw> {
    MmapOptions::new().offset(offset as u64).len(len).map_raw(file)
}

pub(super) fn invalid(status: Status) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("admission: {status}"))
}
