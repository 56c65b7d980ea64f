//! What the original generators got wrong, each by itself.

use mcrpc_core::strategy::generate::{DEFAULT_RESTART, DEFAULT_RULES, MIN_REQUESTS, QUIET_NS, Restart};

use super::*;

/// 1 % times 1.8 was 1 %, 4 % times 1.2 was 4 %.
#[test]
fn a_low_rate_does_not_stick() {
    // A restart that never happens: the ramp alone has to do it.
    let restart = Restart { above_success: ALL, ..DEFAULT_RESTART };
    for start in [100, 101, 200, 300, 400, 499] {
        for requests in [100, 400, 900, 1_900, 4_900, 9_900, 50_000] {
            let mut table = Table::new(DEFAULT_RULES, restart);
            let mut endpoint = Endpoint::new(&mut table, per_10k(start));
            let periods = endpoint.periods_until(ALL, 30, requests, 0);
            assert!(periods.is_some(), "from {start} with {requests} requests: {:?}", endpoint.track.pass_rate());
        }
    }
}

#[test]
fn every_step_moves_the_rate() {
    for (name, mut generator) in generators().into_iter().skip(1) {
        for start in FLOOR.get()..ALL.get() {
            assert!(Endpoint::new(&mut *generator, per_10k(start)).after(100, 0) > per_10k(start), "{name} {start}");
            let fallen = Endpoint::new(&mut *generator, per_10k(start + 1)).after(100, 50);
            assert!(fallen < per_10k(start + 1) || start == FLOOR.get(), "{name} {start}");
        }
    }
}

/// 99.99 % was 99 %, and so an endpoint with one failure in 10 000 requests went to 0 in ten seconds.
#[test]
fn a_success_rate_is_not_truncated_to_percents() {
    assert_eq!(Sample { requests: 10_000, failures: 1 }.success_rate(), per_10k(9_999));
    assert_eq!(Sample { requests: u32::MAX, failures: 1 }.success_rate(), per_10k(9_999));
    for (name, mut generator) in generators() {
        let mut endpoint = Endpoint::new(&mut *generator, ALL);
        assert!((0..100).all(|_| endpoint.after(10_000, 1) == ALL), "{name}");
    }
}

#[test]
fn an_endpoint_with_one_percent_of_errors_goes_back_to_all_and_stays_there() {
    for demand in [15, 50, 150, 450, 900, 1_900, 4_900, 20_000] {
        for (name, mut generator) in generators() {
            let rates = at_floor(&mut *generator).under(demand, u32::MAX, 100, 300);
            assert!(rates[..150].contains(&ALL), "{name} at {demand} per second");
            let mean = mean(&rates[150..]);
            assert!(mean >= 9_700, "{name} at {demand} per second: {mean} on average");
        }
    }
}

/// One request, one failure: 0 %.
#[test]
fn one_request_does_not_decide() {
    for (name, mut generator) in generators() {
        let mut endpoint = Endpoint::new(&mut *generator, ALL);
        assert_eq!(endpoint.after(1, 1), ALL, "{name}");
        // The others that are needed all succeed: one of ten has failed.
        let rates: Vec<_> = (1..MIN_REQUESTS).map(|_| endpoint.after(1, 0)).collect();
        assert!(rates.iter().all(|&rate| rate >= percent(90)), "{name}: {rates:?}");
    }
}

#[test]
fn few_requests_are_gathered_until_they_decide() {
    for (name, mut generator) in generators() {
        let mut endpoint = Endpoint::new(&mut *generator, ALL);
        assert!((0..4).all(|_| endpoint.after(2, 2) == ALL), "{name}");
        let decided = endpoint.after(2, 2);
        assert!(decided <= percent(30), "{name}: {decided:?}");
        // They count once.
        assert!((0..4).all(|_| endpoint.after(2, 2) == decided), "{name}");
    }
}

