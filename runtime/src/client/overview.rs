//! What a client knows of its servers, for pages and metrics.

use mcrpc_core::admission::Cursor;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::health::{Totals, wrapping_ms};
use mcrpc_core::shield::outcome::Outcome;

use super::service::Service;
use crate::clock;
use crate::host::Known;

/// The names of the states of a shield.
pub(crate) const STATES: [&str; 5] = ["normal", "shielded", "due", "probing", "recovering"];

/// A server, as the client sees it.
pub(crate) struct Overview {
    pub(crate) address: String,
    pub(crate) state: State,
    /// Why it was shielded last.
    pub(crate) reason: &'static str,
    pub(crate) shields: u64,
    pub(crate) probes: u64,
    pub(crate) totals: Totals,
    pub(crate) cursor: Cursor,
    pub(crate) is_connected: bool,
}

impl Overview {
    pub(crate) fn state_name(&self) -> &'static str {
        STATES[match self.state {
            State::Normal => 0,
            State::Shielded { .. } => 1,
            State::Due => 2,
            State::Probing => 3,
            State::Recovering { .. } => 4,
        }]
    }
}

/// The servers of a service.
pub(crate) fn endpoints(service: &Service, known: &Known) -> Vec<Overview> {
    let now = clock::now();
    service.with_set(known, |set, host| {
        set.hand_over(host);
        let endpoints = service.endpoints();
        let each = endpoints.iter().enumerate().filter_map(|(index, endpoint)| {
            let health = set.health(index, host)?;
            let reading = health.reading();
            Some(Overview {
                address: endpoint.address.to_string(),
                state: reading.breaker.state(&set.settings().rules.breaker, wrapping_ms(now)),
                reason: reading.breaker.reason().name(),
                shields: reading.shields,
                probes: reading.probes,
                totals: reading.totals,
                cursor: health.cursor(now),
                is_connected: endpoint.is_connected(),
            })
        });
        each.collect()
    })
}

pub(crate) const fn name_of_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Logic => "logic",
        Outcome::Failed => "failed",
        Outcome::Overloaded => "overloaded",
    }
}

pub(crate) const fn name_of_decision(decision: Decision) -> &'static str {
    match decision {
        Decision::NoEndpoint => "no_endpoint",
        Decision::AttemptsExhausted => "attempts_exhausted",
        Decision::BudgetExhausted => "budget_exhausted",
        Decision::OutOfTime => "out_of_time",
        Decision::Skipped => "skipped",
        Decision::Withheld => "withheld",
        Decision::Shielded => "shielded",
        Decision::BucketFull => "bucket_full",
        Decision::Retry => "retry",
        Decision::Backup => "backup",
        Decision::Probe => "probe",
        Decision::Measurement => "measurement",
        Decision::Capped => "capped",
        Decision::Shielding => "shielding",
        Decision::ObservedShield => "observed_shield",
        Decision::ObservedPassRate => "observed_pass_rate",
        Decision::ObservedSkip => "observed_skip",
        Decision::ObservedFastReject => "observed_fast_reject",
        Decision::ObservedBudget => "observed_budget",
    }
}
