//! The one writer of the table: what the agent calls.
//!
//! Every store leaves a table that readers can use, so it may be killed at any instruction. What it needs to know beyond
//! the table (whose entry is whose) it keeps in private memory, and finds again from the cold segment.

use super::cold::{self, Counts, Record, Records};
use super::endpoint::Endpoint;
use super::entry::Entry;
use super::placement::Placement;
use super::table::{self, FILTER_LEN, MAX_CAPACITY, Table};
use crate::host::header::{self, Header, Mismatch, State};
use crate::host::region::{LINE, Shared};
use crate::status::Status;

/// Entries that are not refreshed for this long are taken out (SPEC B6).
pub const EXPIRE_MS: u64 = 30_000;

/// How many records are adopted together.
const ADOPTED_TOGETHER: u32 = 64;

/// The private memory of a writer. Its contents do not matter beforehand.
pub struct Memory<'a> {
    /// [`slot_count`] words.
    pub slots: &'a mut [u32],
    /// As many words as the table's capacity.
    pub records: &'a mut [u32],
    /// [`FILTER_WORDS`] words.
    pub filter: &'a mut [u64],
}

/// Words of [`Memory::filter`].
pub const FILTER_WORDS: usize = FILTER_LEN;

/// Words of [`Memory::slots`] for a table of this capacity.
pub const fn slot_count(capacity: u32) -> usize {
    table::bucket_count(capacity) as usize * LINE
}

/// What distinguishes one table from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Random: keys the hash, so that nobody outside can choose which endpoints collide.
    pub seed: u64,
    /// Random.
    pub instance: u64,
    /// The process that writes.
    pub pid: u32,
}

/// What a writer found when it took a table over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Entries that live on.
    pub entries: u32,
    /// Records without an entry: an insertion or a removal that was cut short.
    pub records_dropped: u32,
    /// Words without a record: the copy of a move that was cut short, or damage.
    pub words_dropped: u64,
}

/// What [`Writer::set`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The endpoint has an entry now, which it had not.
    Inserted,
    /// Its entry was refreshed.
    Refreshed,
    /// It passes all, and its entry was taken out.
    Removed,
    /// It passes all, and has no entry.
    Nothing,
}

/// The writer of a table. There is at most one for a table at any time, which its owner sees to (a lock on a file).
pub struct Writer<'a> {
    table: Shared<'a>,
    cold: Shared<'a>,
    records: Records<'a>,
    placement: Placement<'a>,
    /// Numbers of free records; the first `free_len` count.
    free: &'a mut [u32],
    free_len: usize,
    filter: &'a mut [u64],
    /// Removals since the filter was last computed.
    removed: u32,
    seed: u64,
}

