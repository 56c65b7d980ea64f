//! A host as its agent has made it, with everything attached, and a set of endpoints in memory of each of the two callers.

use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use mcrpc_agent::mapping::{Mapping, WritableMapping};
use mcrpc_agent::publisher::{self, Publisher};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::Per10k;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, Settings, Spec, ZoneStrategy};
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;
use memmap2::{MmapMut, MmapRaw};
use tempfile::TempDir;

const SIZES: publisher::Settings =
    publisher::Settings { capacity: 10_000, seats: 8, counters: 64, trace_cells: 64, ..publisher::Settings::DEFAULT };
/// Zones among which endpoints are spread in turn; the callers are in the first one.
const ZONES: usize = 4;

/// All calls are made at this moment, so that what is shielded stays so.
pub const NOW: Nanos = Nanos::from_millis(1_000_000);

/// What is wrong with a set's endpoints.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Nothing,
    /// The first so many are shielded.
    Shielded(usize),
    /// Each has a strategy that lets nine tenths of the calls through.
    Strategies,
}

/// A set, and what is wrong with it.
#[derive(Clone, Copy)]
pub struct Plan {
    pub endpoints: usize,
    pub zone_strategy: ZoneStrategy,
    pub trouble: Trouble,
}

impl Plan {
    pub const fn healthy(endpoints: usize) -> Plan {
        Plan { endpoints, zone_strategy: ZoneStrategy::Anywhere, trouble: Trouble::Nothing }
    }

    /// As by default, with a budget that a retry of each call does not use up.
    pub fn settings(&self) -> Settings {
        Settings {
            capacity: self.endpoints as u32,
            zone_strategy: self.zone_strategy,
            retries: BudgetSettings { ratio: Per10k::ALL, burst: 1_000 },
            ..Settings::DEFAULT
        }
    }

    pub fn spec(&self, index: usize) -> Spec {
        let endpoint = Endpoint { address: 0xFFFF_0A00_0000 + index as u128, port: 8_000, service_id: 7 };
        Spec { endpoint, weight: 100, region: 0, zone: (index % ZONES) as u16, group: 0, user_data: index as u64 }
    }
}

/// The memory of one host and of its callers' sets.
pub struct World {
    pub plan: Plan,
    pub path: PathBuf,
    pub control: Mapping,
    pub strategy: Mapping,
    pub fail: WritableMapping,
    pub memories: [Memory; 2],
    _publisher: Option<Publisher>,
    _root: Option<TempDir>,
}

impl World {
    pub fn create(plan: Plan) -> World {
        let shared_memory = Path::new("/dev/shm");
        let root = if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() };
        let root = root.unwrap();
        let path = root.path().join("mcrpc");
        let (mut publisher, _) = Publisher::open(&path, SIZES).unwrap();
        if plan.trouble == Trouble::Strategies {
            let pass_rate = Per10k::new(9_000).unwrap();
            let entry = Entry { pass_rate, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
            for index in 0..plan.endpoints {
                publisher.set(&plan.spec(index).endpoint, &entry, Counts::default()).unwrap();
            }
        }
        World { _root: Some(root), ..World::with(plan, path, Some(publisher)) }
    }

    /// Of another process.
    pub fn open(plan: Plan, path: &Path) -> World {
        World::with(plan, path.to_owned(), None)
    }

    fn with(plan: Plan, path: PathBuf, publisher: Option<Publisher>) -> World {
        let directory = mcrpc_agent::directory::Directory::open(&path, None).unwrap();
        let len = EndpointSet::memory_len(&plan.settings()).unwrap() * size_of::<u64>();
        World {
            plan,
            path,
            control: directory.map(Segment::Control).unwrap(),
            strategy: directory.map(Segment::Strategy).unwrap(),
            fail: directory.map_writable(Segment::Fail).unwrap(),
            memories: [Memory::new(len), Memory::new(len)],
            _publisher: publisher,
            _root: None,
        }
    }
}

/// Memory of one caller's.
pub struct Memory(MmapRaw);

impl Memory {
    fn new(len: usize) -> Memory {
        Memory(MmapMut::map_anon(len).unwrap().into())
    }

    pub fn words(&self) -> Shared<'_> {
        // SAFETY: a mapping is page-aligned, readable and writable for its whole length while `self` lives, and used by
        // the one set that is made in it, which touches it by atomic words only.
        unsafe { Shared::from_raw(NonNull::new(self.0.as_mut_ptr()).unwrap(), self.0.len()) }
    }

    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
