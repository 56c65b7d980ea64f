//! What each generator is said to do.

use mcrpc_core::strategy::generate::{DEFAULT_RULES, Interval, Rule};
use proptest::prelude::*;

use super::*;

#[test]
fn default_takes_the_success_rate_and_all_from_98_percent_on() {
    for (requests, failures, expected) in
        [(100, 0, 10_000), (100, 2, 10_000), (1_000, 21, 9_790), (3, 1, 10_000), (100, 40, 6_000), (100, 100, 100)]
    {
        let rate = Endpoint::new(&mut SuccessRate, ALL).after(requests, failures);
        assert_eq!(rate.get(), expected, "{failures} of {requests}");
    }
}

#[test]
fn table_changes_the_rate_by_the_first_rule_that_covers_requests_and_success() {
    // From 50 %, after so many requests and failures.
    for (requests, failures, expected) in [
        (10, 7, 1_000),
        (200, 140, 1_000),
        (200, 139, 3_500),
        (200, 40, 3_500),
        (200, 39, 4_750),
        (200, 4, 4_750),
        (200, 3, 9_000),
        (201, 100, 2_500),
        (201, 101, 1_000),
        (500, 250, 1_000),
        (500, 249, 2_500),
        (500, 100, 2_500),
        (500, 99, 4_500),
        (500, 10, 4_500),
        (500, 9, 8_500),
        (500, 0, 8_500),
        (1_000, 300, 1_000),
        (1_000, 299, 4_000),
        (1_000, 20, 4_000),
        (1_000, 19, 7_500),
        (2_000, 400, 1_000),
        (2_000, 399, 3_750),
        (2_000, 40, 3_750),
        (2_000, 0, 7_000),
        (2_001, 0, 6_500),
        (5_000, 750, 1_000),
        (5_000, 749, 3_500),
        (5_000, 100, 3_500),
        (5_000, 99, 6_500),
        (10_000, 1_000, 1_000),
        (10_000, 999, 3_250),
        (10_000, 200, 3_250),
        (10_000, 199, 6_000),
        (10_000, 0, 6_000),
    ] {
        let mut table = Table::DEFAULT;
        let rate = Endpoint::new(&mut table, percent(50)).after(requests, failures);
        assert_eq!(rate.get(), expected, "{failures} of {requests}");
    }
}

#[test]
fn table_restarts_at_15_percent_from_the_floor_when_more_than_80_percent_succeed() {
    for (start, failures, expected) in [(100, 19, 1_500), (100, 20, 100), (101, 0, 182)] {
        let mut table = Table::DEFAULT;
        assert_eq!(Endpoint::new(&mut table, per_10k(start)).after(100, failures).get(), expected);
    }
}

#[test]
fn the_default_rules_are_in_order_and_lead_back_to_all() {
    assert!(DEFAULT_RULES.is_sorted_by_key(|rule| (rule.requests, rule.success)));
    let ends = DEFAULT_RULES.chunk_by(|one, next| one.requests == next.requests).filter_map(<[Rule]>::last);
    assert!(ends.clone().count() == 6 && ends.clone().all(|rule| rule.success == ALL && rule.change_percent > 0));
}

#[test]
fn a_table_without_rules_changes_nothing() {
    let mut table = Table::new([], mcrpc_core::strategy::generate::DEFAULT_RESTART);
    assert_eq!(Endpoint::new(&mut table, percent(50)).after(100, 100), percent(50));
}

#[test]
fn wilson_changes_the_rate_by_more_the_more_requests_there_are() {
    // From 50 %, after so many requests and failures.
    for (requests, failures, expected) in [
        (10, 0, 6_785),
        (100, 0, 7_403),
        (10_000, 0, 7_499),
        (10, 10, 1_429),
        (100, 100, 193),
        (10, 1, 6_472),
        (100, 50, 2_990),
        (1_000_000, 500_000, 2_505),
    ] {
        let rate = Endpoint::new(&mut Wilson, percent(50)).after(requests, failures).get();
        assert!(rate.abs_diff(expected) <= 2, "{failures} of {requests}: {rate}");
    }
}

/// Where the success rate depends on the load, that is the rate at which the load fits.
#[test]
fn wilson_keeps_an_overloaded_endpoint_near_what_it_can_do() {
    let rates = Endpoint::new(&mut Wilson, ALL).under(5_000, 1_000, 0, 120);
    let mean = mean(&rates[10..]);
    assert!((1_700..2_700).contains(&mean), "{mean}: {:?}", &rates[100..]);
    assert!(rates[10..].iter().all(|rate| (1_500..3_500).contains(&rate.get())), "{:?}", &rates[10..]);
}

proptest! {
    #[test]
    fn the_interval_is_wilsons_rounded_outward(requests in 1u32.., share in 0.0..=1.0f64) {
        let failures = (f64::from(requests) * share) as u32;
        let (n, s) = (f64::from(requests), f64::from(requests - failures));
        let bound = |sign: f64| (s + 2.0 + sign * 2.0 * (s * (n - s) / n + 1.0).sqrt()) / (n + 4.0) * 1e4;
        let Interval { lower, upper } = Interval::of(Sample { requests, failures });
        let (below, above) = (bound(-1.0) - f64::from(lower.get()), f64::from(upper.get()) - bound(1.0));
        prop_assert!((-0.01..=2.0).contains(&below) && (-0.01..=2.0).contains(&above), "{below} {above}");
    }
}

#[test]
fn the_interval_of_nothing_is_everything() {
    assert_eq!(Interval::of(Sample::default()), Interval { lower: Per10k::NONE, upper: ALL });
    assert_eq!(Interval::of(Sample { requests: 5, failures: 9 }).lower, Per10k::NONE);
}
