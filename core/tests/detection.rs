//! What the bucket that counts in requests is for: a fault is seen within a few requests, at every request rate, and
//! ordinary failures are not taken for one.

#[path = "detection/chain.rs"]
mod chain;
#[path = "../../benches/detectors/ours.rs"]
mod ours;
#[path = "../../benches/detectors/traffic.rs"]
mod traffic;
#[path = "../../benches/detectors/trial.rs"]
mod trial;

use chain::Chain;
use ours::Ours;
use trial::{Contestant, Faults, delays, false_shields, percentile};

const PER_SECOND: [u32; 3] = [20, 200, 5_000];
const FALSE_REQUESTS: usize = 1_000_000;

fn ours() -> Vec<Box<dyn Contestant>> {
    vec![Box::new(Ours::default())]
}

#[test]
fn after_a_quiet_minute_a_fault_is_shielded_within_a_few_requests() {
    let wanted = [(100, 6), (50, 12), (30, 24)];
    let failed_percent = wanted.map(|(percent, _)| percent);
    let faults = Faults { failed_percent: &failed_percent, minutes: 20, per_minute: 50, patience_requests: 1_000 };
    for per_second in PER_SECOND {
        let delays = delays(ours, per_second, faults).concat();
        assert_eq!(delays.len(), wanted.len());
        for ((percent, limit), sorted) in wanted.iter().zip(&delays) {
            let median = percentile(sorted, 50);
            assert!(median <= *limit, "{per_second}/s, {percent} %: {median} requests");
        }
    }
}

#[test]
fn ordinary_failures_are_hardly_ever_taken_for_a_fault() {
    for per_second in PER_SECOND {
        for (percent, limit) in [(1, 0), (2, 0), (5, 50)] {
            let shields: u64 = false_shields(ours(), per_second, percent, FALSE_REQUESTS).iter().sum();
            assert!(shields <= limit, "{per_second}/s, {percent} %: {shields} false shields in a million");
        }
    }
}

/// The same without a seed: the exact figures of the bucket's Markov chain, which no request rate enters.
#[test]
fn the_exact_figures_are_within_what_is_wanted() {
    for (percent, limit) in [(1, 0.01), (2, 0.1), (5, 50.0)] {
        let false_shields = Chain::failing(percent).shields_per_million();
        assert!(false_shields <= limit, "{percent} %: {false_shields} in a million");
    }
    let quiet = Chain::failing(1).stationary();
    for (percent, median) in [(100, 6), (50, 11), (30, 23), (20, 45)] {
        assert_eq!(Chain::failing(percent).median_delay(&quiet), median, "{percent} %");
    }
}
