//! The health of the endpoints that the host's processes call: in which state each is, why, and what its calls met.

use std::cmp::Reverse;

use mcrpc_core::host::fail::{Level, Levels};
use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::shield::breaker::{FULL_SHARE, Settings, State};
use mcrpc_core::shield::health::wrapping_ms;
use mcrpc_core::time::NANOS_PER_SECOND;
use serde::Serialize;

use super::place::Moment;

/// No leak is slower than this, so a level above it is damage, which counts as empty.
const HIGHEST_LEVEL_NS: u64 = 86_400 * NANOS_PER_SECOND;
/// A program may shield for longer than the default.
const SETTINGS: Settings =
    Settings { backoff_max_ms: Settings::MAX_MS, probe_lease_ms: Settings::MAX_MS, ..Settings::DEFAULT };

/// The endpoints of a host.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Endpoints {
    /// Slots in use.
    pub used: u64,
    pub slots: u64,
    /// Those of which there is nothing to say: no call has failed.
    pub well: u64,
    /// Levels of leaky buckets that no failure can have made; they count as empty.
    pub damaged: u64,
    /// The others, the worst first.
    pub unwell: Vec<EndpointHealth>,
}

/// An endpoint of which calls have failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EndpointHealth {
    /// `None` while its key is being written, or if that is damaged.
    pub endpoint: Option<String>,
    pub service_id: Option<u32>,
    #[serde(flatten)]
    pub state: BreakerState,
    /// Why it was shielded last, if it was.
    pub why: Option<&'static str>,
    /// The breaker's bucket, which counts in requests.
    pub bucket: u32,
    pub requests: u64,
    pub failures: u64,
    pub success_percent: Option<f64>,
    pub probes: u64,
    pub shields: u64,
    /// The bucket that leaks by time, if something is in it.
    pub leaky: Option<Leaky>,
}

/// The state of a breaker, from the worst on.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum BreakerState {
    Shielded { left_ms: u32 },
    Due,
    Probing,
    Recovering { percent_of_users: f64 },
    Normal,
}

/// A bucket that leaks by time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Leaky {
    /// How long it takes to become empty.
    pub level_ms: u64,
    /// Above this it is full.
    pub limit_ms: u64,
    pub full: bool,
}

impl From<State> for BreakerState {
    fn from(state: State) -> BreakerState {
        match state {
            State::Normal => BreakerState::Normal,
            State::Shielded { left_ms } => BreakerState::Shielded { left_ms },
            State::Due => BreakerState::Due,
            State::Probing => BreakerState::Probing,
            State::Recovering { share } => {
                BreakerState::Recovering { percent_of_users: 100.0 * f64::from(share) / f64::from(FULL_SHARE) }
            }
        }
    }
}

impl EndpointHealth {
    fn of(level: &Level, now: &Moment) -> EndpointHealth {
        let reading = &level.reading;
        let (requests, failures) = (reading.totals.requests(), reading.totals.failures());
        let leaks = (1..=HIGHEST_LEVEL_NS).contains(&level.level_ns);
        EndpointHealth {
            endpoint: level.endpoint.map(|endpoint| endpoint.socket().to_string()),
            service_id: level.endpoint.map(|endpoint| endpoint.service_id),
            state: reading.breaker.state(&SETTINGS, wrapping_ms(now.monotonic())).into(),
            why: (reading.shields > 0).then(|| reading.breaker.reason().name()),
            bucket: reading.breaker.level(),
            requests,
            failures,
            success_percent: (requests > 0).then(|| 100.0 * requests.saturating_sub(failures) as f64 / requests as f64),
            probes: reading.probes,
            shields: reading.shields,
            leaky: leaks.then_some(Leaky {
                level_ms: level.level_ns / 1_000_000,
                limit_ms: level.limit_ns / 1_000_000,
                full: level.limit_ns != 0 && level.level_ns > level.limit_ns,
            }),
        }
    }

    fn is_well(&self) -> bool {
        let counts = [self.failures, self.probes, self.shields, self.bucket.into()];
        self.state == BreakerState::Normal && counts == [0; 4] && self.leaky.is_none()
    }
}

