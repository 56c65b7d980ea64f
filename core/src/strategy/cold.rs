//! The second segment: the full key of every entry, what it was computed from, and when it was refreshed last. For the
//! writer, who finds its way back after a crash with it, and for tools; callers never map it.
//!
//! Behind the header 64 bytes per record: address high, address low, service << 32 | port, hash, requests |
//! failures << 32, refreshed (ms of `CLOCK_BOOTTIME`), two reserved. The hash is written last and cleared first, and it must
//! be that of the key: so a record that was cut short shows it, and so does a key that was read while it changed. The counts
//! that a tool reads beside it may be those of the record's next owner.

use super::endpoint::{Endpoint, hash};
use super::table::MAX_CAPACITY;
use crate::host::header::{self, Format, Header, Mismatch, layout_hash};
use crate::host::region::{LINE, Shared, View};

const RECORDS: usize = header::PAGE / 8;
const HASH: usize = 3;
const COUNTS: usize = 4;
const REFRESHED_MS: usize = 5;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.CO",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        RECORDS as u64,
        LINE as u64,
        HASH as u64,
        COUNTS as u64,
        REFRESHED_MS as u64,
        1,
    ]),
};

/// Bytes of the segment for `capacity` records.
pub const fn segment_len(capacity: u32) -> usize {
    header::total_len(RECORDS, capacity as usize, LINE)
}

/// What an entry was computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls in the last period.
    pub requests: u32,
    /// How many of them failed.
    pub failures: u32,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whose it is.
    pub endpoint: Endpoint,
    /// The hash of the endpoint with the segment's seed.
    pub hash: u64,
    /// What the entry was computed from.
    pub counts: Counts,
    /// When it was refreshed last, in ms of `CLOCK_BOOTTIME`.
    pub refreshed_ms: u64,
}

/// The records as a reader sees them.
#[derive(Clone, Copy)]
pub struct Records<'a> {
    words: View<'a>,
    capacity: u32,
    header: Header,
}

impl<'a> Records<'a> {
    /// Attaches a segment of `len` bytes, in whatever state it is.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Records<'a>, Mismatch> {
        let header = header::read(words, len, &FORMAT)?;
        let capacity = header.geometry as u32;
        let is_valid = (1..=u64::from(MAX_CAPACITY)).contains(&header.geometry);
        header.check_room(words, is_valid.then(|| segment_len(capacity)))?;
        Ok(Records { words, capacity, header })
    }

    /// How many records there may be.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// What the segment says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The record with this number, if it is used and whole.
    #[inline]
    pub fn get(&self, number: u32) -> Option<Record> {
        if number >= self.capacity {
            return None;
        }
        let line = self.words.load_line(RECORDS + number as usize * LINE);
        let key = [line[0], line[1], line[2]];
        let whole = line[HASH] != 0 && hash(key, self.header.seed) == line[HASH];
        whole.then(|| Record {
            endpoint: Endpoint::from_words(key),
            hash: line[HASH],
            counts: Counts { requests: line[COUNTS] as u32, failures: (line[COUNTS] >> 32) as u32 },
            refreshed_ms: line[REFRESHED_MS],
        })
    }

    /// All records that are used and whole.
    pub fn iter(&self) -> impl Iterator<Item = Record> + use<'a> {
        let records = *self;
        (0..self.capacity).filter_map(move |number| records.get(number))
    }
}

/// Writes a record whose number is free.
pub(super) fn write(words: Shared<'_>, number: u32, record: &Record) {
    let base = RECORDS + number as usize * LINE;
    for (offset, word) in record.endpoint.to_words().into_iter().enumerate() {
        words.set(base + offset, word);
    }
    touch(words, number, record.counts, record.refreshed_ms);
    words.publish(base + HASH, record.hash);
}

/// Renews what changes with each refresh.
pub(super) fn touch(words: Shared<'_>, number: u32, counts: Counts, now_ms: u64) {
    let base = RECORDS + number as usize * LINE;
    words.set(base + COUNTS, u64::from(counts.failures) << 32 | u64::from(counts.requests));
    words.set(base + REFRESHED_MS, now_ms);
}

/// The hash that a record says its key has: 0 if it is free.
pub(super) fn stored_hash(words: Shared<'_>, number: u32) -> u64 {
    words.load(RECORDS + number as usize * LINE + HASH)
}

/// Frees a record.
pub(super) fn clear(words: Shared<'_>, number: u32) {
    words.publish(RECORDS + number as usize * LINE + HASH, 0);
}
