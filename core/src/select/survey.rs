//! What is counted on a ring: how many endpoints are shielded, and what the most willing one admits.
//!
//! No more than a share of a ring's endpoints is shielded: when all fail, calling none of them is worse than calling any.
//!
//! Those with the lightest faults are called first. It is Envoy's panic threshold, but with the shields of the worst
//! endpoints kept. Counting takes a look at each endpoint, so it is done when a call meets a shield, and then at most every
//! [`COUNTED_EACH_MS`].

use super::explain::Witness;
use super::judge::is_operators;
use super::pick::Walk;
use super::table::{SCOPES, identity};
use crate::admission::Cursor;
use crate::host::region::Shared;
use crate::id::Per10k;
use crate::shield::breaker::Word;
use crate::shield::health::wrapping_ms;
use crate::strategy::endpoint::Endpoint;
use crate::strategy::entry::Kind;
use crate::time::Nanos;

/// Where in a set's head the words of the rings are.
pub(super) const SURVEYS: usize = 40;
/// Where the cursors of the rings are.
pub(super) const CURSORS: usize = 64;
const COUNTED_EACH_MS: u32 = 20;
/// Backoff steps, each in four parts, which an endpoint's identity tells apart.
const SEVERITIES: usize = 64;
const LIMIT_SHIFT: u32 = 32;
const UNWELL_SHIFT: u32 = 40;
/// Which version was counted: its low bits.
const GENERATION_SHIFT: u32 = 48;

/// What was counted on a ring.
#[derive(Clone, Copy)]
pub(super) struct Survey {
    /// Shielded endpoints with a severity below this are called; 0: no more are shielded than may be.
    limit: u8,
    /// So many are shielded or recovering that those that recover cannot leave their users to the others.
    pub(super) is_mostly_unwell: bool,
    /// Keys at or above it are refused by all.
    pub(super) cursor: Cursor,
}

impl Survey {
    /// Whether more endpoints are shielded than may be.
    pub(super) const fn is_exceeded(self) -> bool {
        self.limit != 0
    }

    /// Whether a shielded endpoint is to be called.
    pub(super) fn lets_through(self, endpoint: &Endpoint, word: Word) -> bool {
        severity(endpoint, word) < usize::from(self.limit)
    }
}

/// The heavier, the more often an endpoint was shielded in a row.
fn severity(endpoint: &Endpoint, word: Word) -> usize {
    (word.backoff_step() as usize * 4 + (identity(endpoint) >> 8) as usize % 4) % SEVERITIES
}

/// What is known of a ring: at most [`COUNTED_EACH_MS`] old, unless any will do.
#[inline]
pub(super) fn known(head: Shared<'_>, ring: u32, generation: u64, now: Nanos, any: bool) -> Option<Survey> {
    let known = head.load(SURVEYS + ring as usize);
    let age_ms = wrapping_ms(now).wrapping_sub(known as u32);
    let is_new = known != 0 && age_ms < COUNTED_EACH_MS && (known >> GENERATION_SHIFT) as u16 == generation as u16;
    (any || is_new).then(|| Survey {
        limit: (known >> LIMIT_SHIFT) as u8,
        is_mostly_unwell: known >> UNWELL_SHIFT & 1 == 1,
        cursor: Cursor(head.load(CURSORS + ring as usize) as u32),
    })
}

/// Looks at each endpoint of a ring, for this call and all that come within the next [`COUNTED_EACH_MS`].
#[cold]
#[inline(never)]
pub(super) fn count<W: Witness>(walk: &mut Walk<'_, '_, '_, W>, ring: u32) {
    walk.counted |= 1 << ring;
    let survey = surveyed(walk, ring as usize);
    let word = u64::from(wrapping_ms(walk.now))
        | u64::from(survey.limit) << LIMIT_SHIFT
        | u64::from(survey.is_mostly_unwell) << UNWELL_SHIFT
        | (walk.generation & 0xFFFF) << GENERATION_SHIFT;
    walk.set.words.set(CURSORS + ring as usize, survey.cursor.0.into());
    walk.set.words.set(SURVEYS + ring as usize, word);
}

#[inline]
fn surveyed<W: Witness>(walk: &Walk<'_, '_, '_, W>, ring: usize) -> Survey {
    // The lowest limit below which there are enough is looked for by halving, since a table of all has no place on the stack of
    // a coroutine. Beginning with all.
    let (mut limit, mut high, mut below) = (0, SEVERITIES, SEVERITIES);
    let mut too_many = 0;
    let (mut is_mostly_unwell, mut cursor) = (false, Cursor(0));
    loop {
        let tally = tally(walk, ring, below);
        if below == SEVERITIES {
            cursor = tally.cursor;
            let permitted =
                tally.endpoints * u32::from(walk.set.settings.max_shielded.get()) / u32::from(Per10k::ALL.get());
            too_many = tally.shielded.saturating_sub(permitted);
            is_mostly_unwell = tally.unwell > permitted;
        } else if tally.shielded < too_many {
            limit = below + 1;
        } else {
            high = below;
        }
        if too_many == 0 || limit >= high {
            return Survey { limit: limit as u8, is_mostly_unwell, cursor };
        }
        below = limit.midpoint(high);
    }
}

struct Tally {
    /// Those that nobody but the breaker keeps calls from.
    endpoints: u32,
    /// Shielded or recovering.
    unwell: u32,
    /// Shielded, with a severity below the one that was asked for.
    shielded: u32,
    /// The highest cursor of all.
    cursor: Cursor,
}

#[inline]
fn tally<W: Witness>(walk: &Walk<'_, '_, '_, W>, ring: usize, below: usize) -> Tally {
    let mut tally = Tally { endpoints: 0, unwell: 0, shielded: 0, cursor: Cursor(0) };
    let table = walk.table();
    for index in 0..table.len() {
        if !is_on_ring(walk, ring, index) {
            continue;
        }
        let endpoint = table.endpoint(index);
        let entry = walk.host.strategy.and_then(|strategy| walk.entry(strategy, index));
        let health = table.health(index, walk.set.shared(walk.host));
        let level = entry.map_or(Cursor::OPEN, |entry| entry.reject_level.cursor());
        // Also of those that are shielded: whether that has effect is for each call to find out.
        tally.cursor = tally.cursor.max(health.cursor(walk.now).min(level));
        let is_shielded = entry.is_some_and(|entry| entry.kind == Kind::Shielded);
        if is_shielded || is_operators(walk.host, &endpoint, walk.now) {
            continue;
        }
        let word = health.breaker();
        tally.endpoints += 1;
        tally.unwell += u32::from(!word.is_normal());
        tally.shielded += u32::from(word.is_shielded() && severity(&endpoint, word) < below);
    }
    tally
}

/// Kept apart, so that what it needs is not on the stack while an endpoint is looked up.
#[inline(never)]
fn is_on_ring<W: Witness>(walk: &Walk<'_, '_, '_, W>, ring: usize, index: usize) -> bool {
    let table = walk.table();
    let group = table.ring_place(ring / SCOPES, ring % SCOPES).group;
    table.is_member(index, group, ring % SCOPES, &walk.set.settings)
}
