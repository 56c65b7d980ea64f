//! What all processes of a host know of the endpoints that they call (SPEC S6): a cell for each ([`crate::shield::health`]).
//!
//! | part | |
//! |---|---|
//! | header | geometry = slots; word 9: slots in use |
//! | slots | 128 bytes each: the endpoint's hash, and what is known of it |
//!
//! An endpoint's slot is the first free one of a few, in a fixed order, and is never given back: two processes that
//! look for one at the same time find the same.

use super::bucket::scale;
use super::header::{self, Format, Header, Mismatch, State, layout_hash};
use super::region::{Shared, View};
use crate::shield::health::{self, Health, KEY, LEN, Reading};
use crate::shield::leak::Leak;
use crate::status::Status;
use crate::strategy::endpoint::{Endpoint, hash};
use crate::time::Nanos;

const USED: usize = 9;
const SLOTS: usize = header::PAGE / 8;
/// Slots in which an endpoint may be: its first, and further ones in turn from its second on. With so many none is refused
/// before its segment holds as many as it was made for.
const SLOTS_TRIED: usize = 64;
const SECOND_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// The most slots.
pub const MAX_SLOTS: u32 = 1 << 21;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.FA",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        USED as u64,
        SLOTS as u64,
        LEN as u64,
        KEY as u64,
        SLOTS_TRIED as u64,
        SECOND_MULTIPLIER,
        // What the words of a slot mean, and the hash: whoever changes them changes this.
        2,
    ]),
};

/// The slots for `capacity` endpoints: at most two thirds of them are used.
pub const fn slot_count(capacity: u32) -> u32 {
    let slots = (capacity as u64 * 3).div_ceil(2);
    if slots < 2 {
        2
    } else if slots > u32::MAX as u64 {
        u32::MAX
    } else {
        slots as u32
    }
}

/// Bytes of the segment for `capacity` endpoints.
pub const fn segment_len(capacity: u32) -> usize {
    len_for(slot_count(capacity))
}

const fn len_for(slots: u32) -> usize {
    header::total_len(SLOTS, slots as usize, LEN)
}

/// Where an endpoint's cell is. Good for the segment that it came from: another one refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BucketId(u64);

impl BucketId {
    /// The id with this number.
    pub const fn from_number(number: u64) -> BucketId {
        BucketId(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Lays out a new segment in zeroed memory, ready.
///
/// # Errors
///
/// [`Status::INVALID_ARGUMENT`] for a capacity of 0 or one that needs more than [`MAX_SLOTS`], [`Status::TOO_SMALL`].
#[cold]
pub fn create(words: Shared<'_>, capacity: u32, seed: u64, instance: u64) -> Result<(), Status> {
    let slots = slot_count(capacity);
    if capacity == 0 || slots > MAX_SLOTS {
        return Err(Status::INVALID_ARGUMENT);
    }
    if words.view().len() * 8 < len_for(slots) {
        return Err(Status::TOO_SMALL);
    }
    let (total_len, geometry) = (len_for(slots) as u64, slots.into());
    // Never 0, so that the number 0 is no cell.
    header::write(words, &FORMAT, &Header { total_len, geometry, seed, instance: instance | 1 });
    header::set_state(words, State::Ready);
    Ok(())
}

/// The cells, as every process sees them.
#[derive(Clone, Copy)]
pub struct FailBuckets<'a> {
    words: Shared<'a>,
    slots: u32,
    seed: u64,
    /// The upper half of every id.
    instance: u32,
}

impl<'a> FailBuckets<'a> {
    /// Attaches a segment of `len` bytes, in use.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    #[cold]
    pub fn attach(words: Shared<'a>, len: u64) -> Result<FailBuckets<'a>, Mismatch> {
        let header = header::read_ready(words.view(), len, &FORMAT)?;
        let slots = checked_slots(words.view(), &header)?;
        Ok(FailBuckets { words, slots, seed: header.seed, instance: header.instance as u32 })
    }

    /// The cell of an endpoint, which is given one if it has none. O(1); once per endpoint and process.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`].
    pub fn bucket(&self, endpoint: &Endpoint) -> Result<BucketId, Status> {
        let key = endpoint.to_words();
        let wanted = hash(key, self.seed);
        for slot in candidate_slots(wanted, self.slots) {
            let index = word_of(slot);
            let found = match self.words.load(index) {
                0 => match self.words.exchange(index, 0, wanted) {
                    Ok(()) => {
                        self.words.add(USED, 1);
                        wanted
                    }
                    Err(other) => other,
                },
                taken => taken,
            };
            if found == wanted {
                self.describe(slot, &key);
                return Ok(BucketId(u64::from(self.instance) << 32 | slot as u64));
            }
        }
        Err(Status::TABLE_FULL)
    }

    /// For tools and the agent, which check that the words fit the hash. Whoever claimed the slot may have died before
    /// it did so.
    fn describe(&self, slot: usize, key: &[u64; 3]) {
        for (index, &word) in (word_of(slot) + KEY..).zip(key) {
            if self.words.load(index) != word {
                self.words.set(index, word);
            }
        }
    }

    /// The cell with this id. Hot; safe from any thread and signal handler.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    #[inline]
    pub fn health(&self, id: BucketId) -> Result<Health<'a>, Status> {
        let slot = id.0 as u32;
        if (id.0 >> 32) as u32 != self.instance || slot >= self.slots {
            return Err(Status::STALE_ID);
        }
        Ok(Health::new(self.words.part(word_of(slot as usize), LEN)))
    }

    /// Whether the cell with this id is the endpoint's.
    pub fn is_of(&self, id: BucketId, endpoint: &Endpoint) -> bool {
        self.health(id).is_ok()
            && described(self.words.view(), id.0 as u32 as usize, self.seed) == Some(Some(*endpoint))
    }

    /// Pours a failure into the bucket that leaks by time. Hot; safe from any thread and signal handler.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    #[inline]
    pub fn pour(&self, id: BucketId, leak: &Leak, now: Nanos) -> Result<(), Status> {
        self.health(id)?.pour(leak, now);
        Ok(())
    }

    /// Whether that bucket is full. Hot: one load, on a line that is only written when a call fails.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    #[inline]
    pub fn is_full(&self, id: BucketId, leak: &Leak, now: Nanos) -> Result<bool, Status> {
        Ok(self.health(id)?.is_full(leak, now))
    }

    /// Empties that bucket: the endpoint has proved that it works.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    pub fn empty(&self, id: BucketId) -> Result<(), Status> {
        self.health(id)?.empty();
        Ok(())
    }

    /// All cells in use whose endpoint is known, for the agent.
    pub fn iter(&self) -> impl Iterator<Item = (Endpoint, Health<'a>)> + use<'a> {
        let buckets = *self;
        (0..buckets.slots as usize).filter_map(move |slot| {
            let endpoint = described(buckets.words.view(), slot, buckets.seed)??;
            Some((endpoint, Health::new(buckets.words.part(word_of(slot), LEN))))
        })
    }
}

/// One cell, as a tool sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whose it is; `None` while its key is being written, or damaged.
    pub endpoint: Option<Endpoint>,
    /// How long the bucket that leaks by time needs to become empty.
    pub level_ns: u64,
    /// From where on it is full; 0 if nothing was ever poured.
    pub limit_ns: u64,
    /// All that is known of the endpoint.
    pub reading: Reading,
}

/// The cells, as a tool sees them.
#[derive(Clone, Copy)]
pub struct Levels<'a> {
    words: View<'a>,
    slots: u32,
    seed: u64,
}

