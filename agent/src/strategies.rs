//! The table of strategies and its cold segment, with the one writer that this process has of them.
//!
//! The two are a pair: they carry the same instance, and a new pair is complete before either has its name. First the
//! cold segment is renamed, then the table. Who is killed in between leaves the old table in force, with the new one
//! ready beside it: the next writer gives it its name, and nothing is lost.

use std::time::{Duration, Instant};

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch, State};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::cold::{self, Records};
use mcrpc_core::strategy::table::{self, Table};
use mcrpc_core::strategy::writer::{self, Adopted, Identity, Memory, Writer};
use self_cell::{MutBorrow, self_cell};

use crate::clock;
use crate::directory::{Directory, Error, SharedMode, refused};
use crate::mapping::WritableMapping;

/// What a writer works on, and borrows for as long as it lives.
struct Parts {
    table: WritableMapping,
    cold: WritableMapping,
    memory: MutBorrow<Private>,
}

/// The memory that a writer needs beside the segments.
struct Private {
    slots: Vec<u32>,
    records: Vec<u32>,
    filter: Vec<u64>,
}

self_cell!(
    struct Cell {
        owner: Parts,

        #[covariant]
        dependent: Writer,
    }
);

/// A pair of segments and its writer.
pub(crate) struct Strategies(Cell);

/// What was found when a pair was taken over.
#[derive(Clone, Copy, Debug)]
pub struct Adoption {
    /// What became of its contents.
    pub adopted: Adopted,
    /// For how many entries it has room.
    pub capacity: u32,
    /// The last writer was killed while it replaced the pair: the rest of that was done.
    pub finished_replacement: bool,
    /// How long it took, from opening the files to a writer that works.
    pub took: Duration,
}

impl Strategies {
    /// Takes over the pair that is there, as it is; readers go on meanwhile.
    ///
    /// # Errors
    ///
    /// Why one of the segments is not believed, or that they do not belong together.
    pub(crate) fn adopt(directory: &Directory) -> Result<(Strategies, Adoption), Error> {
        let start = Instant::now();
        let pair = directory.map_writable(Segment::Strategy).and_then(|table| Strategies::adopt_with(directory, table));
        let (strategies, adopted, finished_replacement) = match pair {
            Ok((strategies, adopted)) => (strategies, adopted, false),
            Err(error) => {
                let left = directory.map_left(Segment::Strategy);
                let pair = left.and_then(|table| Strategies::adopt_with(directory, table));
                let Ok((strategies, adopted)) = pair else { return Err(error) };
                directory.publish_left(Segment::Strategy)?;
                (strategies, adopted, true)
            }
        };
        let capacity = strategies.writer().capacity();
        Ok((strategies, Adoption { adopted, capacity, finished_replacement, took: start.elapsed() }))
    }

    fn adopt_with(directory: &Directory, table: WritableMapping) -> Result<(Strategies, Adopted), Error> {
        let [table_path, cold_path] =
            [Segment::Strategy, Segment::Cold].map(|segment| directory.path_of(segment.file_name()));
        check_in_use(&table).map_err(|mismatch| refused(&table_path, mismatch))?;
        let cold = directory.map_writable(Segment::Cold)?;
        let records = Records::attach(cold.shared().view(), cold.len());
        let capacity = records.map_err(|mismatch| refused(&cold_path, mismatch))?.capacity();
        let mut adopted = Adopted::default();
        let cell = Cell::try_new(Parts::new(table, cold, capacity), |parts| {
            let (table, cold) = (parts.table.shared(), parts.cold.shared());
            let (writer, found) = Writer::adopt(table, cold, parts.memory(), std::process::id())?;
            adopted = found;
            Ok(writer)
        });
        match cell {
            Ok(cell) => Ok((Strategies(cell), adopted)),
            // Each by itself was found to be of this layout.
            Err(Mismatch { status: Status::SEGMENT_OTHER_LAYOUT, .. }) => Err(Error::NotAPair { path: cold_path }),
            Err(mismatch) => Err(refused(&table_path, mismatch)),
        }
    }

    /// Makes a new pair with another seed, lets `fill` put entries into it, and puts it in place of the one that is
    /// there.
    ///
    /// # Errors
    ///
    /// There is no room, the directory cannot be written, or `fill` fails. Then everything is as it was.
    pub(crate) fn make(
        directory: &Directory,
        capacity: u32,
        shared_mode: SharedMode,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Status>,
    ) -> Result<Strategies, Error> {
        let table_path = directory.path_of(Segment::Strategy.file_name());
        let failed = |status| refused(&table_path, Mismatch { status, found: 0, expected: 0 });
        if !(1..=table::MAX_CAPACITY).contains(&capacity) {
            return Err(failed(Status::INVALID_ARGUMENT));
        }
        let (pending_cold, cold) = directory.prepare(Segment::Cold, cold::segment_len(capacity), shared_mode)?;
        let (pending_table, table) = directory.prepare(Segment::Strategy, table::segment_len(capacity), shared_mode)?;
        let identity = Identity { seed: rand::random(), instance: rand::random(), pid: std::process::id() };
        let cell = Cell::try_new(Parts::new(table, cold, capacity), |parts| {
            let (table, cold) = (parts.table.shared(), parts.cold.shared());
            let mut writer = Writer::create(table, cold, parts.memory(), capacity, identity)?;
            fill(&mut writer)?;
            writer.finish_refresh(clock::boottime_ms());
            writer.open();
            Ok(writer)
        });
        let strategies = Strategies(cell.map_err(failed)?);
        pending_cold.publish()?;
        pending_table.publish()?;
        Ok(strategies)
    }

    /// The writer, to ask.
    pub(crate) fn writer(&self) -> &Writer<'_> {
        self.0.borrow_dependent()
    }

    /// The writer, to change something.
    pub(crate) fn with_writer<R>(&mut self, change: impl FnOnce(&mut Writer<'_>) -> R) -> R {
        self.0.with_dependent_mut(|_, writer| change(writer))
    }

    /// Whether its last writer has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        header::state(self.0.borrow_owner().table.shared().view()) == Some(State::Closed)
    }
}

impl Parts {
    fn new(table: WritableMapping, cold: WritableMapping, capacity: u32) -> Parts {
        let private = Private {
            slots: vec![0; writer::slot_count(capacity)],
            records: vec![0; capacity as usize],
            filter: vec![0; writer::FILTER_WORDS],
        };
        Parts { table, cold, memory: MutBorrow::new(private) }
    }

    /// Once: for the writer.
    fn memory(&self) -> Memory<'_> {
        let Private { slots, records, filter } = self.memory.borrow_mut();
        Memory { slots, records, filter }
    }
}

/// A table that was in use when its writer ended, since the machine was started.
fn check_in_use(mapping: &WritableMapping) -> Result<(), Mismatch> {
    let table = Table::inspect(mapping.shared().view(), mapping.len())?;
    let state = table.state();
    if !matches!(state, Some(State::Ready | State::Closed)) {
        let found = state.map_or(u64::MAX, |state| state as u64);
        return Err(Mismatch { status: Status::SEGMENT_NOT_READY, found, expected: State::Ready as u64 });
    }
    // Later than now is before the machine was started: the age of no entry is known.
    let (refreshed_ms, now_ms) = (table.refreshed_ms(), clock::boottime_ms());
    if refreshed_ms > now_ms {
        return Err(Mismatch { status: Status::SEGMENT_STALE, found: refreshed_ms, expected: now_ms });
    }
    Ok(())
}
