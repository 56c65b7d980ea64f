//! Where entries stand, and how one is moved without any reader missing it.
//!
//! Only the writer's process has a [`Placement`]. Beside each slot of the shared buckets it keeps, in private memory,
//! which record the entry belongs to. All that readers rely on is in this file and in [`crate::host::bucket`]:
//!
//! - An entry appears, changes and disappears by one store of one word.
//! - A slot that was used becomes a tombstone, never 0 again.
//! - An entry is only ever moved from its first bucket to its second: copied there, then overwritten in the first. A
//!   reader looks at the first, then at the second, with a fence between: it finds the entry in one of them.
//! - No two entries that a reader could take for each other are placed.

use crate::host::bucket::{Buckets, Fingerprint, TOMBSTONE, VALUE_MASK};
use crate::host::region::{LINE, Shared, View};
use crate::status::Status;

/// A slot without an entry of ours.
const NOBODY: u32 = 0;
/// Set beside a slot whose entry stands in its own first bucket.
const IN_FIRST: u32 = 1 << 31;

/// The writer's side of the buckets.
pub struct Placement<'a> {
    words: Shared<'a>,
    buckets: Buckets,
    /// For each slot the number of the record plus one, and [`IN_FIRST`].
    owners: &'a mut [u32],
    /// Entries moved so far.
    moves: u64,
}

/// The slot of an entry, and the number of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    slot: usize,
    /// Whose entry it is.
    pub record: u32,
}

impl Place {
    /// The value of the entry there.
    pub fn value(self, words: View<'_>) -> u32 {
        (words.load(self.slot) & VALUE_MASK) as u32
    }
}

