//! The one process of a host that publishes strategies: it owns the directory, the lock of the writer, and the table.
//!
//! It may be killed at any instruction and started again: the next one adopts what is there. What it cannot adopt it
//! makes anew, and says why. A table that is full or cannot tell two endpoints from each other is replaced at the next
//! refresh.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use mcrpc_core::host::files::{Segment, WRITER_LOCK};
use mcrpc_core::host::header::{Mismatch, State};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{Counts, Record};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::Entry;
use mcrpc_core::strategy::table::MAX_CAPACITY;
use mcrpc_core::strategy::writer::{Change, EXPIRE_MS, Writer};

use crate::clock;
use crate::directory::{Directory, Error, Lock, SharedMode, refused};
use crate::segments::{self, Outcome};
use crate::started::{Origin, Started};
use crate::strategies::Strategies;
use crate::sweep::Sweeper;

/// How many seeds are tried for a new table until all entries find a place in it.
const SEEDS_TRIED: usize = 4;

/// The sizes of the segments, and who may write those that all processes write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Entries in the table of strategies.
    pub capacity: u32,
    /// Processes that have counters and a trace ring of their own.
    pub seats: u32,
    /// Counters.
    pub counters: u32,
    /// Cells of 64 bytes in a trace ring: a power of two.
    pub trace_cells: u32,
    /// Cells of 64 bytes in a log ring, a power of two from 64 on; `None`: nobody writes logs to files.
    pub log_cells: Option<u32>,
    /// Endpoints whose health is known to all processes.
    pub fail_capacity: u32,
    /// Who may write the segments that all processes write.
    pub shared_mode: SharedMode,
}

impl Settings {
    /// Room for a quarter of a million endpoints and 128 processes: 30 MB, 16 of them in the cold segment.
    pub const DEFAULT: Settings = Settings {
        capacity: 250_000,
        seats: 128,
        counters: 2_048,
        trace_cells: 512,
        log_cells: None,
        fail_capacity: 16_384,
        shared_mode: SharedMode::GROUP,
    };
}

impl Default for Settings {
    fn default() -> Settings {
        Settings::DEFAULT
    }
}

/// What a refresh did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Entries that were not renewed for [`EXPIRE_MS`] and were taken out.
    pub expired: u32,
    /// The capacity of the new table, if it had to be replaced.
    pub replaced: Option<u32>,
}

/// The publisher. Dropped without [`close`](Self::close) it leaves everything as a crash would.
pub struct Publisher {
    directory: Directory,
    settings: Settings,
    strategies: Strategies,
    /// What the table had no place for: it goes into the next one.
    refused: BTreeMap<Endpoint, Refused>,
    sweeper: Sweeper,
    _lock: Lock,
}

struct Refused {
    status: Status,
    entry: Entry,
    counts: Counts,
    set_ms: u64,
}

impl Publisher {
    /// Opens or makes the directory, becomes its writer, and keeps, adopts or makes each segment. What it adopts is in
    /// force, and refreshed, at once; it grows stale unless [`refresh`](Self::refresh) is called soon.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] if another process publishes there; the directory is not to be trusted; there is no room for a
    /// segment that must be made.
    pub fn open(path: &Path, settings: Settings) -> Result<(Publisher, Started), Error> {
        let start = Instant::now();
        let directory = Directory::open_or_create(path)?;
        let lock = directory.lock(WRITER_LOCK, "publishes strategies there")?;
        // The strategies first: readers wait for their heartbeat.
        let (strategies, adoption) = match Strategies::adopt(&directory) {
            Ok((strategies, adoption)) => (strategies, Ok(adoption)),
            // Nothing is wrong with the files themselves: what is in them is not thrown away for that.
            Err(error) if !error.is_of_the_file() => return Err(error),
            Err(because) => {
                let made = Strategies::make(&directory, settings.capacity, settings.shared_mode, |_| Ok(()))?;
                (made, Err(because))
            }
        };
        let mut publisher = Publisher {
            directory,
            settings,
            strategies,
            refused: BTreeMap::new(),
            sweeper: Sweeper::default(),
            _lock: lock,
        };
        let table = match adoption {
            Ok(adoption) => Origin::Adopted { adoption, resized: publisher.settle() },
            Err(because) => Origin::Made { because },
        };
        // From now on it is refreshed, so whoever attaches it may believe it.
        publisher.strategies.with_writer(|writer| writer.finish_refresh(clock::boottime_ms()));
        let segments = segments::keep_or_make(&publisher.directory, &settings)?;
        publisher.sweeper = Sweeper::new(&publisher.directory)?;
        Ok((publisher, Started { table, segments, took: start.elapsed() }))
    }

    /// Opens an adopted table that was closed, without what is too old by now; gives it the wanted capacity if its
    /// entries fit.
    fn settle(&mut self) -> Option<Result<(), Error>> {
        if self.strategies.is_closed() {
            self.strategies.with_writer(|writer| {
                writer.expire(expires_before(clock::boottime_ms()));
                writer.open();
            });
        }
        let (wanted, len) = (self.settings.capacity, self.strategies.writer().len());
        let resizes = self.capacity() != wanted && len <= wanted;
        resizes.then(|| self.resize(wanted))
    }

