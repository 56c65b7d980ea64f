//! The breaker, transition by transition. Without noise a backoff is three quarters of its step: 75 ms at first.

use mcrpc_core::shield::breaker::{FULL_SHARE, LIMIT, POUR, Reason, Settings, State, Word};

const SETTINGS: Settings = Settings::DEFAULT;
const START_MS: u32 = 1_000_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Calls that are no probes fail.
    Fail(u32),
    /// Calls that are no probes are answered.
    Succeed(u32),
    /// A call takes the probe.
    Probe,
    ProbeFails,
    ProbeSucceeds,
    /// The agent finds it bad.
    Trip,
    /// Somebody looked, and it answered.
    Answered,
    /// So much later.
    After(u32),
    Is(State),
    IsShieldedFor(u32),
    /// It takes a share of its users, as a power of two below one.
    TakesHalvedBy(u32),
}

use Step::{After, Answered, Fail, Is, IsShieldedFor, Probe, ProbeFails, ProbeSucceeds, Succeed, TakesHalvedBy, Trip};

fn run(name: &str, steps: &[Step]) {
    let (mut word, mut now_ms) = (Word(0), START_MS);
    for (index, step) in steps.iter().enumerate() {
        let state = |word: Word| word.state(&SETTINGS, now_ms);
        let expected = match *step {
            Is(state) => Some(state),
            IsShieldedFor(left_ms) => Some(State::Shielded { left_ms }),
            TakesHalvedBy(halvings) => Some(State::Recovering { share: FULL_SHARE >> halvings }),
            _ => None,
        };
        if let Some(expected) = expected {
            assert_eq!(state(word), expected, "it {name}: step {index} of {steps:?}");
        }
        match *step {
            Fail(times) => (0..times).for_each(|_| word = word.failed(false, &SETTINGS, now_ms, 0)),
            Succeed(times) => (0..times).for_each(|_| word = word.succeeded(false, &SETTINGS, now_ms)),
            Probe => {
                assert_eq!(state(word), State::Due, "it {name}: step {index} of {steps:?}");
                word = word.probed(&SETTINGS, now_ms);
            }
            ProbeFails => word = word.failed(true, &SETTINGS, now_ms, 0),
            ProbeSucceeds => word = word.succeeded(true, &SETTINGS, now_ms),
            Trip => word = word.tripped(Reason::Rate, &SETTINGS, now_ms, 0),
            Answered => word = word.answered(now_ms),
            After(ms) => now_ms = now_ms.wrapping_add(ms),
            Is(_) | IsShieldedFor(_) | TakesHalvedBy(_) => {}
        }
    }
}

/// Shielded, the backoff over, and the probe on its way.
const PROBING: [Step; 3] = [Fail(6), After(75), Probe];

fn from_probing(name: &str, steps: &[Step]) {
    run(name, &[&PROBING, steps].concat());
}

#[test]
fn the_bucket_counts_in_requests() {
    let cases: &[(&str, &[Step])] = &[
        ("takes all calls at first", &[Is(State::Normal)]),
        ("is shielded by the sixth failure in a row", &[Fail(5), Is(State::Normal), Fail(1), IsShieldedFor(75)]),
        (
            "forgives a failure for seven answers",
            &[Fail(5), Succeed(7), Fail(1), Is(State::Normal), Fail(1), IsShieldedFor(75)],
        ),
        ("is never emptier than empty", &[Succeed(1_000), Fail(5), Is(State::Normal), Fail(1), IsShieldedFor(75)]),
        ("does not forget by time", &[Fail(5), After(3_600_000), Fail(1), IsShieldedFor(75)]),
    ];
    cases.iter().for_each(|(name, steps)| run(name, steps));
}

