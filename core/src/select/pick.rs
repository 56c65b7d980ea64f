//! The walk from a user to an endpoint that may be called.

use super::call::Call;
use super::cap;
use super::set::{Decision, EndpointSet, HostView};
use super::settings::ZoneStrategy;
use super::table::{RingPlace, SCOPES, Table, identity};
use super::tally;
use crate::admission::Cursor;
use crate::host::control::Mechanism;
use crate::id::{MULTIPLIERS, Per10k, Salt, fold};
use crate::shield::breaker::State;
use crate::shield::health::{Health, wrapping_ms};
use crate::status::Status;
use crate::strategy;
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

/// One call on its way through one version of the set, and what it has met.
pub(super) struct Walk<'w, 'h, 'a> {
    pub(super) set: &'w EndpointSet<'a>,
    pub(super) generation: u64,
    pub(super) host: &'w HostView<'h, 'a>,
    pub(super) now: Nanos,
    call: &'w Call,
    user_hash: u64,
    /// The rings of which it was counted for this call how many endpoints are shielded.
    pub(super) counted: u32,
    /// Those on which a call was refused by an older count.
    trusted: u32,
    /// The first endpoint that only a draw held back, and whether a call of it is a probe: better than none.
    reserve: Option<(u32, bool)>,
    is_first: bool,
    withheld: bool,
    /// An endpoint is told that the call was withheld.
    is_told: bool,
    /// A ring may be left for a wider one before all of it was looked at.
    may_widen: bool,
    /// One was.
    has_widened: bool,
    by_operator: bool,
    by_breaker: bool,
}

/// Where a walk ends.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// At this endpoint.
    At { index: u32, is_probe: bool },
    /// At none, for this reason.
    Nowhere(Status),
    /// It goes on when it is known how many endpoints of this ring are shielded.
    Count { ring: u32 },
    /// It goes on from its beginning, on rings that were left.
    Again,
}

enum Verdict {
    Take {
        is_probe: bool,
    },
    Pass,
    /// Nothing but a draw speaks against it, which shares users out.
    Lost,
    /// Too many of this ring are shielded, and there is a wider one.
    Widen,
    /// It depends on how many are shielded, and that is to be counted first.
    Count,
}

/// The ring on which the walk is.
struct OnRing {
    number: u32,
    has_wider: bool,
    /// Only endpoints of this zone.
    zone: Option<u16>,
}