/// Reads the cells.
pub(crate) fn read(view: View<'_>, len: u64, now: &Moment) -> Result<Endpoints, Mismatch> {
    let levels = Levels::attach(view, len)?;
    let (used, slots) = levels.fill();
    let mut endpoints = Endpoints { used, slots, ..Endpoints::default() };
    for level in levels.iter(now.monotonic()) {
        endpoints.damaged += u64::from(level.level_ns > HIGHEST_LEVEL_NS);
        let health = EndpointHealth::of(&level, now);
        if health.is_well() {
            endpoints.well += 1;
        } else {
            endpoints.unwell.push(health);
        }
    }
    endpoints.unwell.sort_by(|a, b| {
        let rank = |it: &EndpointHealth| (Reverse(it.bucket), Reverse(it.leaky.map(|leaky| leaky.level_ms)));
        let by_state = a.state.partial_cmp(&b.state).unwrap_or(std::cmp::Ordering::Equal);
        let by_failures = || b.failures.cmp(&a.failures).then_with(|| a.endpoint.cmp(&b.endpoint));
        by_state.then_with(|| rank(a).cmp(&rank(b))).then_with(by_failures)
    });
    Ok(endpoints)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use mcrpc_core::host::fail::{self, FailBuckets};
    use mcrpc_core::host::region::Shared;
    use mcrpc_core::shield::breaker::Reason;
    use mcrpc_core::shield::health::{Health, Rules, Totals};
    use mcrpc_core::shield::outcome::Outcome;
    use mcrpc_core::strategy::endpoint::Endpoint;
    use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

    use super::*;
    use crate::host::listings;

    /// Backoffs and ramps of 1 s.
    const RULES: Rules = Rules { breaker: Settings { backoff_min_ms: 1_000, ..Settings::DEFAULT }, leak: None };

    #[test]
    fn the_states_are_told_with_what_is_left_of_them_the_worst_first() {
        let words: Vec<AtomicU64> = (0..fail::segment_len(10) / 8).map(|_| AtomicU64::new(0)).collect();
        let (words, len) = (Shared::new(&words), fail::segment_len(10) as u64);
        fail::create(words, 10, 1, 2).unwrap();
        let cells = FailBuckets::attach(words, len).unwrap();
        let then = Nanos(1_000 * NANOS_PER_SECOND);
        let now = then.plus(2 * NANOS_PER_SECOND);
        let probe = |health: &Health<'_>| {
            health.trip(Reason::FailuresPerSecond, &RULES.breaker, then);
            assert!(health.take_probe(&RULES.breaker, now));
        };
        let acts: [&dyn Fn(&Health<'_>); 6] = [
            &|health| health.add(&Totals { calls: [9, 1, 0, 0], time_us: 0 }),
            &|health| {
                health.add(&Totals { calls: [3, 0, 1, 0], time_us: 0 });
                health.report(Outcome::Failed, false, &RULES, now);
            },
            &|health| {
                probe(health);
                health.report(Outcome::Ok, true, &RULES, Nanos(now.0 - 1_100 * NANOS_PER_MILLI));
            },
            &|health| probe(health),
            &|health| assert!(health.trip(Reason::Rate, &RULES.breaker, then)),
            &|health| assert!(health.trip(Reason::Rate, &RULES.breaker, now)),
        ];
        for (port, act) in (1..).zip(acts) {
            let endpoint = Endpoint::new(([10, 0, 0, 1], port).into(), 7);
            act(&cells.health(cells.bucket(&endpoint).unwrap()).unwrap());
        }
        let moment = Moment { monotonic_ns: now.0, ..Moment::default() };
        let endpoints = read(words.view(), len, &moment).unwrap();
        assert_eq!((endpoints.used, endpoints.slots, endpoints.well), (6, 15, 1));
        let rows = listings::endpoints(&endpoints).rows;
        let states: Vec<_> = rows.iter().map(|row| row[2].split_inclusive(' ').next().unwrap().trim_end()).collect();
        assert_eq!(states, ["shielded", "due", "probing", "recovering", "normal"]);
        assert!(rows[0][2].ends_with("ms left"), "{rows:?}");
        assert_eq!(rows[1][3..], ["failure-rate", "42/35", "0", "0", "–", "0", "1", "–", ""]);
        assert_eq!(rows[3][2..5], ["recovering 25%", "failures-per-second", "21/35"]);
        assert_eq!(rows[4], ["10.0.0.1:2", "7", "normal", "–", "7/35", "4", "1", "75.00%", "0", "0", "–", ""]);
    }
}
