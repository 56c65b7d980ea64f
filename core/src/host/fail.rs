//! Leaky buckets that all processes of a host share (SPEC S5, S6): failures pour in, time leaks them out.
//!
//! A bucket is one word, its *theoretical arrival time*: when it will be empty again. It is the leaky bucket as a meter of
//! ITU-T I.371, annex A (GCRA, virtual scheduling): TAT' = max(TAT, now) + drain. So a bucket leaks without anybody doing
//! anything, the check is one load, and a process that dies leaves nothing to mend. A word that no pour could have written
//! is damage: it counts as empty, and the next pour replaces it.
//!
//! | part | |
//! |---|---|
//! | header | geometry = lines of four slots; word 9: slots in use |
//! | lines | 64 bytes each: four times hash of the endpoint, TAT |
//! | keys | 32 bytes per slot: the endpoint, and the limit that the last pour gave; for tools |
//!
//! An endpoint's slot is the first free one of a few lines, in a fixed order, and is never given back: two processes that
//! look for one at the same time find the same.

use super::bucket::scale;
use super::header::{self, Format, Header, Mismatch, State, layout_hash};
use super::region::{LINE, Shared, View};
use crate::status::Status;
use crate::strategy::endpoint::{Endpoint, hash};
use crate::time::{NANOS_PER_SECOND, Nanos};

const USED: usize = 9;
const LINES: usize = header::PAGE / 8;
/// Slots in a line.
const SLOTS: usize = LINE / 2;
const KEY_LEN: usize = 4;
/// Lines in which an endpoint may be: its first, and further ones in turn from its second on. With so many none is refused
/// before its segment holds as many as it was made for.
const LINES_TRIED: usize = 16;
/// How often a pour tries again while others pour into the same bucket.
const TRIES: usize = 8;
/// Beyond its capacity and this a bucket cannot be filled: clocks of two processors differ by less.
const TOLERANCE_NS: u64 = NANOS_PER_SECOND;
const SECOND_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// The most lines.
pub const MAX_LINES: u32 = 1 << 22;

/// The format of the segment.
pub const FORMAT: Format = Format {
    magic: *b"MCRPC.FA",
    major: 1,
    minor: 0,
    layout_hash: layout_hash(&[
        header::LEN as u64,
        USED as u64,
        LINES as u64,
        LINE as u64,
        KEY_LEN as u64,
        LINES_TRIED as u64,
        SECOND_MULTIPLIER,
        1,
    ]),
};

/// The lines for `capacity` endpoints: at most two thirds of the slots are used.
pub const fn line_count(capacity: u32) -> u32 {
    let lines = (capacity as u64 * 3).div_ceil(2 * SLOTS as u64);
    if lines < 2 { 2 } else { lines as u32 }
}

/// Bytes of the segment for `capacity` endpoints.
pub const fn segment_len(capacity: u32) -> usize {
    len_for(line_count(capacity))
}

const fn len_for(lines: u32) -> usize {
    header::total_len(keys_at(lines) + lines as usize * SLOTS * KEY_LEN)
}

const fn keys_at(lines: u32) -> usize {
    LINES + lines as usize * LINE
}

/// How a bucket leaks. The same for all processes that share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leak {
    /// How long one failure takes to leak out.
    pub drain_ns: u64,
    /// The bucket is full when it needs longer than this to become empty.
    pub limit_ns: u64,
    /// It is never filled beyond this, so that it is known when it will have become empty at the latest.
    pub capacity_ns: u64,
}

impl Leak {
    /// Ten failures at once fill it, one per second leaks out, and it takes at most 30 s to become empty.
    pub const DEFAULT: Leak =
        Leak { drain_ns: NANOS_PER_SECOND, limit_ns: 9 * NANOS_PER_SECOND, capacity_ns: 30 * NANOS_PER_SECOND };

    /// Checks that drain, limit and capacity are in this order, above 0 and below a day.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`].
    pub fn validate(&self) -> Result<(), Status> {
        let ordered = [1, self.drain_ns, self.limit_ns, self.capacity_ns, 86_400 * NANOS_PER_SECOND].is_sorted();
        if ordered { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }
    }
}

/// Where an endpoint's bucket is. Good for the segment that it came from: another one refuses it.
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
/// [`Status::INVALID_ARGUMENT`] for a capacity of 0 or one that needs more than [`MAX_LINES`], [`Status::TOO_SMALL`].
#[cold]
pub fn create(words: Shared<'_>, capacity: u32, seed: u64, instance: u64) -> Result<(), Status> {
    let lines = line_count(capacity);
    if capacity == 0 || lines > MAX_LINES {
        return Err(Status::INVALID_ARGUMENT);
    }
    if words.view().len() * 8 < len_for(lines) {
        return Err(Status::TOO_SMALL);
    }
    let (total_len, geometry) = (len_for(lines) as u64, lines.into());
    // Never 0, so that the number 0 is no bucket.
    header::write(words, &FORMAT, &Header { total_len, geometry, seed, instance: instance | 1 });
    header::set_state(words, State::Ready);
    Ok(())
}

