//! Which endpoints a caller uses, by where it stands.

use mcrpc_core::select::call::Attempt;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::settings::{Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

use super::{Segments, at, attempt, call, create, owners, set_words, spec};

/// Twelve endpoints: four zones of three, two in each region.
fn in_zones(n: usize) -> Spec {
    let zone = (n / 3) as u16;
    Spec { region: zone / 2, zone, ..spec(n) }
}

/// The caller is in the first region, in its second zone.
fn settings(zone_strategy: ZoneStrategy) -> Settings {
    Settings { zone_strategy, region: 0, zone: 1, ..Settings::DEFAULT }
}

/// The endpoints that are called by many users.
fn used(settings: &Settings, endpoints: &[usize]) -> Vec<u64> {
    let memory = set_words(settings);
    let (set, host) = (create(&memory, settings), HostView::default());
    set.replace(endpoints.len(), &|index| in_zones(endpoints[index]), &[], &host).unwrap();
    let mut used: Vec<u64> = owners(&set, &host, 1..500).into_iter().flatten().collect();
    used.sort_unstable();
    used.dedup();
    used
}

#[test]
fn a_strategy_says_which_zones_are_called() {
    let all: Vec<usize> = (0..12).collect();
    let without_own_zone: Vec<usize> = (0..12).filter(|n| !(3..6).contains(n)).collect();
    let other_region: Vec<usize> = (6..12).collect();
    let cases = [
        (ZoneStrategy::Anywhere, 0..12, vec![0, 1, 2, 6, 7, 8, 9, 10, 11], 6..12),
        (ZoneStrategy::ZoneFirst, 3..6, vec![0, 1, 2], 0..0),
        (ZoneStrategy::Region, 0..6, vec![0, 1, 2], 0..0),
        (ZoneStrategy::ZoneOnly, 3..6, vec![], 0..0),
        (ZoneStrategy::OneZoneByHash, 0..6, vec![0, 1, 2], 0..0),
    ];
    for (strategy, expected, without, abroad) in cases {
        let settings = settings(strategy);
        assert_eq!(used(&settings, &all), expected.collect::<Vec<u64>>(), "{strategy:?}");
        assert_eq!(used(&settings, &without_own_zone), without, "{strategy:?} without its zone");
        assert_eq!(used(&settings, &other_region), abroad.collect::<Vec<u64>>(), "{strategy:?} without its region");
    }
}

#[test]
fn a_caller_without_an_endpoint_in_reach_is_told_so() {
    let settings = settings(ZoneStrategy::ZoneOnly);
    let memory = set_words(&settings);
    let (set, host) = (create(&memory, &settings), HostView::default());
    let select = || set.select(&mut call(1), Attempt::Next, &host, at(0)).map(|choice| choice.index);
    assert_eq!(select(), Err(Status::NO_ENDPOINT), "before the first list");
    set.replace(3, &|n| in_zones(n), &[], &host).unwrap();
    assert_eq!(select(), Err(Status::NO_ENDPOINT), "in another zone");
    set.replace(0, &|n| in_zones(n), &[], &host).unwrap();
    assert_eq!(select(), Err(Status::NO_ENDPOINT), "of an empty list");
}

/// Zones are no places of their own without their region: the same number in another one is elsewhere.
#[test]
fn a_zone_of_the_same_number_in_another_region_is_another_zone() {
    for strategy in [ZoneStrategy::ZoneFirst, ZoneStrategy::ZoneOnly, ZoneStrategy::OneZoneByHash] {
        let settings = settings(strategy);
        let memory = set_words(&settings);
        let (set, host) = (create(&memory, &settings), HostView::default());
        set.replace(4, &|n| Spec { region: n as u16 / 2, zone: 1, ..spec(n) }, &[], &host).unwrap();
        assert!(owners(&set, &host, 1..200).into_iter().flatten().all(|index| index < 2), "{strategy:?}");
    }
}

/// A caller whose zone fails finds the rest of its region, and goes home when the zone is back.
#[test]
fn a_zone_that_fails_is_left_and_returned_to() {
    let settings = settings(ZoneStrategy::ZoneFirst);
    let (memory, segments) = (set_words(&settings), Segments::new(&[]));
    let (set, host) = (create(&memory, &settings), segments.attach());
    set.replace(12, &in_zones, &[], &host.view()).unwrap();
    let mut late = [0; 2];
    for ms in 0..40_000u64 {
        let zone_fails = (5_000..20_000).contains(&ms);
        let meets = |index| if zone_fails && (3..6).contains(&index) { Outcome::Failed } else { Outcome::Ok };
        let mut call = call(1 + ms % 997);
        let mut first = true;
        while let Ok((choice, outcome)) = attempt(&set, &mut call, &host.view(), at(ms), |choice| meets(choice.index)) {
            assert!(choice.index < 6, "of its region");
            let at_home = (3..6).contains(&choice.index);
            assert!(at_home || zone_fails || ms >= 20_000, "{ms} ms: before its zone has failed");
            if first && (6_000..20_000).contains(&ms) {
                late[0] += u64::from(at_home);
            }
            late[1] += u64::from(!at_home && ms >= 35_000);
            first = false;
            if outcome == Outcome::Ok {
                break;
            }
        }
    }
    // Probes, and what was in force beyond the half that may be shielded.
    assert!(late[0] <= 40, "{} first calls of 14 000 to a zone that fails", late[0]);
    assert_eq!(late[1], 0, "calls elsewhere, 15 s after the zone is back");
}

/// A user's zone is always the same, users are spread over the zones, and a retry stays in the zone if it can.
#[test]
fn a_user_has_one_zone_of_the_region() {
    let settings = settings(ZoneStrategy::OneZoneByHash);
    let memory = set_words(&settings);
    let (set, host) = (create(&memory, &settings), HostView::default());
    set.replace(12, &in_zones, &[], &host).unwrap();
    let mut users = [0; 2];
    for uin in 1..1_000 {
        let mut call = call(uin);
        let mut zones = vec![];
        while let Ok((choice, _)) = attempt(&set, &mut call, &host, at(0), |_| Outcome::Logic) {
            zones.push(choice.index as usize / 3);
        }
        assert!(!zones.is_empty() && zones.iter().take(3).all(|&zone| zone == zones[0]), "user {uin}: {zones:?}");
        users[zones[0]] += 1;
    }
    assert!(users.iter().all(|&users| users > 350), "{users:?}");
}
