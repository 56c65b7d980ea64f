//! One version of a set in memory: the endpoints, what is known of each by this process, and the rings.
//!
//! | part | |
//! |---|---|
//! | 64 words | counts; rules of groups; where each ring is |
//! | 8 words per endpoint | the endpoint, its place and weight, the caller's word, its cell in the host's segment, tallies |
//! | 16 words per endpoint | its cell ([`crate::shield::health`]) for when there is no host |
//! | points, indexes | of the rings, one after the other |
//!
//! Each group has a ring of the endpoints that are asked first, and with [`ZoneStrategy::ZoneFirst`] a second one.

use super::call::Call;
use super::ring::{self, Ring, index_len, points_len};
use super::settings::{GroupRule, MAX_GROUP_RULES, Settings, Spec, ZoneStrategy};
use crate::host::fail::{BucketId, FailBuckets};
use crate::host::region::Shared;
use crate::id::{MULTIPLIERS, Per10k, Salt, fold};
use crate::shield::health::{self, Health};
use crate::status::Status;
use crate::strategy::endpoint::Endpoint;

const COUNT: usize = 0;
const RULE_COUNT: usize = 1;
const GROUP_COUNT: usize = 2;
const RULES: usize = 4;
const RULE_LEN: usize = 3;
const RINGS: usize = RULES + MAX_GROUP_RULES * RULE_LEN;
const RING_LEN: usize = 2;
const MAX_GROUPS: usize = MAX_GROUP_RULES + 1;
/// Rings of a group: the endpoints that are asked first, and those for when these are not there.
pub(super) const SCOPES: usize = 2;
/// The most rings.
pub(super) const MAX_RINGS: usize = MAX_GROUPS * SCOPES;
const HEAD_LEN: usize = 64;
const _: () = assert!(RINGS + MAX_RINGS * RING_LEN <= HEAD_LEN);

const ENTRY_LEN: usize = 8;
const PLACE: usize = 3;
const USER_DATA: usize = 4;
const CELL_ID: usize = 5;
/// Outcomes that were not handed over yet.
const TALLY: usize = 6;
const WITHHELD: usize = 7;

/// How many rings an endpoint may be in.
const fn scopes(settings: &Settings) -> usize {
    if matches!(settings.zone_strategy, ZoneStrategy::ZoneFirst) { SCOPES } else { 1 }
}

/// Words of a table.
pub(super) const fn table_len(settings: &Settings) -> usize {
    let indexes = scopes(settings) * points_len(settings.capacity) / 2;
    (HEAD_LEN + settings.capacity as usize * (ENTRY_LEN + health::LEN) + points_room(settings) + indexes)
        .next_multiple_of(8)
}

/// Words of all points; those of each ring have an end of their own.
const fn points_room(settings: &Settings) -> usize {
    scopes(settings) * (points_len(settings.capacity) + (MAX_GROUPS - 1) * points_len(0))
}

/// Where an endpoint stands, and its weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) weight: u16,
    pub(super) region: u16,
    pub(super) zone: u16,
    pub(super) group: u16,
}

impl Place {
    const fn to_word(self) -> u64 {
        self.weight as u64 | (self.region as u64) << 16 | (self.zone as u64) << 32 | (self.group as u64) << 48
    }

    const fn from_word(word: u64) -> Place {
        Place {
            weight: word as u16,
            region: (word >> 16) as u16,
            zone: (word >> 32) as u16,
            group: (word >> 48) as u16,
        }
    }

    /// Whether it belongs into a scope of a group's rings.
    #[inline(never)]
    fn is_in(self, group: u16, scope: usize, settings: &Settings) -> bool {
        let in_region = self.region == settings.region;
        let in_zone = in_region && self.zone == settings.zone;
        let in_scope = match (settings.zone_strategy, scope) {
            (ZoneStrategy::Anywhere, 0) => true,
            (ZoneStrategy::ZoneFirst | ZoneStrategy::ZoneOnly, 0) => in_zone,
            (ZoneStrategy::Region | ZoneStrategy::OneZoneByHash, 0) | (ZoneStrategy::ZoneFirst, _) => in_region,
            _ => false,
        };
        in_scope && self.group == group && self.weight != 0
    }
}

/// Where a ring is, and who is on it.
#[derive(Clone, Copy)]
pub(super) struct RingPlace {
    points_at: usize,
    index_at: usize,
    pub(super) members: u32,
    pub(super) max_weight: u16,
    pub(super) group: u16,
}

/// A version of the set.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) words: Shared<'a>,
    capacity: u32,
}

