//! What an endpoint would refuse is not sent.

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::id::Per10k;
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, Settings};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;

use super::{Segments, TOOK_NS, at, call, create, endpoint, set_words, spec};

const CURSOR: Cursor = Cursor(1_000_000);

fn keyed(uin: u64, key: u32) -> Call {
    super::keyed(call(uin), Key(key))
}

fn select<'a>(set: &EndpointSet<'a>, call: &Call, host: &HostView<'_, 'a>, now: Nanos) -> Result<Choice, Status> {
    set.select(&mut { *call }, Attempt::Next, host, now)
}

/// A settings with retries in plenty.
const FREE: Settings =
    Settings { retries: BudgetSettings { ratio: Per10k::ALL, burst: u16::MAX }, ..Settings::DEFAULT };

#[test]
fn a_reply_holds_back_calls_of_all_processes_at_once_until_it_expires() {
    let segments = Segments::new(&[]);
    let memories = [(); 2].map(|()| set_words(&FREE));
    let host = segments.attach();
    let sets = memories.each_ref().map(|memory| create(memory, &FREE));
    sets.iter().for_each(|set| set.replace(3, &spec, &[], &host.view()).unwrap());
    let owner = select(&sets[0], &call(1), &host.view(), at(0)).unwrap();
    sets[0].heard(&owner, CURSOR, 500, &host.view(), at(0));
    for set in &sets {
        for (ms, key, goes_there) in [
            (0, CURSOR.0, false),
            (0, CURSOR.0 - 1, true),
            (0, Cursor::OPEN.0 - 1, false),
            (0, 0, true),
            (499, CURSOR.0, false),
            (500, CURSOR.0, true),
        ] {
            let choice = select(set, &keyed(1, key), &host.view(), at(ms)).unwrap();
            assert_eq!(choice.index == owner.index, goes_there, "key {key} after {ms} ms");
        }
    }
}

/// A single process that has no host knows what it was told itself.
#[test]
fn a_process_alone_heeds_what_it_was_told() {
    let memory = set_words(&FREE);
    let (set, host) = (create(&memory, &FREE), HostView::default());
    set.replace(1, &spec, &[], &host).unwrap();
    let choice = select(&set, &call(1), &host, at(0)).unwrap();
    set.heard(&choice, CURSOR, 500, &host, at(0));
    assert_eq!(select(&set, &keyed(1, CURSOR.0), &host, at(1)).err(), Some(Status::WITHHELD));
    assert!(select(&set, &keyed(1, 5), &host, at(1)).is_ok());
    set.heard(&choice, Cursor::OPEN, 500, &host, at(2));
    assert!(select(&set, &keyed(1, CURSOR.0), &host, at(2)).is_ok(), "it has taken it back");
}

#[test]
fn a_call_that_all_would_refuse_is_not_sent() {
    let (memory, segments) = (set_words(&FREE), Segments::new(&[]));
    let (set, host) = (create(&memory, &FREE), segments.attach());
    set.replace(4, &spec, &[], &host.view()).unwrap();
    let refused = keyed(1, CURSOR.0);
    for closed in 0..4 {
        let choice = select(&set, &refused, &host.view(), at(0)).unwrap();
        assert_eq!(set.decisions(Decision::Withheld), 0, "{closed} refuse");
        set.heard(&choice, CURSOR, 500, &host.view(), at(0));
    }
    assert_eq!(select(&set, &refused, &host.view(), at(0)).err(), Some(Status::WITHHELD));
    assert_eq!(set.decisions(Decision::Withheld), 1);
    assert!(select(&set, &keyed(1, 5), &host.view(), at(0)).is_ok());
}

/// A retry goes to nobody who would refuse it too, and costs no token then.
#[test]
fn a_retry_that_the_rest_would_refuse_is_not_made() {
    let (memory, segments) = (set_words(&FREE), Segments::new(&[]));
    let (set, host) = (create(&memory, &FREE), segments.attach());
    set.replace(2, &spec, &[], &host.view()).unwrap();
    let mut call = keyed(1, CURSOR.0);
    let first = set.select(&mut call, Attempt::Next, &host.view(), at(0)).unwrap();
    let other = (1..100).find_map(|uin| {
        let choice = select(&set, &keyed(uin, 5), &host.view(), at(0)).unwrap();
        (choice.index != first.index).then_some(choice)
    });
    set.heard(&other.unwrap(), CURSOR, 500, &host.view(), at(0));
    set.report(&first, Outcome::Overloaded, TOOK_NS, &host.view(), at(1));
    assert_eq!(set.select(&mut call, Attempt::Next, &host.view(), at(1)).err(), Some(Status::WITHHELD));
    assert_eq!(set.decisions(Decision::Retry), 0);
    assert!(set.select(&mut call, Attempt::Next, &host.view(), at(500)).is_ok(), "when that is over it is made");
}