#[test]
fn a_shield_ends_with_one_call_that_is_tried() {
    let cases: &[(&str, &[Step])] = &[
        ("is shielded to the end of its backoff", &[Fail(6), After(74), IsShieldedFor(1), After(1), Is(State::Due)]),
        ("stays due until somebody calls", &[Fail(6), After(1_000_000_000), Is(State::Due)]),
        ("takes failures of calls that were under way", &[Fail(6), After(10), Fail(100), IsShieldedFor(65)]),
        (
            "takes it back when calls that were let through are all answered",
            &[Fail(6), Succeed(41), IsShieldedFor(75), Succeed(1), Is(State::Normal)],
        ),
        ("counts a failure among them", &[Fail(6), Succeed(41), Fail(1), Succeed(7), IsShieldedFor(75)]),
        ("is due at once when it has answered somebody", &[Fail(6), After(5), Answered, Is(State::Due)]),
        ("is not shielded anew by who judges it bad too", &[Fail(6), After(70), Trip, IsShieldedFor(5)]),
    ];
    cases.iter().for_each(|(name, steps)| run(name, steps));
}

#[test]
fn a_probe_decides() {
    let cases: &[(&str, &[Step])] = &[
        ("takes no other call meanwhile", &[Is(State::Probing), After(1_999), Is(State::Probing)]),
        ("is tried again when the probe is lost", &[After(2_000), Is(State::Due), Probe, Is(State::Probing)]),
        ("is shielded for longer when it fails", &[ProbeFails, IsShieldedFor(150)]),
        ("recovers when it is answered", &[ProbeSucceeds, TakesHalvedBy(4)]),
        ("waits for the probe when other calls fail", &[Fail(10), Is(State::Probing)]),
        ("waits for the probe when other calls are answered", &[Succeed(41), Is(State::Probing)]),
        ("is not judged by others", &[Trip, Is(State::Probing), Answered, Is(State::Probing)]),
        ("hears of a probe that was late", &[After(5_000), Is(State::Due), ProbeSucceeds, TakesHalvedBy(4)]),
    ];
    cases.iter().for_each(|(name, steps)| from_probing(name, steps));
}

#[test]
fn an_endpoint_that_is_back_takes_its_users_step_by_step() {
    let cases: &[(&str, &[Step])] = &[
        (
            "doubles its share four times in two seconds",
            &[
                After(499),
                TakesHalvedBy(4),
                After(1),
                TakesHalvedBy(3),
                After(500),
                TakesHalvedBy(2),
                After(500),
                TakesHalvedBy(1),
                After(500),
                TakesHalvedBy(0),
            ],
        ),
        ("is normal with the first answer after that", &[After(2_000), Succeed(1), Is(State::Normal)]),
        ("is not normal before", &[After(1_999), Succeed(1_000), TakesHalvedBy(1)]),
        ("bears two failures", &[Fail(2), TakesHalvedBy(4)]),
        ("is shielded for longer by a third one", &[Fail(3), IsShieldedFor(150)]),
        ("is shielded for longer when somebody judges it bad", &[Trip, IsShieldedFor(150)]),
        (
            "has been forgiven by answers meanwhile",
            &[Succeed(21), Fail(5), TakesHalvedBy(4), Fail(1), IsShieldedFor(150)],
        ),
    ];
    for (name, steps) in cases {
        from_probing(name, &[&[ProbeSucceeds], *steps].concat());
    }
}

#[test]
fn it_is_remembered_for_a_while_that_an_endpoint_was_shielded() {
    let cases: &[(&str, &[Step])] = &[
        ("is shielded for longer the second time", &[Fail(6), IsShieldedFor(150)]),
        ("is so within half a minute", &[After(29_999), Fail(6), IsShieldedFor(150)]),
        ("is forgiven after half a minute", &[After(30_000), Fail(6), IsShieldedFor(75)]),
        ("is judged by others for as long", &[After(29_999), Trip, IsShieldedFor(150)]),
    ];
    for (name, steps) in cases {
        from_probing(name, &[&[ProbeSucceeds, After(2_000), Succeed(14)], *steps].concat());
    }
}

