//! The strategy's pass rates, applied when an endpoint is chosen.

use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Mechanism, Setting};
use mcrpc_core::id::Per10k;
use mcrpc_core::select::call::{Attempt, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, Settings};
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};

use super::{AUTHOR, Host, Segments, Words, at, call, call_with, create, endpoint, set_words, spec};

const FREE: Settings =
    Settings { retries: BudgetSettings { ratio: Per10k::ALL, burst: u16::MAX }, ..Settings::DEFAULT };
const CALLS: u64 = 20_000;

fn rate(per_10k: u16) -> Entry {
    Entry { pass_rate: Per10k::new(per_10k).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN }
}

/// A host of which the first endpoint has this pass rate.
fn limited(per_10k: u16) -> Segments {
    Segments::new(&[(endpoint(0), rate(per_10k))])
}

fn set_of<'a>(memory: &'a Words, count: usize, host: &Host<'a>) -> EndpointSet<'a> {
    let set = create(memory, &FREE);
    set.replace(count, &spec, &[], &host.view()).unwrap();
    set
}

fn first(set: &EndpointSet<'_>, host: &Host<'_>, uin: u64, call_id: u64, ms: u64) -> Choice {
    set.select(&mut call_with(uin, call_id), Attempt::Next, &host.view(), at(ms)).unwrap()
}

/// A user of the first of so many endpoints.
fn user_of_first(count: usize) -> u64 {
    let (memory, segments) = (set_words(&FREE), Segments::new(&[]));
    let host = segments.attach();
    let set = set_of(&memory, count, &host);
    (1..).find(|&uin| first(&set, &host, uin, 1, 0).index == 0).unwrap()
}

#[test]
fn this_share_of_a_users_calls_is_sent() {
    for per_10k in [0, 50, 100, 1_000, 3_000, 9_000, 9_999] {
        let (memory, segments) = (set_words(&FREE), limited(per_10k));
        let host = segments.attach();
        let set = set_of(&memory, 3, &host);
        let uin = user_of_first(3);
        let sent = (0..CALLS).filter(|&call_id| first(&set, &host, uin, call_id, 0).index == 0).count() as u64;
        // A hundredth at least, and one that measures.
        let wanted = CALLS * u64::from(per_10k.max(100)) / 10_000;
        // Five standard deviations of the worst rate.
        let deviation = 5.0 * (wanted as f64 * (1.0 - wanted as f64 / CALLS as f64)).sqrt() + 2.0;
        assert!((sent.abs_diff(wanted) as f64) <= deviation, "{per_10k}: {sent} instead of {wanted}");
    }
}

/// A user of whose calls half are sent does not lose all retries of a call with its first attempt.
#[test]
fn each_attempt_draws_anew() {
    let (memory, segments) = (set_words(&FREE), limited(5_000));
    let host = segments.attach();
    let set = set_of(&memory, 3, &host);
    let uin = user_of_first(3);
    let (mut lost, mut won_then) = (0u32, 0u32);
    for call_id in 0..4_000 {
        let mut call = call_with(uin, call_id);
        let mut next = || set.select(&mut call, Attempt::Next, &host.view(), at(0)).unwrap().index;
        if next() != 0 {
            lost += 1;
            won_then += u32::from(next() == 0);
        }
    }
    assert!(lost.abs_diff(2_000) < 160, "{lost} of 4 000 lose");
    assert!(won_then.abs_diff(lost / 2) < 120, "{won_then} of {lost} win then");
}

/// Nobody is cut off for good: one call in a second is made to see, of all processes of the host.
#[test]
fn who_is_held_back_is_measured_once_a_second() {
    let segments = limited(0);
    let host = segments.attach();
    let memories = [(); 4].map(|()| set_words(&FREE));
    let sets = memories.each_ref().map(|memory| set_of(memory, 3, &host));
    let uin = user_of_first(3);
    for ms in 0..20_000 {
        first(&sets[ms as usize % 4], &host, uin, ms, ms);
    }
    let measured: u64 = sets.iter().map(|set| set.decisions(Decision::Measurement)).sum();
    assert!((19..=21).contains(&measured), "{measured} measurements in 20 s");
}

#[test]
fn an_endpoint_that_is_held_back_is_better_than_none() {
    let entries: Vec<_> = (0..3).map(|n| (endpoint(n), rate(0))).collect();
    for count in [1, 3] {
        let (memory, segments) = (set_words(&FREE), Segments::new(&entries));
        let host = segments.attach();
        let set = set_of(&memory, count, &host);
        assert!((1..500).all(|uin| set.select(&mut call(uin), Attempt::Next, &host.view(), at(0)).is_ok()));
    }
}

#[test]
fn rates_that_are_observed_hold_nothing_back() {
    for (mode, is_counted) in [(Mode::Observe, true), (Mode::Off, false)] {
        let (memory, segments) = (set_words(&FREE), limited(0));
        let host = segments.attach();
        let set = set_of(&memory, 3, &host);
        host.operator.set_mechanism(Mechanism::PassRate, Some(Setting { mode, share: Per10k::ALL }), AUTHOR);
        let uin = user_of_first(3);
        assert!((0..500).all(|call_id| first(&set, &host, uin, call_id, 0).index == 0), "{mode:?}");
        let observed = set.decisions(Decision::ObservedPassRate);
        assert_eq!(observed > 480, is_counted, "{mode:?}: {observed}");
        assert!(is_counted || observed == 0);
    }
}