impl<'a> Writer<'a> {
    /// Lays out a new table for `capacity` entries in two zeroed segments, not ready yet: see [`Writer::open`].
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for a capacity of 0 or above [`MAX_CAPACITY`], [`Status::TOO_SMALL`] if a segment is
    /// shorter than [`table::segment_len`] or [`cold::segment_len`], or the memory than it must be.
    pub fn create(
        table: Shared<'a>,
        cold: Shared<'a>,
        memory: Memory<'a>,
        capacity: u32,
        identity: Identity,
    ) -> Result<Writer<'a>, Status> {
        if !(1..=MAX_CAPACITY).contains(&capacity) {
            return Err(Status::INVALID_ARGUMENT);
        }
        let (table_len, cold_len) = (table::segment_len(capacity), cold::segment_len(capacity));
        if table.view().len() * 8 < table_len || cold.view().len() * 8 < cold_len {
            return Err(Status::TOO_SMALL);
        }
        let (table, cold) = (table.part(0, table_len / 8), cold.part(0, cold_len / 8));
        let Identity { seed, instance, pid } = identity;
        let geometry = table::bucket_count(capacity);
        header::write(table, &table::FORMAT, &Header { total_len: table_len as u64, geometry, seed, instance });
        let geometry = capacity.into();
        header::write(cold, &cold::FORMAT, &Header { total_len: cold_len as u64, geometry, seed, instance });
        let mut writer = Writer::over(table, cold, memory)
            .map_err(|error| if error.status == Status::TOO_SMALL { error.status } else { Status::INVALID_ARGUMENT })?;
        for (place, number) in writer.free.iter_mut().zip((0..capacity).rev()) {
            *place = number;
        }
        writer.free_len = capacity as usize;
        writer.take_over(pid);
        Ok(writer)
    }

    /// Lets readers in.
    pub fn open(&self) {
        header::set_state(self.cold, State::Ready);
        header::set_state(self.table, State::Ready);
    }

    /// Takes over a table whose writer is gone, as it is; readers go on meanwhile. O(capacity).
    ///
    /// # Errors
    ///
    /// Why one of the segments is not believed; [`Status::SEGMENT_OTHER_LAYOUT`] if they do not belong together,
    /// [`Status::TOO_SMALL`] if the memory is.
    pub fn adopt(
        table: Shared<'a>,
        cold: Shared<'a>,
        memory: Memory<'a>,
        pid: u32,
    ) -> Result<(Writer<'a>, Adopted), Mismatch> {
        let mut writer = Writer::over(table, cold, memory)?;
        let mut adopted = Adopted::default();
        let capacity = writer.records.capacity();
        writer.filter.fill(0);
        // From the last to the first, so that the free records are used from the first on. Two passes over a few at a
        // time: the processor waits for the lines of all of them at once.
        let mut end = capacity;
        while end > 0 {
            let start = end.saturating_sub(ADOPTED_TOGETHER);
            let fetch = |number| writer.placement.fetch(cold::stored_hash(writer.cold, number));
            core::hint::black_box((start..end).fold(0, |all, number| all ^ fetch(number)));
            for number in (start..end).rev() {
                writer.adopt_record(number, &mut adopted);
            }
            end = start;
        }
        adopted.words_dropped = writer.placement.drop_orphans();
        writer.count(table::ORPHANS_DROPPED, adopted.words_dropped);
        writer.take_over(pid);
        writer.publish_filter();
        writer.publish_active();
        Ok((writer, adopted))
    }

    fn adopt_record(&mut self, number: u32, adopted: &mut Adopted) {
        match self.records.get(number) {
            Some(record) if self.placement.adopt(record.hash, number) => {
                adopted.entries += 1;
                self.note_in_filter(record.hash);
            }
            found => {
                if found.is_some() || cold::stored_hash(self.cold, number) != 0 {
                    cold::clear(self.cold, number);
                    adopted.records_dropped += 1;
                }
                self.release(number);
            }
        }
    }

    fn over(table: Shared<'a>, cold: Shared<'a>, memory: Memory<'a>) -> Result<Writer<'a>, Mismatch> {
        let len = |segment: Shared<'_>| segment.view().len() as u64 * 8;
        let table_header = header::read(table.view(), len(table), &table::FORMAT)?;
        let bucket_count = Table::inspect(table.view(), len(table))?.bucket_count();
        let records = Records::attach(cold.view(), len(cold))?;
        let belongs = records.header().instance == table_header.instance && records.header().seed == table_header.seed;
        if !belongs || bucket_count != table::bucket_count(records.capacity()) {
            let (found, expected) = (records.header().instance, table_header.instance);
            return Err(Mismatch { status: Status::SEGMENT_OTHER_LAYOUT, found, expected });
        }
        let Memory { slots, records: free, filter } = memory;
        let wanted = [bucket_count as usize * LINE, records.capacity() as usize, FILTER_LEN];
        for (found, expected) in [slots.len(), free.len(), filter.len()].into_iter().zip(wanted) {
            if found < expected {
                let (found, expected) = (found as u64, expected as u64);
                return Err(Mismatch { status: Status::TOO_SMALL, found, expected });
            }
        }
        let placement = Placement::new(table, table::buckets(bucket_count), slots);
        let seed = table_header.seed;
        Ok(Writer { table, cold, records, placement, free, free_len: 0, filter, removed: 0, seed })
    }

    fn take_over(&mut self, pid: u32) {
        self.count(table::WRITER_EPOCH, 1);
        self.table.set(table::WRITER_PID, pid.into());
    }

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        self.records.capacity() - self.free_len as u32
    }

    /// Whether every endpoint passes all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there may be.
    pub fn capacity(&self) -> u32 {
        self.records.capacity()
    }

    /// Says what to do with an endpoint from now on, and renews its entry: it expires [`EXPIRE_MS`] after the last call.
    /// One that passes all needs no entry, and loses the one it has.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`]: the endpoint has no entry, so its calls pass. [`Status::KEY_COLLISION`]: readers cannot tell
    /// it from another one, and take that one's entry. Both are counted, and both are healed by a new table, larger or
    /// with another seed.
    pub fn set(&mut self, endpoint: &Endpoint, entry: &Entry, counts: Counts, now_ms: u64) -> Result<Change, Status> {
        if entry.passes_all() {
            return Ok(if self.remove(endpoint) { Change::Removed } else { Change::Nothing });
        }
        let hash = endpoint.hash(self.seed);
        if let Some(place) = self.placement.find(hash) {
            if !self.is_owner(place.record, endpoint) {
                self.count(table::COLLISIONS, 1);
                return Err(Status::KEY_COLLISION);
            }
            self.placement.update(place, hash, entry.to_bits());
            cold::touch(self.cold, place.record, counts, now_ms);
            return Ok(Change::Refreshed);
        }
        self.insert(endpoint, hash, entry, counts, now_ms)
    }

    fn insert(
        &mut self,
        endpoint: &Endpoint,
        hash: u64,
        entry: &Entry,
        counts: Counts,
        now_ms: u64,
    ) -> Result<Change, Status> {
        let Some(number) = self.free_len.checked_sub(1).and_then(|last| self.free.get(last)).copied() else {
            self.count(table::FULL_REFUSALS, 1);
            return Err(Status::TABLE_FULL);
        };
        // Before there is a record: an adoption would give the other key's entry to it.
        if self.placement.collides(hash) {
            self.count(table::COLLISIONS, 1);
            return Err(Status::KEY_COLLISION);
        }
        // The record first: an entry without one would not survive an adoption.
        cold::write(self.cold, number, &Record { endpoint: *endpoint, hash, counts, refreshed_ms: now_ms });
        let (word, bits) = table::filter_bits(hash);
        self.table.set_bits(word, bits);
        let moves = self.placement.moves();
        if let Err(refusal) = self.placement.insert(hash, number, entry.to_bits()) {
            cold::clear(self.cold, number);
            self.count(table::FULL_REFUSALS, 1);
            return Err(refusal);
        }
        self.count(table::MOVES, self.placement.moves() - moves);
        self.free_len -= 1;
        if self.len() == 1 {
            self.publish_active();
        }
        Ok(Change::Inserted)
    }

    /// Lets all calls to an endpoint pass. Whether it had an entry.
    pub fn remove(&mut self, endpoint: &Endpoint) -> bool {
        let place = self.placement.find(endpoint.hash(self.seed)).filter(|place| self.is_owner(place.record, endpoint));
        if let Some(place) = place {
            // The entry first: a record without one is dropped by an adoption.
            self.placement.remove(place);
            cold::clear(self.cold, place.record);
            self.release(place.record);
            self.removed += 1;
        }
        place.is_some()
    }

    /// Takes out what was last refreshed before `before_ms`: how many that were. O(capacity) at worst.
    pub fn expire(&mut self, before_ms: u64) -> u32 {
        let mut expired = 0;
        for record in self.used() {
            expired += u32::from(record.refreshed_ms < before_ms && self.remove(&record.endpoint));
        }
        expired
    }

    /// Ends a refresh: readers see the heartbeat move. To be called about once a second, also when nothing changed.
    pub fn finish_refresh(&mut self, now_ms: u64) {
        if self.removed > self.len() {
            self.rebuild_filter();
        }
        self.publish_active();
        self.table.set(table::REFRESHED_MS, now_ms);
        self.table.publish(table::REFRESH_SEQ, self.table.load(table::REFRESH_SEQ).wrapping_add(1));
    }

    /// Says why readers should no longer use this table.
    pub fn set_state(&self, state: State) {
        header::set_state(self.table, state);
        header::set_state(self.cold, state);
    }

    /// All entries, with what they were computed from.
    pub fn entries(&self) -> impl Iterator<Item = (Record, Entry)> + use<'_, 'a> {
        let table = self.table.view();
        self.used().filter_map(move |record| {
            let place = self.placement.find(record.hash)?;
            Some((record, Entry::from_bits(place.value(table))?))
        })
    }

    /// The records of all entries. Free ones are used from the first on, so those behind the last used one are mostly untouched memory,
    /// and stay so.
    fn used(&self) -> impl Iterator<Item = Record> + use<'a> {
        self.records.iter().take(self.len() as usize)
    }

    fn is_owner(&self, record: u32, endpoint: &Endpoint) -> bool {
        self.records.get(record).is_some_and(|record| record.endpoint == *endpoint)
    }

    fn release(&mut self, number: u32) {
        if let Some(place) = self.free.get_mut(self.free_len) {
            *place = number;
            self.free_len += 1;
        }
    }

    fn rebuild_filter(&mut self) {
        self.filter.fill(0);
        for record in self.used() {
            self.note_in_filter(record.hash);
        }
        self.publish_filter();
    }

    /// In the filter that is computed apart.
    #[inline]
    fn note_in_filter(&mut self, hash: u64) {
        let (word, bits) = table::filter_bits(hash);
        if let Some(place) = self.filter.get_mut(word - table::FILTER) {
            *place |= bits;
        }
    }

    /// Stored word by word: at any moment each word has the bits of all keys that are present.
    fn publish_filter(&mut self) {
        for (index, &bits) in self.filter.iter().enumerate().take(FILTER_LEN) {
            self.table.set(table::FILTER + index, bits);
        }
        self.removed = 0;
    }

    fn publish_active(&self) {
        self.table.publish(table::ACTIVE, self.len().into());
    }

    fn count(&self, diagnostic: usize, n: u64) {
        self.table.add(diagnostic, n);
    }
}
