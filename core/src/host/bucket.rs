//! A bucket: one cache line of eight entries, each of which is one word that holds both identity and value.
//!
//! ```text
//! bits 28-63 fingerprint of the key's hash, never 0 | bits 0-27 value        0 = never used, 1 = tombstone
//! ```
//!
//! One load is a whole entry, so an entry cannot be torn: there is no sequence number, no second copy, no retry. A key
//! lives in one of two buckets, the first if there is room. A slot that was used never becomes *never used* again, so a
//! bucket whose last slot is 0 was never full, and no key that has it as its first can be in its second.
//!
//! The bucket of eight in one line with two choices is that of DPDK's `rte_hash`; the entry in one word, which
//! makes its change counter unnecessary, is ours.

use super::region::{LINE, View};

/// Bits of a value.
pub const VALUE_BITS: u32 = 28;
/// All bits of a value.
pub const VALUE_MASK: u64 = (1 << VALUE_BITS) - 1;
/// A slot that was used and is free.
pub const TOMBSTONE: u64 = 1;

const DISTANCE_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// `hash` scaled to `0..range`: the high half of the product (Lemire, "Fast random integer generation in an interval",
/// 2019).
#[inline]
pub const fn scale(hash: u64, range: u64) -> u64 {
    ((hash as u128 * range as u128) >> 64) as u64
}

/// The identity of a key within a bucket: the low 36 bits of its hash, in the place where they stand in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a hash.
    #[inline]
    pub const fn of(hash: u64) -> Fingerprint {
        let bits = hash << VALUE_BITS;
        Fingerprint(bits | ((bits == 0) as u64) << VALUE_BITS)
    }

    /// Of the entry in a word.
    #[inline]
    pub const fn in_word(word: u64) -> Fingerprint {
        Fingerprint(word & !VALUE_MASK)
    }

    /// Whether `word` is this key's entry.
    #[inline]
    pub const fn owns(self, word: u64) -> bool {
        (word ^ self.0) >> VALUE_BITS == 0
    }

    /// The entry of this key with `value`, of which only the low 28 bits count.
    #[inline]
    pub const fn with(self, value: u64) -> u64 {
        self.0 | value & VALUE_MASK
    }
}

/// The two buckets of a key, as indices of the first word of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// How many buckets there are: at least 2.
    pub count: u64,
    /// The word at which the first of them begins.
    pub base: usize,
}

impl Buckets {
    /// The number of the bucket that a key prefers.
    #[inline]
    pub const fn first(self, hash: u64) -> u64 {
        scale(hash, self.count)
    }

    /// The number of the bucket for a key that has no room in its `first` one. It follows from the fingerprint, so that
    /// an entry can be moved there without its key.
    #[inline]
    pub const fn second(self, fingerprint: Fingerprint, first: u64) -> u64 {
        self.step(first, self.distance(fingerprint))
    }

    /// The bucket whose second one is `bucket`, for keys with this fingerprint.
    pub const fn before(self, fingerprint: Fingerprint, bucket: u64) -> u64 {
        self.step(bucket, self.count - self.distance(fingerprint))
    }

    /// How many buckets lie between a first and its second one: 1 to `count` - 1.
    #[inline]
    const fn distance(self, fingerprint: Fingerprint) -> u64 {
        1 + scale(fingerprint.0.wrapping_mul(DISTANCE_MULTIPLIER), self.count - 1)
    }

    #[inline]
    const fn step(self, bucket: u64, distance: u64) -> u64 {
        let sum = bucket + distance;
        if sum >= self.count { sum - self.count } else { sum }
    }

    /// The index of a bucket's first word.
    #[inline]
    pub const fn word(self, bucket: u64) -> usize {
        self.base + bucket as usize * LINE
    }

