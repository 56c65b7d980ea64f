//! What the table is compared with: the least that any table costs, what it replaces, and what a Rust program would use.
//!
//! All but the standard library's default use the table's own hash, and the key in 24 bytes where it is compared.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use mcrpc_core::host::bucket::scale;
use mcrpc_core::strategy::endpoint::Endpoint;
use memmap2::MmapMut;

use crate::keys::{Lookup, SEED};

/// Key, generator and hash alone.
pub struct Nothing;

impl Lookup for Nothing {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        endpoint.hash(SEED) as u32
    }
}

/// One load from a random line of as many as the table has: the cache miss that nothing of this size avoids.
pub struct OneLine {
    memory: MmapMut,
    lines: u64,
}

impl OneLine {
    pub fn new(lines: u64) -> OneLine {
        let mut memory = MmapMut::map_anon(lines as usize * 64).unwrap();
        memory.fill(0xA5);
        OneLine { memory, lines }
    }
}

impl Lookup for OneLine {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        let line = scale(endpoint.hash(SEED), self.lines) as usize;
        let (words, _) = self.memory.as_chunks::<8>();
        words.get(line * 8).map_or(0, |word| u64::from_le_bytes(*word) as u32)
    }
}

/// The four-level hash that the table replaces. As it was: the sizes of the levels, records of 50 bytes packed without
/// regard to lines, two copies and an index that says which one is read, an empty slot ends the search. Better than it
/// was: one good hash of which each level takes other bits. Its own (BKDR modulo the size of each level, which divides the
/// one before) puts the same keys into each other's way on every level, and loses a fifth of 250 000 consecutive endpoints;
/// what it does not have to find cannot be compared.
pub struct FourLevels {
    memory: MmapMut,
    current: AtomicUsize,
}

const LEVELS: [u64; 4] = [250_000, 125_000, 62_500, 31_250];
const RECORDS: usize = 468_750;
const RECORD: usize = 50;
const VALUE: usize = 24;

impl FourLevels {
    pub fn new() -> FourLevels {
        FourLevels { memory: MmapMut::map_anon(2 * RECORDS * RECORD).unwrap(), current: AtomicUsize::new(0) }
    }

    /// In which records of a copy the key may be.
    #[inline(always)]
    fn candidates(hash: u64) -> impl Iterator<Item = usize> {
        let mut begin = 0;
        LEVELS.into_iter().enumerate().map(move |(level, len)| {
            let record = begin + scale(hash.rotate_left(16 * level as u32), len) as usize;
            begin += len as usize;
            record
        })
    }

    /// Into both copies. Whether there was room.
    pub fn insert(&mut self, endpoint: &Endpoint, value: u32) -> bool {
        let (records, _) = self.memory.as_chunks_mut::<RECORD>();
        let mut candidates = FourLevels::candidates(endpoint.hash(SEED));
        let Some(free) = candidates.find(|&number| records[number].iter().all(|&byte| byte == 0)) else {
            return false;
        };
        for number in [free, RECORDS + free] {
            for (place, word) in records[number].as_chunks_mut::<8>().0.iter_mut().zip(endpoint.to_words()) {
                *place = word.to_le_bytes();
            }
            records[number][VALUE..VALUE + 4].copy_from_slice(&value.to_le_bytes());
        }
        true
    }
}

impl Lookup for FourLevels {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        let key = endpoint.to_words();
        let (records, _) = self.memory.as_chunks::<RECORD>();
        let copy = self.current.load(Ordering::Relaxed) * RECORDS;
        for number in FourLevels::candidates(endpoint.hash(SEED)) {
            let Some(record) = records.get(copy + number) else { return 0 };
            let word = |index: usize| u64::from_le_bytes(record.as_chunks::<8>().0[index]);
            if word(1) == 0 {
                return 0;
            }
            if word(1) == key[1] && word(2) == key[2] && word(0) == key[0] {
                return word(VALUE / 8) as u32;
            }
        }
        0
    }
}

/// A key that is hashed as the table hashes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key([u64; 3]);

impl Key {
    #[inline(always)]
    fn of(endpoint: &Endpoint) -> Key {
        Key(endpoint.to_words())
    }
}

impl Hash for Key {
    #[inline(always)]
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(mcrpc_core::strategy::endpoint::hash(self.0, SEED));
    }
}

/// Takes the hash as it is.
#[derive(Clone, Copy, Default)]
pub struct AsItIs(u64);

impl BuildHasher for AsItIs {
    type Hasher = AsItIs;

    #[inline(always)]
    fn build_hasher(&self) -> AsItIs {
        AsItIs(0)
    }
}

impl Hasher for AsItIs {
    #[inline(always)]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a key writes one word");
    }
}

/// The standard library's map with its default hash, behind its lock.
pub struct Locked(RwLock<HashMap<[u64; 3], u32>>);

impl FromIterator<(Endpoint, u32)> for Locked {
    fn from_iter<I: IntoIterator<Item = (Endpoint, u32)>>(entries: I) -> Locked {
        Locked(RwLock::new(entries.into_iter().map(|(endpoint, value)| (endpoint.to_words(), value)).collect()))
    }
}

impl Lookup for Locked {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        self.0.read().unwrap().get(&endpoint.to_words()).copied().unwrap_or(0)
    }
}

/// A map that is replaced as a whole.
pub struct Swapped(ArcSwap<HashMap<Key, u32, AsItIs>>);

impl FromIterator<(Endpoint, u32)> for Swapped {
    fn from_iter<I: IntoIterator<Item = (Endpoint, u32)>>(entries: I) -> Swapped {
        Swapped(ArcSwap::from_pointee(
            entries.into_iter().map(|(endpoint, value)| (Key::of(&endpoint), value)).collect(),
        ))
    }
}

impl Lookup for Swapped {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        self.0.load().get(&Key::of(endpoint)).copied().unwrap_or(0)
    }
}

/// A map in shards, each behind a lock.
pub struct Sharded(DashMap<Key, u32, AsItIs>);

impl FromIterator<(Endpoint, u32)> for Sharded {
    fn from_iter<I: IntoIterator<Item = (Endpoint, u32)>>(entries: I) -> Sharded {
        Sharded(entries.into_iter().map(|(endpoint, value)| (Key::of(&endpoint), value)).collect())
    }
}

impl Lookup for Sharded {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        self.0.get(&Key::of(endpoint)).map_or(0, |value| *value)
    }
}

/// A map without locks.
pub struct LockFree(papaya::HashMap<Key, u32, AsItIs>);

impl FromIterator<(Endpoint, u32)> for LockFree {
    fn from_iter<I: IntoIterator<Item = (Endpoint, u32)>>(entries: I) -> LockFree {
        LockFree(entries.into_iter().map(|(endpoint, value)| (Key::of(&endpoint), value)).collect())
    }
}

impl Lookup for LockFree {
    #[inline(always)]
    fn find(&self, endpoint: &Endpoint) -> u32 {
        self.0.pin().get(&Key::of(endpoint)).copied().unwrap_or(0)
    }
}
