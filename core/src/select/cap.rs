//! No more than a share of a ring's endpoints is shielded: when all fail, calling none of them is worse than calling any.
//!
//! Those with the lightest faults are called first. It is Envoy's panic threshold, but with the shields of the worst
//! endpoints kept. Counting takes a look at each endpoint, so it is done when a call meets a shield, and then at most every
//! [`COUNTED_EACH_MS`].

use super::pick::Walk;
use super::table::{RingPlace, identity};
use crate::host::region::Shared;
use crate::id::Per10k;
use crate::shield::breaker::Word;
use crate::strategy::endpoint::Endpoint;

/// Where in a set's head the words of the rings are.
pub(super) const CAPS: usize = 40;
const COUNTED_EACH_MS: u32 = 20;
/// Backoff steps, each in four parts, which an endpoint's identity tells apart.
const SEVERITIES: usize = 64;
const LIMIT_SHIFT: u32 = 32;
const UNWELL_SHIFT: u32 = 40;
/// Which version was counted: its low bits.
const GENERATION_SHIFT: u32 = 48;

/// What was counted on a ring.
#[derive(Clone, Copy)]
pub(super) struct Cap {
    /// Shielded endpoints with a severity below this are called; 0: no more are shielded than may be.
    limit: u8,
    /// So many are shielded or recovering that those that recover cannot leave their users to the others.
    pub(super) is_mostly_unwell: bool,
}

impl Cap {
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

/// What is known of a ring, at most [`COUNTED_EACH_MS`] old.
#[cold]
#[inline(never)]
pub(super) fn cap(walk: &Walk<'_, '_, '_>, head: Shared<'_>, number: usize, ring: &RingPlace, scope: usize) -> Cap {
    let (index, known) = (CAPS + number, head.load(CAPS + number));
    let generation = walk.generation as u16;
    let age_ms = walk.now_ms.wrapping_sub(known as u32);
    if known != 0 && age_ms < COUNTED_EACH_MS && (known >> GENERATION_SHIFT) as u16 == generation {
        return Cap { limit: (known >> LIMIT_SHIFT) as u8, is_mostly_unwell: known >> UNWELL_SHIFT & 1 == 1 };
    }
    let cap = count(walk, ring, scope);
    let word = u64::from(walk.now_ms)
        | u64::from(cap.limit) << LIMIT_SHIFT
        | u64::from(cap.is_mostly_unwell) << UNWELL_SHIFT
        | u64::from(generation) << GENERATION_SHIFT;
    head.set(index, word);
    cap
}

fn count(walk: &Walk<'_, '_, '_>, ring: &RingPlace, scope: usize) -> Cap {
    let mut by_severity = [0u16; SEVERITIES];
    let (mut all, mut shielded, mut unwell) = (0u32, 0u32, 0);
    for index in 0..walk.table.len() {
        let endpoint = walk.table.endpoint(index);
        if !walk.table.is_member(index, ring, scope, &walk.set.settings) || walk.is_operators(&endpoint) {
            continue;
        }
        let word = walk.table.health(index, walk.host.fail).breaker();
        all += 1;
        unwell += u32::from(!word.is_normal());
        if word.is_shielded() {
            shielded += 1;
            if let Some(count) = by_severity.get_mut(severity(&endpoint, word)) {
                *count += 1;
            }
        }
    }
    let permitted = all * u32::from(walk.set.settings.max_shielded.get()) / u32::from(Per10k::ALL.get());
    let mut called = 0;
    let too_many = shielded.saturating_sub(permitted);
    let limit = by_severity.iter().take_while(|&&count| {
        let goes_on = called < too_many;
        called += u32::from(count);
        goes_on
    });
    Cap { limit: limit.count() as u8, is_mostly_unwell: unwell > permitted }
}