    /// The value of the key with this hash. Wait-free; at most two cache lines; only loads.
    ///
    /// The fence stands between the two buckets because a writer that makes room moves an entry to its second bucket and
    /// then overwrites it in the first: who sees the second store must see the first. And it must see that the bucket was
    /// full before, so the last slot is loaded once more behind the fence.
    #[inline]
    pub fn find(self, words: View<'_>, hash: u64) -> Option<u32> {
        let fingerprint = Fingerprint::of(hash);
        let first = self.first(hash);
        let word = self.word(first);
        if let Some(value) = match_in(&words.load_line(word), fingerprint) {
            return Some(value);
        }
        words.acquire();
        if words.load(word + LINE - 1) == 0 {
            return None;
        }
        self.find_in_second(words, fingerprint, first)
    }

    /// Few keys are there, so it is kept out of the callers' code, which is short without it.
    #[cold]
    #[inline(never)]
    fn find_in_second(self, words: View<'_>, fingerprint: Fingerprint, first: u64) -> Option<u32> {
        match_in(&words.load_line(self.word(self.second(fingerprint, first))), fingerprint)
    }

    /// The slot of this fingerprint in `bucket`.
    pub fn slot_of(self, words: View<'_>, bucket: u64, fingerprint: Fingerprint) -> Option<usize> {
        let word = self.word(bucket);
        first_slot(&words.load_line(word), |entry| fingerprint.owns(entry)).map(|slot| word + slot)
    }

    /// The first free slot of `bucket`: in order, so that the last slot is filled last.
    pub fn free_slot(self, words: View<'_>, bucket: u64) -> Option<usize> {
        let word = self.word(bucket);
        first_slot(&words.load_line(word), |entry| entry <= TOMBSTONE).map(|slot| word + slot)
    }
}

/// Looks at all eight without a branch: the line is there anyway, and which slot matches cannot be predicted. A word
/// differs from the key's entry with value 0 by its value if it is the key's, and by more than any value if not; so the
/// least difference tells. Two match while an entry that was removed comes back in another slot: then one of them is
/// taken, never a mixture.
#[inline]
fn match_in(line: &[u64; LINE], fingerprint: Fingerprint) -> Option<u32> {
    let value = |word: u64| word ^ fingerprint.0;
    let [a, b, c, d, e, f, g, h] = *line;
    let (low, high) =
        (value(a).min(value(b)).min(value(c)).min(value(d)), value(e).min(value(f)).min(value(g)).min(value(h)));
    let least = low.min(high);
    if least <= VALUE_MASK { Some(least as u32) } else { None }
}

/// The first slot whose entry is wanted, found without a branch on any of them, as in [`match_in`].
#[inline]
fn first_slot(line: &[u64; LINE], wanted: impl Fn(u64) -> bool) -> Option<usize> {
    let mut slots = 0u32;
    for (slot, &word) in line.iter().enumerate() {
        slots |= u32::from(wanted(word)) << slot;
    }
    if slots == 0 { None } else { Some(slots.trailing_zeros() as usize) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_never_empty_nor_a_tombstone() {
        for hash in [0, 1, 1 << 36, u64::MAX, VALUE_MASK] {
            let fingerprint = Fingerprint::of(hash);
            assert!(!fingerprint.owns(0) && !fingerprint.owns(TOMBSTONE));
            assert!(fingerprint.owns(fingerprint.with(VALUE_MASK)));
            assert_eq!(Fingerprint::in_word(fingerprint.with(7)), fingerprint);
        }
    }

    #[test]
    fn the_second_bucket_is_another_one_and_before_is_its_inverse() {
        for count in [2u64, 3, 7, 44_643] {
            let buckets = Buckets { count, base: 0 };
            for n in 0..1_000u64 {
                let hash = crate::id::Salt(1).hash(n);
                let (fingerprint, first) = (Fingerprint::of(hash), buckets.first(hash));
                let second = buckets.second(fingerprint, first);
                assert!(first < count && second < count && first != second);
                assert_eq!(buckets.before(fingerprint, second), first);
            }
        }
    }
}