    /// Says what to do with calls to an endpoint from now on, and renews its entry.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`]: its calls pass. [`Status::KEY_COLLISION`]: readers take another endpoint's entry for it. Until
    /// the next [`refresh`](Self::refresh), which replaces the table by one that has a place for it.
    pub fn set(&mut self, endpoint: &Endpoint, entry: &Entry, counts: Counts) -> Result<Change, Status> {
        let set_ms = clock::boottime_ms();
        let result = self.strategies.with_writer(|writer| writer.set(endpoint, entry, counts, set_ms));
        match result {
            Ok(_) => {
                self.refused.remove(endpoint);
            }
            Err(status) => {
                self.refused.insert(*endpoint, Refused { status, entry: *entry, counts, set_ms });
            }
        }
        result
    }

    /// Lets all calls to an endpoint pass. Whether it had an entry.
    pub fn remove(&mut self, endpoint: &Endpoint) -> bool {
        self.refused.remove(endpoint);
        self.strategies.with_writer(|writer| writer.remove(endpoint))
    }

    /// To be called about once a second, also if nothing changed: takes out what was not renewed, lets the heartbeat
    /// move, and replaces a table that had no place for an endpoint.
    ///
    /// # Errors
    ///
    /// The new table could not be made. The old one is in force on, its heartbeat has moved, and the next refresh tries
    /// again.
    pub fn refresh(&mut self) -> Result<Refreshed, Error> {
        let now_ms = clock::boottime_ms();
        let expired = self.strategies.with_writer(|writer| {
            let expired = writer.expire(expires_before(now_ms));
            writer.finish_refresh(now_ms);
            expired
        });
        self.sweeper.sweep(now_ms);
        self.refused.retain(|_, refused| refused.set_ms >= expires_before(now_ms));
        if self.refused.is_empty() {
            return Ok(Refreshed { expired, replaced: None });
        }
        let capacity = self.capacity_for_refused();
        self.resize(capacity)?;
        Ok(Refreshed { expired, replaced: Some(capacity) })
    }

    fn capacity_for_refused(&self) -> u32 {
        let (capacity, refused) = (self.capacity(), self.refused.len() as u32);
        if self.refused.values().all(|refused| refused.status == Status::KEY_COLLISION)
            && refused <= capacity - self.len()
        {
            return capacity;
        }
        capacity.saturating_mul(2).max(self.len().saturating_add(refused)).min(MAX_CAPACITY)
    }

    /// Replaces the table by one for `capacity` entries and with another seed, which has all entries of the old one.
    ///
    /// # Errors
    ///
    /// It has no room for them ([`Status::TABLE_FULL`]), or cannot be made. The old one is in force on.
    pub fn resize(&mut self, capacity: u32) -> Result<(), Error> {
        let wanted = self.len() as usize + self.refused.len();
        if wanted > capacity as usize {
            let (found, expected) = (capacity.into(), wanted as u64);
            let path = self.directory.path_of(Segment::Strategy.file_name());
            return Err(refused(&path, Mismatch { status: Status::TABLE_FULL, found, expected }));
        }
        let mut made = self.remake(capacity);
        for _ in 1..SEEDS_TRIED {
            if !made.as_ref().is_err_and(is_bad_luck) {
                break;
            }
            made = self.remake(capacity);
        }
        self.strategies = made?;
        self.refused.clear();
        Ok(())
    }

    fn remake(&self, capacity: u32) -> Result<Strategies, Error> {
        let fill = |writer: &mut Writer<'_>| {
            for (record, entry) in self.entries() {
                writer.set(&record.endpoint, &entry, record.counts, record.refreshed_ms)?;
            }
            for (endpoint, refused) in &self.refused {
                writer.set(endpoint, &refused.entry, refused.counts, refused.set_ms)?;
            }
            Ok(())
        };
        Strategies::make(&self.directory, capacity, self.settings.shared_mode, fill)
    }

    /// Makes those of the common segments anew that are not believed any more; processes attach the new ones.
    ///
    /// # Errors
    ///
    /// There is no room, or the directory cannot be written.
    pub fn mend(&mut self) -> Result<Vec<Outcome>, Error> {
        let segments = segments::keep_or_make(&self.directory, &self.settings)?;
        self.sweeper = Sweeper::new(&self.directory)?;
        Ok(segments)
    }

    /// All entries in force, with what they were computed from.
    pub fn entries(&self) -> impl Iterator<Item = (Record, Entry)> + '_ {
        self.strategies.writer().entries()
    }

    /// How many entries are in force.
    pub fn len(&self) -> u32 {
        self.strategies.writer().len()
    }

    /// Whether every endpoint passes all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// For how many entries the table has room.
    pub fn capacity(&self) -> u32 {
        self.strategies.writer().capacity()
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Ends publishing on purpose: readers let all calls pass from their next look at the table on. The entries stay,
    /// and a publisher that is started before they expire puts them in force again.
    pub fn close(self) {
        self.strategies.writer().set_state(State::Closed);
    }
}

fn expires_before(now_ms: u64) -> u64 {
    now_ms.saturating_sub(EXPIRE_MS)
}

/// Another seed helps.
fn is_bad_luck(error: &Error) -> bool {
    matches!(error.status(), Status::TABLE_FULL | Status::KEY_COLLISION)
}
