//! The agent's judgement by count and rate, over ten periods.

use mcrpc_core::id::Per10k;
use mcrpc_core::shield::rate::{RateRules, RateWindow};

const RULES: RateRules = RateRules::DEFAULT;

#[test]
fn failures_count_for_ten_periods() {
    for (quiet_periods, bad) in [(0, true), (8, true), (9, false), (50, false)] {
        let mut window = RateWindow::default();
        assert!(!window.judge(20, 19, &RULES));
        assert!((0..quiet_periods).all(|_| !window.judge(0, 0, &RULES)));
        assert_eq!(window.judge(1, 1, &RULES), bad, "{quiet_periods} periods");
    }
}

#[test]
fn every_period_counts_however_many_there_were() {
    for quiet_periods in 0..30 {
        let mut window = RateWindow::default();
        assert!((0..quiet_periods).all(|_| !window.judge(0, 0, &RULES)));
        assert!(window.judge(20, 20, &RULES), "{quiet_periods} periods");
    }
}

#[test]
fn an_endpoint_without_calls_is_never_bad() {
    let none = RateRules { min_failures: 0, rate: Per10k::NONE };
    for rules in [RULES, none] {
        let mut window = RateWindow::default();
        assert!((0..100).all(|_| !window.judge(0, 0, &rules)));
    }
}

#[test]
fn the_largest_counts_are_counted() {
    let mut window = RateWindow::default();
    let mut judge = |failures| window.judge(u32::MAX, failures, &RULES);
    assert!((0..20).all(|_| !judge(u32::MAX / 5 - 1)));
    assert!((0..20).any(|_| judge(u32::MAX)));
}
