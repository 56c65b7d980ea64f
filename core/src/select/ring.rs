//! Consistent hashing (SPEC S4, K4): the same user, the same endpoint, whoever asks and in whatever order the endpoints
//! are listed; one endpoint more takes only its own share of the users from the others.
//!
//! Each endpoint has [`POINTS`] places on a ring. A user has [`PROBES`] places, and belongs to the endpoint whose point
//! follows one of them most closely: multi-probe consistent hashing (B. Appleton and M. O'Reilly, 2015), which spreads the
//! load as evenly with 32 points as a plain ring does with some hundreds. At 100 endpoints the fullest has 1.10 times the mean
//! load, 1.12 at worst over 12 rings.
//!
//! A point is one word: place (48 bits) << 16 | endpoint. An index of the ring's equal parts says where the points of each
//! begin, so that a probe looks at one or two of them.

use crate::host::region::{Shared, View};
use crate::id::{MULTIPLIERS, Salt, fold};

/// Points of an endpoint.
pub const POINTS: u32 = 32;
/// Places of a user.
pub const PROBES: u64 = 8;
const PLACE_BITS: u32 = 48;
const SLOT_BITS: u32 = 16;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
/// Parts of the index in a word.
const PARTS_IN_WORD: usize = 4;
/// So many points from the beginning of a part on are looked at at once: in 99 of 100 parts the one that is looked for is among
/// them.
const LOOKED_AT: usize = 4;
/// More points than this in one part of the ring are not looked at: with a part per point, no ring has so many.
const MAX_STEPS: usize = 32;

/// Words of the points of so many endpoints; behind the last one stand the first ones again.
pub const fn points_len(endpoints: u32) -> usize {
    (endpoints * POINTS) as usize + LOOKED_AT
}

/// Words of the index of a ring of so many endpoints.
pub const fn index_len(endpoints: u32) -> usize {
    (1usize << index_bits(endpoints)).div_ceil(PARTS_IN_WORD)
}

/// As many parts as points, up to the next power of two.
const fn index_bits(endpoints: u32) -> u32 {
    let parts = (endpoints * POINTS).next_power_of_two();
    if parts < 2 { 1 } else { parts.trailing_zeros() }
}

/// A ring in memory.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    points: View<'a>,
    index: View<'a>,
    shift: u32,
}

impl<'a> Ring<'a> {
    /// The ring of `endpoints` endpoints in these words.
    #[inline]
    pub const fn new(points: View<'a>, index: View<'a>, endpoints: u32) -> Ring<'a> {
        Ring { points, index, shift: PLACE_BITS - index_bits(endpoints) }
    }

    /// The number of the endpoint to which the owner of `hash` belongs. Hot: nothing that is random decides about a branch.
    /// 0 if the ring is empty.
    #[inline]
    pub fn find(&self, hash: u64) -> usize {
        if self.points.len() == points_len(1) {
            return (self.points.load(0) & SLOT_MASK) as usize;
        }
        let mut nearest = u64::MAX;
        for probe in 0..PROBES {
            let multiplier = MULTIPLIERS[1].wrapping_add((2 * probe).wrapping_mul(MULTIPLIERS[3]));
            nearest = nearest.min(self.nearest(fold(hash ^ MULTIPLIERS[0], multiplier) >> SLOT_BITS));
        }
        (nearest & SLOT_MASK) as usize
    }

    /// The distance from a place to the first point at or behind it, around the ring, as a point: distance << 16 | endpoint.
    #[inline]
    fn nearest(&self, place: u64) -> u64 {
        let first = part(self.index, (place >> self.shift) as usize);
        // A point before the place is nearly once around the ring away.
        let distance = |point: u64| point.wrapping_sub(place << SLOT_BITS);
        let [a, b, c, d] = self.points.load_four(first);
        let nearest = distance(a).min(distance(b)).min(distance(c).min(distance(d)));
        if nearest <= u64::MAX / 2 { nearest } else { self.nearest_from(first, place) }
    }

    /// The same, when it is not among the first few points of the part.
    #[cold]
    #[inline(never)]
    fn nearest_from(&self, first: usize, place: u64) -> u64 {
        let following = (first..self.points.len()).map(|at| self.points.load(at)).take(MAX_STEPS);
        let start = place << SLOT_BITS;
        following.fold(u64::MAX, |nearest, point| nearest.min(point.wrapping_sub(start)))
    }
}

/// Where the points of a part of the ring begin.
#[inline]
fn part(index: View<'_>, part: usize) -> usize {
    let word = index.load(part / PARTS_IN_WORD);
    (word >> (part % PARTS_IN_WORD * SLOT_BITS as usize)) as usize & SLOT_MASK as usize
}

fn set_part(index: Shared<'_>, part: usize, value: usize) {
    let shift = part % PARTS_IN_WORD * SLOT_BITS as usize;
    let word = index.load(part / PARTS_IN_WORD) & !(SLOT_MASK << shift);
    index.set(part / PARTS_IN_WORD, word | (value as u64 & SLOT_MASK) << shift);
}

/// Builds a ring in words that nobody reads. `members`: the numbers and hashes of its endpoints, in any order.
#[cold]
pub fn build(points: Shared<'_>, index: Shared<'_>, members: impl Iterator<Item = (usize, u64)> + Clone) {
    let len = points.view().len().saturating_sub(LOOKED_AT);
    let count = len / POINTS as usize;
    let bits = index_bits(count as u32);
    let for_each_place = |visit: &dyn Fn(u64, u64)| {
        for (number, hash) in members.clone().take(count) {
            for point in 0..u64::from(POINTS) {
                let place = Salt(hash).hash(point) >> (64 - PLACE_BITS);
                visit(place, place << SLOT_BITS | number as u64 & SLOT_MASK);
            }
        }
    };
    let part_of = |place: u64| (place >> (PLACE_BITS - bits)) as usize;
    // Counting sort by part: count, sum up to where each part ends, fill each from its end.
    for word in 0..index.view().len() {
        index.set(word, 0);
    }
    for_each_place(&|place, _| set_part(index, part_of(place), part(index.view(), part_of(place)) + 1));
    let mut end = 0;
    for at in 0..1 << bits {
        end += part(index.view(), at);
        set_part(index, at, end);
    }
    for_each_place(&|place, point| {
        let at = part(index.view(), part_of(place)).saturating_sub(1);
        set_part(index, part_of(place), at);
        points.set(at, point);
    });
    sort_within_parts(points, len);
    (0..LOOKED_AT).for_each(|at| points.set(len + at, points.load(at)));
}

/// Insertion sort: every point is in its part already, so it moves over one or two.
fn sort_within_parts(points: Shared<'_>, len: usize) {
    for end in 1..len {
        let point = points.load(end);
        let mut at = end;
        while at > 0 && points.load(at - 1) > point {
            points.set(at, points.load(at - 1));
            at -= 1;
        }
        points.set(at, point);
    }
}
