//! Lines out of the rings of all processes, into the file, in order of time.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Sender};
use std::thread;

use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, Error as DirectoryError};
use mcrpc_agent::mapping::{Mapping, WritableMapping};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::log::{Entry, Found, Level, Log, Origin, Progress, Ring};
use mcrpc_core::host::seat::{COMMON, NAME_LEN};
use mcrpc_core::host::stat::Counters;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};
use rustix::time::{ClockId, clock_gettime};

use crate::store::Store;
use crate::{Error, Event, Settings, archive, line};

/// A line that is begun is filled within microseconds. One that is not after so long has a writer that is dead or stopped: its place
/// is closed.
const PATIENCE_NS: u64 = NANOS_PER_SECOND;
/// One pass takes so many bytes of text out of a ring, so that no process can keep the others waiting; and so many out of all.
const MAX_BYTES_PER_RING: usize = 1 << 20;
const MAX_BYTES: usize = 8 << 20;
/// More is never appended at once: the last ring of a pass, and a line of each that says what was dropped, come on top.
pub(crate) const MAX_BATCH: u64 = 2 * MAX_BYTES as u64;

/// Empties the rings. Dropped at any moment, it leaves everything as a kill would.
pub(crate) struct Collector<T> {
    log: WritableMapping,
    /// The file that this is, and its device and inode.
    log_file: (PathBuf, Option<[u64; 2]>),
    /// The ring with which the next pass begins.
    first: usize,
    /// Who has the seats; for lines of before this collector began.
    stat: Option<Mapping>,
    rings: Vec<State>,
    store: Store,
    lines: Lines,
    entry: Box<Entry>,
    archivist: Sender<u64>,
    tell: T,
    is_failing: bool,
}

/// One ring, and who writes to it.
struct State {
    progress: Progress,
    /// Of the process that the journal names.
    name: String,
    /// Where a line is begun and not filled: when that was seen, and what was taken by then.
    pending: Option<(Nanos, u64)>,
}

/// The lines of a pass.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    /// When, and the end of each in the bytes.
    ends: Vec<(Nanos, usize)>,
}

