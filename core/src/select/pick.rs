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

/// How many endpoints that may not be called a user meets on a ring before all are looked at in turn. With half of them
/// shielded that happens once in 256 calls.
const REFUSALS: u32 = 8;
/// How often a user is placed on a ring anew, counting those places where only a draw was lost: with a mean weight of a tenth
/// of the largest all are lost once in 850 calls.
const ROUNDS: u64 = 64;
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
    by_operator: bool,
    by_breaker: bool,
    /// The first one that only a draw held back: better than none.
    reserve: Option<usize>,
}

enum Verdict {
    Take {
        is_probe: bool,
    },
    Pass,
    /// Only a draw was lost, which shares users out.
    Lost,
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
        let group = self.table.group_of(self.call.uin);
        let rings = if group == 0 { SCOPES } else { 2 * SCOPES };
        for step in 0..rings {
            let group = if step < SCOPES { group } else { 0 };
            let (scope, number) = (step % SCOPES, group * SCOPES + step % SCOPES);
            let place = self.table.ring_place(group, scope);
            if place.members == 0 {
                continue;
            }
            let has_wider = (step + 1..rings).any(|later| {
                let group = if later < SCOPES { group } else { 0 };
                self.table.ring_place(group, later % SCOPES).members != 0
            });
            let mut ring = OnRing { place, number, scope, has_wider, zone: None };
            if let Some(found) = self.walk_ring(&mut ring) {
                return Ok(found);
            }
        }
        self.met.reserve.map(|index| (index, false)).ok_or(self.reason())
    }

    #[inline]
    fn walk_ring(&mut self, on: &mut OnRing) -> Option<(usize, bool)> {
        let ring = self.table.ring(&on.place);
        let (mut hash, mut refusals) = (self.user_hash, 0);
        for round in 0..ROUNDS {
            let index = ring.find(hash);
            if round == 0 && self.set.settings.zone_strategy == ZoneStrategy::OneZoneByHash {
                on.zone = Some(self.table.place(index).zone);
            }
            match self.judge(index, on) {
                Verdict::Take { is_probe } => return Some((index, is_probe)),
                Verdict::Widen => return None,
                Verdict::Lost => {}
                Verdict::Pass => refusals += 1,
            }
            if refusals == REFUSALS {
                break;
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
                    Verdict::Pass | Verdict::Lost => {}
                }
            }
            on.zone.take()?;
        }
    }

    /// May this endpoint be called?
    #[inline(never)]
    fn judge(&mut self, index: usize, on: &OnRing) -> Verdict {
        let endpoint = self.table.endpoint(index);
        let place = self.table.place(index);
        if on.zone.is_some_and(|zone| zone != place.zone) || !self.is_first && self.call.has_tried(identity(&endpoint))
        {
            return Verdict::Pass;
        }
        if self.is_operators(&endpoint)
            && self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::SHIELDED).is_err()
        {
            self.met.by_operator = true;
            return Verdict::Pass;
        }
        let health = self.table.health(index, self.host.fail);
        let word = health.breaker();
        let mut is_probe = false;
        if !word.is_normal() {
            match self.judge_unwell(index, &endpoint, word, on) {
                Verdict::Take { is_probe: probes } => is_probe = probes,
                other => return other,
            }
        }
        if !self.is_admitted(index, &endpoint, &health) {
            return Verdict::Pass;
        }
        if place.weight < on.place.max_weight && !self.draws_weight(&endpoint, place.weight, on.place.max_weight) {
            self.met.reserve.get_or_insert(index);
            return Verdict::Lost;
        }
        if is_probe && !health.take_probe(&self.set.settings.rules.breaker, self.now) {
            // Another call was faster.
            self.met.by_breaker = true;
            return Verdict::Pass;
        }
        Verdict::Take { is_probe }
    }

    /// Whether an operator has shielded the endpoint.
    #[inline]
    pub(super) fn is_operators(&self, endpoint: &Endpoint) -> bool {
        self.host.control.is_some_and(|control| control.is_shielded(endpoint, self.now))
    }

    /// The breaker is not in its normal state.
    #[cold]
    #[inline(never)]
    fn judge_unwell(&mut self, index: usize, endpoint: &Endpoint, word: Word, on: &OnRing) -> Verdict {
        let take = Verdict::Take { is_probe: false };
        match word.state(&self.set.settings.rules.breaker, self.now_ms) {
            State::Normal => return take,
            State::Recovering { share } if self.draw(endpoint) >> 48 < u64::from(share) => return take,
            State::Recovering { .. } if !self.host.is_enforced(Mechanism::Shield, self.call.uin) => return take,
            State::Recovering { .. } => {
                if cap::cap(self, self.set.words, on.number, &on.place, on.scope).is_mostly_unwell {
                    return if on.has_wider { Verdict::Widen } else { take };
                }
                self.met.reserve.get_or_insert(index);
                return Verdict::Lost;
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
            return Verdict::Widen;
        }
        if cap.lets_through(endpoint, word) {
            self.set.count(Decision::Capped);
            return take;
        }
        self.met.by_breaker = true;
        Verdict::Pass
    }

    /// Whether neither the strategy nor the endpoint's own cursor holds the call back.
    #[inline]
    fn is_admitted(&mut self, index: usize, endpoint: &Endpoint, health: &Health<'_>) -> bool {
        let cursor = health.cursor(self.now);
        match self.host.strategy.and_then(|strategy| strategy.lookup(endpoint)) {
            Some(entry) => self.is_admitted_by(entry, cursor, index, endpoint, health),
            None => cursor.admits(self.call.key) || self.passes_withheld(index),
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
        if entry.kind != Kind::Shielded
            && !rate.covers(attempt)
            && self.set.apply(Mechanism::PassRate, uin, self.host, Status::WITHHELD).is_err()
        {
            if self.is_first && health.take_measurement(self.now) {
                self.set.count(Decision::Measurement);
            } else {
                self.met.reserve.get_or_insert(index);
                return false;
            }
        }
        let level = entry.reject_level.cursor();
        cursor.min(level).admits(self.call.key) || self.passes_withheld(index)
    }

    /// The endpoint would refuse the call. Whether it is sent all the same.
    #[cold]
    #[inline(never)]
    fn passes_withheld(&mut self, index: usize) -> bool {
        if self.set.apply(Mechanism::FastReject, self.call.uin, self.host, Status::WITHHELD).is_ok() {
            return true;
        }
        // It would have been sent to the first one, and only once.
        if self.is_first && !self.met.withheld {
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
