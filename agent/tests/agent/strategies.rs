//! Outcomes become pass rates.

use std::fs;
use std::path::Path;

use mcrpc_agent::agent::Sources;
use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_agent::file::StrategiesFile;
use mcrpc_core::host::fail;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::outcome::Outcome;

use super::{Host, RULES, endpoint, generating};

#[test]
fn what_the_calls_of_all_processes_meet_is_their_pass_rate_a_second_later() {
    let mut host = Host::generating("default");
    host.hand_over(endpoint(1), 60, 4);
    host.hand_over(endpoint(1), 30, 6);
    host.second();
    assert_eq!(host.pass_rate(endpoint(1)), 10_000, "the first totals say nothing yet");
    host.hand_over(endpoint(1), 60, 4);
    host.hand_over(endpoint(1), 30, 6);
    host.hand_over(endpoint(2), 100, 0);
    assert_eq!(host.second(), [""; 0]);
    assert_eq!((host.pass_rate(endpoint(1)), host.pass_rate(endpoint(2))), (9_000, 10_000));
    host.second();
    assert_eq!(host.pass_rate(endpoint(1)), 9_000, "no calls, no news");
    host.hand_over(endpoint(1), 100, 0);
    host.second();
    assert!(host.entry(endpoint(1)).is_none());
}

#[test]
fn an_agent_that_is_started_anew_goes_on_from_the_table_and_counts_nothing_twice() {
    let mut host = Host::generating("default");
    for _ in 0..2 {
        host.hand_over(endpoint(1), 90, 10);
        host.second();
    }
    assert_eq!(host.pass_rate(endpoint(1)), 9_000);
    // Nobody looks while these are handed over.
    host.hand_over(endpoint(1), 0, 1_000);
    host.restart(generating("default"));
    assert_eq!(host.pass_rate(endpoint(1)), 9_000);
    host.second();
    assert_eq!(host.pass_rate(endpoint(1)), 9_000);
    host.hand_over(endpoint(1), 95, 5);
    host.second();
    assert_eq!(host.pass_rate(endpoint(1)), 9_500);
    host.restart(Sources::default());
    assert_eq!(host.pass_rate(endpoint(1)), 10_000, "without a generator nothing is generated");
}

#[test]
fn a_segment_that_was_replaced_or_damaged_is_attached_anew_and_its_totals_begin_anew() {
    type Break = fn(&Path);
    let cases: [(&str, Break); 3] = [
        ("replaced", |path| {
            let create = |words: mcrpc_core::host::region::Shared<'_>| fail::create(words, 100, 5, 6);
            let directory = Directory::open(path, None).unwrap();
            directory.replace(Segment::Fail, fail::segment_len(100), SharedMode::GROUP, create).unwrap();
        }),
        ("damaged", |path| {
            let mapping = Directory::open(path, None).unwrap().map_writable(Segment::Fail).unwrap();
            mapping.shared().set(5, 0);
        }),
        ("damaged and gone", |path| {
            let mapping = Directory::open(path, None).unwrap().map_writable(Segment::Fail).unwrap();
            mapping.shared().set(0, 0);
            fs::remove_file(path.join("fail.v1")).unwrap();
        }),
    ];
    for (name, breaks) in cases {
        let mut host = Host::generating("default");
        for _ in 0..2 {
            host.hand_over(endpoint(1), 90, 10);
            host.second();
        }
        breaks(&host.path());
        let told = host.second();
        assert_eq!(told.iter().any(|line| line.starts_with("made fail")), name != "replaced", "{name}: {told:?}");
        assert_eq!(host.pass_rate(endpoint(1)), 9_000, "{name}");
        // Fewer and more than the old one held.
        for calls in [10, 1_000] {
            host.hand_over(endpoint(1), calls * 95, calls * 5);
            host.second();
        }
        assert_eq!(host.pass_rate(endpoint(1)), 9_500, "{name}");
        assert_eq!(host.second(), [""; 0], "{name}");
    }
}

#[test]
fn the_file_has_the_last_word_and_only_on_what_it_names() {
    let mut host = Host::generating("default");
    let path = host.root.path().join("strategies");
    fs::write(&path, "10.0.0.1:80 service=7 pass=20%\n10.0.0.3:80 service=7 pass=30%\n").unwrap();
    let with_file = || Sources { file: Some(StrategiesFile::open(&path).unwrap()), ..generating("default") };
    host.restart(with_file());
    for _ in 0..2 {
        for last in 1..=2 {
            host.hand_over(endpoint(last), 90, 10);
        }
        host.second();
    }
    let rates = |host: &Host| [1, 2, 3].map(|last| host.pass_rate(endpoint(last)));
    assert_eq!(rates(&host), [2_000, 9_000, 3_000]);
    host.restart(with_file());
    assert_eq!(rates(&host), [2_000, 9_000, 3_000]);
    // Another name, so that it differs whatever the file system's clock says.
    fs::write(path.with_extension("new"), "10.0.0.3:80 service=7 pass=40%\n# the first is let go\n").unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    host.second();
    assert_eq!(rates(&host), [10_000, 9_000, 4_000]);
}

#[test]
fn an_endpoint_whose_breaker_is_at_work_is_left_to_it_and_begins_anew_when_that_is_done() {
    let mut host = Host::generating("default");
    for _ in 0..2 {
        host.hand_over(endpoint(1), 90, 10);
        host.second();
    }
    assert_eq!(host.pass_rate(endpoint(1)), 9_000);
    host.shield(endpoint(1));
    host.hand_over(endpoint(1), 0, 100);
    host.second();
    assert_eq!(host.pass_rate(endpoint(1)), 10_000);
    assert_eq!(host.state(endpoint(1)), State::Due);
    host.with(endpoint(1), |health| {
        assert!(health.take_probe(&RULES.breaker, host.now));
        health.report(Outcome::Ok, true, &RULES, host.now);
    });
    for _ in 0..3 {
        host.hand_over(endpoint(1), 50, 50);
        host.second();
        assert_eq!(host.pass_rate(endpoint(1)), 10_000);
    }
    host.with(endpoint(1), |health| health.report(Outcome::Ok, false, &RULES, host.now));
    assert_eq!(host.state(endpoint(1)), State::Normal);
    for _ in 0..2 {
        host.hand_over(endpoint(1), 94, 6);
        host.second();
    }
    assert_eq!(host.pass_rate(endpoint(1)), 9_400);
}