/// What the agent has published counts as a reply does; the stricter of the two holds.
#[test]
fn the_hosts_reject_level_counts_too() {
    let level = RejectLevel::from_cursor(CURSOR);
    let entry = Entry { pass_rate: Per10k::ALL, kind: Kind::Normal, reject_level: level };
    let (memory, segments) = (set_words(&FREE), Segments::new(&[(endpoint(0), entry)]));
    let (set, host) = (create(&memory, &FREE), segments.attach());
    set.replace(1, &spec, &[], &host.view()).unwrap();
    let published = level.cursor().0;
    let is_sent = |key| select(&set, &keyed(1, key), &host.view(), at(0)).is_ok();
    assert!(is_sent(published - 1) && !is_sent(published));
    let choice = select(&set, &call(1), &host.view(), at(0)).unwrap();
    set.heard(&choice, Cursor(500), 1_000, &host.view(), at(0));
    assert!(is_sent(499) && !is_sent(500));
    set.heard(&choice, Cursor(published * 2), 1_000, &host.view(), at(0));
    assert!(!is_sent(published));
}

/// The next call that is sent tells how many were not, and one of their keys.
#[test]
fn what_was_withheld_is_told_once() {
    let (memory, segments) = (set_words(&FREE), Segments::new(&[]));
    let (set, host) = (create(&memory, &FREE), segments.attach());
    set.replace(1, &spec, &[], &host.view()).unwrap();
    let choice = select(&set, &call(1), &host.view(), at(0)).unwrap();
    assert_eq!((choice.withheld.count, choice.withheld.key), (0, Key(0)));
    set.heard(&choice, CURSOR, 1_000, &host.view(), at(0));
    let keys: Vec<u32> = (0..57).map(|n| CURSOR.0 + n).collect();
    keys.iter().for_each(|&key| _ = select(&set, &keyed(1, key), &host.view(), at(1)).unwrap_err());
    let told = select(&set, &call(1), &host.view(), at(2)).unwrap().withheld;
    assert_eq!(told.count, 57);
    assert!(keys.contains(&told.key.0));
    assert_eq!(select(&set, &call(1), &host.view(), at(3)).unwrap().withheld.count, 0);
}

/// Each of the calls that were withheld is as likely to be the one whose key is told.
#[test]
fn the_key_that_is_told_is_any_of_them() {
    let memory = set_words(&FREE);
    let (set, host) = (create(&memory, &FREE), HostView::default());
    set.replace(1, &spec, &[], &host).unwrap();
    let choice = select(&set, &call(1), &host, at(0)).unwrap();
    let mut told = [0u32; 10];
    for round in 0..5_000u64 {
        set.heard(&choice, CURSOR, 1_000, &host, at(round * 10));
        for n in 0..10 {
            let now = at(round * 10).plus(u64::from(n) * 100_003);
            assert!(select(&set, &keyed(1, CURSOR.0 + n), &host, now).is_err());
        }
        let withheld = select(&set, &call(1), &host, at(round * 10 + 9)).unwrap().withheld;
        assert_eq!(withheld.count, 10);
        told[(withheld.key.0 - CURSOR.0) as usize] += 1;
    }
    // 500 expected of each: five standard deviations are 106.
    assert!(told.iter().all(|told| told.abs_diff(500) < 106), "{told:?}");
}

/// Given an endpoint with a hundredth of the weight of the others, when all refuse, then only the calls that it would have
/// been sent are withheld from it.
#[test]
fn calls_are_withheld_from_the_endpoint_that_would_have_been_called() {
    let memory = set_words(&FREE);
    let (set, host) = (create(&memory, &FREE), HostView::default());
    let weight = |n| if n == 0 { 1 } else { 100 };
    set.replace(2, &|n| mcrpc_core::select::settings::Spec { weight: weight(n), ..spec(n) }, &[], &host).unwrap();
    let by_index = |index| {
        (1..100_000).find_map(|uin| {
            let choice = select(&set, &keyed(uin, 5), &host, at(0)).unwrap();
            (choice.index == index).then_some((uin, choice))
        })
    };
    let [light, heavy] = [0, 1].map(|index| by_index(index).unwrap());
    [light, heavy].iter().for_each(|(_, choice)| set.heard(choice, CURSOR, 1_000, &host, at(0)));
    for uin in 1..=4_000 {
        assert_eq!(select(&set, &keyed(uin, CURSOR.0), &host, at(1)).err(), Some(Status::WITHHELD));
    }
    let told = [light, heavy].map(|(uin, _)| select(&set, &keyed(uin, 5), &host, at(2)).unwrap().withheld.count);
    assert_eq!(told.iter().sum::<u32>(), 4_000);
    assert!(told[0] < 120, "{told:?}");
}

/// What a task has begun, a service that has served an earlier call of it goes on with, whatever its cursor.
#[test]
fn a_call_of_a_task_that_the_service_has_begun_is_sent() {
    let memory = set_words(&FREE);
    let (set, host) = (create(&memory, &FREE), HostView::default());
    assert!(set.is_empty());
    set.replace(1, &spec, &[], &host).unwrap();
    assert!(!set.is_empty());
    let choice = select(&set, &call(1), &host, at(0)).unwrap();
    set.heard(&choice, Cursor(0), 500, &host, at(0));
    let withheld = keyed(1, CURSOR.0);
    assert_eq!(select(&set, &withheld, &host, at(1)).err(), Some(Status::WITHHELD));
    assert!(select(&set, &withheld.continuing(), &host, at(1)).is_ok());
}
