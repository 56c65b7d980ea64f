//! What the agent knows of each endpoint, from the outcomes of all processes (SPEC S7, B5).
//!
//! Once a second it looks at every cell. What was added since the last look goes three ways: to the generator of pass
//! rates, to the judge by count and rate, and into the question whether anybody still wants to call a shielded endpoint.
//! An endpoint whose breaker is not in its normal state is left to the breaker: its failures have had their effect, and
//! a pass rate on top would keep calls from it long after it works again.
//!
//! All of this is memory of the agent's own. One that is started anew begins with totals as they stand, so that nothing counts
//! twice, and misses a second.

use std::collections::HashMap;

use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::shield::breaker::{Reason, Settings, State};
use mcrpc_core::shield::health::{Health, Reading, wrapping_ms};
use mcrpc_core::shield::rate::{RateRules, RateWindow};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::RejectLevel;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use crate::generator::Totals;

/// An endpoint is still wanted if a call to it ended within this time.
const WANTED_NS: u64 = 60 * NANOS_PER_SECOND;
/// It is probed for so long in any case: nobody calls what all have shielded.
const PROBED_NS: u64 = 600 * NANOS_PER_SECOND;
/// To read a breaker whose process may shield for longer than the default.
const ANY_SETTINGS: Settings = Settings { backoff_max_ms: Settings::MAX_MS, ..Settings::DEFAULT };

/// All endpoints of the host.
#[derive(Debug)]
pub struct Endpoints {
    known: HashMap<Endpoint, Known>,
    rules: Option<RateRules>,
    looks: u64,
}

#[derive(Debug, Default)]
struct Known {
    /// As they stood at the last look.
    totals: Totals,
    /// What was added while the breaker was normal.
    counted: Totals,
    window: RateWindow,
    called_at: Option<Nanos>,
    shielded_since: Option<Nanos>,
    is_left_to_breaker: bool,
    /// It has answered a probe, and not failed one since.
    has_answered: bool,
    /// The number of the look that found it.
    seen_at_look: u64,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Look {
    /// Of the endpoints whose breaker is normal: what was counted so far.
    pub totals: Vec<(Endpoint, Totals)>,
    /// Endpoints that are left to their breaker from now on: what a generator knew of them is out of date.
    pub left_to_breaker: Vec<Endpoint>,
    /// Endpoints whose cell is no more theirs, which only damage does.
    pub gone: Vec<Endpoint>,
    /// What endpoints refuse at this moment.
    pub levels: Vec<(Endpoint, RejectLevel)>,
    /// Endpoints that were judged bad, and are shielded for that.
    pub judged: Vec<Endpoint>,
    /// Shielded endpoints that somebody wants to call.
    pub to_probe: Vec<Endpoint>,
}

impl Endpoints {
    /// Knows none yet. With `rules` it shields those that are bad by them.
    pub fn new(rules: Option<RateRules>) -> Endpoints {
        Endpoints { known: HashMap::new(), rules, looks: 0 }
    }

    /// Whether the endpoint was there at the last look.
    pub fn contains(&self, endpoint: &Endpoint) -> bool {
        self.known.contains_key(endpoint)
    }

    /// The totals stand in another segment now, in which they began anew: what it holds so far is not counted.
    pub fn rebase(&mut self, cells: &FailBuckets<'_>) {
        let mut old = std::mem::take(&mut self.known);
        self.known = cells
            .iter()
            .map(|(endpoint, health)| {
                let known = old.remove(&endpoint).unwrap_or_default();
                (endpoint, Known { totals: totals(&health.reading()), ..known })
            })
            .collect();
    }

    /// A second is over. O(slots), in time and in what is remembered, whatever is written into the segment.
    pub fn look(&mut self, cells: &FailBuckets<'_>, now: Nanos) -> Look {
        let mut look = Look::default();
        self.looks += 1;
        for (endpoint, health) in cells.iter() {
            let known = self.known.entry(endpoint).or_default();
            known.seen_at_look = self.looks;
            known.look(endpoint, &health, self.rules.as_ref(), now, &mut look);
        }
        let looks = self.looks;
        look.gone.extend(self.known.extract_if(|_, known| known.seen_at_look != looks).map(|(endpoint, _)| endpoint));
        look
    }

    /// A probe has ended. An answer ends the backoff, so that the next call settles it; but only one until a probe fails: a
    /// machine that hangs answers whenever it is asked, and would cost a call a second.
    pub fn probed(&mut self, endpoint: &Endpoint, is_answered: bool, cells: &FailBuckets<'_>, now: Nanos) {
        let Some(known) = self.known.get_mut(endpoint) else { return };
        if is_answered && !known.has_answered {
            let cell = cells.bucket(endpoint).and_then(|id| cells.health(id));
            cell.iter().for_each(|health| health.answered(now));
        }
        known.has_answered = is_answered;
    }
}

impl Known {
    fn look(
        &mut self,
        endpoint: Endpoint,
        health: &Health<'_>,
        rules: Option<&RateRules>,
        now: Nanos,
        look: &mut Look,
    ) {
        let totals = totals(&health.reading());
        let sample = totals.since(self.totals);
        self.totals = totals;
        if sample.requests > 0 {
            self.called_at = Some(now);
        }
        if health.breaker().is_shielded() {
            // What was gathered has led to this shield, or was not needed for it.
            self.window = RateWindow::default();
        } else if rules.is_some_and(|rules| self.window.judge(sample.requests, sample.failures, rules))
            && health.trip(Reason::Rate, &Settings::DEFAULT, now)
        {
            look.judged.push(endpoint);
        }
        let breaker = health.breaker();
        if breaker.is_normal() {
            self.is_left_to_breaker = false;
            self.counted = self.counted.plus(sample);
            look.totals.push((endpoint, self.counted));
        } else if !std::mem::replace(&mut self.is_left_to_breaker, true) {
            look.left_to_breaker.push(endpoint);
        }
        let level = RejectLevel::from_cursor(health.cursor(now));
        if level != RejectLevel::OPEN {
            look.levels.push((endpoint, level));
        }
        match breaker.state(&ANY_SETTINGS, wrapping_ms(now)) {
            State::Normal | State::Recovering { .. } => (self.shielded_since, self.has_answered) = (None, false),
            state => {
                let shielded_ns = now.since(*self.shielded_since.get_or_insert(now));
                let is_wanted = self.called_at.is_some_and(|called_at| now.since(called_at) < WANTED_NS);
                if matches!(state, State::Shielded { .. }) && (is_wanted || shielded_ns < PROBED_NS) {
                    look.to_probe.push(endpoint);
                }
            }
        }
    }
}

fn totals(reading: &Reading) -> Totals {
    Totals { requests: reading.totals.requests(), failures: reading.totals.failures() }
}
