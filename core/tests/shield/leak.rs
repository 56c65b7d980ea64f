//! The bucket that leaks by time, beside the breaker: whichever is full first shields.

use mcrpc_core::shield::breaker::{Reason, Settings, State};
use mcrpc_core::shield::health::{Rules, wrapping_ms};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::shield::outcome::Outcome;

use super::{at, cell, health};

const SETTINGS: Settings = Settings::DEFAULT;

/// The number of the failure that shields, when so many answers and so much time are between two of them; and why.
fn shielded_by(leak: Option<Leak>, answers: u32, apart_ms: u64) -> Option<(u64, Reason)> {
    let words = cell();
    let (health, rules) = (health(&words), Rules { breaker: SETTINGS, leak });
    let shielding = (1..=1_000).find(|failure| {
        (0..answers).for_each(|_| _ = health.report(Outcome::Ok, false, &rules, at(failure * apart_ms)));
        health.report(Outcome::Failed, false, &rules, at(failure * apart_ms))
    })?;
    Some((shielding, health.breaker().reason()))
}

#[test]
fn whichever_bucket_is_full_first_shields() {
    let svrkit = Some(Leak::DEFAULT);
    let of = Leak::of_count;
    let cases = [
        ("only failures", svrkit, 0, 0, Some((6, Reason::Failures))),
        ("among answers, at once", svrkit, 7, 0, Some((10, Reason::FailuresPerSecond))),
        ("among answers, two a second", svrkit, 7, 500, Some((18, Reason::FailuresPerSecond))),
        ("among answers, one a second", svrkit, 7, 1_000, None),
        ("no leak by time", None, 7, 0, None),
        ("the first failure", of(1), 7, 0, Some((1, Reason::FailuresPerSecond))),
        ("the third", of(3), 7, 0, Some((3, Reason::FailuresPerSecond))),
        ("the thirtieth", of(30), 7, 0, Some((30, Reason::FailuresPerSecond))),
    ];
    for (name, leak, answers, apart_ms, expected) in cases {
        assert_eq!(shielded_by(leak, answers, apart_ms), expected, "{name}");
    }
}

#[test]
fn a_count_that_no_bucket_holds_is_none() {
    assert_eq!([0, Leak::MAX_COUNT + 1, u32::MAX].map(Leak::of_count), [None; 3]);
    assert_eq!(Leak::of_count(10), Some(Leak::DEFAULT));
    for count in (1..=30).chain([1_000, Leak::MAX_COUNT]) {
        assert_eq!(Leak::of_count(count).map(|leak| leak.validate()), Some(Ok(())), "{count}");
    }
}

/// A full bucket leaks for many seconds. It shields once, and does not keep an endpoint from coming back that works again.
#[test]
fn a_full_bucket_does_not_shield_an_endpoint_that_has_answered() {
    let words = cell();
    let (health, rules) = (health(&words), Rules { breaker: SETTINGS, leak: Some(Leak::DEFAULT) });
    for _ in 0..100 {
        health.report(Outcome::Failed, false, &rules, at(0));
    }
    assert!(health.is_full(&Leak::DEFAULT, at(200)));
    assert!(health.take_probe(&SETTINGS, at(200)));
    health.report(Outcome::Ok, true, &rules, at(200));
    for ms in 201..5_000 {
        health.report(Outcome::Ok, false, &rules, at(ms));
    }
    assert_eq!(health.breaker().state(&SETTINGS, wrapping_ms(at(5_000))), State::Normal);
    assert_eq!(health.reading().shields, 1);
}
