//! The cell of one endpoint, as several processes use it.

use mcrpc_core::admission::Cursor;
use mcrpc_core::shield::breaker::{Reason, Settings, State};
use mcrpc_core::shield::health::{Health, MAX_HOLD_MS, MEASURED_EACH_MS, Rules, Totals, wrapping_ms};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use super::{at, cell, health};

const SETTINGS: Settings = Settings::DEFAULT;
const RULES: Rules = Rules { breaker: SETTINGS, leak: None };

fn state(health: &Health<'_>, now: Nanos) -> State {
    health.breaker().state(&SETTINGS, wrapping_ms(now))
}

fn fail(health: &Health<'_>, times: u32, now: Nanos) -> u32 {
    (0..times).map(|_| u32::from(health.report(Outcome::Failed, false, &RULES, now))).sum()
}

#[test]
fn only_failures_on_the_way_count() {
    for outcome in Outcome::ALL {
        let words = cell();
        let health = health(&words);
        for ms in 0..10_000 {
            health.report(outcome, false, &RULES, at(ms));
        }
        let expected = outcome == Outcome::Failed;
        assert_eq!(health.breaker().is_shielded(), expected, "{outcome:?}");
        assert_eq!(health.reading().shields, expected.into());
    }
}

/// Given an endpoint that fails half its calls with codes of its own, or refuses them, then the failures in between count as
/// they do elsewhere: an answer forgives, a refusal does not.
#[test]
fn an_answer_forgives_and_a_refusal_says_nothing() {
    for (outcome, shielded) in [(Outcome::Ok, false), (Outcome::Logic, false), (Outcome::Overloaded, true)] {
        let words = cell();
        let health = health(&words);
        for _ in 0..1_000 {
            fail(&health, 1, at(0));
            (0..7).for_each(|_| _ = health.report(outcome, false, &RULES, at(0)));
        }
        assert_eq!(health.breaker().is_shielded(), shielded, "{outcome:?}");
    }
}

/// An endpoint that answers at all works, whatever it says.
#[test]
fn a_probe_that_is_answered_in_any_way_ends_the_shield() {
    for outcome in Outcome::ALL {
        let words = cell();
        let health = health(&words);
        fail(&health, 6, at(0));
        assert!(health.take_probe(&SETTINGS, at(200)));
        health.report(outcome, true, &RULES, at(210));
        let recovers = matches!(state(&health, at(210)), State::Recovering { .. });
        assert_eq!(recovers, outcome != Outcome::Failed, "{outcome:?}");
    }
}

#[test]
fn one_of_all_processes_gets_the_probe() {
    let words = cell();
    let processes = [health(&words); 8];
    let probes = |now| processes.iter().filter(|process| process.take_probe(&SETTINGS, now)).count();
    assert_eq!(probes(at(0)), 0, "nothing is shielded");
    fail(&processes[0], 6, at(0));
    assert_eq!(probes(at(10)), 0, "the backoff is not over");
    assert_eq!(probes(at(200)), 1);
    assert_eq!(probes(at(2_199)), 0, "it is on its way");
    assert_eq!(probes(at(2_200)), 1, "it was lost");
    assert_eq!(processes[7].reading().probes, 2);
}

#[test]
fn a_shield_is_told_once_and_counted_once() {
    let words = cell();
    let processes = [health(&words); 2];
    assert_eq!(fail(&processes[0], 3, at(0)) + fail(&processes[1], 30, at(0)), 1);
    assert!(!processes[0].trip(Reason::Rate, &SETTINGS, at(1)), "it is shielded already");
    assert_eq!(processes[1].reading().shields, 1);
    assert!(processes[1].take_probe(&SETTINGS, at(200)));
    processes[1].report(Outcome::Ok, true, &RULES, at(200));
    assert!(processes[0].trip(Reason::Rate, &SETTINGS, at(300)));
    assert_eq!((processes[1].reading().shields, processes[1].breaker().reason()), (2, Reason::Rate));
}

#[test]
fn an_endpoint_that_answers_who_looks_is_tried_by_the_next_call() {
    let words = cell();
    let health = health(&words);
    fail(&health, 6, at(0));
    assert!(!health.take_probe(&SETTINGS, at(10)));
    health.answered(at(10));
    assert_eq!(state(&health, at(10)), State::Due);
    assert!(health.take_probe(&SETTINGS, at(10)));
}

/// What an endpoint says of its overload holds for as long as it says, and no longer than the longest time.
#[test]
fn a_cursor_holds_for_its_time() {
    let cursor = Cursor(1_000);
    let wrap_ms = 1u64 << 32;
    let longest: u64 = MAX_HOLD_MS.into();
    let cases = [
        ("at once", 0, 500, 0, cursor),
        ("to its last millisecond", 0, 500, 499, cursor),
        ("no longer", 0, 500, 500, Cursor::OPEN),
        ("for weeks not again", 0, 500, 1 << 31, Cursor::OPEN),
        ("not longer than the longest", 0, u32::MAX, longest - 1, cursor),
        ("then no more", 0, u32::MAX, longest, Cursor::OPEN),
        ("across the wrap", wrap_ms - 100, 500, wrap_ms + 399, cursor),
        ("and ends behind it", wrap_ms - 100, 500, wrap_ms + 400, Cursor::OPEN),
        ("for a clock a little behind", 1_000, 500, 900, cursor),
        ("not for one that has jumped back", 100_000, 500, 10_000, Cursor::OPEN),
        ("not if it has no time", 0, 0, 0, Cursor::OPEN),
    ];
    for (name, said_ms, hold_ms, asked_ms, expected) in cases {
        let words = cell();
        health(&words).set_cursor(cursor, hold_ms, at(said_ms));
        assert_eq!(health(&words).cursor(at(asked_ms)), expected, "it holds {name}");
    }
}