/// 100 ms, and twice as long each time up to 5 s; three to five quarters of that.
#[test]
fn the_backoff_doubles_up_to_its_limit_and_is_spread() {
    for noise in [0, 1, 0x7FFF, 0xFFFF, u64::MAX, 0x1234_5678_9ABC_DEF0] {
        let (mut word, mut now_ms) = (Word(0), START_MS);
        for failure in 0..6 {
            assert_eq!(word.state(&SETTINGS, now_ms), State::Normal, "{failure}");
            word = word.failed(false, &SETTINGS, now_ms, noise);
        }
        for step in 0..40 {
            let wanted_ms = (u64::from(SETTINGS.backoff_min_ms) << step.min(20)).min(SETTINGS.backoff_max_ms.into());
            let State::Shielded { left_ms } = word.state(&SETTINGS, now_ms) else { panic!("step {step}") };
            let left_ms = u64::from(left_ms);
            assert!((wanted_ms * 3 / 4..=wanted_ms * 5 / 4).contains(&left_ms), "step {step}: {left_ms} ms");
            match noise & 0xFFFF {
                0 => assert_eq!(left_ms, wanted_ms * 3 / 4),
                0xFFFF => assert!(left_ms + 1 >= wanted_ms * 5 / 4, "step {step}: {left_ms} ms"),
                _ => {}
            }
            now_ms += left_ms as u32;
            word = word.probed(&SETTINGS, now_ms).failed(true, &SETTINGS, now_ms, noise);
        }
    }
}

#[test]
fn the_reason_is_that_of_the_first_shield() {
    let full = |word: Word| (0..6).fold(word, |word, _| word.failed(false, &SETTINGS, START_MS, 0));
    let tripped = |reason| Word(0).tripped(reason, &SETTINGS, START_MS, 0);
    assert_eq!(full(Word(0)).reason(), Reason::Failures);
    for reason in [Reason::FailuresPerSecond, Reason::Rate] {
        assert_eq!(tripped(reason).reason(), reason);
        assert_eq!(full(tripped(reason)).reason(), reason, "others fail too");
        let probed = tripped(reason).probed(&SETTINGS, START_MS).failed(true, &SETTINGS, START_MS, 0);
        assert_eq!((probed.reason(), probed.backoff_step()), (reason, 1), "it still fails");
    }
    let names = [Reason::Failures, Reason::FailuresPerSecond, Reason::Rate].map(Reason::name);
    assert_eq!(names, ["failures", "failures-per-second", "failure-rate"]);
}

#[test]
fn what_a_tool_reads_of_a_word_fits_its_state() {
    let mut word = Word(0);
    assert!(word.is_calm() && word.is_normal() && !word.is_shielded());
    for failures in 1..=LIMIT / POUR {
        word = word.failed(false, &SETTINGS, START_MS, 0);
        assert_eq!(word.level(), failures * POUR);
        assert!(!word.is_calm() && word.is_normal() && !word.is_shielded());
    }
    word = word.failed(false, &SETTINGS, START_MS, 0);
    assert!(word.level() > LIMIT && word.is_shielded() && !word.is_normal() && !word.is_calm());
    word = word.probed(&SETTINGS, START_MS);
    assert!(word.is_shielded());
    word = word.succeeded(true, &SETTINGS, START_MS);
    assert!(!word.is_shielded() && !word.is_normal() && !word.is_calm());
}

#[test]
fn settings_outside_their_range_are_refused() {
    let hour_ms = Settings::MAX_MS;
    let cases = [
        (SETTINGS, true),
        (Settings { backoff_min_ms: 1, backoff_max_ms: 1, probe_lease_ms: 1, ramp_ms: 0, memory_ms: 0 }, true),
        (Settings { backoff_min_ms: hour_ms, backoff_max_ms: hour_ms, ..SETTINGS }, true),
        (Settings { backoff_min_ms: 0, ..SETTINGS }, false),
        (Settings { backoff_min_ms: SETTINGS.backoff_max_ms + 1, ..SETTINGS }, false),
        (Settings { backoff_max_ms: hour_ms + 1, ..SETTINGS }, false),
        (Settings { probe_lease_ms: 0, ..SETTINGS }, false),
        (Settings { probe_lease_ms: hour_ms + 1, ..SETTINGS }, false),
        (Settings { ramp_ms: hour_ms + 1, ..SETTINGS }, false),
        (Settings { memory_ms: hour_ms + 1, ..SETTINGS }, false),
    ];
    for (settings, valid) in cases {
        assert_eq!(settings.is_valid(), valid, "{settings:?}");
    }
}
