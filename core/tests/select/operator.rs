//! What an operator says to the whole host: shields, skips, modes, the kill switch.

use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Mechanism, Setting, Target};
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::Settings;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

use super::{AUTHOR, Host, Segments, TARGET, at, attempt, call, create, endpoint, owners, percent, set_words, spec};

const USERS: u64 = 2_000;

/// A set of four endpoints, and its host.
fn with_set(test: impl for<'a> FnOnce(&EndpointSet<'a>, &Host<'a>)) {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    set.replace(4, &spec, &[], &host.view()).unwrap();
    test(&set, &host);
}

fn select<'a>(set: &EndpointSet<'a>, host: &Host<'a>, uin: u64, ms: u64) -> Result<u32, Status> {
    set.select(&mut call(uin), Attempt::Next, &host.view(), at(ms)).map(|choice| choice.index)
}

/// A shield of the operator's moves its users on, costs them no attempt, and ends by itself or when he says so.
#[test]
fn an_endpoint_that_an_operator_shields_is_passed_over() {
    with_set(|set, host| {
        let before = owners(set, &host.view(), 1..USERS);
        host.operator.shield(&endpoint(2), Some(at(5_000)), at(0), AUTHOR).unwrap();
        for (uin, owner) in (1..).zip(&before) {
            let mut call = call(uin);
            let choice = set.select(&mut call, Attempt::Next, &host.view(), at(0)).unwrap();
            let was_moved = choice.index as u64 != owner.unwrap();
            assert_eq!((was_moved, call.attempts), (*owner == Some(2), 1), "user {uin}");
        }
        assert!((1..USERS).any(|uin| select(set, host, uin, 6_000) == Ok(2)), "its time is over");
        host.operator.shield(&endpoint(2), None, at(0), AUTHOR).unwrap();
        assert!((1..USERS).all(|uin| select(set, host, uin, 6_000) != Ok(2)));
        host.operator.unshield(&endpoint(2));
        assert_eq!(owners(set, &host.view(), 1..USERS), before);
    });
}

#[test]
fn who_finds_all_shielded_is_told_by_whom() {
    with_set(|set, host| {
        for n in 0..4 {
            assert!(select(set, host, 1, 0).is_ok());
            host.operator.shield(&endpoint(n), None, at(0), AUTHOR).unwrap();
        }
        assert_eq!(select(set, host, 1, 0), Err(Status::SHIELDED));
        assert_eq!((set.decisions(Decision::Shielded), set.decisions(Decision::NoEndpoint)), (1, 0));
        host.operator.set_killed(true, AUTHOR);
        assert!(select(set, host, 1, 0).is_ok());
        host.operator.set_killed(false, AUTHOR);
        let observe = Setting { mode: Mode::Observe, share: Per10k::ALL };
        host.operator.set_mechanism(Mechanism::Shield, Some(observe), AUTHOR);
        assert!(select(set, host, 1, 0).is_ok());
        assert!(set.decisions(Decision::ObservedShield) > 0);
    });
}

/// With everything off a machine that fails takes its calls as any other; what was found meanwhile counts as soon as it is on.
#[test]
fn nothing_is_shielded_while_everything_is_off() {
    with_set(|set, host| {
        let first_attempts_at_one = |ms| {
            let meets = |index| if index == 1 { Outcome::Failed } else { Outcome::Ok };
            let mut attempts = 0;
            for uin in 1..=200 {
                let made = attempt(set, &mut call(uin), &host.view(), at(ms), |choice| meets(choice.index));
                attempts += u32::from(made.unwrap().0.index == 1);
            }
            attempts
        };
        host.operator.set_killed(true, AUTHOR);
        let healthy = first_attempts_at_one(0);
        assert!(healthy > 20 && first_attempts_at_one(10) == healthy);
        host.operator.set_killed(false, AUTHOR);
        assert_eq!(first_attempts_at_one(20), 0, "what was found meanwhile counts at once");
    });
}

/// A skip takes calls away, of a share of the users: always the same ones, and none of their calls goes elsewhere.
#[test]
fn a_share_of_the_users_goes_without() {
    with_set(|set, host| {
        let mut fewer = vec![];
        for ratio in [0, 10, 40, 100] {
            host.operator.skip(TARGET, percent(ratio), at(0), AUTHOR).unwrap();
            let covered: Vec<u64> = (1..=USERS).filter(|&uin| host.control.is_skipped(TARGET, Uin(uin))).collect();
            assert!(fewer.iter().all(|uin| covered.contains(uin)), "a larger ratio only adds users");
            assert!(covered.len().abs_diff(USERS as usize * usize::from(ratio) / 100) <= 120, "{}", covered.len());
            for uin in 1..=USERS {
                let result = select(set, host, uin, 0).map(|_| ());
                let expected = if covered.contains(&uin) { Err(Status::SKIPPED) } else { Ok(()) };
                assert_eq!(result, expected, "user {uin} at {ratio} %");
            }
            fewer = covered;
        }
        host.operator.set_killed(true, AUTHOR);
        assert!(select(set, host, 1, 0).is_ok());
        host.operator.set_killed(false, AUTHOR);
        host.operator.skip(TARGET, Per10k::NONE, at(0), AUTHOR).unwrap();
        host.operator.skip(Target { method_id: 9, ..TARGET }, Per10k::ALL, at(0), AUTHOR).unwrap();
        assert!((1..=USERS).all(|uin| select(set, host, uin, 0).is_ok()), "another method is skipped");
    });
}

/// A skip that is only observed, of all users or of those outside its share, takes no call away and is counted.
#[test]
fn a_skip_that_is_observed_takes_nothing_away() {
    for (mode, share) in [(Mode::Observe, Per10k::ALL), (Mode::Enforce, Per10k::NONE)] {
        with_set(|set, host| {
            host.operator.skip(TARGET, Per10k::ALL, at(0), AUTHOR).unwrap();
            host.operator.set_mechanism(Mechanism::Skip, Some(Setting { mode, share }), AUTHOR);
            assert!((1..=USERS).all(|uin| select(set, host, uin, 0).is_ok()));
            let counts = [Decision::ObservedSkip, Decision::Skipped].map(|which| set.decisions(which));
            assert_eq!(counts, [USERS, 0], "{mode:?}");
        });
    }
}
