//! The table of strategies: its layout, and how it is read.
//!
//! | byte | size | |
//! |---|---|---|
//! | 0 | 128 | the common header; geometry = buckets, then words 9 to 12 below |
//! | 128 | 128 | diagnostics, see [`Diagnostics`] |
//! | 4096 | 65 536 | filter: two bits in one word for each key present |
//! | 69 632 | 64 each | buckets of eight entries, see [`crate::host::bucket`] |
//!
//! One writer, any number of readers, which never write. Each word is whole at any moment, so a reader may be stopped for
//! any time at any instruction, and the writer killed at any: the answer is a value that the key has had.

use super::endpoint::{Endpoint, mix};
use super::entry::Entry;
use crate::host::bucket::{Buckets, TOMBSTONE, scale};
use crate::host::header::{self, Format, Header, Mismatch, layout_hash};
use crate::host::region::{LINE, View};

/// Entries that differ from *pass all*; 0: no other word needs to be read.
pub(super) const ACTIVE: usize = 9;
/// Counts refreshes: the heartbeat.
pub(super) const REFRESH_SEQ: usize = 10;
/// When the last refresh was, in ms of `CLOCK_BOOTTIME`: for people.
pub(super) const REFRESHED_MS: usize = 11;
/// The words of [`Diagnostics`].
pub(super) const WRITER_EPOCH: usize = 16;
pub(super) const WRITER_PID: usize = 17;
pub(super) const MOVES: usize = 18;
pub(super) const FULL_REFUSALS: usize = 19;
pub(super) const COLLISIONS: usize = 20;
pub(super) const ORPHANS_DROPPED: usize = 21;
pub(super) const FILTER: usize = header::PAGE / 8;
/// Words of the filter.
pub(super) const FILTER_LEN: usize = 8_192;
const BUCKETS: usize = FILTER + FILTER_LEN;
/// With more entries than this most words of the filter are full, and asking it costs more than it saves.
const FILTER_USEFUL: u64 = 65_536;
const FILTER_MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

/// The most entries of a table.
pub const MAX_CAPACITY: u32 = 1 << 24;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.ST",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        ACTIVE as u64,
        REFRESH_SEQ as u64,
        REFRESHED_MS as u64,
        FILTER as u64,
        FILTER_LEN as u64,
        FILTER_MULTIPLIER,
        BUCKETS as u64,
        LINE as u64,
        TOMBSTONE,
        crate::host::bucket::VALUE_BITS as u64,
        // What an entry's 28 bits mean, and the hash: whoever changes them changes this.
        1,
    ]),
};

/// The buckets that `capacity` entries need: at most 70 % of the slots are used.
pub const fn bucket_count(capacity: u32) -> u64 {
    let count = (capacity as u64 * 10).div_ceil(56);
    if count < 2 { 2 } else { count }
}

/// Bytes of the segment for `capacity` entries.
pub const fn segment_len(capacity: u32) -> usize {
    len_for(bucket_count(capacity))
}

const fn len_for(bucket_count: u64) -> usize {
    header::total_len(BUCKETS, bucket_count as usize, LINE)
}

pub(super) const fn buckets(count: u64) -> Buckets {
    Buckets { count, base: BUCKETS }
}

/// The filter's word for a hash, and the two bits in it.
#[inline]
pub(super) const fn filter_bits(hash: u64) -> (usize, u64) {
    let word = scale(hash.wrapping_mul(FILTER_MULTIPLIER), FILTER_LEN as u64) as usize;
    (FILTER + word, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
}

/// A table as a reader sees it: the segment, and a private copy of its geometry.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    words: View<'a>,
    buckets: Buckets,
    seed: u64,
}

impl<'a> Table<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Table<'a>, Mismatch> {
        Table::from_header(words, header::read_ready(words, len, &FORMAT)?)
    }

    /// As [`attach`](Self::attach), in whatever state it is: for tools.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn inspect(words: View<'a>, len: u64) -> Result<Table<'a>, Mismatch> {
        Table::from_header(words, header::read(words, len, &FORMAT)?)
    }

    fn from_header(words: View<'a>, header: Header) -> Result<Table<'a>, Mismatch> {
        let count = header.geometry;
        let is_valid = (2..=bucket_count(MAX_CAPACITY)).contains(&count);
        header.check_room(words, is_valid.then(|| len_for(count)))?;
        Ok(Table { words, buckets: buckets(count), seed: header.seed })
    }

    /// What the host learnt about an endpoint; `None`: nothing, the call passes. Hot: wait-free, only loads, one line on
    /// a healthy host, two or three else.
    // Always: as a call of its own, which the compiler would rather make it, a lookup takes 5 ns more of 33.
    #[inline(always)]
    pub fn lookup(&self, endpoint: &Endpoint) -> Option<Entry> {
        let active = self.active();
        if active == 0 { None } else { self.lookup_among(active, mix(endpoint.to_words(), self.seed)) }
    }

    #[inline(always)]
    fn lookup_among(&self, active: u64, hash: u64) -> Option<Entry> {
        if active < FILTER_USEFUL {
            let (word, bits) = filter_bits(hash);
            if self.words.load(word) & bits != bits {
                return None;
            }
        }
        Entry::from_bits(self.buckets.find(self.words, hash)?)
    }

    /// How many entries there are.
    #[inline]
    pub fn active(&self) -> u64 {
        self.words.load(ACTIVE)
    }

    /// The heartbeat: see [`super::liveness`].
    pub fn refresh_seq(&self) -> u64 {
        self.words.load(REFRESH_SEQ)
    }

    /// When the last refresh was, in ms of `CLOCK_BOOTTIME`.
    pub fn refreshed_ms(&self) -> u64 {
        self.words.load(REFRESHED_MS)
    }

    /// The state of the segment.
    #[inline]
    pub fn state(&self) -> Option<header::State> {
        header::state(self.words)
    }

    /// Whether it is in use, and not superseded or closed.
    ///
    /// # Errors
    ///
    /// [`crate::status::Status::SEGMENT_NOT_READY`] with the number of the state.
    pub fn check_ready(&self) -> Result<(), Mismatch> {
        header::check_ready(self.words)
    }

    /// How many buckets there are.
    pub fn bucket_count(&self) -> u64 {
        self.buckets.count
    }

    /// The words of all slots, for tools: 0, a tombstone, or an entry.
    pub fn slots(&self) -> impl Iterator<Item = u64> + use<'a> {
        let words = self.words;
        let slots = self.buckets.count as usize * LINE;
        (0..slots).map(move |slot| words.load(BUCKETS + slot))
    }

    /// What the writer says of its work.
    pub fn diagnostics(&self) -> Diagnostics {
        Diagnostics {
            writer_epoch: self.words.load(WRITER_EPOCH),
            writer_pid: self.words.load(WRITER_PID),
            moves: self.words.load(MOVES),
            full_refusals: self.words.load(FULL_REFUSALS),
            collisions: self.words.load(COLLISIONS),
            orphans_dropped: self.words.load(ORPHANS_DROPPED),
        }
    }
}

/// What the writer says of its work, since the segment was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    /// How often a writer took the table over.
    pub writer_epoch: u64,
    /// The process that writes it.
    pub writer_pid: u64,
    /// Entries moved to their second bucket.
    pub moves: u64,
    /// Keys refused because both their buckets were full.
    pub full_refusals: u64,
    /// Keys refused because another one has the same fingerprint in the same place.
    pub collisions: u64,
    /// Words dropped while adopting: the rest of a move that was cut short, or damage.
    pub orphans_dropped: u64,
}