impl<'a> Table<'a> {
    pub(super) const fn new(words: Shared<'a>, settings: &Settings) -> Table<'a> {
        Table { words, capacity: settings.capacity }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        let count = self.words.load(COUNT) as usize;
        if count < self.capacity as usize { count } else { self.capacity as usize }
    }

    #[inline]
    const fn entry(&self, index: usize) -> usize {
        HEAD_LEN + index * ENTRY_LEN
    }

    #[inline]
    pub(super) fn endpoint(&self, index: usize) -> Endpoint {
        let entry = self.entry(index);
        Endpoint::from_words([self.words.load(entry), self.words.load(entry + 1), self.words.load(entry + 2)])
    }

    #[inline]
    pub(super) fn place(&self, index: usize) -> Place {
        Place::from_word(self.words.load(self.entry(index) + PLACE))
    }

    pub(super) fn user_data(&self, index: usize) -> u64 {
        self.words.load(self.entry(index) + USER_DATA)
    }

    #[inline]
    pub(super) fn cell_id(&self, index: usize) -> BucketId {
        BucketId::from_number(self.words.load(self.entry(index) + CELL_ID))
    }

    pub(super) const fn tally_at(&self, index: usize) -> usize {
        self.entry(index) + TALLY
    }

    pub(super) const fn withheld_at(&self, index: usize) -> usize {
        self.entry(index) + WITHHELD
    }

    /// What this process alone knows.
    #[inline]
    pub(super) fn own_health(&self, index: usize) -> Health<'a> {
        let at = HEAD_LEN + self.capacity as usize * ENTRY_LEN + index * health::LEN;
        Health::new(self.words.part(at, health::LEN))
    }

    /// What is known: by the host if it can be asked, else by this process.
    #[inline]
    pub(super) fn health(&self, index: usize, host: Option<&FailBuckets<'a>>) -> Health<'a> {
        host.and_then(|host| host.health(self.cell_id(index)).ok()).unwrap_or_else(|| self.own_health(index))
    }

    /// Finds the endpoint's cell in the host's segment, unless it is known. A version that is replaced at this very moment may
    /// get the cell of an endpoint that was there before; the next look finds that it is not the endpoint's own.
    pub(super) fn open_cell(&self, index: usize, host: &FailBuckets<'_>) {
        let endpoint = self.endpoint(index);
        if !host.is_of(self.cell_id(index), &endpoint) {
            self.words.set(self.entry(index) + CELL_ID, host.bucket(&endpoint).map_or(0, BucketId::number));
        }
    }

    /// The number of the user's group, in the order of the rings.
    #[inline]
    pub(super) fn group_of(&self, call: &Call) -> usize {
        match self.words.load(RULE_COUNT) {
            0 => 0,
            rules => self.group_by_rules(call, rules),
        }
    }

    #[inline(never)]
    fn group_by_rules(&self, call: &Call, rules: u64) -> usize {
        for rule in 0..MAX_GROUP_RULES.min(rules as usize) {
            let at = RULES + rule * RULE_LEN;
            let (word, first, last) = (self.words.load(at), self.words.load(at + 1), self.words.load(at + 2));
            let (group, share) = (word as u16, Per10k::new((word >> 16) as u16).unwrap_or_default());
            // Each group has a draw of its own, so that two rules of 5 % do not send the same users.
            let is_covered = || share == Per10k::ALL || share.covers(Salt(group.into()).hash(call.user().0));
            if (first..=last).contains(&call.uin.0) && is_covered() {
                return (0..MAX_GROUPS).find(|&number| self.ring_place(number, 0).group == group).unwrap_or(0);
            }
        }
        0
    }

    #[inline]
    pub(super) fn ring_place(&self, group: usize, scope: usize) -> RingPlace {
        let at = RINGS + (group * SCOPES + scope) * RING_LEN;
        let (who, place) = (self.words.load(at), self.words.load(at + 1));
        RingPlace {
            members: who as u32,
            max_weight: (who >> 32) as u16,
            group: (who >> 48) as u16,
            points_at: place as u32 as usize,
            index_at: (place >> 32) as usize,
        }
    }

    #[inline]
    pub(super) fn ring(&self, place: &RingPlace) -> Ring<'a> {
        let members = if place.members < self.capacity { place.members } else { self.capacity };
        let words = self.words.view();
        let points = words.part(place.points_at, points_len(members));
        Ring::new(points, words.part(place.index_at, index_len(members)), members)
    }

    /// Whether an endpoint is on the ring of a group and a scope.
    pub(super) fn is_member(&self, index: usize, group: u16, scope: usize, settings: &Settings) -> bool {
        self.place(index).is_in(group, scope, settings)
    }

