//! The logs of a host: processes write lines into rings in shared memory ([`mcrpc_core::host::log`]), the agent puts them into files.
//!
//! ```text
//! rings --collect--> lines, in order of time --store--> mcrpc-2026-11-23T10.log --archive--> ….log.gz, for so many days
//! ```
//!
//! A process that logs never waits for the disk, nor for the agent. Each line that it was told is safe gets into a file exactly once,
//! whoever is killed: the process, or the agent between any two steps. What had no room in a ring was refused to its writer, is
//! counted, and the files say where and how many. Only a machine that stops loses lines: what was in memory, and what the kernel had not
//! brought to the disk.

pub mod archive;
mod collect;
pub mod line;
mod store;

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fmt, io};

use mcrpc_agent::directory::{Directory, Error as DirectoryError};

use crate::collect::Collector;

/// How soon it looks again after it has found lines, and after it has found none. A ring must hold what its process writes meanwhile.
const BUSY: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(50);
/// How often it looks whether the rings are still those of the host.
const LOOK: Duration = Duration::from_secs(1);
/// How often it looks at most when it is to end, while processes go on writing.
const LAST_PASSES: u32 = 16;

/// Where logs go, and for how long.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of the files. It is made if it is missing.
    pub directory: PathBuf,
    /// For how many days they are kept.
    pub keep_days: u32,
}

/// Why logs cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rings.
    #[error(transparent)]
    Segment(#[from] DirectoryError),
    /// The files.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the operating system says.
        source: io::Error,
    },
}

/// Something that a person should know, once for each change.
#[derive(Debug)]
pub enum Event {
    /// Lines cannot be written. They wait in their rings, as long as there is room.
    NotWritten(String),
    /// They can be again.
    WrittenAgain,
    /// Somebody has made the rings anew: what was in the old ones is lost.
    OtherRings,
    /// A file of an hour that is over stays as it is.
    NotArchived(Error),
}

impl Event {
    /// Whether a person should do something about it.
    pub fn is_error(&self) -> bool {
        !matches!(self, Event::WrittenAgain)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::NotWritten(why) => {
                write!(f, "cannot write logs: {why}; lines wait in memory, and those without room are counted")
            }
            Event::WrittenAgain => f.write_str("writes logs again"),
            Event::OtherRings => {
                f.write_str("the rings of the logs were made anew: lines are taken from the new ones, what was in the old ones is lost")
            }
            Event::NotArchived(error) => write!(f, "cannot put old logs away: {error}"),
        }
    }
}

/// Writes logs, in threads of its own, until it is dropped; then what is in the rings by then goes into the files too.
pub struct Logs {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Logs {
    /// Begins. The segment of the rings must be there, and this process the only one that empties them.
    ///
    /// # Errors
    ///
    /// The segment is not believed, or the directory of the files cannot be written.
    pub fn start(
        directory: Directory,
        settings: &Settings,
        tell: impl Fn(&Event) + Clone + Send + 'static,
    ) -> Result<Logs, Error> {
        let mut collector = Collector::open(&directory, settings, tell.clone())?;
        let (end, ended) = mpsc::channel();
        let (to, mut looked) = (settings.clone(), Instant::now());
        let work = move || {
            loop {
                let pause = if collector.pass() { BUSY } else { IDLE };
                if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
                if looked.elapsed() >= LOOK {
                    looked = Instant::now();
                    if collector.is_superseded()
                        && let Ok(other) = Collector::open(&directory, &to, tell.clone())
                    {
                        collector = other;
                        tell(&Event::OtherRings);
                    }
                }
            }
            let _ = (0..LAST_PASSES).find(|_| !collector.pass());
        };
        let thread = thread::Builder::new().name("logs".to_owned()).spawn(work).map_err(|source| Error::Io {
            path: settings.directory.clone(),
            doing: "starting a thread",
            source,
        })?;
        Ok(Logs { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.end = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
