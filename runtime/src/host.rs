//! What this process knows of its host: what the operator said, what the agent computed, what all processes found out about
//! endpoints (`docs/shared-memory.md`).
//!
//! The files of the host's directory are mapped, and looked at again twice a second by whoever has the host: files that are new are
//! mapped, strategies whose writer is silent are not believed, and what cannot be used is as if it were not there. Calls go on
//! without waiting for any of it. Whoever has the host has a seat in it, so that `mcrpc top` shows the process and what its admission
//! does, and a ring for what is recorded.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use mcrpc_agent::clock::boottime_ms;
use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::{Mapping, WritableMapping};
use mcrpc_agent::names::{self, ListFile};
use mcrpc_agent::watched::FileError;
use mcrpc_core::host::calls::Calls;
use mcrpc_core::host::control::Control;
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::log::{Level, Log, Origin};
use mcrpc_core::host::seat::{COMMON, QueueReport};
use mcrpc_core::host::trace::{Ring, Trace};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::liveness::{Liveness, MAX_AGE_MS};
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use parking_lot::Mutex;
use self_cell::self_cell;

use crate::seat::{Seat, identity_of, own_name};

/// How often the files are looked at.
pub(crate) const LOOKED_AT_EACH: Duration = Duration::from_millis(500);

self_cell!(
    struct ControlFile {
        owner: Mapping,
        #[covariant]
        dependent: Control,
    }
);

self_cell!(
    struct StrategyFile {
        owner: Mapping,
        #[covariant]
        dependent: Table,
    }
);

self_cell!(
    struct FailFile {
        owner: WritableMapping,
        #[covariant]
        dependent: FailBuckets,
    }
);

self_cell!(
    struct TraceFile {
        owner: WritableMapping,
        #[covariant]
        dependent: Trace,
    }
);

self_cell!(
    struct LogFile {
        owner: WritableMapping,
        #[covariant]
        dependent: Log,
    }
);

/// A host's directory, as one process sees it.
pub struct Host {
    directory: PathBuf,
    known: ArcSwap<Known>,
    watch: Mutex<Watch>,
    /// When the files were looked at last, ns.
    looked_at: AtomicU64,
}

/// Why the servers of a service are not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoNames {
    #[error("the agent of {} knows no service {service:?}: is a server of it registered?", directory.display())]
    Unknown { service: String, directory: PathBuf },
    #[error("{0}: is the host's agent running?")]
    Directory(String),
    #[error(transparent)]
    File(FileError),
}

/// What is mapped, and believed.
#[derive(Clone, Default)]
pub(crate) struct Known {
    control: Option<Arc<ControlFile>>,
    strategy: Option<Arc<StrategyFile>>,
    fail: Option<Arc<FailFile>>,
    trace: Option<Arc<TraceFile>>,
    log: Option<Arc<LogRing>>,
    /// Whose ring of the traces is this process's.
    seat: u32,
}

/// The ring that this process writes its lines to.
struct LogRing {
    file: Arc<LogFile>,
    seat: u32,
    /// Whether it was said there whose lines these are.
    is_announced: AtomicBool,
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Watch {
    /// Which files are mapped: device and inode.
    control: Option<(u64, u64)>,
    strategy: Option<(u64, u64)>,
    fail: Option<(u64, u64)>,
    trace: Option<(u64, u64)>,
    log: Option<(u64, u64)>,
    seat: Seat,
    /// The strategies that were mapped last, and whether their writer lives.
    newest: Option<(Arc<StrategyFile>, Liveness)>,
}

impl Known {
    /// As the core asks for it.
    pub(crate) fn view<'k>(&'k self) -> HostView<'k, 'k> {
        HostView {
            control: self.control(),
            strategy: self.strategy.as_deref().map(StrategyFile::borrow_dependent),
            fail: self.fail.as_deref().map(FailFile::borrow_dependent),
        }
    }

