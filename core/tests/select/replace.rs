//! Another list of endpoints, while calls are under way.

use mcrpc_core::admission::Cursor;
use mcrpc_core::id::Per10k;
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{MAX_ENDPOINTS, MAX_WEIGHT, Scope, Settings, Spec};
use mcrpc_core::shield::health::{Reading, Rules};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

use super::{Segments, TOOK_NS, at, attempt, call, create, endpoint, owners, set_words, spec, words};

fn reading<'a>(set: &EndpointSet<'a>, index: usize, host: &HostView<'_, 'a>) -> Reading {
    set.health(index, host).unwrap().reading()
}

/// Alone, and with a host's segment.
const SCOPES: [Scope; 2] = [Scope::Process, Scope::Host];

/// Fails the endpoint with this number of all that are called.
fn fail<'a>(set: &EndpointSet<'a>, host: &HostView<'_, 'a>, failing: u64, calls: u64) {
    for uin in 1..=calls {
        let meets = |user_data| if user_data == failing { Outcome::Failed } else { Outcome::Ok };
        attempt(set, &mut call(uin), host, at(uin), |choice| meets(choice.user_data)).ok();
    }
}

#[test]
fn what_is_known_of_endpoints_that_stay_is_kept() {
    for scope in SCOPES {
        let settings = Settings { scope, ..Settings::DEFAULT };
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        set.replace(6, &spec, &[], &host.view()).unwrap();
        fail(&set, &host.view(), 3, 60);
        let before: Vec<Reading> = (0..6).map(|index| reading(&set, index, &host.view())).collect();
        assert!(before[3].breaker.is_shielded());
        // Numbers 5 down to 1, and then a new one.
        let listed = |index: usize| if index < 5 { 5 - index } else { 99 };
        set.replace(6, &|index| spec(listed(index)), &[], &host.view()).unwrap();
        for index in 0..5 {
            let (now, before) = (reading(&set, index, &host.view()), before[listed(index)]);
            assert_eq!((now.breaker, now.shields), (before.breaker, before.shields), "{scope:?}");
        }
        let newcomer = reading(&set, 5, &host.view());
        assert_eq!((newcomer.breaker.0, newcomer.totals.requests()), (0, 0));
        assert!(owners(&set, &host.view(), 1..100).iter().all(|owner| *owner != Some(3) && owner.is_some()));
    }
}

/// Outcomes that were not handed over before the list was replaced are in the totals all the same.
#[test]
fn no_outcome_is_lost_with_a_list() {
    for scope in SCOPES {
        let settings = Settings { scope, ..Settings::DEFAULT };
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        for round in 0..5 {
            set.replace(3 + round % 2, &spec, &[], &host.view()).unwrap();
            (1..=100).for_each(|uin| _ = attempt(&set, &mut call(uin), &host.view(), at(0), |_| Outcome::Ok).unwrap());
        }
        set.hand_over(&host.view());
        let total: u64 = (0..3).map(|index| reading(&set, index, &host.view()).totals.requests()).sum();
        let of_fourth = if scope == Scope::Host {
            let id = host.fail.bucket(&endpoint(3)).unwrap();
            host.fail.health(id).unwrap().reading().totals.requests()
        } else {
            // It has left the list, and with it what this process knew.
            let owned = (1..=100).filter(|&uin| owner_of_four(uin) == Some(3)).count() as u64;
            2 * owned
        };
        assert_eq!(total + of_fourth, 500, "{scope:?}");
    }
}

fn owner_of_four(uin: u64) -> Option<u64> {
    let memory = set_words(&Settings::DEFAULT);
    let set = create(&memory, &Settings::DEFAULT);
    set.replace(4, &spec, &[], &HostView::default()).unwrap();
    owners(&set, &HostView::default(), uin..uin + 1)[0]
}

/// Given calls under way to endpoints that are listed elsewhere now, or no longer, then each outcome counts for the endpoint
/// that was called or for none.
#[test]
fn a_late_report_lands_on_the_right_endpoint_or_nowhere() {
    for scope in SCOPES {
        let settings = Settings { scope, ..Settings::DEFAULT };
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        set.replace(4, &spec, &[], &host.view()).unwrap();
        let choices: Vec<_> =
            (1..=200).map(|uin| set.select(&mut call(uin), Attempt::Next, &host.view(), at(0)).unwrap()).collect();
        // 1 has left, the others have moved, and 7 stands where 1 was.
        let listed = [2, 7, 3, 0];
        for generations in 0..3 {
            set.replace(4, &|index| spec(listed[(index + generations) % 4]), &[], &host.view()).unwrap();
        }
        let listed = |index: usize| listed[(index + 2) % 4];
        for choice in choices.iter().filter(|choice| choice.user_data < 2) {
            set.report(choice, Outcome::Failed, TOOK_NS, &host.view(), at(1));
            set.heard(choice, Cursor(1), 1_000, &host.view(), at(1));
        }
        for index in 0..4 {
            let health = set.health(index, &host.view()).unwrap();
            let hit = listed(index) == 0;
            assert_eq!(health.breaker().is_shielded(), hit, "{scope:?}: endpoint {}", listed(index));
            assert_eq!(health.cursor(at(2)) != Cursor::OPEN, hit, "{scope:?}: endpoint {}", listed(index));
        }
        let departed = host.fail.health(host.fail.bucket(&endpoint(1)).unwrap()).unwrap();
        assert_eq!(departed.breaker().is_shielded(), scope == Scope::Host, "the host knows it still");
    }
}

