//! Where two mechanisms meet: shields of different origin, old outcomes, calls without a user, long lists.

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::settings::{GroupRule, Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::breaker::{self, Reason};
use mcrpc_core::shield::health::Rules;
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};

use super::*;

const BREAKER: breaker::Settings = breaker::Settings::DEFAULT;

/// A rule that sends a share of everybody to a group.
fn rule(group: u16, share: Per10k) -> GroupRule {
    GroupRule { group, share, first: Uin(0), last: Uin(u64::MAX) }
}

#[test]
fn endpoints_that_somebody_else_shields_do_not_count_as_callable_under_the_cap() {
    let shield = Entry { pass_rate: Per10k::ALL, kind: Kind::Shielded, reject_level: RejectLevel::OPEN };
    let by_strategy = [(endpoint(0), shield), (endpoint(1), shield)];
    for (name, entries, by_operator) in [("strategy", &by_strategy[..], &[][..]), ("operator", &[], &[0, 1])] {
        let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(entries));
        let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
        set.replace(4, &spec, &[], &host.view()).unwrap();
        for &index in by_operator {
            host.operator.shield(&endpoint(index), None, at(0), AUTHOR).unwrap();
        }
        for index in [2, 3] {
            set.health(index, &host.view()).unwrap().trip(Reason::Rate, &BREAKER, at(0));
        }
        let to: Vec<_> = (1..500)
            .map(|uin| set.select(&mut call(uin), Attempt::Next, &host.view(), at(10)).map(|choice| choice.index))
            .collect();
        assert!(to.iter().all(|index| matches!(index, Ok(2 | 3))), "shielded by {name}: {to:?}");
    }
}

#[test]
fn a_group_that_recovers_serves_when_nobody_else_can() {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    let spec_of = |n| Spec { group: if n == 1 { 7 } else { 0 }, ..spec(n) };
    set.replace(2, &spec_of, &[rule(7, Per10k::ALL)], &host.view()).unwrap();
    let (health, rules) = (set.health(1, &host.view()).unwrap(), Rules { breaker: BREAKER, leak: None });
    while !health.report(Outcome::Failed, false, &rules, at(0)) {}
    assert!(health.take_probe(&BREAKER, at(200)));
    health.report(Outcome::Ok, true, &rules, at(201));
    host.operator.shield(&endpoint(0), None, at(0), AUTHOR).unwrap();
    for uin in 1..500 {
        let choice = set.select(&mut call(uin), Attempt::Next, &host.view(), at(202));
        assert_eq!(choice.map(|choice| choice.index), Ok(1), "user {uin}");
    }
}

/// Calls without a user are shared out by their call ids, as everywhere else.
#[test]
fn calls_without_a_user_are_shared_out_too() {
    let (memory, host) = (set_words(&Settings::DEFAULT), HostView::default());
    let set = create(&memory, &Settings::DEFAULT);
    for group in [1, 17, 59] {
        let spec_of = |n| Spec { group: if n == 1 { group } else { 0 }, ..spec(n) };
        set.replace(2, &spec_of, &[rule(group, percent(5))], &host).unwrap();
        let chosen = |id| set.select(&mut call_with(0, id), Attempt::Next, &host, at(0)).unwrap().index;
        let grey = (1..10_001).filter(|&id| chosen(id) == 1).count();
        assert!((400..600).contains(&grey), "group {group}: {grey} of 10 000");
    }
}

/// Calls that hung in one stall fail five seconds later, when the endpoint has long been serving again.
#[test]
fn failures_of_old_attempts_shield_an_endpoint_once_at_most() {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    set.replace(4, &spec, &[], &host.view()).unwrap();
    let mut hanging = std::collections::VecDeque::new();
    for ms in 0..20_000 {
        while hanging.front().is_some_and(|(due, _)| *due <= ms) {
            let (_, choice) = hanging.pop_front().unwrap();
            set.report(&choice, Outcome::Failed, 5_000_000_000, &host.view(), at(ms));
        }
        let choice = set.select(&mut call_with(1 + ms % 997, ms), Attempt::Next, &host.view(), at(ms)).unwrap();
        if choice.index == 0 && (1_000..1_500).contains(&ms) {
            hanging.push_back((ms + 5_000, choice));
        } else {
            set.report(&choice, Outcome::Ok, 1_000_000, &host.view(), at(ms));
        }
    }
    assert_eq!(set.health(0, &host.view()).unwrap().reading().shields, 1);
}

