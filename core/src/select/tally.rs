//! What a process adds up before it hands it over: outcomes of calls (SPEC B5), and calls that it withheld (SPEC S13).

use crate::admission::Key;
use crate::host::bucket::scale;
use crate::host::region::Shared;
use crate::id::{MULTIPLIERS, fold};
use crate::shield::health::Totals;
use crate::shield::outcome::Outcome;
use crate::time::{NANOS_PER_MICRO, Nanos};

/// Four counts of ten bits, and above them microseconds: one addition per call.
const COUNT_BITS: u32 = 10;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TIME_SHIFT: u32 = 4 * COUNT_BITS;
/// A call counts with no more than 2²² µs, four seconds.
const MAX_TIME_US: u64 = 1 << 22;
/// The top bit of each field: a word that has one of them is to be handed over, before a field can run over.
const FULL: u64 = 0x200 | 0x200 << COUNT_BITS | 0x200 << (2 * COUNT_BITS) | 0x200 << (3 * COUNT_BITS) | 1 << 63;

/// Counts a call in a word. Hot: one atomic addition. Whether the word is to be handed over.
#[inline]
pub(super) fn count(words: Shared<'_>, index: usize, outcome: Outcome, elapsed_ns: u64) -> bool {
    let time_us = elapsed_ns / NANOS_PER_MICRO;
    let time_us = if time_us < MAX_TIME_US { time_us } else { MAX_TIME_US };
    let added = 1 << (outcome as u32 * COUNT_BITS) | time_us << TIME_SHIFT;
    words.add(index, added).wrapping_add(added) & FULL != 0
}

/// Takes what was counted.
pub(super) fn take(words: Shared<'_>, index: usize) -> Totals {
    let word = words.take(index);
    let calls = [0, 1, 2, 3].map(|outcome: u32| word >> (outcome * COUNT_BITS) & COUNT_MASK);
    Totals { calls, time_us: word >> TIME_SHIFT }
}

/// Calls that were not sent because the endpoint's cursor would have refused them: how many, and the key of one of them,
/// each with the same probability. Sent along with the next call, they keep what the server knows of its demand
/// unbiased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// How many.
    pub count: u32,
    /// The key of one of them.
    pub key: Key,
}

/// Adds a withheld call to a word: reservoir sampling of one (Vitter, "Random sampling with a reservoir", 1985).
#[cold]
pub(super) fn withhold(words: Shared<'_>, index: usize, key: Key, now: Nanos) {
    let old = words.load(index);
    let count = (old >> 32).saturating_add(1).min(u64::from(u32::MAX));
    let draw = fold(now.0 ^ MULTIPLIERS[2], u64::from(key.0) ^ old ^ MULTIPLIERS[3]);
    let kept = if scale(draw, count) == 0 { u64::from(key.0) } else { old & u64::from(u32::MAX) };
    // Another thread that withholds at this moment counts instead.
    let _ = words.exchange(index, old, count << 32 | kept);
}

/// Takes what was withheld, to send it along.
#[inline]
pub(super) fn take_withheld(words: Shared<'_>, index: usize) -> Withheld {
    if words.load(index) == 0 {
        return Withheld::default();
    }
    let word = words.take(index);
    Withheld { count: (word >> 32) as u32, key: Key(word as u32) }
}
