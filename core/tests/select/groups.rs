//! Rules that send users to the endpoints of a group, as for a grey release.

use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::settings::{GroupRule, MAX_GROUP_RULES, Settings, Spec};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

use super::{Segments, at, attempt, call, create, owners, percent, set_words, spec};

const USERS: u64 = 10_000;

/// Eight endpoints for everybody, two of group 7 and two of group 8.
fn grouped(n: usize) -> Spec {
    Spec { group: [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 8, 8][n % 12], ..spec(n) }
}

fn rule(group: u16, share: Per10k) -> GroupRule {
    GroupRule { group, share, first: Uin(0), last: Uin(u64::MAX) }
}

/// The groups of users 1 to [`USERS`] under some rules.
fn groups(rules: &[GroupRule]) -> Vec<u16> {
    let memory = set_words(&Settings::DEFAULT);
    let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
    set.replace(12, &grouped, rules, &host).unwrap();
    owners(&set, &host, 1..USERS + 1).into_iter().map(|owner| grouped(owner.unwrap() as usize).group).collect()
}

fn count(groups: &[u16], group: u16) -> u64 {
    groups.iter().filter(|&&of_user| of_user == group).count() as u64
}

#[test]
fn a_share_of_the_users_goes_to_a_group_and_always_the_same() {
    let mut fewer = groups(&[]);
    assert_eq!(count(&fewer, 0), USERS);
    for share in [1, 5, 30, 100] {
        let more = groups(&[rule(7, percent(share))]);
        let wanted = USERS * u64::from(share) / 100;
        // Four standard deviations of the worst share.
        assert!(count(&more, 7).abs_diff(wanted) <= 200, "{share} %: {}", count(&more, 7));
        assert!(
            fewer.iter().zip(&more).all(|(&fewer, &more)| more == 7 || fewer == 0),
            "a larger share only adds users"
        );
        fewer = more;
    }
}

#[test]
fn the_first_rule_that_covers_a_user_counts() {
    let one = |group, uin| GroupRule { group, share: Per10k::ALL, first: Uin(uin), last: Uin(uin) };
    let found = groups(&[one(7, 42), GroupRule { first: Uin(40), last: Uin(49), ..rule(8, Per10k::ALL) }]);
    for (uin, &group) in (1..).zip(&found) {
        let expected = match uin {
            42 => 7,
            40..=49 => 8,
            _ => 0,
        };
        assert_eq!(group, expected, "user {uin}");
    }
}

/// Two rules of a tenth are two different tenths.
#[test]
fn groups_draw_their_users_independently() {
    let [seven, eight] = [7, 8].map(|group| groups(&[rule(group, percent(10))]));
    let both = seven.iter().zip(&eight).filter(|&(&seven, &eight)| seven == 7 && eight == 8).count();
    assert!((50..=150).contains(&both), "{both}");
}

#[test]
fn all_users_are_back_in_one_step() {
    let memory = set_words(&Settings::DEFAULT);
    let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
    let owners_under = |rules: &[GroupRule]| {
        set.replace(12, &grouped, rules, &host).unwrap();
        owners(&set, &host, 1..2_000)
    };
    let before = owners_under(&[]);
    let meanwhile = owners_under(&[rule(7, percent(50))]);
    assert!(before.iter().zip(&meanwhile).all(|(before, meanwhile)| before == meanwhile || *meanwhile >= Some(8)));
    assert_eq!(owners_under(&[]), before);
}

#[test]
fn users_of_a_group_without_endpoints_are_everybodys() {
    let found = groups(&[rule(9, Per10k::ALL)]);
    assert_eq!(count(&found, 0), USERS);
}

/// Given a canary all of whose endpoints fail, then its users are served by the others within a few calls, and go to the
/// canary again when it works.
#[test]
fn the_users_of_a_group_that_fails_go_to_everybodys() {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    set.replace(12, &grouped, &[rule(7, percent(50))], &host.view()).unwrap();
    let (mut failed, mut canary_calls) = ([0; 3], [0; 3]);
    for ms in 0..60_000u64 {
        let span = (ms / 20_000) as usize;
        let mut call = call(1 + ms % 500);
        let meets = |group: u16| if span == 1 && group == 7 { Outcome::Failed } else { Outcome::Ok };
        let mut last = None;
        while let Ok((choice, outcome)) =
            attempt(&set, &mut call, &host.view(), at(ms), |choice| meets(grouped(choice.index as usize).group))
        {
            // From one second after the fault, and ten after the repair.
            let settled = ms % 20_000 >= if span == 1 { 1_000 } else { 10_000 };
            canary_calls[span] += u64::from(settled && grouped(choice.index as usize).group == 7);
            last = Some(outcome);
            if outcome == Outcome::Ok {
                break;
            }
        }
        failed[span] += u64::from(last != Some(Outcome::Ok));
    }
    assert_eq!((failed[0], failed[2]), (0, 0));
    assert!(failed[1] <= 20, "{} calls of 20 000 are lost", failed[1]);
    assert!(canary_calls[1] <= 60, "{} calls to a canary that fails", canary_calls[1]);
    assert_eq!(canary_calls[0], canary_calls[2], "its users are its own again");
}

#[test]
fn too_many_rules_are_refused() {
    let memory = set_words(&Settings::DEFAULT);
    let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
    let rules: Vec<GroupRule> = (1..=MAX_GROUP_RULES as u16 + 1).map(|group| rule(group, percent(1))).collect();
    assert_eq!(set.replace(1, &spec, &rules, &host), Err(Status::INVALID_ARGUMENT));
    assert_eq!(set.replace(1, &spec, &rules[1..], &host), Ok(()));
}

/// As many groups as rules, each with two rings: one more than the zones have.
#[test]
fn every_rule_may_have_a_group_of_its_own() {
    let rules: Vec<GroupRule> = (1..=MAX_GROUP_RULES as u16)
        .map(|group| GroupRule { group, share: Per10k::ALL, first: Uin(group.into()), last: Uin(group.into()) })
        .collect();
    let memory = set_words(&Settings::DEFAULT);
    let (set, host) = (create(&memory, &Settings::DEFAULT), HostView::default());
    set.replace(9, &|n| Spec { group: n as u16, ..spec(n) }, &rules, &host).unwrap();
    let owners = owners(&set, &host, 1..20);
    for (uin, owner) in (1..).zip(owners) {
        assert_eq!(owner, Some(if uin <= 8 { uin } else { 0 }));
    }
}