impl<'a> Placement<'a> {
    /// Of buckets in which no entry has an owner yet. `owners` has a word per slot.
    pub fn new(words: Shared<'a>, buckets: Buckets, owners: &'a mut [u32]) -> Placement<'a> {
        owners.fill(NOBODY);
        Placement { words, buckets, owners, moves: 0 }
    }

    /// Entries moved so far.
    pub fn moves(&self) -> u64 {
        self.moves
    }

    /// The entry with the fingerprint of this hash that has an owner.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<Place> {
        let fingerprint = Fingerprint::of(hash);
        let first = self.buckets.first(hash);
        self.owned_in(first, fingerprint)
            .or_else(|| self.owned_in(self.buckets.second(fingerprint, first), fingerprint))
    }

    fn owned_in(&self, bucket: u64, fingerprint: Fingerprint) -> Option<Place> {
        let slot = self.buckets.slot_of(self.words.view(), bucket, fingerprint)?;
        let owner = self.owner(slot) & !IN_FIRST;
        (owner != NOBODY).then(|| Place { slot, record: owner - 1 })
    }

    /// Changes an entry's value, with one store, if it differs.
    pub fn update(&mut self, place: Place, hash: u64, value: u32) {
        let word = Fingerprint::of(hash).with(value.into());
        if self.words.load(place.slot) != word {
            self.words.publish(place.slot, word);
        }
    }

    /// Takes an entry out.
    pub fn remove(&mut self, place: Place) {
        self.words.publish(place.slot, TOMBSTONE);
        self.set_owner(place.slot, NOBODY);
    }

    /// Whether readers could take the entry of a key that is not there yet for another one: the same fingerprint, in the
    /// same buckets or in a pair that shares one with them.
    pub fn collides(&self, hash: u64) -> bool {
        let fingerprint = Fingerprint::of(hash);
        let first = self.buckets.first(hash);
        let second = self.buckets.second(fingerprint, first);
        let shared = [first, second, self.buckets.before(fingerprint, first), self.buckets.second(fingerprint, second)];
        shared.into_iter().any(|bucket| self.buckets.slot_of(self.words.view(), bucket, fingerprint).is_some())
    }

    /// Puts in the entry of a key that is not there yet, and does not [collide](Self::collides) with one that is.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`] if both its buckets are full of entries that cannot be moved.
    pub fn insert(&mut self, hash: u64, record: u32, value: u32) -> Result<(), Status> {
        let fingerprint = Fingerprint::of(hash);
        let first = self.buckets.first(hash);
        let second = self.buckets.second(fingerprint, first);
        let free = [first, second].into_iter().find_map(|bucket| self.buckets.free_slot(self.words.view(), bucket));
        let slot = match free {
            Some(slot) => slot,
            None => self.make_room(first, second).ok_or(Status::TABLE_FULL)?,
        };
        let in_first = self.buckets.word(first) <= slot && slot < self.buckets.word(first) + LINE;
        self.words.publish(slot, fingerprint.with(value.into()));
        let mark = if in_first { IN_FIRST } else { 0 };
        self.set_owner(slot, (record + 1) | mark);
        Ok(())
    }

    /// Copies an entry that stands in its own first bucket, one of these two, to its second, and returns its old slot:
    /// it is still there, to be overwritten next.
    fn make_room(&mut self, first: u64, second: u64) -> Option<usize> {
        for bucket in [first, second] {
            for slot in self.buckets.word(bucket)..self.buckets.word(bucket) + LINE {
                let owner = self.owner(slot);
                if owner & IN_FIRST == 0 {
                    continue;
                }
                let word = self.words.load(slot);
                let its_second = self.buckets.second(Fingerprint::in_word(word), bucket);
                if let Some(free) = self.buckets.free_slot(self.words.view(), its_second) {
                    self.words.publish(free, word);
                    self.set_owner(free, owner & !IN_FIRST);
                    self.moves += 1;
                    return Some(slot);
                }
            }
        }
        None
    }

    /// Fetches what [`adopt`](Self::adopt) is about to look at. The result means nothing, but has to be used.
    #[inline]
    pub fn fetch(&self, hash: u64) -> u64 {
        let slot = self.buckets.word(self.buckets.first(hash));
        self.words.load(slot) ^ u64::from(self.owner(slot))
    }

    /// Gives an entry that was found in the buckets to its record again, after the writer was started anew. `false` if
    /// there is none without an owner.
    pub fn adopt(&mut self, hash: u64, record: u32) -> bool {
        let fingerprint = Fingerprint::of(hash);
        let first = self.buckets.first(hash);
        let words = self.words.view();
        let (slot, in_first) = match self.buckets.slot_of(words, first, fingerprint) {
            Some(slot) => (slot, IN_FIRST),
            None => match self.buckets.slot_of(words, self.buckets.second(fingerprint, first), fingerprint) {
                Some(slot) => (slot, 0),
                None => return false,
            },
        };
        let free = self.owner(slot) == NOBODY;
        if free {
            self.set_owner(slot, (record + 1) | in_first);
        }
        free
    }

    /// Ends the adoption: drops each word that no record owns, which is the second copy of a move that was cut short, an
    /// entry whose record was not kept, or damage. How many there were.
    pub fn drop_orphans(&mut self) -> u64 {
        let mut dropped = 0;
        for bucket in 0..self.buckets.count {
            let base = self.buckets.word(bucket);
            for (slot, word) in (base..).zip(self.words.view().load_line(base)) {
                if word > TOMBSTONE && self.owner(slot) == NOBODY {
                    self.words.publish(slot, TOMBSTONE);
                    dropped += 1;
                }
            }
        }
        dropped
    }

    fn owner(&self, slot: usize) -> u32 {
        slot.checked_sub(self.buckets.base).and_then(|slot| self.owners.get(slot)).copied().unwrap_or(NOBODY)
    }

    fn set_owner(&mut self, slot: usize, owner: u32) {
        if let Some(place) = slot.checked_sub(self.buckets.base).and_then(|slot| self.owners.get_mut(slot)) {
            *place = owner;
        }
    }
}
