//! The files of a host's directory: their names, who writes them, and in which format.

use core::ffi::CStr;

use super::header::Format;
use super::trust::Writers;
use super::{control, fail, log, stat, trace};
use crate::strategy::{cold, table};

/// The directory unless a program is told otherwise.
pub const DEFAULT_DIRECTORY: &str = "/run/mcrpc";
/// Locked by the one process that writes the strategies, for as long as it lives.
pub const WRITER_LOCK: &CStr = c"writer.lock";
/// Locked while the control segment is changed.
pub const CONTROL_LOCK: &CStr = c"control.lock";
/// The byte at offset n is locked by the process that has seat n, for as long as it lives.
pub const SEATS_LOCK: &CStr = c"seats.lock";

/// A kind of segment. Each lies in one file of the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Segment {
    /// [`crate::strategy::table`].
    Strategy = 0,
    /// [`control`].
    Control = 1,
    /// [`fail`].
    Fail = 2,
    /// [`stat`].
    Stat = 3,
    /// [`trace`].
    Trace = 4,
    /// [`crate::strategy::cold`].
    Cold = 5,
    /// [`log`].
    Log = 6,
}

impl Segment {
    /// All of them, in the order of their numbers.
    pub const ALL: [Segment; 7] = [
        Segment::Strategy,
        Segment::Control,
        Segment::Fail,
        Segment::Stat,
        Segment::Trace,
        Segment::Cold,
        Segment::Log,
    ];

    /// The segment with this number.
    pub fn from_number(number: u32) -> Option<Segment> {
        Segment::ALL.get(number as usize).copied()
    }

    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Segment::Strategy => "strategy",
            Segment::Control => "control",
            Segment::Fail => "fail",
            Segment::Stat => "stat",
            Segment::Trace => "trace",
            Segment::Cold => "cold",
            Segment::Log => "log",
        }
    }

    /// The name of its file. The number is that of the major version: two may lie side by side during an upgrade.
    pub const fn file_name(self) -> &'static CStr {
        match self {
            Segment::Strategy => c"strategy.v1",
            Segment::Control => c"control.v1",
            Segment::Fail => c"fail.v1",
            Segment::Stat => c"stat.v1",
            Segment::Trace => c"trace.v1",
            Segment::Cold => c"strategy.cold.v1",
            Segment::Log => c"log.v1",
        }
    }

    /// Whether calls may look at any of it: such a segment is mapped with all its pages, so that no call waits for one. Of the others
    /// a process uses a part (a ring, the records of what has entries), whose pages come when they are touched.
    pub const fn is_read_by_calls(self) -> bool {
        matches!(self, Segment::Strategy | Segment::Control | Segment::Fail | Segment::Stat)
    }

    /// Who writes it.
    pub const fn writers(self) -> Writers {
        match self {
            Segment::Strategy | Segment::Control | Segment::Cold => Writers::Owner,
            Segment::Fail | Segment::Stat | Segment::Trace | Segment::Log => Writers::Everybody,
        }
    }

    /// Its format.
    pub const fn format(self) -> Format {
        match self {
            Segment::Strategy => table::FORMAT,
            Segment::Control => control::FORMAT,
            Segment::Fail => fail::FORMAT,
            Segment::Stat => stat::FORMAT,
            Segment::Trace => trace::FORMAT,
            Segment::Cold => cold::FORMAT,
            Segment::Log => log::FORMAT,
        }
    }
}