/// The stack of a coroutine is small, so nothing here is deep: the walk is one function, a glance at an endpoint is a leaf below
/// it, and so is everything that is rarely asked. What needs more room (counting, reading the endpoint that was chosen) is done
/// when the walk has returned.
impl<'w, 'h, 'a> Walk<'w, 'h, 'a> {
    #[inline]
    pub(super) fn new(
        set: &'w EndpointSet<'a>,
        generation: u64,
        call: &'w Call,
        is_first: bool,
        host: &'w HostView<'h, 'a>,
        now: Nanos,
    ) -> Walk<'w, 'h, 'a> {
        Walk {
            set,
            generation,
            host,
            now,
            call,
            user_hash: set.user_hash(call),
            counted: 0,
            trusted: 0,
            reserve: None,
            is_first,
            withheld: false,
            is_told: false,
            may_widen: true,
            has_widened: false,
            by_operator: false,
            by_breaker: false,
        }
    }

    #[inline]
    fn table(&self) -> Table<'a> {
        self.set.table(self.generation)
    }

    #[inline]
    fn place(&self, on: &OnRing) -> RingPlace {
        self.table().ring_place(on.number as usize / SCOPES, on.number as usize % SCOPES)
    }

    /// Chooses for the call.
    #[inline(never)]
    pub(super) fn find(&mut self) -> End {
        let group = self.table().group_of(self.call.uin);
        let rings = if group == 0 { SCOPES } else { 2 * SCOPES };
        let number = |step: usize| if step < SCOPES { group * SCOPES + step } else { step - SCOPES };
        for step in 0..rings {
            let has_members = |step: usize| self.has_members(number(step));
            if has_members(step) {
                let has_wider = self.may_widen && (step + 1..rings).any(has_members);
                if let Some(end) = self.walk_ring(OnRing { number: number(step) as u32, has_wider, zone: None }) {
                    return end;
                }
            }
        }
        self.last_resort()
    }

    /// Nothing was found. A ring that was left because too many of it are shielded may have others; whom a draw held back is
    /// better than none; and a refusal takes a new count.
    #[cold]
    #[inline(never)]
    fn last_resort(&mut self) -> End {
        if self.has_widened && self.may_widen {
            self.may_widen = false;
            return End::Again;
        }
        if let Some((index, is_probe)) = self.reserve
            && (!is_probe || self.take_probe(index as usize))
        {
            return End::At { index, is_probe };
        }
        match self.trusted & !self.counted {
            0 => End::Nowhere(self.reason()),
            rings => End::Count { ring: rings.trailing_zeros() },
        }
    }

    #[inline]
    fn has_members(&self, ring: usize) -> bool {
        self.table().ring_place(ring / SCOPES, ring % SCOPES).members != 0
    }

    /// Places the user on the ring until an endpoint is found that may be called; after that, looks at all in turn.
    #[inline]
    fn walk_ring(&mut self, mut on: OnRing) -> Option<End> {
        let (mut round, mut refusals, mut seen) = (0, 0, 0);
        loop {
            let is_placed = round < ROUNDS && refusals < REFUSALS;
            let index = if is_placed { self.placed(&on, round) } else { self.next_in_turn(&mut on, &mut seen)? };
            if round == 0 && self.set.settings.zone_strategy == ZoneStrategy::OneZoneByHash {
                on.zone = Some(self.table().place(index).zone);
            }
            round += u64::from(is_placed);
            match self.judge(index, &on) {
                Verdict::Take { is_probe } => return Some(End::At { index: index as u32, is_probe }),
                Verdict::Widen => {
                    self.has_widened = true;
                    return None;
                }
                Verdict::Count => return Some(End::Count { ring: on.number }),
                Verdict::Lost => {}
                Verdict::Pass => refusals += u32::from(is_placed),
            }
        }
    }

    /// The endpoint of a round.
    #[inline(never)]
    fn placed(&self, on: &OnRing, round: u64) -> usize {
        let hash = if round == 0 { self.user_hash } else { Salt(self.user_hash).hash(round - 1) };
        self.table().ring(&self.place(on)).find(hash)
    }

    /// The next endpoint of the ring, from a place that depends on the user. With a zone, first those of the zone.
    #[cold]
    #[inline(never)]
    fn next_in_turn(&self, on: &mut OnRing, seen: &mut usize) -> Option<usize> {
        let (table, group) = (self.table(), self.place(on).group);
        let count = table.len();
        let start = crate::host::bucket::scale(self.user_hash, count as u64) as usize;
        loop {
            if *seen >= count {
                on.zone.take()?;
                *seen = 0;
            }
            let index = if start + *seen < count { start + *seen } else { start + *seen - count };
            *seen += 1;
            if table.is_member(index, group, on.number as usize % SCOPES, &self.set.settings) {
                return Some(index);
            }
        }
    }

    /// May this endpoint be called?
    #[inline]
    fn judge(&mut self, index: usize, on: &OnRing) -> Verdict {
        if self.is_plain(index, on) { Verdict::Take { is_probe: false } } else { self.look_closely(index, on) }
    }

    /// Whether nothing at all speaks against an endpoint: mostly so.
    #[inline(never)]
    fn is_plain(&self, index: usize, on: &OnRing) -> bool {
        let health = self.health(index);
        health.breaker().is_normal()
            && health.cursor(self.now).admits(self.call.key)
            && self.is_first
            && on.zone.is_none()
            && self.host.control.is_none_or(|control| !control.has_shields())
            && self.host.strategy.is_none_or(|strategy| strategy.active() == 0)
            && self.table().place(index).weight >= self.place(on).max_weight
    }

    #[inline(never)]
    fn look_closely(&mut self, index: usize, on: &OnRing) -> Verdict {
        if self.is_out_of_reach(index, on) {
            return Verdict::Pass;
        }
        let (mut is_probe, mut is_lost) = (false, !self.draws_weight(index, on));
        if !self.health(index).breaker().is_normal() {
            match self.judge_unwell(index, on) {
                Verdict::Take { is_probe: probes } => is_probe = probes,
                Verdict::Lost => is_lost = true,
                other => return other,
            }
        }
        let entry = self.host.strategy.and_then(|strategy| self.entry(strategy, index));
        let holds_back = entry.is_some_and(|entry| self.holds_back(entry, index));
        if entry.is_some_and(|entry| self.is_shielded_by(entry))
            || !self.is_admitted(entry, index, is_lost || holds_back)
        {
            return Verdict::Pass;
        }
        if is_lost || holds_back && !self.measures(index) {
            self.reserve.get_or_insert((index as u32, is_probe));
            return Verdict::Lost;
        }
        if is_probe && !self.take_probe(index) {
            return Verdict::Pass;
        }
        Verdict::Take { is_probe }
    }

    /// Whether the call does not go there at all: it was there, it stays in a zone, or an operator keeps it away.
    #[inline(never)]
    fn is_out_of_reach(&mut self, index: usize, on: &OnRing) -> bool {
        let (table, endpoint) = (self.table(), self.table().endpoint(index));
        if on.zone.is_some_and(|zone| zone != table.place(index).zone)
            || !self.is_first && self.call.has_tried(identity(&endpoint))
        {
            return true;
        }
        let is_kept_away = is_operators(self.host, &endpoint, self.now)
            && self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::SHIELDED).is_err();
        self.by_operator |= is_kept_away;
        is_kept_away
    }

    #[inline]
    fn health(&self, index: usize) -> Health<'a> {
        self.table().health(index, self.set.shared(self.host))
    }

    #[cold]
    #[inline(never)]
    fn take_probe(&mut self, index: usize) -> bool {
        let taken = self.health(index).take_probe(&self.set.settings.rules.breaker, self.now);
        // Else another call was faster.
        self.by_breaker |= !taken;
        taken
    }

    /// The breaker is not in its normal state.
    #[cold]
    #[inline(never)]
    fn judge_unwell(&mut self, index: usize, on: &OnRing) -> Verdict {
        let take = Verdict::Take { is_probe: false };
        let (endpoint, word) = (self.table().endpoint(index), self.health(index).breaker());
        let is_enforced = || self.host.is_enforced(Mechanism::Shield, self.call.uin);
        let is_recovering = match word.state(&self.set.settings.rules.breaker, wrapping_ms(self.now)) {
            State::Normal => return take,
            State::Recovering { share } if self.draw(&endpoint) >> 48 < u64::from(share) || !is_enforced() => {
                return take;
            }
            State::Recovering { .. } => true,
            // A call that failed once already is not risked again.
            State::Due if self.is_first => return Verdict::Take { is_probe: true },
            State::Due | State::Probing | State::Shielded { .. } => false,
        };
        if !is_recovering && self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::BUCKET_FULL).is_ok() {
            return take;
        }
        let was_counted = self.counted >> on.number & 1 == 1;
        let Some(cap) = cap::known(self.set.words, on.number, self.generation, self.now, was_counted) else {
            return Verdict::Count;
        };
        if is_recovering {
            return match (cap.is_mostly_unwell, on.has_wider) {
                (true, true) => Verdict::Widen,
                (true, false) => take,
                (false, _) => Verdict::Lost,
            };
        }
        if cap.is_exceeded() && on.has_wider {
            return Verdict::Widen;
        }
        if cap.lets_through(&endpoint, word) {
            self.set.count(Decision::Capped);
            return take;
        }
        self.by_breaker = true;
        self.trusted |= 1 << on.number;
        Verdict::Pass
    }

    #[inline(never)]
    fn entry(&self, strategy: &strategy::table::Table<'_>, index: usize) -> Option<Entry> {
        strategy.lookup(&self.table().endpoint(index))
    }

    /// Whether neither the endpoint's own cursor nor the one in its strategy holds the call back.
    #[inline]
    fn is_admitted(&mut self, entry: Option<Entry>, index: usize, is_lost: bool) -> bool {
        let level = entry.map_or(Cursor::OPEN, |entry| entry.reject_level.cursor());
        self.health(index).cursor(self.now).min(level).admits(self.call.key) || self.passes_withheld(index, is_lost)
    }

    #[cold]
    fn is_shielded_by(&mut self, entry: Entry) -> bool {
        let is_shielded = entry.kind == Kind::Shielded
            && self.set.apply(Mechanism::Shield, self.call.uin, self.host, Status::SHIELDED).is_err();
        self.by_operator |= is_shielded;
        is_shielded
    }

    /// Whether the pass rate of a strategy holds the call back.
    #[cold]
    #[inline(never)]
    fn holds_back(&mut self, entry: Entry, index: usize) -> bool {
        // A draw per attempt, so that a user's retries do not all lose.
        let attempt = Salt(self.call.call_id ^ u64::from(self.call.attempts) << 56)
            .hash(self.draw(&self.table().endpoint(index)));
        let rate = if entry.pass_rate < LEAST_PASS_RATE { LEAST_PASS_RATE } else { entry.pass_rate };
        entry.kind != Kind::Shielded
            && !rate.covers(attempt)
            && self.set.apply(Mechanism::PassRate, self.call.uin, self.host, Status::WITHHELD).is_err()
    }

    /// Whether a call that a pass rate holds back is made all the same, to measure.
    #[cold]
    fn measures(&mut self, index: usize) -> bool {
        let measures = self.is_first && self.health(index).take_measurement(self.now);
        if measures {
            self.set.count(Decision::Measurement);
        }
        measures
    }

    /// The endpoint would refuse the call. Whether it is sent all the same.
    #[cold]
    #[inline(never)]
    fn passes_withheld(&mut self, index: usize, is_lost: bool) -> bool {
        if self.set.apply(Mechanism::FastReject, self.call.uin, self.host, Status::WITHHELD).is_ok() {
            return true;
        }
        // It would have been sent to the first one that no draw held back, and only once.
        if self.is_first && !is_lost && !self.is_told {
            self.is_told = true;
            let table = self.table();
            tally::withhold(table.words, table.withheld_at(index), self.call.key, self.now);
        }
        self.withheld = true;
        false
    }

    /// Whether the user is one of the endpoint's share, which its weight says.
    #[inline(never)]
    fn draws_weight(&self, index: usize, on: &OnRing) -> bool {
        let (weight, max_weight) = (self.table().place(index).weight, self.place(on).max_weight);
        let draw = Salt(MULTIPLIERS[2]).hash(self.draw(&self.table().endpoint(index)));
        weight >= max_weight || crate::host::bucket::scale(draw, max_weight.into()) < weight.into()
    }

    /// A number that is always the same for a user and an endpoint.
    fn draw(&self, endpoint: &Endpoint) -> u64 {
        fold(self.user_hash ^ MULTIPLIERS[2], u64::from(identity(endpoint)) ^ MULTIPLIERS[3])
    }

    #[cold]
    fn reason(&self) -> Status {
        if self.withheld {
            Status::WITHHELD
        } else if self.by_operator {
            Status::SHIELDED
        } else if self.by_breaker {
            Status::BUCKET_FULL
        } else {
            Status::NO_ENDPOINT
        }
    }
}

/// Whether an operator has shielded the endpoint.
#[inline]
pub(super) fn is_operators(host: &HostView<'_, '_>, endpoint: &Endpoint, now: Nanos) -> bool {
    host.control.is_some_and(|control| control.is_shielded(endpoint, now))
}
