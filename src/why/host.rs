//! The host as a client finds it, mapped so that nothing of it can be changed: a probe or a slot that the question takes is taken in
//! pages of this process alone.

use mcrpc_agent::directory::{Directory, Error};
use mcrpc_agent::mapping::{Mapping, PrivateMapping};
use mcrpc_core::host::control::Control;
use mcrpc_core::host::fail::{FailBuckets, Levels};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::strategy::liveness::MAX_AGE_MS;
use mcrpc_core::strategy::table::Table;
use serde::Serialize;

use crate::host::health::status_name;
use crate::host::liveness::SeatLocks;
use crate::host::place::{Moment, Place, advised};
use crate::host::stat::{self, Stat};
use crate::host::text::span_ms;

/// The files, mapped.
pub(super) struct HostFiles {
    dir: String,
    control: Result<Mapping, String>,
    strategy: Result<Mapping, String>,
    fail: Result<PrivateMapping, String>,
    stat: Result<Mapping, String>,
    locks: SeatLocks,
}

/// What is known of the host. What cannot be used is as if it were not there, which calls pass.
pub(super) struct Known<'a> {
    pub(super) control: Option<Control<'a>>,
    /// As the agent left it; a client believes it only if [`is_fresh`](Strategies::is_fresh).
    pub(super) strategies: Option<Strategies<'a>>,
    pub(super) fail: Option<FailBuckets<'a>>,
    /// The same cells, to list them.
    pub(super) levels: Option<Levels<'a>>,
    pub(super) stat: Option<Stat>,
    pub(super) sources: Vec<Source>,
}

/// The agent's table.
pub(super) struct Strategies<'a> {
    pub(super) table: Table<'a>,
    pub(super) age_ms: u64,
    pub(super) is_fresh: bool,
}

/// A file of the host, and whether it was used.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Source {
    pub(super) segment: &'static str,
    pub(super) used: bool,
    /// How old its data is; `None` where it says itself when it was written.
    age_ms: Option<u64>,
    /// Why it was not used, and what calls do without it.
    pub(super) why_not: Option<String>,
}

impl HostFiles {
    /// Maps what is there.
    pub(super) fn open(place: &Place) -> HostFiles {
        let directory = place.open();
        HostFiles {
            dir: place.dir.display().to_string(),
            control: mapped(&directory, Segment::Control, Directory::map),
            strategy: mapped(&directory, Segment::Strategy, Directory::map),
            fail: mapped(&directory, Segment::Fail, Directory::map_private),
            stat: mapped(&directory, Segment::Stat, Directory::map),
            locks: SeatLocks::open(&place.dir),
        }
    }

    /// Attaches it.
    pub(super) fn known(&self, now: &Moment) -> Known<'_> {
        let mut sources = Vec::new();
        let control = attach(&mut sources, Segment::Control, &self.control, |mapping| {
            Control::attach(mapping.view(), mapping.len())
        });
        let fail = attach(&mut sources, Segment::Fail, &self.fail, |mapping| {
            FailBuckets::attach(mapping.shared(), mapping.len())
        });
        let levels = self.fail.as_ref().ok().filter(|_| fail.is_some());
        let levels = levels.and_then(|mapping| Levels::attach(mapping.shared().view(), mapping.len()).ok());
        let stat = attach(&mut sources, Segment::Stat, &self.stat, |mapping| {
            stat::read(mapping.view(), mapping.len(), &self.locks, now)
        });
        let strategies = attach(&mut sources, Segment::Strategy, &self.strategy, |mapping| {
            Table::attach(mapping.view(), mapping.len())
        });
        let strategies = strategies.map(|table| strategies_of(table, now));
        if let (Some(found), Some(source)) = (&strategies, sources.last_mut()) {
            source.age_ms = Some(found.age_ms);
            source.used = found.is_fresh;
            source.why_not = (!found.is_fresh).then(|| {
                let age = span_ms(found.age_ms);
                format!(
                    "last refreshed {age} ago, more than {}: clients do not believe it. Look after the agent",
                    span_ms(MAX_AGE_MS.into())
                )
            });
        }
        Known { control, strategies, fail, levels, stat, sources }
    }

    pub(super) fn dir(&self) -> &str {
        &self.dir
    }
}

fn strategies_of<'a>(table: Table<'a>, now: &Moment) -> Strategies<'a> {
    // The same rule by which a client believes a table that it has just mapped.
    let age_ms = now.boottime_ms.checked_sub(table.refreshed_ms());
    let is_fresh = age_ms.is_some_and(|age_ms| age_ms <= u64::from(MAX_AGE_MS));
    Strategies { table, age_ms: age_ms.unwrap_or(u64::MAX), is_fresh }
}

impl<'a> Known<'a> {
    /// As a client asks the core. Cells are the set's own, filled with what the host's say: they stay as they are while the
    /// question is asked.
    pub(super) fn view(&self) -> HostView<'_, 'a> {
        let strategy = self.strategies.as_ref().filter(|strategies| strategies.is_fresh);
        HostView { control: self.control.as_ref(), strategy: strategy.map(|strategies| &strategies.table), fail: None }
    }

    /// Changes whenever what is said by operator or agent does.
    pub(super) fn version(&self) -> [u64; 2] {
        [
            self.control.as_ref().map_or(0, Control::changes),
            self.strategies.as_ref().map_or(0, |strategies| strategies.table.refresh_seq()),
        ]
    }
}

fn mapped<T>(
    directory: &Result<Directory, Error>,
    segment: Segment,
    map: impl FnOnce(&Directory, Segment) -> Result<T, Error>,
) -> Result<T, String> {
    let directory = directory.as_ref().map_err(|error| advised(error).to_string())?;
    map(directory, segment).map_err(|error| error.to_string())
}

fn attach<'a, M, T>(
    sources: &mut Vec<Source>,
    segment: Segment,
    mapping: &'a Result<M, String>,
    attach: impl FnOnce(&'a M) -> Result<T, Mismatch>,
) -> Option<T> {
    let attached = mapping.as_ref().map_err(String::clone).and_then(|mapping| {
        attach(mapping).map_err(|mismatch| format!("{}: {mismatch}", status_name(mismatch.status)))
    });
    let why_not = attached.as_ref().err().cloned();
    sources.push(Source { segment: segment.name(), used: why_not.is_none(), age_ms: None, why_not });
    attached.ok()
}