impl<T: Fn(&Event) + Clone + Send + 'static> Collector<T> {
    pub(crate) fn open(directory: &Directory, settings: &Settings, tell: T) -> Result<Collector<T>, Error> {
        let path = directory.path_of(Segment::Log.file_name());
        // Before it is mapped: if it is replaced in between, that is noticed.
        let identity = identity_of(&path);
        let mapping = directory.map_writable(Segment::Log)?;
        let log = Log::attach(mapping.shared(), mapping.len())
            .map_err(|mismatch| DirectoryError::Refused { path: path.clone(), mismatch })?;
        let failed = |doing| {
            let path = settings.directory.clone();
            move |source| Error::Io { path, doing, source }
        };
        std::fs::create_dir_all(&settings.directory).map_err(failed("making the directory"))?;
        let journal = log.journal();
        let mut store = Store::new(settings.directory.clone());
        store.adopt(&journal.written())?;
        let rings = (0..=log.seat_count()).map(|seat| {
            let progress = journal.progress(seat);
            // The agent before may have been killed between its journal and this.
            log.ring(seat).empty_until(progress.tail);
            State { progress, name: line::name(&progress.name), pending: None }
        });
        let rings = rings.collect();
        let archivist = start_archivist(settings, tell.clone()).map_err(failed("starting a thread"))?;
        let (lines, entry) = (Lines::default(), Box::default());
        let stat = directory.map(Segment::Stat).ok();
        let mut collector = Collector {
            log: mapping,
            log_file: (path, identity),
            first: 0,
            stat,
            rings,
            store,
            lines,
            entry,
            archivist,
            tell,
            is_failing: false,
        };
        // Here, so that a directory that cannot be written is an error of the start.
        collector.turn(unix_ns())?;
        Ok(collector)
    }

    /// Whether processes that start now find other rings than these.
    pub(crate) fn is_superseded(&self) -> bool {
        let (path, identity) = &self.log_file;
        identity_of(path).is_some_and(|now| Some(now) != *identity)
    }

    /// Once: whether there were lines.
    pub(crate) fn pass(&mut self) -> bool {
        let (now, unix_ns) = (clock::monotonic(), unix_ns());
        let outcome = self.turn(unix_ns).and_then(|()| self.move_lines(now, unix_ns - i128::from(now.0)));
        if self.is_failing != outcome.is_err() {
            self.is_failing = outcome.is_err();
            (self.tell)(&match &outcome {
                Err(error) => Event::NotWritten(error.to_string()),
                Ok(_) => Event::WrittenAgain,
            });
        }
        outcome.unwrap_or(false)
    }

    /// Opens the file of another hour. Nothing is written to it before the journal knows of it.
    fn turn(&mut self, unix_ns: i128) -> Result<(), Error> {
        if self.store.turn(unix_ns)? {
            self.record();
            let _ = self.archivist.send(self.store.written().hour);
        }
        Ok(())
    }

    /// Takes lines out of the rings, appends them to the file, enters that into the journal, and only then lets the cells be used
    /// again.
    fn move_lines(&mut self, now: Nanos, epoch_ns: i128) -> Result<bool, Error> {
        self.lines.clear();
        let before: Vec<Progress> = self.rings.iter().map(|state| state.progress).collect();
        let begin = self.first;
        for seat in (begin..self.rings.len()).chain(0..begin.min(self.rings.len())) {
            self.take(seat, now, epoch_ns);
            self.first = seat + 1;
            if self.lines.bytes.len() >= MAX_BYTES {
                break;
            }
        }
        if self.rings.iter().map(|state| state.progress).eq(before.iter().copied()) {
            return Ok(false);
        }
        if let Err(error) = self.store.append(&self.lines.sorted()) {
            for (state, progress) in self.rings.iter_mut().zip(before) {
                (state.name, state.progress) = (line::name(&progress.name), progress);
            }
            return Err(error);
        }
        self.record();
        let log = attached(&self.log);
        for (seat, state) in (0..).zip(&self.rings) {
            if let Some(log) = &log {
                log.ring(seat).empty_until(state.progress.tail);
            }
        }
        Ok(true)
    }

    fn record(&self) {
        if let Some(log) = attached(&self.log) {
            log.journal().record(&self.store.written(), self.rings.iter().map(|state| state.progress));
        }
    }

    /// The lines of one ring.
    fn take(&mut self, seat: usize, now: Nanos, epoch_ns: i128) {
        let Some(log) = attached(&self.log) else { return };
        let (Some(state), Ok(number)) = (self.rings.get_mut(seat), u32::try_from(seat)) else { return };
        let ring = log.ring(number);
        let (mut at, begin) = (state.progress.tail, self.lines.bytes.len());
        let head = ring.head(at);
        while at != head && self.lines.bytes.len() - begin < MAX_BYTES_PER_RING {
            match ring.read(at, &mut self.entry) {
                Found::Entry { next } => {
                    at = next;
                    let Some(level) = self.entry.level() else {
                        state.is_of(self.entry.origin.pid, self.entry.text());
                        continue;
                    };
                    let (entry, unix_ns) = (&self.entry, epoch_ns + i128::from(self.entry.origin.time.0));
                    let name = whose(state, number, entry.origin.pid, self.stat.as_ref());
                    let text = entry.text();
                    line::write(&mut self.lines.bytes, unix_ns, level, name, &entry.origin, text, entry.is_cut);
                    self.lines.ends.push((entry.origin.time, self.lines.bytes.len()));
                }
                Found::Nothing => at = at.wrapping_add(1),
                Found::Pending if state.gives_up(&ring, at, head, now) => {}
                Found::Pending => break,
            }
        }
        state.progress.tail = at;
        let dropped_so_far = ring.dropped();
        let dropped = dropped_so_far.wrapping_sub(state.progress.dropped);
        if dropped > 0 {
            state.progress.dropped = dropped_so_far;
            let origin = Origin { time: now, pid: state.progress.pid, ..Origin::default() };
            let mut text = String::new();
            let _ = write!(text, "{dropped} lines were dropped: the ring of memory was full, or a writer was stopped");
            let (bytes, unix_ns) = (&mut self.lines.bytes, epoch_ns + i128::from(now.0));
            line::write(bytes, unix_ns, Level::Warn, &state.name, &origin, text.as_bytes(), false);
            self.lines.ends.push((now, bytes.len()));
        }
    }
}

