//! The walk from a user to an endpoint that may be called.

use super::call::{Call, Choice};
use super::cap;
use super::set::{Decision, EndpointSet, HostView};
use super::settings::ZoneStrategy;
use super::table::{RingPlace, SCOPES, Table, identity};
use super::tally;
use crate::admission::Cursor;
use crate::host::control::Mechanism;
use crate::id::{MULTIPLIERS, Per10k, Salt, fold};
use crate::shield::breaker::{State, Word};
use crate::shield::health::{Health, wrapping_ms};
use crate::status::Status;
use crate::strategy::endpoint::Endpoint;
use crate::strategy::entry::{Entry, Kind};
use crate::time::Nanos;

/// How often a user is placed on a ring anew before all endpoints are looked at in turn. With half of them shielded that
/// happens once in 256 calls.
const ROUNDS: u64 = 8;
/// A pass rate lets at least so many through: who is never called cannot show that it works again.
const LEAST_PASS_RATE: Per10k = match Per10k::new(100) {
    Some(rate) => rate,
    None => Per10k::NONE,
};

/// One call on its way through the set.
pub(super) struct Walk<'w, 'h, 'a> {
    pub(super) set: &'w EndpointSet<'a>,
    pub(super) table: Table<'a>,
    pub(super) host: &'w HostView<'h, 'a>,
    pub(super) generation: u64,
    pub(super) now_ms: u32,
    call: &'w Call,
    is_first: bool,
    now: Nanos,
    user_hash: u64,
    met: Met,
}

/// Why endpoints were passed over.
#[derive(Default)]
struct Met {
    withheld: bool,
    /// An endpoint is told of it.
    is_told: bool,
    by_operator: bool,
    by_breaker: bool,
    /// A ring was left before all of it was looked at.
    has_widened: bool,
    /// The first one that only a draw held back, and whether a call of it is a probe: better than none.
    reserve: Option<(usize, bool)>,
}

enum Verdict {
    Take {
        is_probe: bool,
    },
    Pass,
    /// Nothing but a draw speaks against it.
    Reserve,
    /// Too many of this ring are shielded, and there is a wider one.
    Widen,
}

/// The ring on which the walk is.
struct OnRing {
    place: RingPlace,
    number: usize,
    scope: usize,
    has_wider: bool,
    /// Only endpoints of this zone.
    zone: Option<u16>,
}

/// Chooses for a call, in one version of the set.
#[inline(never)]
pub(super) fn pick<'a>(
    set: &EndpointSet<'a>,
    generation: u64,
    call: &Call,
    is_first: bool,
    host: &HostView<'_, 'a>,
    now: Nanos,
) -> Result<Choice, Status> {
    let (table, user_hash) = (set.table(generation), set.user_hash(call));
    let now_ms = wrapping_ms(now);
    let mut walk = Walk { set, table, host, generation, now_ms, call, is_first, now, user_hash, met: Met::default() };
    let (index, is_probe) = walk.find()?;
    Ok(walk.choice(index, is_probe))
}

impl<'a> Walk<'_, '_, 'a> {
    #[inline]
    fn find(&mut self) -> Result<(usize, bool), Status> {
        match self.walk_rings(true) {
            Some(found) => Ok(found),
            None => self.find_all_the_same().ok_or(self.reason()),
        }
    }

    /// A ring that was left because too many of it are shielded may have others, and whom a draw held back is better than
    /// none.
    #[cold]
    #[inline(never)]
    fn find_all_the_same(&mut self) -> Option<(usize, bool)> {
        let left = self.met.has_widened.then(|| self.walk_rings(false)).flatten();
        left.or_else(|| self.take_reserve())
    }

    #[inline]
    fn walk_rings(&mut self, may_widen: bool) -> Option<(usize, bool)> {
        let group = self.table.group_of(self.call.uin);
        let rings = if group == 0 { SCOPES } else { 2 * SCOPES };
        for step in 0..rings {
            let group = if step < SCOPES { group } else { 0 };
            let (scope, number) = (step % SCOPES, group * SCOPES + step % SCOPES);
            let place = self.table.ring_place(group, scope);
            if place.members == 0 {
                continue;
            }
            let has_members = |step: usize| {
                let group = if step < SCOPES { group } else { 0 };
                self.table.ring_place(group, step % SCOPES).members != 0
            };
            let has_wider = may_widen && (step + 1..rings).any(has_members);
            let mut ring = OnRing { place, number, scope, has_wider, zone: None };
            if let Some(found) = self.walk_ring(&mut ring) {
                return Some(found);
            }
        }
        None
    }

