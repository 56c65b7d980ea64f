//! What shielding is for: machines fail, and hardly anybody notices.

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::id::Salt;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::settings::Settings;

use super::fleet::{Record, Reply, World, run};

const SETTINGS: Settings = Settings::DEFAULT;

/// Ten seconds well, thirty with the first machine dead, twenty well again.
fn one_of_three_is_dead(processes: usize) -> Record {
    let world = World { machines: 3, processes, users: 200, seconds: 60 };
    run(&world, &SETTINGS, &|machine, s, _| {
        if machine == 0 && (10.0..40.0).contains(&s) { Reply::Failed } else { Reply::Ok }
    })
}

#[test]
fn one_machine_of_three_dies_and_comes_back() {
    for processes in [1, 8] {
        let record = one_of_three_is_dead(processes);
        assert_eq!(record.served(0.0, 10.0), 1.0);
        let served = record.served(11.0, 60.0);
        assert!(served >= 0.999, "{processes} processes: {served} are served");
        let dead = record.attempts(0, 11.0, 40.0) as f64 / record.all_attempts(11.0, 40.0) as f64;
        assert!(dead <= 0.01, "{processes} processes: {dead} of the requests go to the dead machine");
        // The machine's users are the same in each bin.
        let share = record.bins[0].attempts[0];
        assert!(record.span(0.0, 10.0).iter().all(|bin| bin.attempts[0] == share));
        assert!(record.span(50.0, 60.0).iter().all(|bin| bin.attempts[0] == share), "its users are back");
        let most = record.span(40.0, 60.0).iter().map(|bin| bin.attempts[0]).max().unwrap();
        assert!(most as f64 <= share as f64 * 1.05, "{processes} processes: {most} of {share} in 100 ms");
        assert_eq!(record.shields[1..], [0, 0], "the others are well");
        assert_eq!(record.decided(Decision::Capped), 0);
    }
}

/// How many processes call a dead machine does not matter to it.
#[test]
fn more_processes_send_no_more_probes() {
    let probes = |processes| {
        let world = World { machines: 3, processes, users: 80, seconds: 60 };
        run(&world, &SETTINGS, &|machine, _, _| if machine == 0 { Reply::Failed } else { Reply::Ok }).probes[0]
    };
    let (of_one, of_eight) = (probes(1), probes(8));
    // Six doublings, and one in five seconds then, a quarter more or less.
    for probes in [of_one, of_eight] {
        assert!((14..=24).contains(&probes), "{of_one} probes of one process, {of_eight} of eight");
    }
}

/// When all fail, calls go on at half of them; when they are back, so is everything.
#[test]
fn all_machines_fail_and_come_back() {
    for processes in [1, 8] {
        for machines in [1, 3, 10] {
            let world = World { machines, processes, users: 60, seconds: 40 };
            let fails = |s| (5.0..25.0).contains(&s);
            let record = run(&world, &SETTINGS, &|_, s, _| if fails(s) { Reply::Failed } else { Reply::Ok });
            let name = format!("{machines} machines, {processes} processes");
            let quietest = record.span(5.0, 25.0).iter().map(|bin| bin.attempts.iter().sum::<u64>()).min();
            assert!(quietest >= Some(40), "{name}: {quietest:?} attempts of 60 calls in 100 ms");
            let (calls, attempts) = (200 * 60, record.all_attempts(5.0, 25.0));
            let retries = attempts.saturating_sub(calls);
            assert!(retries <= calls / 10, "{name}: {retries} retries of {calls} calls");
            assert_eq!(record.served(5.1, 24.9), 0.0, "{name}");
            let back = record.served(25.0, 30.0);
            assert!(back >= 0.99, "{name}: {back} are served at once");
            assert_eq!(record.served(30.0, 40.0), 1.0, "{name}");
            let (before, after) = (&record.bins[10].attempts, &record.bins[399].attempts);
            assert_eq!(before, after, "{name}: users are where they were");
        }
    }
}

#[test]
fn a_services_own_failures_shield_nothing() {
    let world = World { machines: 3, processes: 2, users: 50, seconds: 10 };
    let record =
        run(&world, &SETTINGS, &|_, _, key| if Salt(9).hash(key.0.into()) & 1 == 0 { Reply::Logic } else { Reply::Ok });
    assert_eq!((record.shields, record.probes), (vec![0; 3], vec![0; 3]));
}

/// A machine that refuses what is not important is not shielded, and is no longer sent what it would refuse: all that is
/// important is served, and the rest elsewhere.
#[test]
fn an_overloaded_machine_is_not_shielded_and_gets_fewer_requests() {
    // Half of the users of priority 0.
    let cursor = Cursor::within(0, 64, 0);
    let refuses = |key: Key, s: f64| (5.0..15.0).contains(&s) && !cursor.admits(key);
    let world = World { machines: 3, processes: 4, users: 150, seconds: 20 };
    let record = run(&world, &SETTINGS, &|machine, s, key| {
        if machine == 0 && refuses(key, s) { Reply::Overloaded(cursor) } else { Reply::Ok }
    });
    assert_eq!(record.shields, [0; 3]);
    assert_eq!(record.served(0.0, 20.0), 1.0);
    let [before, meanwhile, after] =
        [(2.0, 5.0), (6.0, 9.0), (17.0, 20.0)].map(|(from_s, to_s)| record.attempts(0, from_s, to_s));
    assert!(meanwhile * 10 < before * 7, "{meanwhile} requests instead of {before}");
    assert_eq!(before, after);
}

/// When all refuse, what they would refuse is not sent by anybody, but for the calls that find out whether they still do.
#[test]
fn overloaded_machines_are_spared() {
    let cursor = Cursor::within(0, 64, 0);
    let refuses = |key: Key| !cursor.admits(key);
    let world = World { machines: 3, processes: 4, users: 150, seconds: 10 };
    let record = run(&world, &SETTINGS, &|_, _, key| if refuses(key) { Reply::Overloaded(cursor) } else { Reply::Ok });
    assert_eq!(record.shields, [0; 3]);
    let important = (1..=150).filter(|&uin| !refuses(Key::new(Salt(3), 0, mcrpc_core::id::Uin(uin), 0))).count() as u64;
    let served: Vec<u64> = record.span(0.0, 10.0).iter().map(|bin| bin.served).collect();
    assert!(served.iter().all(|&served| served == important), "{served:?}");
    let attempts: u64 = record.all_attempts(1.0, 10.0);
    assert!(attempts <= 90 * important + 90 * 10, "{attempts} attempts for {} important calls", 90 * important);
    assert!(record.decided(Decision::Withheld) > 0);
}
