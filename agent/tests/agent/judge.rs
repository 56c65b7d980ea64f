//! Endpoints are judged by count and rate of their failures, over all processes.

use mcrpc_agent::agent::Sources;
use mcrpc_core::shield::breaker::{Reason, State};
use mcrpc_core::shield::rate::RateRules;

use super::{Host, endpoint};

fn judging() -> Host {
    Host::new(Sources { rules: Some(RateRules::DEFAULT), ..Sources::default() })
}

fn is_shielded(host: &Host) -> bool {
    host.with(endpoint(1), |health| health.breaker().is_shielded())
}

#[test]
fn many_failures_and_a_large_share_of_them_shield_an_endpoint_for_everybody() {
    let cases = [
        ("nearly all fail", 1, 30, Some(1)),
        ("a fifth fails", 40, 10, Some(2)),
        ("a fifth fails, of few calls", 8, 2, Some(10)),
        ("a tenth fails", 900, 100, None),
        ("too few to say", 0, 1, None),
    ];
    for (name, ok, failed, expected) in cases {
        let mut host = judging();
        let found = (1..=20).find(|_| {
            host.hand_over(endpoint(1), ok, failed);
            host.second();
            is_shielded(&host)
        });
        assert_eq!(found, expected, "{name}");
        if expected.is_some() {
            host.with(endpoint(1), |health| assert_eq!(health.breaker().reason(), Reason::Rate, "{name}"));
        }
    }
}

#[test]
fn it_is_told_once_and_what_led_to_one_shield_does_not_lead_to_the_next() {
    let mut host = judging();
    host.hand_over(endpoint(1), 10, 30);
    let expected = "shielded, since too many and too large a share of their calls failed: 10.0.0.1:80 service=7";
    assert_eq!(host.second(), [expected]);
    assert!(matches!(host.state(endpoint(1)), State::Shielded { .. }));
    host.with(endpoint(1), |health| assert_eq!(health.reading().shields, 1));
    // Calls that were on their way.
    host.hand_over(endpoint(1), 0, 19);
    for _ in 0..10 {
        assert_eq!(host.second(), [""; 0]);
    }
}

#[test]
fn totals_of_before_the_agent_are_not_judged_and_nothing_is_without_rules() {
    let mut host = Host::new(Sources::default());
    host.hand_over(endpoint(1), 0, 1_000);
    host.second();
    assert!(!is_shielded(&host), "no rules");
    host.restart(Sources { rules: Some(RateRules::DEFAULT), ..Sources::default() });
    host.second();
    assert!(!is_shielded(&host), "nothing new");
    host.hand_over(endpoint(1), 0, 20);
    host.second();
    assert!(is_shielded(&host));
}

#[test]
fn many_at_once_are_told_in_one_line() {
    let mut host = judging();
    (1..=9).for_each(|last| host.hand_over(endpoint(last), 0, 30));
    let told = host.second();
    assert!(told.len() == 1 && told[0].ends_with(", and 6 more"), "{told:?}");
}
