//! Everything that the host's segments, and the list of services, tell at one moment.
//!
//! Each file is opened anew each time, so one that was replaced is seen at once. What cannot be read is left out, and its
//! verdict says why.

use std::collections::HashMap;
use std::path::Path;

use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::Mapping;
use mcrpc_core::admission::Cursor;
use mcrpc_core::host::fail::Levels;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::id::Per10k;
use mcrpc_core::shield::breaker::{Settings, State};
use mcrpc_core::shield::health::{Reading, wrapping_ms};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::table::Table;
use mcrpc_discovery::names::Names;
use mcrpc_discovery::table::EtcdState;

use super::calls::{self, Told};
use crate::host::control::{self, Orders};
use crate::host::health::Health;
use crate::host::liveness::SeatLocks;
use crate::host::logs::{self, LogRings};
use crate::host::place::Moment;
use crate::host::stat::{self, Stat};
use crate::host::trace::{self, Traces};

/// The last records that are of interest.
const RECORDS: usize = 200;
/// A program may shield for longer than the default.
const SETTINGS: Settings =
    Settings { backoff_max_ms: Settings::MAX_MS, probe_lease_ms: Settings::MAX_MS, ..Settings::DEFAULT };

/// What there was to see.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) taken: Moment,
    pub(super) segments: Vec<(&'static str, Health)>,
    pub(super) strategies: Option<Strategies>,
    pub(super) endpoints: Option<Endpoints>,
    pub(super) stat: Option<Stat>,
    pub(super) told: Told,
    pub(super) orders: Option<Orders>,
    pub(super) traces: Option<Traces>,
    /// If logs are kept.
    pub(super) logs: Option<LogRings>,
    pub(super) services: Vec<Service>,
    pub(super) etcd: EtcdState,
    /// By number.
    pub(super) names: HashMap<u32, String>,
}

/// The table of strategies as a whole.
#[derive(Debug)]
pub(super) struct Strategies {
    /// Whether programs heed them.
    pub(super) in_force: bool,
    /// Endpoints of which not all calls pass: none when they are not in force.
    pub(super) active: u64,
    pub(super) refreshes: u64,
    /// `None`: it never was.
    pub(super) refreshed_age_ms: Option<u64>,
    pub(super) full_refusals: u64,
    pub(super) collisions: u64,
}

/// All endpoints that were ever called.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    pub(super) slots: u64,
    pub(super) all: Vec<EndpointRow>,
}

/// One endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndpointRow {
    pub(super) endpoint: Endpoint,
    pub(super) state: State,
    pub(super) reading: Reading,
    pub(super) cursor: Cursor,
    pub(super) pass_rate: Per10k,
}

/// A service by name.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) id: u32,
    pub(super) source: &'static str,
    pub(super) servers: usize,
}

impl Sample {
    /// Looks at everything there is.
    pub(super) fn take(dir: &Path, names: &Names) -> Sample {
        let mut sample = Sample { taken: Moment::now(), ..Sample::default() };
        sample.add_services(names);
        match Directory::open(dir, None) {
            Ok(directory) => sample.fill(&directory),
            Err(error) => sample.segments.push(("directory", Health::Unreadable { text: error.to_string() })),
        }
        sample
    }

    /// What a service is called: its name, or else its number; nothing for 0, where the port says enough.
    pub(super) fn service(&self, id: u32) -> String {
        match self.names.get(&id) {
            Some(name) => name.clone(),
            None if id == 0 => String::new(),
            None => id.to_string(),
        }
    }

    fn add_services(&mut self, names: &Names) {
        let table = names.table();
        self.etcd = table.etcd.clone();
        for list in table.lists() {
            self.names.insert(list.id, list.service.clone());
            let (source, servers) = (list.source.name(), list.servers.len());
            self.services.push(Service { id: list.id, source, servers });
        }
    }

