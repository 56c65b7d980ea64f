//! Whatever calls meet, a pass rate stays within its bounds and finds its way to both ends.

use mcrpc_core::strategy::generate::MIN_REQUESTS;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Decisions from any rate to all: half as much again each, with ten requests a third.
const DECISIONS_UP: u32 = 30;
/// Decisions from any rate to the floor.
const DECISIONS_DOWN: u32 = 5;

/// Also ones that no endpoint can bring about.
fn any_sample() -> impl Strategy<Value = Sample> {
    let requests = prop_oneof![Just(0), 1..20u32, 20..20_000u32, any::<u32>()];
    (requests, any::<u32>(), any::<bool>()).prop_map(|(requests, number, is_sound)| Sample {
        requests,
        failures: if is_sound && requests < u32::MAX { number % (requests + 1) } else { number },
    })
}

fn periods(decisions: u32, requests: u32) -> u32 {
    decisions * MIN_REQUESTS.div_ceil(requests)
}

proptest! {
    #[test]
    fn any_samples_at_any_times_keep_the_rate_within_floor_and_all(
        samples in vec((any_sample(), any::<u64>()), 1..100),
        start in 0..=10_000u16,
    ) {
        for (name, mut generator) in generators() {
            let mut track = Track::new(per_10k(start), Nanos(0));
            for &(sample, now) in &samples {
                let rate = track.update(&mut *generator, sample, Nanos(now));
                prop_assert!((FLOOR..=ALL).contains(&rate) && rate == track.pass_rate(), "{name}: {rate:?}");
            }
        }
    }

    #[test]
    fn with_successes_only_the_rate_returns_to_all(
        samples in vec(any_sample(), 0..30),
        requests in prop_oneof![1..20u32, 1..u32::MAX],
    ) {
        for (name, mut generator) in generators() {
            let mut endpoint = Endpoint::new(&mut *generator, ALL);
            for sample in &samples {
                endpoint.after(sample.requests, sample.failures);
            }
            // What was gathered before the successes decides with them, once.
            let most = periods(DECISIONS_UP + DECISIONS_DOWN, requests);
            prop_assert!(endpoint.periods_until(ALL, most, requests, 0).is_some(), "{name}: {:?}", endpoint.track);
        }
    }

    #[test]
    fn with_failures_only_the_rate_goes_to_the_floor(
        samples in vec(any_sample(), 0..30),
        requests in prop_oneof![1..20u32, 1..u32::MAX],
    ) {
        for (name, mut generator) in generators() {
            let mut endpoint = Endpoint::new(&mut *generator, ALL);
            for sample in &samples {
                endpoint.after(sample.requests, sample.failures);
            }
            let most = periods(DECISIONS_DOWN + 1, requests);
            let fallen = endpoint.periods_until(FLOOR, most, requests, requests);
            prop_assert!(fallen.is_some(), "{name}: {:?}", endpoint.track);
        }
    }
}