/// The buckets, as every process sees them.
#[derive(Clone, Copy)]
pub struct FailBuckets<'a> {
    words: Shared<'a>,
    lines: u32,
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
        let lines = checked_lines(words.view(), &header)?;
        Ok(FailBuckets { words, lines, seed: header.seed, instance: header.instance as u32 })
    }

    /// The bucket of an endpoint, which is given one if it has none. O(1); once per endpoint and process.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`].
    pub fn bucket(&self, endpoint: &Endpoint) -> Result<BucketId, Status> {
        let key = endpoint.to_words();
        let wanted = hash(key, self.seed);
        for slot in candidate_slots(wanted, self.lines) {
            let index = hash_word(slot);
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

    /// For tools, which check that the words fit the hash. Whoever claimed the slot may have died before it did so.
    fn describe(&self, slot: usize, key: &[u64; 3]) {
        for (index, &word) in (keys_at(self.lines) + slot * KEY_LEN..).zip(key) {
            if self.words.load(index) != word {
                self.words.set(index, word);
            }
        }
    }

    /// A call to the endpoint has failed. Hot; safe from any thread and signal handler.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    #[inline]
    pub fn pour(&self, id: BucketId, leak: &Leak, now: Nanos) -> Result<(), Status> {
        let slot = self.slot(id)?;
        // When so many others pour at this very moment, one failure more or less says nothing.
        let _ = (0..TRIES).any(|_| self.try_pour(slot, leak, now));
        Ok(())
    }

    /// `false` if somebody else poured at the same moment.
    #[inline(never)]
    fn try_pour(&self, slot: usize, leak: &Leak, now: Nanos) -> bool {
        let index = hash_word(slot) + 1;
        let old = self.words.load(index);
        let start = if old > damage_limit(leak, now) { now.0 } else { old.max(now.0) };
        let poured = start.saturating_add(leak.drain_ns).min(now.plus(leak.capacity_ns).0);
        if poured <= old && start == old {
            return true;
        }
        let done = self.words.exchange(index, old, poured).is_ok();
        if done {
            self.words.set(keys_at(self.lines) + slot * KEY_LEN + 3, leak.limit_ns);
        }
        done
    }

    /// Whether the bucket is full. Hot: one load, on a line that is only written when a call fails.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    #[inline]
    pub fn is_full(&self, id: BucketId, leak: &Leak, now: Nanos) -> Result<bool, Status> {
        let tat = self.words.load(hash_word(self.slot(id)?) + 1);
        Ok(tat > now.plus(leak.limit_ns).0 && tat <= damage_limit(leak, now))
    }

    /// Empties the bucket: the endpoint has proved that it works.
    ///
    /// # Errors
    ///
    /// [`Status::STALE_ID`] if the id is not from this segment.
    pub fn empty(&self, id: BucketId) -> Result<(), Status> {
        self.words.set(hash_word(self.slot(id)?) + 1, 0);
        Ok(())
    }

    #[inline]
    fn slot(&self, id: BucketId) -> Result<usize, Status> {
        let slot = id.0 as u32;
        if (id.0 >> 32) as u32 != self.instance || slot as usize >= self.lines as usize * SLOTS {
            return Err(Status::STALE_ID);
        }
        Ok(slot as usize)
    }
}

/// One bucket, as a tool sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Whose it is; `None` while its key is being written, or damaged.
    pub endpoint: Option<Endpoint>,
    /// How long it needs to become empty.
    pub level_ns: u64,
    /// From where on it is full; 0 if nothing was ever poured.
    pub limit_ns: u64,
}

/// The buckets, as a tool sees them.
#[derive(Clone, Copy)]
pub struct Levels<'a> {
    words: View<'a>,
    lines: u32,
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
        Ok(Levels { words, lines: checked_lines(words, &header)?, seed: header.seed })
    }

    /// Slots in use, and slots there are.
    pub fn fill(&self) -> (u64, u64) {
        (self.words.load(USED), u64::from(self.lines) * SLOTS as u64)
    }

    /// All buckets in use.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = Level> + use<'a> {
        let levels = *self;
        (0..levels.lines as usize * SLOTS).filter_map(move |slot| levels.level(slot, now))
    }

    fn level(&self, slot: usize, now: Nanos) -> Option<Level> {
        let wanted = self.words.load(hash_word(slot));
        let described = |offset: usize| self.words.load(keys_at(self.lines) + slot * KEY_LEN + offset);
        let key = [described(0), described(1), described(2)];
        (wanted != 0).then(|| Level {
            endpoint: (hash(key, self.seed) == wanted).then(|| Endpoint::from_words(key)),
            level_ns: Nanos(self.words.load(hash_word(slot) + 1)).since(now),
            limit_ns: described(3),
        })
    }
}

fn checked_lines(words: View<'_>, header: &Header) -> Result<u32, Mismatch> {
    let lines = header.geometry as u32;
    let is_valid = (2..=u64::from(MAX_LINES)).contains(&header.geometry);
    header.check_room(words, is_valid.then(|| len_for(lines)))?;
    Ok(lines)
}

/// The slots in which an endpoint may be, in the order in which everybody looks.
fn candidate_slots(hash: u64, lines: u32) -> impl Iterator<Item = usize> {
    let count = lines as usize;
    let first = scale(hash, lines.into()) as usize;
    let distance = 1 + scale(hash.wrapping_mul(SECOND_MULTIPLIER), u64::from(lines) - 1) as usize;
    let second = if first + distance >= count { first + distance - count } else { first + distance };
    let next = move |&line: &usize| Some(if line + 1 < count { line + 1 } else { 0 });
    let further = core::iter::successors(Some(second), next).take(LINES_TRIED - 1);
    core::iter::once(first).chain(further).flat_map(|line| line * SLOTS..(line + 1) * SLOTS)
}

const fn hash_word(slot: usize) -> usize {
    LINES + slot * 2
}

#[inline]
const fn damage_limit(leak: &Leak, now: Nanos) -> u64 {
    now.plus(leak.capacity_ns).plus(TOLERANCE_NS).0
}