#[test]
fn the_last_cursor_counts() {
    let words = cell();
    let health = health(&words);
    health.set_cursor(Cursor(5), 1_000, at(0));
    health.set_cursor(Cursor(9), 10, at(1));
    assert_eq!(health.cursor(at(2)), Cursor(9));
    assert_eq!(health.cursor(at(11)), Cursor::OPEN);
    health.set_cursor(Cursor(5), 1_000, at(20));
    health.set_cursor(Cursor::OPEN, 1_000, at(21));
    assert_eq!(health.cursor(at(22)), Cursor::OPEN);
    health.set_cursor(Cursor(0), 1_000, at(30));
    assert_eq!(health.cursor(at(31)), Cursor(0), "nothing is admitted");
}

/// However many processes ask, and however often.
#[test]
fn a_measurement_is_taken_once_a_second_by_the_whole_host() {
    let words = cell();
    let processes = [health(&words); 4];
    let start_ms = (1 << 32) - 5_000;
    let times = (start_ms..start_ms + 10_000).step_by(3);
    let taken: Vec<u64> =
        times.filter(|&ms| processes.iter().filter(|process| process.take_measurement(at(ms))).count() == 1).collect();
    assert!((9..=11).contains(&taken.len()), "{taken:?}");
    assert!(taken.windows(2).all(|pair| pair[1] - pair[0] >= u64::from(MEASURED_EACH_MS)), "{taken:?}");
}

#[test]
fn what_processes_hand_over_is_summed_up() {
    let words = cell();
    let [one, other] = [health(&words); 2];
    one.add(&Totals { calls: [1, 2, 3, 4], time_us: 5 });
    let before = one.reading().totals;
    other.add(&Totals { calls: [10, 0, 30, 0], time_us: 50 });
    let totals = other.reading().totals;
    assert_eq!(totals, Totals { calls: [11, 2, 33, 4], time_us: 55 });
    assert_eq!((totals.requests(), totals.failures()), (50, 33));
    assert_eq!(totals.since(&before), Totals { calls: [10, 0, 30, 0], time_us: 50 });
}

#[test]
fn a_copy_knows_the_same_and_who_forgets_knows_nothing() {
    let words = [cell(), cell()];
    let [one, other] = words.each_ref().map(|words| health(words));
    fail(&one, 6, at(0));
    one.set_cursor(Cursor(3), 1_000, at(0));
    other.copy_from(&one);
    assert_eq!((other.reading(), other.cursor(at(1))), (one.reading(), Cursor(3)));
    other.forget();
    assert_eq!((other.reading(), other.cursor(at(1))), (health(&cell()).reading(), Cursor::OPEN));
}

/// Too few words are a cell that forgets everything: calls pass.
#[test]
fn a_cell_without_memory_shields_nothing() {
    let health = health(&[]);
    assert_eq!(fail(&health, 100, at(0)), 0);
    health.set_cursor(Cursor(3), 1_000, at(0));
    assert_eq!((state(&health, at(1)), health.cursor(at(1))), (State::Normal, Cursor::OPEN));
    assert!(!health.take_probe(&SETTINGS, at(1)) && !health.take_measurement(Nanos(1 << 40)));
}

/// Nothing in the cell depends on where in its millisecond a call is made.
#[test]
fn times_are_milliseconds() {
    assert_eq!(wrapping_ms(Nanos(NANOS_PER_MILLI - 1)), 0);
    assert_eq!(wrapping_ms(at(1 << 32)), 0);
    assert_eq!(wrapping_ms(at((1 << 32) + 7)), 7);
}

/// Given an endpoint that answered a probe, when an attempt fails that began before, then that is known already.
#[test]
fn a_failure_says_nothing_new_if_its_attempt_began_before_the_endpoint_worked_again() {
    let words = cell();
    let health = health(&words);
    let ms = |ms: u64| ms * NANOS_PER_MILLI;
    assert!(![0, ms(5), u64::MAX].iter().any(|&elapsed_ns| health.outdates(elapsed_ns, at(0))), "it always worked");
    fail(&health, 6, at(0));
    assert!(health.take_probe(&SETTINGS, at(200)));
    health.report(Outcome::Ok, true, &RULES, at(210));
    for (elapsed_ns, is_known) in [
        (0, false),
        (ms(789), false),
        (ms(790), false),
        (ms(791) - 1, false),
        (ms(791), true),
        (ms(5_000), true),
        (ms(u32::MAX.into()) - 1, true),
        (ms(u32::MAX.into()), true),
        (ms(1 << 32), true),
        (u64::MAX, true),
    ] {
        assert_eq!(health.outdates(elapsed_ns, at(1_000)), is_known, "{elapsed_ns} ns");
    }
}
