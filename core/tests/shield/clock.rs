//! Any word, any clock: it runs backwards, jumps, and wraps around at 2³² ms. Then no shield lasts longer than one window of
//! the caller's clock, and time alone lets no more than one call through.

use mcrpc_core::shield::breaker::{FULL_SHARE, Reason, Settings, State, Word};
use proptest::prelude::*;

fn settings() -> impl Strategy<Value = Settings> {
    let any = (1u32..=10_000, 0u32..=100_000, 1u32..=10_000, 0u32..=10_000, 0u32..=100_000).prop_map(
        |(backoff_min_ms, more_ms, probe_lease_ms, ramp_ms, memory_ms)| {
            let backoff_max_ms = backoff_min_ms + more_ms;
            Settings { backoff_min_ms, backoff_max_ms, probe_lease_ms, ramp_ms, memory_ms }
        },
    );
    prop_oneof![
        Just(Settings::DEFAULT),
        Just(Settings {
            backoff_min_ms: Settings::MAX_MS,
            backoff_max_ms: Settings::MAX_MS,
            probe_lease_ms: Settings::MAX_MS,
            ramp_ms: Settings::MAX_MS,
            memory_ms: Settings::MAX_MS,
        }),
        any
    ]
}

/// Any time, and often one around the wrap or around the word's own moment.
fn times(word: u64) -> impl Strategy<Value = u32> {
    let moment_ms = (word >> 32) as u32;
    prop_oneof![
        any::<u32>(),
        (-20_000i32..20_000).prop_map(|ms| 0u32.wrapping_add_signed(ms)),
        (-20_000i32..20_000).prop_map(move |ms| moment_ms.wrapping_add_signed(ms)),
    ]
}

fn words_and_times() -> impl Strategy<Value = (Word, u32)> {
    any::<u64>().prop_flat_map(|word| (Just(Word(word)), times(word)))
}

/// The longest time for which an endpoint takes no calls, or only its probe.
fn window_ms(settings: &Settings) -> u32 {
    (settings.backoff_max_ms + settings.backoff_max_ms / 4).max(settings.probe_lease_ms)
}

fn is_closed(state: State) -> bool {
    matches!(state, State::Shielded { .. } | State::Probing)
}

proptest! {
    /// Whatever the word says: from any moment on, with a clock that runs on, a call is let through after one window at
    /// the latest, and from then on for weeks.
    #[test]
    fn nothing_is_shielded_for_longer_than_one_window(
        settings in settings(),
        (word, now_ms) in words_and_times(),
        later_ms in 0u32..1 << 31,
    ) {
        let window_ms = window_ms(&settings);
        if let State::Shielded { left_ms } = word.state(&settings, now_ms) {
            prop_assert!(left_ms <= settings.backoff_max_ms + settings.backoff_max_ms / 4);
            prop_assert_eq!(word.state(&settings, now_ms.wrapping_add(left_ms)), State::Due);
        }
        if is_closed(word.state(&settings, now_ms)) {
            let after = word.state(&settings, now_ms.wrapping_add(window_ms).wrapping_add(later_ms));
            prop_assert_eq!(after, State::Due);
        }
    }

    /// A clock that jumps neither shields an endpoint nor opens it: a normal one stays so, of a shielded one the most that
    /// becomes is that its probe is due.
    #[test]
    fn time_alone_changes_no_more_than_that_a_probe_is_due(
        settings in settings(),
        (word, now_ms) in words_and_times(),
        other_ms in any::<u32>(),
    ) {
        let (state, other) = (word.state(&settings, now_ms), word.state(&settings, other_ms));
        prop_assert_eq!(word.is_normal(), state == State::Normal);
        prop_assert_eq!(word.is_shielded(), is_closed(state) || state == State::Due);
        prop_assert_eq!(state == State::Normal, other == State::Normal);
        prop_assert_eq!(is_closed(state) || state == State::Due, is_closed(other) || other == State::Due);
    }

    /// The share of an endpoint that recovers is one of five, and if it is not all it is after two ramps of a clock that runs on.
    #[test]
    fn an_endpoint_that_recovers_has_all_its_users_within_two_ramps(
        settings in settings(),
        (word, now_ms) in words_and_times(),
    ) {
        if let State::Recovering { share } = word.state(&settings, now_ms) {
            prop_assert!(share.is_power_of_two() && (FULL_SHARE / 16..=FULL_SHARE).contains(&share));
            if share < FULL_SHARE {
                let after = word.state(&settings, now_ms.wrapping_add(2 * settings.ramp_ms));
                prop_assert_eq!(after, State::Recovering { share: FULL_SHARE });
            }
        }
    }

    /// Any steps at any times.
    #[test]
    fn from_any_word_a_shield_begins_when_it_is_set_and_ends_with_an_answered_probe(
        settings in settings(),
        start in any::<u64>(),
        steps in prop::collection::vec((0u8..6, any::<bool>(), any::<u32>(), any::<u64>()), 1..40),
    ) {
        let mut word = Word(start);
        for (step, is_probe, now_ms, noise) in steps {
            let before = word;
            word = match step {
                0 | 1 => word.failed(is_probe, &settings, now_ms, noise),
                2 => word.succeeded(is_probe, &settings, now_ms),
                3 => word.tripped(Reason::Rate, &settings, now_ms, noise),
                4 => word.answered(now_ms),
                _ if word.state(&settings, now_ms) == State::Due => word.probed(&settings, now_ms),
                _ => word,
            };
            if word.is_shielded() && !before.is_shielded() {
                // Three quarters of one millisecond are none.
                prop_assert!(is_closed(word.state(&settings, now_ms)) || settings.backoff_min_ms == 1);
            }
            let settled = word.probed(&settings, now_ms).succeeded(true, &settings, now_ms);
            prop_assert!(!settled.is_shielded());
        }
    }
}