    /// What the operator said.
    pub(crate) fn control(&self) -> Option<&Control<'_>> {
        self.control.as_deref().map(ControlFile::borrow_dependent)
    }

    /// Where this process records, if it can.
    pub(crate) fn ring(&self) -> Option<Ring<'_>> {
        let trace = self.trace.as_deref()?.borrow_dependent();
        Some(trace.ring(if self.seat <= trace.seat_count() { self.seat } else { COMMON }))
    }

    /// Whether the calls of anybody are recorded.
    #[inline]
    pub(crate) fn has_dyes(&self) -> bool {
        self.control().is_some_and(Control::has_dyes)
    }

    /// Where the calls of this user are recorded, if they are.
    pub(crate) fn ring_of_dyed(&self, uin: Uin, now: Nanos) -> Option<Ring<'_>> {
        if self.control()?.is_dyed(uin, now) { self.ring() } else { None }
    }

    /// The key of the host's order of users, in this hour. A cursor means the same users to those who set it and to those who heed it only if all agree.
    pub(crate) fn salt(&self) -> Salt {
        self.control().map_or(Salt::default(), Control::salt).at_hour_of(mcrpc_agent::clock::unix_s())
    }
}

impl Host {
    /// The host of this directory, `/run/mcrpc` as a rule. What is not there yet may come later.
    pub fn new(directory: impl Into<PathBuf>) -> Host {
        let (known, watch) = (ArcSwap::default(), Mutex::default());
        let host = Host { directory: directory.into(), known, watch, looked_at: AtomicU64::new(0) };
        host.look(crate::clock::now());
        host
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What its agent says of a service.
    pub(crate) fn names(&self, service: &str) -> Result<ListFile, NoNames> {
        let unknown = || NoNames::Unknown { service: service.to_owned(), directory: self.directory.clone() };
        // Nobody but the agent may have written it.
        Directory::open(&self.directory, None).map_err(|error| NoNames::Directory(error.to_string()))?;
        let path = names::file_of(&names::directory_of(&self.directory), service).ok_or_else(unknown)?;
        ListFile::open(&path).map_err(|error| match error {
            FileError::Io { source, .. } if source.kind() == ErrorKind::NotFound => unknown(),
            error => NoNames::File(error),
        })
    }

    /// What is known now.
    pub(crate) fn known(&self) -> arc_swap::Guard<Arc<Known>> {
        self.known.load()
    }

    /// Counts what this process's calls to a service met. `false` without a seat.
    pub(crate) fn count_calls(&self, service_id: u32, calls: &Calls) -> bool {
        self.watch.lock().seat.count_calls(service_id, calls)
    }

    /// Says what this process's admission does: a tool sees the last report of each process. Nothing without a seat.
    pub(crate) fn report(&self, report: &QueueReport) {
        self.watch.lock().seat.report(report);
    }

    /// Hands a line of text to the agent. If nobody else looks at the files, this does, twice a second.
    ///
    /// # Errors
    ///
    /// [`Status::NO_POLICY`]: the agent keeps no logs, or there is none. [`Status::LINE_DROPPED`]: there is no room; it is counted.
    pub(crate) fn log(&self, level: Level, origin: &Origin, text: &[u8]) -> Result<(), Status> {
        let looked_at = Nanos(self.looked_at.load(Ordering::Relaxed));
        if origin.time.since(looked_at) >= 2 * LOOKED_AT_EACH.as_nanos() as u64 {
            self.look(origin.time);
        }
        let known = self.known.load();
        let log = known.log.as_deref().ok_or(Status::NO_POLICY)?;
        let ring = log.file.borrow_dependent().ring(log.seat);
        if log.seat != COMMON && !log.is_announced.load(Ordering::Relaxed) {
            // Without room for that there is none for the line, and what was dropped is counted once.
            ring.open(origin.pid, &own_name(), origin.time)?;
            log.is_announced.store(true, Ordering::Relaxed);
        }
        ring.write(level, origin, text)
    }

    /// Looks at the files. To be called about twice a second.
    pub(crate) fn look(&self, now: Nanos) {
        self.looked_at.store(now.0, Ordering::Relaxed);
        let mut watch = self.watch.lock();
        let watch = &mut *watch;
        let mut known = Known::clone(&self.known.load());
        if let Ok(directory) = Directory::open(&self.directory, None) {
            if let Some(file) = renew(&directory, Segment::Control, &mut watch.control, map_control) {
                known.control = Some(Arc::new(file));
            }
            if let Some(file) = renew(&directory, Segment::Fail, &mut watch.fail, map_fail) {
                known.fail = Some(Arc::new(file));
            }
            if let Some(file) = renew(&directory, Segment::Strategy, &mut watch.strategy, map_strategy) {
                let liveness = first_sign(file.borrow_dependent(), now);
                watch.newest = Some((Arc::new(file), liveness));
            }
            if let Some(file) = renew(&directory, Segment::Trace, &mut watch.trace, map_trace) {
                known.trace = Some(Arc::new(file));
            }
            let log_file = known.log.as_ref().map(|log| log.file.clone());
            let log_file = match renew(&directory, Segment::Log, &mut watch.log, map_log) {
                Some(file) => Some(Arc::new(file)),
                // It goes when the agent keeps no logs any more.
                None => log_file.filter(|_| directory.path_of(Segment::Log.file_name()).exists()),
            };
            watch.seat.look(&directory, now);
            let seat = watch.seat.number();
            if known.seat != seat {
                known.seat = seat;
                // What the seat's last owner left half-written when it died. Nobody of this process writes there yet.
                known.ring().filter(|_| seat != COMMON).iter().for_each(Ring::recover);
            }
            known.log = log_file.map(|file| log_ring(known.log.take(), file, seat));
        }
        known.strategy = watch.newest.as_mut().and_then(|(file, liveness)| {
            let table = file.borrow_dependent();
            let age_ns = liveness.observe(table.refresh_seq(), now);
            let is_believed = table.check_ready().is_ok() && age_ns <= u64::from(MAX_AGE_MS) * NANOS_PER_MILLI;
            is_believed.then(|| file.clone())
        });
        self.known.store(Arc::new(known));
    }
}

fn map_control(directory: &Directory) -> Option<ControlFile> {
    let mapping = directory.map(Segment::Control).ok()?;
    ControlFile::try_new(mapping, |mapping| Control::attach(mapping.view(), mapping.len())).ok()
}

fn map_fail(directory: &Directory) -> Option<FailFile> {
    let mapping = directory.map_writable(Segment::Fail).ok()?;
    FailFile::try_new(mapping, |mapping| FailBuckets::attach(mapping.shared(), mapping.len())).ok()
}

fn map_trace(directory: &Directory) -> Option<TraceFile> {
    let mapping = directory.map_writable(Segment::Trace).ok()?;
    TraceFile::try_new(mapping, |mapping| Trace::attach(mapping.shared(), mapping.len())).ok()
}

fn map_log(directory: &Directory) -> Option<LogFile> {
    let mapping = directory.map_writable(Segment::Log).ok()?;
    LogFile::try_new(mapping, |mapping| Log::attach(mapping.shared(), mapping.len())).ok()
}

fn map_strategy(directory: &Directory) -> Option<StrategyFile> {
    let mapping = directory.map(Segment::Strategy).ok()?;
    StrategyFile::try_new(mapping, |mapping| Table::attach(mapping.view(), mapping.len())).ok()
}

/// The ring of this seat: the one before, if it is the same.
fn log_ring(before: Option<Arc<LogRing>>, file: Arc<LogFile>, seat: u32) -> Arc<LogRing> {
    let seat = if seat <= file.borrow_dependent().seat_count() { seat } else { COMMON };
    match before {
        Some(ring) if Arc::ptr_eq(&ring.file, &file) && ring.seat == seat => ring,
        _ => Arc::new(LogRing { file, seat, is_announced: AtomicBool::new(false) }),
    }
}

/// What a dead agent left is not believed until somebody refreshes it.
fn first_sign(table: &Table<'_>, now: Nanos) -> Liveness {
    let age_ms = boottime_ms().checked_sub(table.refreshed_ms());
    let is_fresh = age_ms.is_some_and(|age_ms| age_ms <= u64::from(MAX_AGE_MS));
    let beat = table.refresh_seq();
    if is_fresh { Liveness::new(beat, now) } else { Liveness::unproven(beat, now) }
}

/// Maps a file unless it is the one that is mapped. One that cannot be used is tried again: it may be in the making.
fn renew<T>(
    directory: &Directory,
    segment: Segment,
    mapped: &mut Option<(u64, u64)>,
    map: impl FnOnce(&Directory) -> Option<T>,
) -> Option<T> {
    let found = identity_of(&directory.path_of(segment.file_name()))?;
    if *mapped == Some(found) {
        return None;
    }
    let file = map(directory)?;
    *mapped = Some(found);
    Some(file)
}
