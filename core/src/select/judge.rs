//! May this endpoint be called? What speaks against it, from what is asked always to what is asked when something is wrong.

use super::decision::Decision;
use super::explain::{Answer, Obstacle, Witness};
use super::host_view::HostView;
use super::pick::{OnRing, Walk};
use super::table::identity;
use super::tally;
use crate::admission::Cursor;
use crate::host::bucket::scale;
use crate::host::control::Mechanism;
use crate::id::{MULTIPLIERS, Per10k, Salt, fold};
use crate::shield::breaker::State;
use crate::shield::health::{Health, wrapping_ms};
use crate::status::Status;
use crate::strategy::endpoint::Endpoint;
use crate::strategy::entry::{Entry, Kind};
use crate::strategy::table::Table;
use crate::time::Nanos;

/// A pass rate lets at least so many through: who is never called cannot show that it works again.
const LEAST_PASS_RATE: Per10k = match Per10k::new(100) {
    Some(rate) => rate,
    None => Per10k::NONE,
};

/// The answer.
pub(super) enum Verdict {
    Take {
        is_probe: bool,
    },
    Pass(Obstacle),
    /// Nothing but a draw speaks against it, which shares users out.
    Lost(Obstacle),
    /// Too many of this ring are shielded, and there is a wider one.
    Widen,
    /// It depends on how many are shielded, and that is to be counted first.
    Count,
}

impl Verdict {
    /// As a witness is told; `None` while it is not settled.
    #[inline(always)]
    pub(super) const fn answer(&self) -> Option<Answer> {
        Some(match *self {
            Verdict::Take { is_probe } => Answer::Chosen { is_probe },
            Verdict::Pass(obstacle) => Answer::PassedOver(obstacle),
            Verdict::Lost(obstacle) => Answer::DrawLost(obstacle),
            Verdict::Widen => Answer::RingLeft,
            Verdict::Count => return None,
        })
    }
}

impl<'a, W: Witness> Walk<'_, '_, 'a, W> {
    /// May this endpoint be called?
    #[inline]
    pub(super) fn judge(&mut self, index: usize, on: &OnRing) -> Verdict {
        if self.is_plain(index, on) { Verdict::Take { is_probe: false } } else { self.look_closely(index, on) }
    }

    /// Whether nothing at all speaks against an endpoint: mostly so.
    #[inline(never)]
    fn is_plain(&self, index: usize, on: &OnRing) -> bool {
        let health = self.health(index);
        health.breaker().is_normal()
            && self.call.passes(health.cursor(self.now))
            && self.is_first
            && on.zone.is_none()
            && self.host.control.is_none_or(|control| !control.has_shields())
            && self.host.strategy.is_none_or(|strategy| strategy.active() == 0)
            && self.table().place(index).weight >= self.place(on).max_weight
    }

    #[inline(always)]
    fn look_closely(&mut self, index: usize, on: &OnRing) -> Verdict {
        if on.zone.is_some_and(|zone| zone != self.table().place(index).zone) {
            return Verdict::Lost(Obstacle::OtherZone);
        }
        if let Some(obstacle) = self.out_of_reach(index) {
            return Verdict::Pass(obstacle);
        }
        let mut is_probe = false;
        let mut lost = (!self.draws_weight(index, on)).then_some(Obstacle::Weight);
        if !self.health(index).breaker().is_normal() {
            match self.judge_unwell(index, on) {
                Verdict::Take { is_probe: probes } => is_probe = probes,
                Verdict::Lost(obstacle) => lost = Some(obstacle),
                other => return other,
            }
        }
        let entry = self.host.strategy.and_then(|strategy| self.entry(strategy, index));
        let holds_back = entry.is_some_and(|entry| self.holds_back(entry, index));
        if entry.is_some_and(|entry| self.is_shielded_by(entry)) {
            return Verdict::Pass(Obstacle::StrategyShield);
        }
        if !self.is_admitted(entry, index, lost.is_some() || holds_back) {
            return Verdict::Pass(Obstacle::Cursor);
        }
        if lost.is_none() && holds_back && !self.measures(index) {
            lost = Some(Obstacle::PassRate);
        }
        if let Some(obstacle) = lost {
            self.reserve.get_or_insert((index as u32, is_probe));
            return Verdict::Lost(obstacle);
        }
        if is_probe && !self.take_probe(index) {
            return Verdict::Pass(Obstacle::Breaker);
        }
        Verdict::Take { is_probe }
    }