impl<'a> Levels<'a> {
    /// Attaches a segment of `len` bytes, in whatever state it is.
    ///
    /// # Errors
    ///
    /// Why it is not believed.
    pub fn attach(words: View<'a>, len: u64) -> Result<Levels<'a>, Mismatch> {
        let header = header::read(words, len, &FORMAT)?;
        Ok(Levels { words, slots: checked_slots(words, &header)?, seed: header.seed })
    }

    /// Slots in use, and slots there are.
    pub fn fill(&self) -> (u64, u64) {
        (self.words.load(USED), self.slots.into())
    }

    /// All cells in use.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = Level> + use<'a> {
        let levels = *self;
        (0..levels.slots as usize).filter_map(move |slot| {
            let endpoint = described(levels.words, slot, levels.seed)?;
            let reading = health::read(levels.words.part(word_of(slot), LEN));
            let level_ns = Nanos(reading.tat).since(now);
            Some(Level { endpoint, level_ns, limit_ns: reading.leak_limit_ns, reading })
        })
    }
}

/// Whose slot it is; the inner `None` while its key does not fit its hash, the outer one if it is free.
fn described(words: View<'_>, slot: usize, seed: u64) -> Option<Option<Endpoint>> {
    let word = |offset: usize| words.load(word_of(slot) + offset);
    let key = [word(KEY), word(KEY + 1), word(KEY + 2)];
    match word(0) {
        0 => None,
        wanted => Some((hash(key, seed) == wanted).then(|| Endpoint::from_words(key))),
    }
}

fn checked_slots(words: View<'_>, header: &Header) -> Result<u32, Mismatch> {
    let slots = header.geometry as u32;
    let is_valid = (2..=u64::from(MAX_SLOTS)).contains(&header.geometry);
    header.check_room(words, is_valid.then(|| len_for(slots)))?;
    Ok(slots)
}

/// The slots in which an endpoint may be, in the order in which everybody looks.
fn candidate_slots(hash: u64, slots: u32) -> impl Iterator<Item = usize> {
    let count = slots as usize;
    let first = scale(hash, slots.into()) as usize;
    let distance = 1 + scale(hash.wrapping_mul(SECOND_MULTIPLIER), u64::from(slots) - 1) as usize;
    let second = if first + distance >= count { first + distance - count } else { first + distance };
    let next = move |&slot: &usize| Some(if slot + 1 < count { slot + 1 } else { 0 });
    core::iter::once(first).chain(core::iter::successors(Some(second), next).take(SLOTS_TRIED - 1))
}

const fn word_of(slot: usize) -> usize {
    SLOTS + slot * LEN
}
