//! A publisher that never rests: it inserts, changes, removes, refreshes and replaces, until it is killed.
//!
//! Its table is small and lopsided: the changing keys are those that prefer two fifths of the buckets, so these are
//! always full, and many an insertion has to move another entry.

use std::path::Path;

use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_agent::started::Origin;
use mcrpc_core::host::bucket::Buckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::table;
use mcrpc_core::strategy::writer::Change;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::keys::{CAPACITY, CHANGING, Key, STABLE, VERSIONS};

/// The changes between two refreshes.
const CHANGES: u32 = 1_000;
/// How many changing keys are present at most.
const PRESENT_MAX: usize = (CAPACITY - STABLE) as usize;
/// One of so many refreshes is followed by a replacement of the table.
const REPLACED_EACH: u32 = 20;

pub const SETTINGS: Settings =
    Settings { capacity: CAPACITY, seats: 2, counters: 16, trace_cells: 16, fail_capacity: 64, ..Settings::DEFAULT };

/// Publishes all stable keys once, so that they are present from then on.
pub fn prepare(dir: &Path) {
    let (mut publisher, _) = Publisher::open(dir, SETTINGS).unwrap();
    for number in 0..STABLE {
        let key = Key::Stable(number);
        publisher.set(&key.endpoint(), &key.entry(0), Counts::default()).unwrap();
    }
    publisher.refresh().unwrap();
}

/// Whoever ends a test leaves none of its processes behind.
pub fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
}

/// The life of a writer's process. It says on its standard output what it found.
pub fn run_for_ever(dir: &Path) -> ! {
    die_with_parent();
    let (publisher, started) = Publisher::open(dir, SETTINGS).unwrap();
    match started.table {
        Origin::Adopted { adoption, .. } => {
            let (adopted, micros) = (adoption.adopted, adoption.took.as_micros());
            let finished = u8::from(adoption.finished_replacement);
            println!("\nadopted {micros} {} {} {finished}", adopted.words_dropped, adopted.records_dropped);
        }
        Origin::Made { because } => println!("\nmade {because}"),
    }
    let mut worker = Worker::new(publisher, rand::random());
    loop {
        worker.work();
    }
}

pub struct Worker {
    pub publisher: Publisher,
    random: SmallRng,
    /// The changing keys that crowd a part of the table there is now.
    crowd: Vec<u32>,
    present: Vec<u32>,
}

impl Worker {
    pub fn new(publisher: Publisher, seed: u64) -> Worker {
        let present = publisher.entries().filter_map(|(record, _)| Key::changing(&record.endpoint)).collect();
        let crowd = crowd(publisher.directory());
        Worker { publisher, random: SmallRng::seed_from_u64(seed), crowd, present }
    }

    /// Some changes, a refresh and, seldom, a replacement.
    pub fn work(&mut self) {
        self.publisher.refresh().unwrap();
        if self.random.random_ratio(1, REPLACED_EACH) {
            self.publisher.resize(CAPACITY).unwrap();
            self.crowd = crowd(self.publisher.directory());
        }
        for _ in 0..CHANGES {
            self.change();
        }
        let stable = Key::Stable(self.random.random_range(0..STABLE));
        let change = self.publisher.set(&stable.endpoint(), &stable.entry(0), Counts::default());
        assert_eq!(change, Ok(Change::Refreshed), "a stable key is always there");
    }

    fn change(&mut self) {
        let full = self.present.len() >= PRESENT_MAX;
        match self.random.random_range(0..10) {
            0 => self.set_one_that_is_present(),
            1..6 if !full => self.insert(),
            _ => self.remove(),
        }
    }

    fn insert(&mut self) {
        let number = self.crowd[self.random.random_range(0..self.crowd.len())];
        let (key, version) = (Key::Changing(number), self.random.random_range(0..VERSIONS));
        match self.publisher.set(&key.endpoint(), &key.entry(version), Counts::default()) {
            Ok(Change::Inserted) => self.present.push(number),
            Ok(_) => {}
            // No room even by a move: not worth a larger table here.
            Err(_) => {
                self.publisher.remove(&key.endpoint());
            }
        }
    }

    fn set_one_that_is_present(&mut self) {
        if !self.present.is_empty() {
            let key = Key::Changing(self.present[self.random.random_range(0..self.present.len())]);
            let entry = key.entry(self.random.random_range(0..VERSIONS));
            let change = self.publisher.set(&key.endpoint(), &entry, Counts::default());
            assert_eq!(change, Ok(Change::Refreshed));
        }
    }

    fn remove(&mut self) {
        if !self.present.is_empty() {
            let number = self.present.swap_remove(self.random.random_range(0..self.present.len()));
            assert!(self.publisher.remove(&Key::Changing(number).endpoint()));
        }
    }
}

fn crowd(directory: &Directory) -> Vec<u32> {
    let mapping = directory.map(Segment::Strategy).unwrap();
    let header = header::read(mapping.view(), mapping.len(), &table::FORMAT).unwrap();
    let buckets = Buckets { count: header.geometry, base: 0 };
    let prefers_the_first =
        |number: &u32| buckets.first(Key::Changing(*number).endpoint().hash(header.seed)) < buckets.count * 2 / 5;
    (0..CHANGING).filter(prefers_the_first).collect()
}