    fn fill(&mut self, directory: &Directory) {
        let now = self.taken;
        let mut look = Look { directory, now, segments: std::mem::take(&mut self.segments) };
        let table = look.map(Segment::Strategy);
        let in_force = look.segments.last().is_some_and(|(_, health)| *health == Health::Ok);
        let table = table.as_ref().and_then(|mapping| Table::inspect(mapping.view(), mapping.len()).ok());
        self.strategies = table.as_ref().map(|table| strategies(table, in_force, &now));
        let table = table.filter(|_| in_force);
        self.endpoints = look.read(Segment::Fail, |mapping| endpoints(mapping, table.as_ref(), &now));
        let locks = SeatLocks::open(directory.path());
        let stat = look.read(Segment::Stat, |mapping| {
            let told = calls::read(mapping.view(), mapping.len())?;
            Ok((stat::read(mapping.view(), mapping.len(), &locks, &now)?, told))
        });
        if let Some((stat, told)) = stat {
            (self.stat, self.told) = (Some(stat), told);
        }
        self.orders = look.read(Segment::Control, |mapping| control::read(mapping.view(), mapping.len(), &now));
        self.traces = look.read(Segment::Trace, |mapping| trace::read(mapping.view(), mapping.len(), RECORDS, &now));
        if directory.path_of(Segment::Log.file_name()).exists() {
            self.logs = look.read(Segment::Log, |mapping| logs::read(mapping.view(), mapping.len()));
        }
        self.segments = look.segments;
    }
}

struct Look<'a> {
    directory: &'a Directory,
    now: Moment,
    segments: Vec<(&'static str, Health)>,
}

impl Look<'_> {
    fn map(&mut self, segment: Segment) -> Option<Mapping> {
        let mapped = self.directory.map(segment);
        let health = match &mapped {
            Ok(mapping) => Health::of(segment, mapping.view(), mapping.len(), &self.now),
            Err(error) => Health::Unreadable { text: error.to_string() },
        };
        self.segments.push((segment.name(), health));
        mapped.ok()
    }

    fn read<T>(&mut self, segment: Segment, read: impl FnOnce(&Mapping) -> Result<T, Mismatch>) -> Option<T> {
        let mapping = self.map(segment)?;
        let contents = read(&mapping);
        if let (Err(mismatch), Some((_, health @ Health::Ok))) = (&contents, self.segments.last_mut()) {
            *health = (*mismatch).into();
        }
        contents.ok()
    }
}

fn strategies(table: &Table<'_>, in_force: bool, now: &Moment) -> Strategies {
    let (refreshed_ms, diagnostics) = (table.refreshed_ms(), table.diagnostics());
    Strategies {
        in_force,
        active: if in_force { table.active() } else { 0 },
        refreshes: table.refresh_seq(),
        refreshed_age_ms: (refreshed_ms != 0).then(|| now.boottime_ms.saturating_sub(refreshed_ms)),
        full_refusals: diagnostics.full_refusals,
        collisions: diagnostics.collisions,
    }
}

fn endpoints(mapping: &Mapping, table: Option<&Table<'_>>, now: &Moment) -> Result<Endpoints, Mismatch> {
    let levels = Levels::attach(mapping.view(), mapping.len())?;
    let (used, slots) = levels.fill();
    let now = now.monotonic();
    let row = |endpoint: Endpoint, reading: Reading| EndpointRow {
        endpoint,
        state: reading.breaker.state(&SETTINGS, wrapping_ms(now)),
        reading,
        cursor: reading.cursor(now),
        pass_rate: table.and_then(|table| table.lookup(&endpoint)).map_or(Per10k::ALL, |entry| entry.pass_rate),
    };
    // The number may be damaged.
    let mut all = Vec::with_capacity(used.min(slots) as usize);
    all.extend(levels.iter(now).filter_map(|level| Some(row(level.endpoint?, level.reading))));
    Ok(Endpoints { slots, all })
}