    fn take_reserve(&mut self) -> Option<(usize, bool)> {
        let (index, is_probe) = self.met.reserve?;
        let health = self.table.health(index, self.host.fail);
        (!is_probe || self.takes_probe(&health)).then_some((index, is_probe))
    }

    #[cold]
    fn takes_probe(&mut self, health: &Health<'_>) -> bool {
        let taken = health.take_probe(&self.set.settings.rules.breaker, self.now);
        // Else another call was faster.
        self.met.by_breaker |= !taken;
        taken
    }

    #[inline]
    fn walk_ring(&mut self, on: &mut OnRing) -> Option<(usize, bool)> {
        let ring = self.table.ring(&on.place);
        let mut hash = self.user_hash;
        for round in 0..ROUNDS {
            let index = ring.find(hash);
            if round == 0 && self.set.settings.zone_strategy == ZoneStrategy::OneZoneByHash {
                on.zone = Some(self.table.place(index).zone);
            }
            match self.judge(index, on) {
                Verdict::Take { is_probe } => return Some((index, is_probe)),
                Verdict::Widen => return None,
                Verdict::Pass | Verdict::Reserve => {}
            }
            hash = Salt(self.user_hash).hash(round);
        }
        self.look_at_all(on)
    }

    /// From a place that depends on the user. With a zone, first at those of the zone.
    #[cold]
    #[inline(never)]
    fn look_at_all(&mut self, on: &mut OnRing) -> Option<(usize, bool)> {
        let count = self.table.len();
        let start = crate::host::bucket::scale(self.user_hash, count as u64) as usize;
        loop {
            for index in (start..count).chain(0..start) {
                if !self.table.is_member(index, &on.place, on.scope, &self.set.settings) {
                    continue;
                }
                match self.judge(index, on) {
                    Verdict::Take { is_probe } => return Some((index, is_probe)),
                    Verdict::Widen => return None,
                    Verdict::Pass | Verdict::Reserve => {}
                }
            }
            on.zone.take()?;
        }
    }

    /// May this endpoint be called?
    #[inline(never)]
    fn judge(&mut self, index: usize, on: &OnRing) -> Verdict {
        // A ring in damaged memory may name any number, and the caller's own lists end with the last endpoint.
        if index >= self.table.len() {
            return Verdict::Pass;
        }
        let endpoint = self.table.endpoint(index);
        let place = self.table.place(index);
        if on.zone.is_some_and(|zone| zone != place.zone) || !self.is_first && self.call.has_tried(identity(&endpoint))
        {
            return Verdict::Pass;
        }
        if self.is_kept_from(&endpoint) {
            self.met.by_operator = true;
            return Verdict::Pass;
        }
        let health = self.table.health(index, self.host.fail);
        let word = health.breaker();
        let max_weight = on.place.max_weight;
        let mut is_reserve = place.weight < max_weight && !self.draws_weight(&endpoint, place.weight, max_weight);
        let mut is_probe = false;
        if !word.is_normal() {
            match self.judge_unwell(&endpoint, word, on) {
                Verdict::Take { is_probe: probes } => is_probe = probes,
                Verdict::Reserve => is_reserve = true,
                other => return other,
            }
        }
        if !self.is_admitted(index, &endpoint, &health, &mut is_reserve) {
            return Verdict::Pass;
        }
        if is_reserve {
            self.met.reserve.get_or_insert((index, is_probe));
            return Verdict::Reserve;
        }
        if is_probe && !self.takes_probe(&health) {
            return Verdict::Pass;
        }
        Verdict::Take { is_probe }
    }