#[test]
fn an_endpoint_that_works_again_begins_with_both_buckets_empty() {
    let settings = Settings { rules: Rules { breaker: BREAKER, leak: Leak::of_count(10) }, ..Settings::DEFAULT };
    let (memory, segments) = (set_words(&settings), Segments::new(&[]));
    let (set, host) = (create(&memory, &settings), segments.attach());
    set.replace(4, &spec, &[], &host.view()).unwrap();
    let health = set.health(0, &host.view()).unwrap();
    for _ in 0..60 {
        health.report(Outcome::Failed, false, &settings.rules, at(0));
    }
    let mut failures = 0;
    for ms in 1..30_000 {
        let _ = attempt(&set, &mut call_with(1 + ms % 997, ms), &host.view(), at(ms), |choice| {
            let fails = choice.index == 0 && ms / 5_000 > failures;
            failures += u64::from(fails);
            if fails { Outcome::Failed } else { Outcome::Ok }
        });
    }
    assert_eq!((failures, health.reading().shields), (5, 1));
}

#[test]
fn a_backup_request_before_all_others_is_a_first_attempt() {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    set.replace(4, &spec, &[], &host.view()).unwrap();
    host.operator.skip(TARGET, Per10k::ALL, at(0), AUTHOR).unwrap();
    let choice = set.select(&mut call(1), Attempt::Backup, &host.view(), at(0));
    assert_eq!(choice.map(|choice| choice.index), Err(Status::SKIPPED));
}

/// Ten zones of ten, listed one after the other: the users of shielded endpoints go to the rest of their zone evenly.
#[test]
fn the_neighbours_of_shielded_endpoints_in_the_list_get_no_more_than_others() {
    let settings = Settings { zone_strategy: ZoneStrategy::OneZoneByHash, ..Settings::DEFAULT };
    let (memory, segments) = (set_words(&settings), Segments::new(&[]));
    let (set, host) = (create(&memory, &settings), segments.attach());
    set.replace(100, &|n| Spec { zone: n as u16 / 10, ..spec(n) }, &[], &host.view()).unwrap();
    for index in 30..34 {
        set.health(index, &host.view()).unwrap().trip(Reason::Rate, &BREAKER, at(0));
    }
    let mut to = [0; 100];
    for uin in 1..100_000 {
        to[set.select(&mut call(uin), Attempt::Next, &host.view(), at(10)).unwrap().index as usize] += 1;
    }
    let (rest, mean) = (&to[34..40], to[34..40].iter().sum::<u32>() / 6);
    assert!(rest.iter().all(|&count| count < mean * 5 / 4), "{rest:?}");
    assert_eq!(to[30..34], [0; 4]);
}

/// A key that the most willing of all refuses is refused without asking each; one that it admits finds it.
#[test]
fn only_who_is_refused_by_the_most_willing_endpoint_is_withheld() {
    let settings = Settings { capacity: 512, ..Settings::DEFAULT };
    let (memory, segments) = (set_words(&settings), Segments::new(&[]));
    let (set, host) = (create(&memory, &settings), segments.attach());
    set.replace(500, &spec, &[], &host.view()).unwrap();
    for index in 0..500 {
        let cursor = Cursor(if index == 333 { 50 } else { 10 });
        set.health(index, &host.view()).unwrap().set_cursor(cursor, 10_000, at(0));
    }
    for uin in 1..200 {
        let select = |key| set.select(&mut keyed(call(uin), Key(key)), Attempt::Next, &host.view(), at(1));
        assert_eq!(select(60).map(|choice| choice.index), Err(Status::WITHHELD));
        assert_eq!(select(40).map(|choice| choice.index), Ok(333));
    }
}
