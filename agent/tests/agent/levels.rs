//! What an endpoint refuses is published for as long as that holds.

use mcrpc_agent::agent::Sources;
use mcrpc_core::admission::Cursor;
use mcrpc_core::strategy::entry::RejectLevel;
use mcrpc_core::time::Nanos;

use super::{Host, endpoint};

const HALF: Cursor = Cursor(1 << 28);

fn level(host: &Host) -> RejectLevel {
    host.entry(endpoint(1)).map_or(RejectLevel::OPEN, |entry| entry.reject_level)
}

#[test]
fn a_cursor_is_published_as_a_level_that_follows_it_and_ends_with_it() {
    let mut host = Host::new(Sources::default());
    host.with(endpoint(1), |health| health.set_cursor(HALF, 1_300, host.now));
    host.second();
    assert_eq!(level(&host), RejectLevel::from_cursor(HALF));
    assert!(host.agent().has_levels());

    let now = host.now.plus(Nanos::from_millis(100).0);
    host.with(endpoint(1), |health| health.set_cursor(Cursor(HALF.0 / 2), 300, now));
    host.agent().follow_levels(now);
    assert_eq!(level(&host), RejectLevel::from_cursor(Cursor(HALF.0 / 2)));

    let now = host.now.plus(Nanos::from_millis(400).0);
    host.agent().follow_levels(now);
    assert!(host.entry(endpoint(1)).is_none() && !host.agent().has_levels());
    host.second();
    assert!(host.entry(endpoint(1)).is_none());
}

#[test]
fn a_level_stands_beside_a_pass_rate_and_a_restart_takes_it_from_the_cells() {
    let mut host = Host::generating("default");
    for _ in 0..2 {
        host.hand_over(endpoint(1), 90, 10);
        host.with(endpoint(1), |health| health.set_cursor(HALF, 5_000, host.now));
        host.second();
    }
    assert_eq!((host.pass_rate(endpoint(1)), level(&host)), (9_000, RejectLevel::from_cursor(HALF)));
    host.restart(super::generating("default"));
    assert_eq!((host.pass_rate(endpoint(1)), level(&host)), (9_000, RejectLevel::from_cursor(HALF)));
    let now = host.now.plus(Nanos::from_millis(9_000).0);
    host.agent().follow_levels(now);
    assert_eq!((host.pass_rate(endpoint(1)), level(&host)), (9_000, RejectLevel::OPEN));
}