    /// Why the call does not go there at all, if it does not: it was there, or an operator keeps it away.
    #[inline(never)]
    fn out_of_reach(&mut self, index: usize) -> Option<Obstacle> {
        let endpoint = self.table().endpoint(index);
        if !self.is_first && self.call.has_tried(identity(&endpoint)) {
            return Some(Obstacle::Tried);
        }
        let is_kept_away = is_operators(self.host, &endpoint, self.now)
            && self.set.apply(Mechanism::Shield, self.call.user(), self.host, Status::SHIELDED).is_err();
        self.by_operator |= is_kept_away;
        is_kept_away.then_some(Obstacle::OperatorShield)
    }

    #[inline]
    fn health(&self, index: usize) -> Health<'a> {
        self.table().health(index, self.set.shared(self.host))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn take_probe(&mut self, index: usize) -> bool {
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
        let is_enforced = || self.host.is_enforced(Mechanism::Shield, self.call.user());
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
        if !is_recovering && self.set.apply(Mechanism::Shield, self.call.user(), self.host, Status::BUCKET_FULL).is_ok()
        {
            return take;
        }
        let Some(survey) = self.survey(on.number) else { return Verdict::Count };
        if is_recovering {
            return match (survey.is_mostly_unwell, on.has_wider) {
                (true, true) => Verdict::Widen,
                (true, false) => take,
                (false, _) => Verdict::Lost(Obstacle::Recovering),
            };
        }
        if survey.is_exceeded() && on.has_wider {
            return Verdict::Widen;
        }
        if survey.lets_through(&endpoint, word) {
            self.set.count(Decision::Capped);
            return take;
        }
        self.by_breaker = true;
        self.trusted |= 1 << on.number;
        Verdict::Pass(Obstacle::Breaker)
    }

    #[inline(never)]
    pub(super) fn entry(&self, strategy: &Table<'_>, index: usize) -> Option<Entry> {
        strategy.lookup(&self.table().endpoint(index))
    }

    /// Whether neither the endpoint's own cursor nor the one in its strategy holds the call back.
    #[inline]
    fn is_admitted(&mut self, entry: Option<Entry>, index: usize, is_lost: bool) -> bool {
        let level = entry.map_or(Cursor::OPEN, |entry| entry.reject_level.cursor());
        self.call.passes(self.health(index).cursor(self.now).min(level)) || self.passes_withheld(index, is_lost)
    }

    #[cold]
    fn is_shielded_by(&mut self, entry: Entry) -> bool {
        let is_shielded = entry.kind == Kind::Shielded
            && self.set.apply(Mechanism::Shield, self.call.user(), self.host, Status::SHIELDED).is_err();
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
            && self.set.apply(Mechanism::PassRate, self.call.user(), self.host, Status::WITHHELD).is_err()
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
        if self.set.apply(Mechanism::FastReject, self.call.user(), self.host, Status::WITHHELD).is_ok() {
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

    /// Whether the user is one of the endpoint's share, which its weight says. A draw per look: one that was lost for ever would
    /// leave to a heavy endpoint all those whom no light one draws.
    #[inline(never)]
    fn draws_weight(&self, index: usize, on: &OnRing) -> bool {
        let (weight, max_weight) = (self.table().place(index).weight, self.place(on).max_weight);
        let draw = Salt(on.round).hash(self.draw(&self.table().endpoint(index)));
        weight >= max_weight || scale(draw, max_weight.into()) < weight.into()
    }

    /// A number that is always the same for a user and an endpoint.
    fn draw(&self, endpoint: &Endpoint) -> u64 {
        fold(self.user_hash ^ MULTIPLIERS[2], u64::from(identity(endpoint)) ^ MULTIPLIERS[3])
    }
}

/// Whether an operator has shielded the endpoint.
#[inline]
pub(super) fn is_operators(host: &HostView<'_, '_>, endpoint: &Endpoint, now: Nanos) -> bool {
    host.control.is_some_and(|control| control.is_shielded(endpoint, now))
}