/// What the host knows outlives its segment's successor only as far as this process knows it: a new segment is found with the
/// next hand-over.
#[test]
fn a_new_segment_is_found_when_outcomes_are_handed_over() {
    let settings = Settings::DEFAULT;
    let (memory, segments, successors) = (set_words(&settings), Segments::new(&[]), Segments::new(&[]));
    mcrpc_core::host::fail::create(mcrpc_core::host::region::Shared::new(&successors.fail), 400, 1, 4).unwrap();
    let (set, old, new) = (create(&memory, &settings), segments.attach(), successors.attach());
    set.replace(3, &spec, &[], &old.view()).unwrap();
    fail(&set, &old.view(), 1, 60);
    assert!(owners(&set, &new.view(), 1..100).contains(&Some(1)), "nobody has told this process or the new segment");
    set.hand_over(&new.view());
    fail(&set, &new.view(), 1, 60);
    let id = new.fail.bucket(&endpoint(1)).unwrap();
    assert!(new.fail.health(id).unwrap().breaker().is_shielded());
}

#[test]
fn a_list_that_is_refused_changes_nothing() {
    let settings = Settings { capacity: 8, ..Settings::DEFAULT };
    let memory = set_words(&settings);
    let (set, host) = (create(&memory, &settings), HostView::default());
    set.replace(5, &spec, &[], &host).unwrap();
    fail(&set, &host, 2, 60);
    let known = |set: &EndpointSet<'_>| owners(set, &HostView::default(), 1..300);
    let before = known(&set);
    let twice = |index: usize| spec(index % 4);
    let heavy = |index: usize| Spec { weight: MAX_WEIGHT + u16::from(index == 3), ..spec(index) };
    let refused = [
        (set.replace(9, &spec, &[], &host), Status::TABLE_FULL),
        (set.replace(5, &twice, &[], &host), Status::INVALID_ARGUMENT),
        (set.replace(4, &heavy, &[], &host), Status::INVALID_ARGUMENT),
    ];
    for (result, status) in refused {
        assert_eq!(result, Err(status));
    }
    assert_eq!((set.len(), known(&set)), (5, before));
    assert!(set.health(2, &host).unwrap().breaker().is_shielded());
    set.replace(8, &spec, &[], &host).unwrap();
    assert_eq!((set.len(), set.endpoint(7), set.endpoint(8)), (8, Some(endpoint(7)), None));
    assert!(set.health(2, &host).unwrap().breaker().is_shielded() && set.health(8, &host).is_none());
}

#[test]
fn settings_outside_their_range_are_refused() {
    let cases = [
        (Settings::DEFAULT, true),
        (Settings { capacity: MAX_ENDPOINTS, max_attempts: 8, max_shielded: Per10k::NONE, ..Settings::DEFAULT }, true),
        (Settings { capacity: 0, ..Settings::DEFAULT }, false),
        (Settings { capacity: MAX_ENDPOINTS + 1, ..Settings::DEFAULT }, false),
        (Settings { max_attempts: 0, ..Settings::DEFAULT }, false),
        (Settings { max_attempts: 9, ..Settings::DEFAULT }, false),
        (
            Settings {
                rules: Rules { leak: Some(Leak { drain_ns: 0, ..Leak::DEFAULT }), ..Settings::DEFAULT.rules },
                ..Settings::DEFAULT
            },
            false,
        ),
    ];
    for (settings, valid) in cases {
        assert_eq!(settings.validate(), if valid { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }, "{settings:?}");
        assert_eq!(EndpointSet::memory_len(&settings).is_ok(), valid);
    }
    let short = words(set_words(&Settings::DEFAULT).len() - 1);
    let created = EndpointSet::create(mcrpc_core::host::region::Shared::new(&short), &Settings::DEFAULT);
    assert_eq!(created.err(), Some(Status::TOO_SMALL));
}

/// A set as large as can be: its ring has room for all points, and its last endpoint is found.
#[test]
fn the_largest_set_works() {
    let settings = Settings { capacity: MAX_ENDPOINTS, ..Settings::DEFAULT };
    let memory = set_words(&settings);
    let (set, host) = (create(&memory, &settings), HostView::default());
    set.replace(MAX_ENDPOINTS as usize, &spec, &[], &host).unwrap();
    let mut found = vec![false; MAX_ENDPOINTS as usize];
    for owner in owners(&set, &host, 1..20_000) {
        found[owner.unwrap() as usize] = true;
    }
    assert!(found.iter().all(|&found| found));
}