    /// Writes a version into words that nobody reads. What is known of endpoints that are in `old` too is kept.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`], [`Status::INVALID_ARGUMENT`] for too many rules, a weight above the largest one, or an
    /// endpoint that is there twice. Then the version must not be used.
    #[cold]
    pub(super) fn build(
        &self,
        settings: &Settings,
        count: usize,
        spec: &dyn Fn(usize) -> Spec,
        rules: &[GroupRule],
        old: Option<Table<'a>>,
    ) -> Result<(), Status> {
        if count > self.capacity as usize {
            return Err(Status::TABLE_FULL);
        }
        if rules.len() > MAX_GROUP_RULES {
            return Err(Status::INVALID_ARGUMENT);
        }
        self.words.set(COUNT, count as u64);
        self.write_rules(rules);
        for index in 0..count {
            let spec = spec(index);
            if spec.weight > super::settings::MAX_WEIGHT
                || (0..index).any(|earlier| self.endpoint(earlier) == spec.endpoint)
            {
                return Err(Status::INVALID_ARGUMENT);
            }
            self.write_entry(index, &spec, old);
        }
        self.build_rings(settings);
        Ok(())
    }

    #[inline(never)]
    fn write_rules(&self, rules: &[GroupRule]) {
        self.words.set(RULE_COUNT, rules.len() as u64);
        for (rule, at) in rules.iter().zip((RULES..).step_by(RULE_LEN)) {
            self.words.set(at, u64::from(rule.group) | u64::from(rule.share.get()) << 16);
            self.words.set(at + 1, rule.first.0);
            self.words.set(at + 2, rule.last.0);
        }
        // The group of everybody, and each further one that a rule names.
        let mut groups = 1;
        self.set_ring(0, 0, 0, 0);
        for rule in rules {
            if (0..groups).all(|number| self.ring_place(number, 0).group != rule.group) {
                self.set_ring(groups, 0, u64::from(rule.group) << 48, 0);
                groups += 1;
            }
        }
        self.words.set(GROUP_COUNT, groups as u64);
    }

    #[inline(never)]
    fn set_ring(&self, group: usize, scope: usize, who: u64, place: u64) {
        let at = RINGS + (group * SCOPES + scope) * RING_LEN;
        self.words.set(at, who);
        self.words.set(at + 1, place);
    }

    fn write_entry(&self, index: usize, spec: &Spec, old: Option<Table<'a>>) {
        let entry = self.entry(index);
        for (word, value) in (entry..).zip(spec.endpoint.to_words()) {
            self.words.set(word, value);
        }
        let Spec { weight, region, zone, group, .. } = *spec;
        self.words.set(entry + PLACE, Place { weight, region, zone, group }.to_word());
        self.words.set(entry + USER_DATA, spec.user_data);
        let known = old.and_then(|old| {
            (0..old.len()).find(|&index| old.endpoint(index) == spec.endpoint).map(|index| (old, index))
        });
        self.words.set(entry + CELL_ID, known.map_or(0, |(old, index)| old.cell_id(index).number()));
        self.words.set(entry + TALLY, 0);
        self.words.set(entry + WITHHELD, 0);
        let cell = self.own_health(index);
        match known {
            Some((old, index)) => cell.copy_from(&old.own_health(index)),
            None => cell.forget(),
        }
    }

    fn build_rings(&self, settings: &Settings) {
        let mut points_at = HEAD_LEN + self.capacity as usize * (ENTRY_LEN + health::LEN);
        let mut index_at = points_at + points_room(settings);
        for group in 0..MAX_GROUPS.min(self.words.load(GROUP_COUNT) as usize) {
            let group_id = self.ring_place(group, 0).group;
            for scope in 0..SCOPES {
                let is_member = |index: &usize| self.place(*index).is_in(group_id, scope, settings);
                let members = (0..self.len()).filter(is_member);
                let count = members.clone().count() as u32;
                let max_weight = members.clone().map(|index| self.place(index).weight).max().unwrap_or(0);
                let who = u64::from(count) | u64::from(max_weight) << 32 | u64::from(group_id) << 48;
                self.set_ring(group, scope, who, points_at as u64 | (index_at as u64) << 32);
                if count != 0 {
                    let (points, index) = (points_len(count), index_len(count));
                    let hashes = members.map(|index| (index, self.endpoint(index).hash(settings.ring_seed)));
                    ring::build(self.words.part(points_at, points), self.words.part(index_at, index), hashes);
                    (points_at, index_at) = (points_at + points, index_at + index);
                }
            }
        }
    }
}

/// Names an endpoint among those of a set; never 0.
#[inline]
pub(super) const fn identity(endpoint: &Endpoint) -> u32 {
    let [high, low, rest] = endpoint.to_words();
    (fold(high ^ low ^ MULTIPLIERS[0], rest ^ MULTIPLIERS[1]) >> 32) as u32 | 1
}