    /// Whether an operator keeps everybody from the endpoint.
    #[inline]
    pub(super) fn is_kept_from(&self, endpoint: &Endpoint) -> bool {
        let is_shielded = self.host.control.is_some_and(|control| control.is_shielded(endpoint, self.now));
        is_shielded && self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::SHIELDED).is_err()
    }

    /// The breaker is not in its normal state.
    #[cold]
    #[inline(never)]
    fn judge_unwell(&mut self, endpoint: &Endpoint, word: Word, on: &OnRing) -> Verdict {
        let take = Verdict::Take { is_probe: false };
        match word.state(&self.set.settings.rules.breaker, self.now_ms) {
            State::Normal => return take,
            State::Recovering { share } if self.draw(endpoint) >> 48 < u64::from(share) => return take,
            State::Recovering { .. } => {
                let cap = cap::cap(self, self.set.words, on.number, &on.place, on.scope);
                return if cap.ramps_are_open { take } else { Verdict::Reserve };
            }
            // A call that failed once already is not risked again.
            State::Due if self.is_first => return Verdict::Take { is_probe: true },
            State::Due | State::Probing | State::Shielded { .. } => {}
        }
        if self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::BUCKET_FULL).is_ok() {
            return take;
        }
        let cap = cap::cap(self, self.set.words, on.number, &on.place, on.scope);
        if cap.is_exceeded() && on.has_wider {
            self.met.has_widened = true;
            return Verdict::Widen;
        }
        if cap.lets_through(endpoint, word) {
            self.set.count(Decision::Capped);
            return take;
        }
        self.met.by_breaker = true;
        Verdict::Pass
    }

    /// Whether neither the strategy nor the endpoint's own cursor holds the call back. A pass rate may make it a reserve.
    #[inline]
    fn is_admitted(&mut self, index: usize, endpoint: &Endpoint, health: &Health<'_>, is_reserve: &mut bool) -> bool {
        let cursor = health.cursor(self.now);
        match self.host.strategy.and_then(|strategy| strategy.lookup(endpoint)) {
            Some(entry) => self.is_admitted_by(entry, cursor, index, endpoint, health, is_reserve),
            None => cursor.admits(self.call.key) || self.passes_withheld(index, *is_reserve),
        }
    }

    #[cold]
    #[inline(never)]
    fn is_admitted_by(
        &mut self,
        entry: Entry,
        cursor: Cursor,
        index: usize,
        endpoint: &Endpoint,
        health: &Health<'_>,
        is_reserve: &mut bool,
    ) -> bool {
        let uin = self.call.uin;
        if entry.kind == Kind::Shielded && self.set.apply(Mechanism::Shield, uin, self.host, Status::SHIELDED).is_err()
        {
            self.met.by_operator = true;
            return false;
        }
        // A draw per attempt, so that a user's retries do not all lose.
        let attempt = Salt(self.call.call_id ^ u64::from(self.call.attempts) << 56).hash(self.draw(endpoint));
        let rate = if entry.pass_rate < LEAST_PASS_RATE { LEAST_PASS_RATE } else { entry.pass_rate };
        let loses = entry.kind != Kind::Shielded
            && !rate.covers(attempt)
            && self.set.apply(Mechanism::PassRate, uin, self.host, Status::WITHHELD).is_err();
        let level = entry.reject_level.cursor();
        if !cursor.min(level).admits(self.call.key) && !self.passes_withheld(index, *is_reserve || loses) {
            return false;
        }
        if loses && !*is_reserve && self.is_first && health.take_measurement(self.now) {
            self.set.count(Decision::Measurement);
        } else {
            *is_reserve |= loses;
        }
        true
    }

    /// The endpoint would refuse the call. Whether it is sent all the same.
    #[cold]
    #[inline(never)]
    fn passes_withheld(&mut self, index: usize, is_reserve: bool) -> bool {
        if self.set.apply(Mechanism::FastReject, self.call.uin, self.host, Status::WITHHELD).is_ok() {
            return true;
        }
        // It would have been sent to the first one that no draw held back, and only once.
        if self.is_first && !is_reserve && !self.met.is_told {
            self.met.is_told = true;
            tally::withhold(self.table.words, self.table.withheld_at(index), self.call.key, self.now);
        }
        self.met.withheld = true;
        false
    }

    fn draws_weight(&self, endpoint: &Endpoint, weight: u16, max_weight: u16) -> bool {
        let draw = Salt(MULTIPLIERS[2]).hash(self.draw(endpoint));
        crate::host::bucket::scale(draw, max_weight.into()) < weight.into()
    }

    /// A number that is always the same for a user and an endpoint.
    fn draw(&self, endpoint: &Endpoint) -> u64 {
        fold(self.user_hash ^ MULTIPLIERS[2], u64::from(identity(endpoint)) ^ MULTIPLIERS[3])
    }

    #[cold]
    fn reason(&self) -> Status {
        if self.met.withheld {
            Status::WITHHELD
        } else if self.met.by_operator {
            Status::SHIELDED
        } else if self.met.by_breaker {
            Status::BUCKET_FULL
        } else {
            Status::NO_ENDPOINT
        }
    }

    #[inline]
    fn choice(&self, index: usize, is_probe: bool) -> Choice {
        let (table, endpoint) = (&self.table, self.table.endpoint(index));
        if is_probe {
            self.set.count(Decision::Probe);
        }
        Choice {
            index: index as u32,
            generation: self.generation,
            endpoint,
            user_data: table.user_data(index),
            is_probe,
            withheld: tally::take_withheld(table.words, table.withheld_at(index)),
            cell: self.host.fail.map(|_| table.cell_id(index)),
            identity: identity(&endpoint),
        }
    }
}