/// At 0 % there was nothing more to measure, until the strategy expired and all calls passed at once.
#[test]
fn calls_go_on_to_measure_an_endpoint_that_fails() {
    for (name, mut generator) in generators() {
        let mut endpoint = Endpoint::new(&mut *generator, ALL);
        assert_eq!(
            endpoint.periods_until(FLOOR, 10, 1_000, 1_000),
            Some(endpoint.now.0 as u32 / 1_000_000_000),
            "{name}"
        );
        let rates = endpoint.under(10_000, 0, 0, 100);
        assert!(rates.iter().all(|&rate| rate == FLOOR), "{name}");
        let recovery = endpoint.under(10_000, u32::MAX, 0, 20);
        assert_eq!(recovery.last(), Some(&ALL), "{name}: {recovery:?}");
    }
    let mut shuts_out = |_: &_| Per10k::NONE;
    assert_eq!(Endpoint::new(&mut shuts_out, ALL).after(1_000, 1_000), FLOOR);
}

/// A strategy that was not refreshed for 30 s was gone, and all calls came back in one burst.
#[test]
fn an_endpoint_that_nobody_calls_climbs_back_step_by_step() {
    let quiet_s = (QUIET_NS / NANOS_PER_SECOND) as usize;
    for (name, mut generator) in generators() {
        let mut endpoint = at_floor(&mut *generator);
        let rates: Vec<_> = (0..quiet_s + 21).map(|_| endpoint.after(0, 0)).collect();
        assert!(rates[..quiet_s - 1].iter().all(|&rate| rate == FLOOR), "{name}");
        assert_eq!(rates.last(), Some(&ALL), "{name}");
        let climbs = rates[quiet_s - 1..].windows(2).all(|pair| pair[1].get() <= pair[0].get() * 5 / 4 + 1);
        assert!(climbs, "{name}: {rates:?}");
    }
}

#[test]
fn an_endpoint_that_was_not_looked_at_for_long_climbs_back_step_by_step() {
    for (name, mut generator) in generators() {
        let mut endpoint = at_floor(&mut *generator);
        endpoint.now = Nanos(100 * QUIET_NS);
        assert_eq!([endpoint.after(0, 0), endpoint.after(0, 0)], [per_10k(125), per_10k(157)], "{name}");
    }
}

/// A request now and then, too few to decide, must not hold an endpoint where it is.
#[test]
fn an_endpoint_that_is_hardly_called_climbs_while_no_call_fails() {
    for (name, mut generator) in generators() {
        for demand in [1, 2, 5, 10, 20] {
            let mut endpoint = at_floor(&mut *generator);
            let recovery = endpoint.under(demand, u32::MAX, 0, 150);
            assert!(recovery.contains(&ALL), "{name} at {demand} per second: {:?}", recovery.last());
            let failing = mean(&endpoint.under(demand, 0, 0, 600)[300..]) * u64::from(demand);
            assert!(failing <= 2_500, "{name} at {demand} per second: more than one call in four seconds fails");
        }
    }
}

/// Above the largest number of requests there was no rule, and the rate stayed where it was.
#[test]
fn with_more_requests_than_any_rule_has_the_last_rules_hold() {
    for requests in [10_001, 20_000, u32::MAX] {
        let mut table = Table::DEFAULT;
        assert_eq!(Endpoint::new(&mut table, ALL).after(requests, requests / 2), percent(20));
        assert_eq!(Endpoint::new(&mut table, percent(50)).after(requests, 0), percent(60));
    }
}

/// Entries lived for ever after the wall clock was set back, and died all at once when it was set forward.
#[test]
fn a_clock_that_jumps_makes_at_most_one_step() {
    for (name, mut generator) in generators() {
        let mut endpoint = Endpoint::new(&mut *generator, percent(50));
        endpoint.now = Nanos(1_000 * QUIET_NS);
        assert_eq!(endpoint.after(0, 0), per_10k(6_250), "{name}");
        endpoint.after(1, 1);
        endpoint.now = Nanos(0);
        assert_eq!(endpoint.after(0, 0), per_10k(6_250), "{name}: back");
        let waited = (1..=31).find(|_| endpoint.after(0, 0) > per_10k(6_250));
        assert_eq!(waited, Some(30), "{name}: it is counted from there");
    }
}
