//! What this process knows of its host: what the operator said, what the agent computed, what all processes found out about
//! endpoints (`docs/shared-memory.md`).
//!
//! The files of the host's directory are mapped, and looked at again twice a second by whoever has the host: files that are new are
//! mapped, strategies whose writer is silent are not believed, and what cannot be used is as if it were not there. Calls go on
//! without waiting for any of it. Whoever has the host has a seat in it, so that `mcrpc top` shows the process.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
use mcrpc_core::id::Salt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::strategy::liveness::{Liveness, MAX_AGE_MS};
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use parking_lot::Mutex;
use self_cell::self_cell;

use crate::seat::{Seat, identity_of};

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

/// A host's directory, as one process sees it.
pub struct Host {
    directory: PathBuf,
    known: ArcSwap<Known>,
    watch: Mutex<Watch>,
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
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Watch {
    /// Which files are mapped: device and inode.
    control: Option<(u64, u64)>,
    strategy: Option<(u64, u64)>,
    fail: Option<(u64, u64)>,
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

    /// The key of the host's order of users, in this hour: that of programs in C and C++ that give `mcrpc_key()` the hour as its
    /// epoch. A cursor means the same users to those who set it and to those who heed it only if all agree.
    pub(crate) fn salt(&self) -> Salt {
        self.control().map_or(Salt::default(), Control::salt).at_epoch(crate::clock::hour())
    }
}

impl Host {
    /// The host of this directory, `/run/mcrpc` as a rule. What is not there yet may come later.
    pub fn new(directory: impl Into<PathBuf>) -> Host {
        let host = Host { directory: directory.into(), known: ArcSwap::default(), watch: Mutex::default() };
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

    /// Looks at the files. To be called about twice a second.
    pub(crate) fn look(&self, now: Nanos) {
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
            watch.seat.look(&directory, now);
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

fn map_strategy(directory: &Directory) -> Option<StrategyFile> {
    let mapping = directory.map(Segment::Strategy).ok()?;
    StrategyFile::try_new(mapping, |mapping| Table::attach(mapping.view(), mapping.len())).ok()
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
