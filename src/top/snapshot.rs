//! Everything that a directory tells at one moment. Any segment may be missing, damaged or not for this user to read:
//! then it is left out, and its verdict says why.
//!
//! Each file is opened anew each time, so one that was replaced is seen at once, and nothing is kept of one that was
//! not believed.

use mcrpc_agent::directory::Directory;
use mcrpc_agent::mapping::Mapping;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::Mismatch;
use serde::Serialize;

use crate::host::control::{self, Orders};
use crate::host::endpoints::{self, Endpoints};
use crate::host::health::Health;
use crate::host::liveness::SeatLocks;
use crate::host::place::{Moment, Place, advised};
use crate::host::stat::{self, Stat};
use crate::host::strategy::{self, Strategies};
use crate::host::trace::{self, Traces};

/// The last records that are of interest.
const RECORDS: usize = 200;

/// What there was to see.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Snapshot {
    pub taken: Moment,
    pub directory: String,
    /// Why the directory could not be opened.
    pub problem: Option<String>,
    pub segments: Vec<Judged>,
    pub control: Option<Orders>,
    pub strategies: Option<Strategies>,
    pub endpoints: Option<Endpoints>,
    pub stat: Option<Stat>,
    pub trace: Option<Traces>,
}

/// A segment with the verdict on it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    pub segment: &'static str,
    pub health: Health,
}

impl Snapshot {
    /// Looks at everything there is.
    pub(crate) fn take(place: &Place) -> Snapshot {
        let taken = Moment::now();
        let mut snapshot = Snapshot { taken, directory: place.dir.display().to_string(), ..Snapshot::default() };
        match place.open() {
            Ok(directory) => snapshot.fill(&directory),
            Err(error) => snapshot.problem = Some(advised(&error).to_string()),
        }
        snapshot
    }

    fn fill(&mut self, directory: &Directory) {
        let now = self.taken;
        let mut look = Look { directory, now, segments: Vec::new() };
        let cold = look.map(Segment::Cold);
        self.strategies = look.read(Segment::Strategy, |mapping| {
            let keys = cold.as_ref().map(|cold| (cold.view(), cold.len())).map_err(Clone::clone);
            strategy::read(mapping.view(), mapping.len(), keys, &now)
        });
        self.control = look.read(Segment::Control, |mapping| control::read(mapping.view(), mapping.len(), &now));
        self.endpoints = look.read(Segment::Fail, |mapping| endpoints::read(mapping.view(), mapping.len(), &now));
        let locks = SeatLocks::open(directory.path());
        self.stat = look.read(Segment::Stat, |mapping| stat::read(mapping.view(), mapping.len(), &locks, &now));
        self.trace = look.read(Segment::Trace, |mapping| trace::read(mapping.view(), mapping.len(), RECORDS, &now));
        self.segments = look.segments;
    }

    /// What is wrong, in a sentence each.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let sick = self.segments.iter().filter(|judged| judged.health != Health::Ok);
        self.problem
            .iter()
            .cloned()
            .chain(sick.map(|judged| format!("{}: {}", judged.segment, judged.health)))
            .collect()
    }
}

struct Look<'a> {
    directory: &'a Directory,
    now: Moment,
    segments: Vec<Judged>,
}

impl Look<'_> {
    fn map(&mut self, segment: Segment) -> Result<Mapping, String> {
        let (health, mapped) = match self.directory.map(segment) {
            Ok(mapping) => (Health::of(segment, mapping.view(), mapping.len(), &self.now), Ok(mapping)),
            Err(error) => (Health::Unreadable { text: advised(&error).to_string() }, Err(error.to_string())),
        };
        self.segments.push(Judged { segment: segment.name(), health });
        mapped
    }

    fn read<T>(&mut self, segment: Segment, read: impl FnOnce(&Mapping) -> Result<T, Mismatch>) -> Option<T> {
        let mapping = self.map(segment).ok()?;
        match read(&mapping) {
            Ok(contents) => Some(contents),
            Err(mismatch) => {
                if let Some(judged) = self.segments.last_mut()
                    && judged.health == Health::Ok
                {
                    judged.health = mismatch.into();
                }
                None
            }
        }
    }
}
