//! The cell of an endpoint: one process gets the probe, no failure is lost, and a shield is counted once.

use std::sync::Arc;

use loom::thread;

use super::{Words, explore_parts, words};
use crate::breaker::{POUR, Reason, Settings, Word};
use crate::health::{Health, LEN, Rules};
use crate::outcome::Outcome;
use crate::region::Shared;
use crate::sync::{Mutant, check, must_fail};
use crate::time::Nanos;

const SETTINGS: Settings = Settings::DEFAULT;
const RULES: Rules = Rules { breaker: SETTINGS, leak: None };
const NOW: Nanos = Nanos(1_000_000_000_000);
/// Behind the first backoff.
const LATER: Nanos = Nanos(NOW.0 + 1_000_000_000);

fn health(words: &Words) -> Health<'_> {
    Health::new(Shared::new(words))
}

fn fail(words: &Words) -> bool {
    health(words).report(Outcome::Failed, false, &RULES, NOW)
}

/// A cell after so many failures. Loom explores the breaker, the last measurement, and the counts of probes and shields.
fn failed(times: u32) -> Words {
    let words = words(LEN);
    (0..times).for_each(|_| _ = fail(&words));
    explore_parts(&words, &[1..2, 4..5, 14..16]);
    words
}

/// What two threads are told that do this at once.
fn both<T: 'static>(words: &Words, work: impl Fn(&Words) -> T + Clone + 'static) -> [T; 2] {
    let (theirs, their_work) = (Arc::clone(words), work.clone());
    let other = thread::spawn(move || their_work(&theirs));
    [work(words), other.join().unwrap()]
}

/// When two processes find a probe due, then one of them gets it.
fn probe_is_due() {
    let words = failed(6);
    let taken = both(&words, |words| health(words).take_probe(&SETTINGS, LATER));
    assert!(taken[0] != taken[1], "one gets the probe");
    assert_eq!(health(&words).reading().probes, 1, "one gets the probe");
}

#[test]
fn one_of_two_processes_gets_the_probe() {
    check(Mutant::None, probe_is_due);
    must_fail(Mutant::SplitExchange, "one gets the probe", probe_is_due);
}

/// When two calls fail at once, then both count.
fn two_fail() {
    let words = failed(1);
    assert_eq!(both(&words, fail), [false; 2]);
    assert_eq!(health(&words).breaker().level(), 3 * POUR, "every failure counts");
}

#[test]
fn failures_at_the_same_moment_all_count_in_the_breaker() {
    check(Mutant::None, two_fail);
    must_fail(Mutant::SplitExchange, "every failure counts", two_fail);
}

/// When a call fails while another is answered, then what both do to the bucket is done.
fn one_fails_and_one_is_answered() {
    let words = failed(2);
    let theirs = Arc::clone(&words);
    let other = thread::spawn(move || health(&theirs).report(Outcome::Ok, false, &RULES, NOW));
    fail(&words);
    other.join().unwrap();
    assert_eq!(health(&words).breaker().level(), 3 * POUR - 1, "every call counts");
}

#[test]
fn a_failure_and_an_answer_at_the_same_moment_both_count() {
    check(Mutant::None, one_fails_and_one_is_answered);
    must_fail(Mutant::SplitExchange, "every call counts", one_fails_and_one_is_answered);
}

/// Given a bucket that one more failure fills, when two calls fail at once, or the agent finds the endpoint bad meanwhile, then
/// one of them hears that it has shielded.
fn shielded_by(work: fn(&Words) -> bool) {
    let words = failed(5);
    let theirs = Arc::clone(&words);
    let other = thread::spawn(move || work(&theirs));
    let told = [fail(&words), other.join().unwrap()];
    assert!(told[0] != told[1], "it is shielded once");
    assert_eq!(health(&words).reading().shields, 1, "it is shielded once");
}

#[test]
fn a_shield_is_counted_once() {
    let trip = |words: &Words| health(words).trip(Reason::Rate, &SETTINGS, NOW);
    for work in [fail, trip] {
        check(Mutant::None, move || shielded_by(work));
        must_fail(Mutant::SplitExchange, "it is shielded once", move || shielded_by(work));
    }
}

/// When the probe is answered while a call that was under way fails, then the endpoint recovers, with that failure or without.
#[test]
fn a_probe_that_is_answered_ends_the_shield_whatever_else_fails() {
    check(Mutant::None, || {
        let words = words(LEN);
        (0..6).for_each(|_| _ = fail(&words));
        assert!(health(&words).take_probe(&SETTINGS, LATER));
        explore_parts(&words, &[1..2, 15..16]);
        let theirs = Arc::clone(&words);
        let other = thread::spawn(move || fail(&theirs));
        health(&words).report(Outcome::Ok, true, &RULES, LATER);
        other.join().unwrap();
        let word: Word = health(&words).breaker();
        assert!(!word.is_shielded() && !word.is_normal());
    });
}

/// When two processes would measure, then one of them does.
fn measured() {
    let words = failed(0);
    let taken = both(&words, |words| health(words).take_measurement(NOW));
    assert!(taken[0] != taken[1], "one measures");
}

#[test]
fn one_of_two_processes_measures() {
    check(Mutant::None, measured);
    must_fail(Mutant::SplitExchange, "one measures", measured);
}
