//! Segments in files, mapped as in production: where `/dev/shm` is there, in memory.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::ptr::NonNull;

use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::cold::{self, Counts};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::strategy::table::{self, Table};
use mcrpc_core::strategy::writer::{FILTER_WORDS, Identity, Memory, Writer, slot_count};
use memmap2::{MmapOptions, MmapRaw};
use tempfile::TempDir;

use crate::keys::{Keys, Lookup, SEED};

/// A directory for the files of this run.
pub fn directory() -> TempDir {
    let shared_memory = Path::new("/dev/shm");
    if shared_memory.is_dir() { tempfile::tempdir_in(shared_memory) } else { tempfile::tempdir() }.unwrap()
}

/// A mapped file.
pub struct Segment(MmapRaw);

impl Segment {
    pub fn create(path: &Path, len: usize) -> Segment {
        File::create(path).unwrap().set_len(len as u64).unwrap();
        Segment::open(path)
    }

    pub fn open(path: &Path) -> Segment {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        Segment(MmapOptions::new().populate().map_raw(&file).unwrap())
    }

    /// As a caller maps it.
    pub fn open_read_only(path: &Path) -> Segment {
        Segment(MmapOptions::new().populate().map_raw_read_only(&File::open(path).unwrap()).unwrap())
    }

    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub fn view(&self) -> View<'_> {
        // SAFETY: a mapping is page-aligned and readable for its whole length while `self` lives. Whoever writes to
        // these files does so through the core, by atomic operations on whole words.
        unsafe { View::from_raw(NonNull::new(self.0.as_mut_ptr()).unwrap(), self.0.len()) }
    }

    /// Not of one that is mapped read-only.
    pub fn shared(&self) -> Shared<'_> {
        // SAFETY: as in `view`, and the mapping is writable.
        unsafe { Shared::from_raw(NonNull::new(self.0.as_mut_ptr()).unwrap(), self.0.len()) }
    }
}

/// How many entries there is room for.
pub const CAPACITY: u32 = 250_000;

/// The two segments of a table, and the private memory of its writer.
pub struct TableFiles {
    table: Segment,
    cold: Segment,
    read_only: Segment,
    slots: Vec<u32>,
    records: Vec<u32>,
    filter: Vec<u64>,
}

impl TableFiles {
    /// For [`CAPACITY`] entries.
    pub fn new(directory: &Path, name: &str) -> TableFiles {
        let path = directory.join(name);
        let table = Segment::create(&path, table::segment_len(CAPACITY));
        let cold = Segment::create(&directory.join(format!("{name}.cold")), cold::segment_len(CAPACITY));
        let read_only = Segment::open_read_only(&path);
        let (slots, records) = (vec![0; slot_count(CAPACITY)], vec![0; CAPACITY as usize]);
        TableFiles { table, cold, read_only, slots, records, filter: vec![0; FILTER_WORDS] }
    }

    /// Its one writer, with an entry for each of these keys, and a reader.
    pub fn fill(&mut self, keys: Keys) -> (Writer<'_>, OurTable<'_>) {
        let memory = Memory { slots: &mut self.slots, records: &mut self.records, filter: &mut self.filter };
        let identity = Identity { seed: SEED, instance: 1, pid: std::process::id() };
        let mut writer =
            Writer::create(self.table.shared(), self.cold.shared(), memory, CAPACITY, identity).expect("it fits");
        set_all(&mut writer, keys, 0);
        writer.open();
        let table = Table::attach(self.read_only.view(), self.read_only.len()).expect("it was just made");
        (writer, OurTable(table))
    }
}

/// Sets every entry, to another value in each turn, and ends the refresh.
pub fn set_all(writer: &mut Writer<'_>, keys: Keys, turn: u64) {
    for (number, endpoint) in (0..).zip(keys.all()) {
        writer.set(&endpoint, &entry(number + turn), Counts::default(), turn).expect("there is room");
    }
    writer.finish_refresh(turn);
}

/// The entry of an endpoint, by number: one that does not pass all.
pub fn entry(number: u64) -> Entry {
    let pass_rate = Per10k::new(1 + (number % 9_000) as u16).expect("at most 10 000");
    let kind = [Kind::Normal, Kind::Probe, Kind::Shielded][number as usize % 3];
    Entry { pass_rate, kind, reject_level: RejectLevel::OPEN }
}

/// The table, asked as a caller asks it.
pub struct OurTable<'a>(pub Table<'a>);

impl Lookup for OurTable<'_> {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        self.0.lookup(endpoint).map_or(0, |entry| entry.pass_rate.get().into())
    }
}