/// The name of the process that wrote a line: as it said itself, or as it says of its seat. A process without a seat has said
/// nothing.
fn whose<'s>(state: &'s mut State, seat: u32, pid: u32, stat: Option<&Mapping>) -> &'s str {
    if seat == COMMON {
        return "";
    }
    if state.progress.pid != pid {
        let counters = stat.and_then(|stat| Counters::attach(stat.view(), stat.len()).ok());
        let occupant = counters.and_then(|counters| counters.occupant(seat)).filter(|occupant| occupant.pid == pid);
        state.is_of(pid, occupant.as_ref().map_or(&[], |occupant| &occupant.name));
    }
    &state.name
}

impl State {
    /// What follows is of this process.
    fn is_of(&mut self, pid: u32, name: &[u8]) {
        (self.progress.pid, self.name) = (pid, line::name(name));
        self.progress.name = [0; NAME_LEN];
        self.progress.name.iter_mut().zip(name).for_each(|(to, byte)| *to = *byte);
    }

    /// Whether the place at `at`, which was taken and not filled, is closed now, or filled.
    fn gives_up(&mut self, ring: &Ring<'_>, at: u64, head: u64, now: Nanos) -> bool {
        let (since, until) = *self.pending.get_or_insert((now, head));
        // All that was taken by then is as old.
        let is_old = until.wrapping_sub(at) as i64 > 0;
        if !is_old {
            self.pending = Some((now, head));
        }
        let gives_up = is_old && now.since(since) >= PATIENCE_NS;
        if gives_up {
            ring.close(at);
        }
        gives_up
    }
}

impl Lines {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// In order of time; those of one process and one moment as they were written.
    fn sorted(&self) -> Vec<u8> {
        let begins = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        let mut lines: Vec<_> = begins.zip(&self.ends).map(|(begin, (time, end))| (*time, begin..*end)).collect();
        lines.sort_by_key(|(time, _)| *time);
        let lines = lines.into_iter().filter_map(|(_, range)| self.bytes.get(range));
        lines.flatten().copied().collect()
    }
}

fn identity_of(path: &Path) -> Option<[u64; 2]> {
    std::fs::metadata(path).ok().map(|facts| [facts.dev(), facts.ino()])
}

fn attached(mapping: &WritableMapping) -> Option<Log<'_>> {
    Log::attach(mapping.shared(), mapping.len()).ok()
}

/// Compresses and removes files in the background, whenever it is told the hour of the one that is open. Ends with its sender.
fn start_archivist(settings: &Settings, tell: impl Fn(&Event) + Send + 'static) -> std::io::Result<Sender<u64>> {
    let (sender, hours) = mpsc::channel();
    let Settings { directory, keep_days } = settings.clone();
    let work = move || {
        for hour in hours {
            if let Err(error) = archive::tidy(&directory, hour, keep_days) {
                tell(&Event::NotArchived(error));
            }
        }
    };
    thread::Builder::new().name("archive".to_owned()).spawn(work).map(|_| sender)
}

fn unix_ns() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * i128::from(NANOS_PER_SECOND) + i128::from(now.tv_nsec)
}
