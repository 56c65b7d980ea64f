//! What a report does to the cell of its endpoint, and what is in force there.
//!
//! A process with the shared memory tells the breaker of each call when it ends; a report tells of many, in no order. They are
//! taken for evenly mixed, which is what the breaker is made for. A probe is one call: it is given to one process at a time,
//! whose next outcomes settle it.

use std::collections::HashMap;

use mcrpc_core::id::Per10k;
use mcrpc_core::shield::breaker::{FULL_SHARE, LIMIT, POUR, Settings, State};
use mcrpc_core::shield::health::{Health, Rules, Totals, wrapping_ms};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, Nanos};
use rustix::net::SocketAddrUnix;

use super::socket::Sender;
use super::text::Report;

const RULES: Rules = Rules { breaker: Settings::DEFAULT, leak: None };
/// How often processes report: so long ago the calls of a report may have ended.
const REPORTED_EACH_NS: u64 = 200 * NANOS_PER_MILLI;
/// As long is a probe its holder's: then the next who asks is given it.
const PROBE_LEASE_NS: u64 = RULES.breaker.probe_lease_ms as u64 * NANOS_PER_MILLI;
/// So many processes hold the probe of an endpoint at the same time.
const MAX_PROBES: usize = 4_096;
/// So many failures fill the breaker's bucket whatever is between them, or never will.
const MOST_FAILURES: u64 = 64;
/// So many successes empty it.
const MOST_SUCCESSES: u64 = (LIMIT + POUR) as u64;

/// Who has been given the probe of an endpoint, and when it is no longer theirs.
#[derive(Debug, Default)]
pub(crate) struct Probes(HashMap<Endpoint, (SocketAddrUnix, Nanos)>);

impl Probes {
    /// Adds what a process has met.
    pub(crate) fn add(&mut self, report: &Report<'_>, sender: Option<&Sender>, health: &Health<'_>, now: Nanos) {
        let Report { endpoint, totals, cursor, .. } = report;
        if let &Some((cursor, hold_ms)) = cursor {
            health.set_cursor(cursor, hold_ms, now);
        }
        if totals.requests() == 0 {
            return;
        }
        health.add(totals);
        let is_probe = self
            .0
            .get(endpoint)
            .is_some_and(|(holder, until)| now < *until && sender.is_some_and(|sender| sender.name == *holder));
        if is_probe {
            self.0.remove(endpoint);
            let is_answered = totals.requests() > totals.failures();
            health.report(if is_answered { Outcome::Ok } else { Outcome::Failed }, true, &RULES, now);
        } else {
            pour(totals, health, now);
        }
    }

    /// What a process is to do with its calls to an endpoint, for whose calls `published` is in force.
    pub(crate) fn advise(
        &mut self,
        endpoint: &Endpoint,
        published: Entry,
        sender: Option<&Sender>,
        health: &Health<'_>,
        now: Nanos,
    ) -> Entry {
        let levels = [RejectLevel::from_cursor(health.cursor(now)), published.reject_level];
        let reject_level = if levels[0].cursor().0 < levels[1].cursor().0 { levels[0] } else { levels[1] };
        let none = |kind| Entry { pass_rate: Per10k::NONE, kind, reject_level };
        match (health.breaker().state(&RULES.breaker, wrapping_ms(now)), sender) {
            (State::Normal, _) => Entry { reject_level, ..published },
            (State::Recovering { share }, _) => {
                let share = u64::from(share) * u64::from(Per10k::ALL.get()) / u64::from(FULL_SHARE);
                let share = Per10k::new(share as u16).unwrap_or(Per10k::ALL);
                Entry { pass_rate: share.min(published.pass_rate), reject_level, ..published }
            }
            (State::Due, Some(sender)) if sender.hears && health.take_probe(&RULES.breaker, now) => {
                if self.0.len() >= MAX_PROBES {
                    self.0.retain(|_, (_, until)| now < *until);
                }
                if self.0.len() < MAX_PROBES {
                    self.0.insert(*endpoint, (sender.name.clone(), now.plus(PROBE_LEASE_NS)));
                }
                none(Kind::Probe)
            }
            (State::Shielded { .. } | State::Due | State::Probing, _) => none(Kind::Shielded),
        }
    }
}

/// Tells the breaker of calls, the successes spread evenly between the failures.
fn pour(totals: &Totals, health: &Health<'_>, now: Nanos) {
    let [ok, logic, failed, _] = totals.calls;
    let succeeded = ok + logic;
    if failed == 0 {
        return drain(succeeded, health, now);
    }
    let mean_ns = totals.time_us / totals.requests() * NANOS_PER_MICRO;
    if health.outdates(REPORTED_EACH_NS + mean_ns, now) {
        return;
    }
    for number in 0..failed.min(MOST_FAILURES) {
        drain((number + 1) * succeeded / failed - number * succeeded / failed, health, now);
        if health.report(Outcome::Failed, false, &RULES, now) {
            return;
        }
    }
}

fn drain(successes: u64, health: &Health<'_>, now: Nanos) {
    for _ in 0..successes.min(MOST_SUCCESSES) {
        if health.breaker().is_calm() {
            return;
        }
        health.report(Outcome::Ok, false, &RULES, now);
    }
}
