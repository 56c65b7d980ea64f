//! No more than half of the endpoints are shielded at a time.

use mcrpc_core::id::Per10k;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::Settings;
use mcrpc_core::shield::outcome::Outcome;

use super::{Host, Segments, at, attempt, call, create, set_words, spec};

/// Calls of many users for so many seconds, 1000 a second; the attempts at each endpoint in the last of them.
fn attempts_in_last_second<'a>(
    set: &EndpointSet<'a>,
    host: &Host<'a>,
    seconds: u64,
    fails: &dyn Fn(usize) -> bool,
) -> Vec<u64> {
    let mut attempts = vec![0; set.len()];
    for ms in 0..seconds * 1_000 {
        let mut call = call(1 + ms % 5_003);
        let meets = |index| if fails(index) { Outcome::Failed } else { Outcome::Ok };
        while let Ok((choice, outcome)) =
            attempt(set, &mut call, &host.view(), at(ms), |choice| meets(choice.index as usize))
        {
            attempts[choice.index as usize] += u64::from(ms >= (seconds - 1) * 1_000);
            if outcome == Outcome::Ok {
                break;
            }
        }
    }
    attempts
}

/// When all fail, the calls go to half of them at least: those with the lightest faults.
#[test]
fn of_endpoints_that_all_fail_at_least_half_are_called() {
    for count in [1, 2, 3, 5, 10, 40] {
        let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
        let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
        set.replace(count, &spec, &[], &host.view()).unwrap();
        let attempts = attempts_in_last_second(&set, &host, 5, &|_| true);
        let called = attempts.iter().filter(|&&attempts| attempts >= 5).count();
        assert!(called >= count.div_ceil(2), "{called} of {count}: {attempts:?}");
        assert!(attempts.iter().sum::<u64>() >= 900, "{attempts:?}");
        assert!(set.decisions(Decision::Capped) > 0);
    }
}

/// As long as no more than half fail, each of these is shielded, and no other.
#[test]
fn up_to_half_are_shielded_and_only_those_that_fail() {
    for (count, failing) in [(2, 1), (3, 1), (4, 2), (10, 5), (10, 1), (40, 19)] {
        let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
        let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
        set.replace(count, &spec, &[], &host.view()).unwrap();
        let attempts = attempts_in_last_second(&set, &host, 10, &|index| index < failing);
        for (index, &attempts) in attempts.iter().enumerate() {
            let shields = set.health(index, &host.view()).unwrap().reading().shields;
            assert_eq!(shields > 0, index < failing, "{index} of {failing} in {count}");
            assert!((attempts > 5) == (index >= failing), "{index} of {failing} in {count}: {attempts} attempts");
        }
        assert_eq!(set.decisions(Decision::Capped), 0, "{failing} of {count}");
    }
}

/// With another threshold, another number of endpoints is called.
#[test]
fn the_share_that_may_be_shielded_is_a_setting() {
    for (percent, least) in [(0, 8), (25, 6), (75, 2), (100, 0)] {
        let max_shielded = Per10k::new(percent * 100).unwrap();
        let settings = Settings { max_shielded, ..Settings::DEFAULT };
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        set.replace(8, &spec, &[], &host.view()).unwrap();
        let attempts = attempts_in_last_second(&set, &host, 5, &|_| true);
        let called = attempts.iter().filter(|&&attempts| attempts >= 10).count();
        assert!(called >= least, "{percent} %: {called} of 8 are called: {attempts:?}");
        if percent == 100 {
            assert!(attempts.iter().sum::<u64>() < 100, "all may be shielded: {attempts:?}");
        }
    }
}

/// Which endpoints fail changes: those that work now take the calls within seconds, and nobody stays shielded.
#[test]
fn endpoints_that_work_again_are_found_while_others_fail() {
    let (memory, segments) = (set_words(&Settings::DEFAULT), Segments::new(&[]));
    let (set, host) = (create(&memory, &Settings::DEFAULT), segments.attach());
    set.replace(6, &spec, &[], &host.view()).unwrap();
    attempts_in_last_second(&set, &host, 5, &|_| true);
    let mut lost = 0;
    for ms in 0..15_000u64 {
        let mut call = call(1 + ms % 5_003);
        let mut served = false;
        while let Ok((_, outcome)) = attempt(&set, &mut call, &host.view(), at(5_000 + ms), |choice| {
            if choice.index < 3 { Outcome::Failed } else { Outcome::Ok }
        }) {
            served = outcome == Outcome::Ok;
            if served {
                break;
            }
        }
        lost += u64::from(!served && ms >= 7_000);
    }
    assert!(lost <= 8, "{lost} of 8 000 calls");
}
