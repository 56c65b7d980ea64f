//! Further attempts: never at an endpoint that was tried, not too many, not too late, and within the budget.

use mcrpc_core::admission::{Key, Mode};
use mcrpc_core::host::control::{Mechanism, Setting};
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, MAX_ATTEMPTS, Settings};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use proptest::prelude::*;

use super::{AUTHOR, Segments, TARGET, TOOK_NS, Words, at, call, create, percent, set_words, spec};

/// Tokens in plenty.
const FREE: BudgetSettings = BudgetSettings { ratio: Per10k::ALL, burst: u16::MAX };

fn free(max_attempts: u8) -> Settings {
    Settings { max_attempts, retries: FREE, backups: FREE, ..Settings::DEFAULT }
}

/// A set of so many endpoints, in this memory.
fn set_of<'a>(memory: &'a Words, count: usize, settings: &Settings) -> EndpointSet<'a> {
    let set = create(memory, settings);
    set.replace(count, &spec, &[], &HostView::default()).unwrap();
    set
}

/// All attempts of a call of which each fails by a code of its own, and why there is no further one.
fn attempts(set: &EndpointSet<'_>, call: &mut Call, attempt: Attempt) -> (Vec<u32>, Status) {
    let mut tried = vec![];
    loop {
        match set.select(call, attempt, &HostView::default(), at(0)) {
            Ok(choice) => tried.push(choice.index),
            Err(status) => return (tried, status),
        }
    }
}

#[test]
fn each_attempt_is_at_another_endpoint() {
    for count in 1..=10 {
        for max_attempts in 1..=MAX_ATTEMPTS as u8 {
            let settings = free(max_attempts);
            let memory = set_words(&settings);
            let set = set_of(&memory, count, &settings);
            for kind in [Attempt::Next, Attempt::Backup] {
                for uin in 1..20 {
                    let (mut tried, status) = attempts(&set, &mut call(uin), kind);
                    let wanted = count.min(max_attempts.into());
                    assert_eq!(tried.len(), wanted, "{kind:?} of {max_attempts} among {count}");
                    let reason = if wanted == usize::from(max_attempts) {
                        Status::ATTEMPTS_EXHAUSTED
                    } else {
                        Status::NO_ENDPOINT
                    };
                    assert_eq!(status, reason, "{kind:?} of {max_attempts} among {count}");
                    tried.sort_unstable();
                    tried.dedup();
                    assert_eq!(tried.len(), wanted, "none twice");
                }
            }
        }
    }
}

fn call_until(deadline: Nanos) -> Call {
    Call::new(Uin(1), 1, Key(5), TARGET, deadline)
}

#[test]
fn behind_the_deadline_only_a_first_attempt_is_made() {
    let settings = free(4);
    let memory = set_words(&settings);
    let set = set_of(&memory, 3, &settings);
    let select = |call: &mut Call, kind, ms| set.select(call, kind, &HostView::default(), at(ms)).map(|_| ());
    for kind in [Attempt::Next, Attempt::Backup] {
        let mut call = call_until(at(100));
        assert_eq!(select(&mut call, Attempt::Next, 99), Ok(()));
        assert_eq!(select(&mut call, kind, 99), Ok(()));
        assert_eq!(select(&mut call, kind, 100), Err(Status::OUT_OF_TIME));
    }
    assert_eq!(set.decisions(Decision::OutOfTime), 2);
    assert_eq!(select(&mut call_until(at(0)), Attempt::Next, 5), Ok(()), "its caller may still wait");
}

/// A call that has failed once is not risked at an endpoint of which nobody knows whether it works again.
#[test]
fn a_retry_is_never_a_probe() {
    let settings = free(4);
    let memory = set_words(&settings);
    let (set, host) = (set_of(&memory, 2, &settings), HostView::default());
    let users =
        |index| (1..).find(|&uin| set.select(&mut call(uin), Attempt::Next, &host, at(0)).unwrap().index == index);
    let [of_failing, of_other] = [0, 1].map(|index| users(index).unwrap());
    for _ in 0..6 {
        let choice = set.select(&mut call(of_failing), Attempt::Next, &host, at(0)).unwrap();
        set.report(&choice, Outcome::Failed, TOOK_NS, &host, at(0));
    }
    for kind in [Attempt::Next, Attempt::Backup] {
        let mut call = call(of_other);
        assert_eq!(set.select(&mut call, Attempt::Next, &host, at(1_000)).unwrap().index, 1);
        assert_eq!(set.select(&mut call, kind, &host, at(1_000)).err(), Some(Status::BUCKET_FULL), "{kind:?}");
    }
    let probe = set.select(&mut call(of_failing), Attempt::Next, &host, at(1_000)).unwrap();
    assert_eq!((probe.index, probe.is_probe), (0, true), "the next first attempt is one");
}

/// Two retries are saved, and a tenth of the calls brings one more; backups have their own.
#[test]
fn retries_and_backups_have_their_own_tokens() {
    let budget = BudgetSettings { ratio: percent(10), burst: 2 };
    let settings = Settings { retries: budget, backups: BudgetSettings { burst: 1, ..budget }, ..Settings::DEFAULT };
    let memory = set_words(&settings);
    let set = set_of(&memory, 8, &settings);
    let host = HostView::default();
    let again = |kind| {
        let mut call = call(1);
        call.attempts = 1;
        set.select(&mut call, kind, &host, at(0)).map(|_| ())
    };
    let refused = Err(Status::BUDGET_EXHAUSTED);
    assert_eq!([(); 3].map(|()| again(Attempt::Next)), [Ok(()), Ok(()), refused]);
    assert_eq!([(); 2].map(|()| again(Attempt::Backup)), [Ok(()), refused]);
    for uin in 1..=10 {
        assert_eq!(again(Attempt::Next), refused, "after {} calls", uin - 1);
        set.select(&mut call(uin), Attempt::Next, &host, at(0)).unwrap();
    }
    assert_eq!([(); 2].map(|()| again(Attempt::Next)), [Ok(()), refused]);
    assert_eq!([(); 2].map(|()| again(Attempt::Backup)), [Ok(()), refused]);
    assert_eq!((set.decisions(Decision::Retry), set.decisions(Decision::Backup)), (3, 2));
}

/// What is not made costs nothing: a retry for which there is no endpoint leaves its token.
#[test]
fn an_attempt_that_is_refused_costs_no_token() {
    let settings = Settings { retries: BudgetSettings { ratio: Per10k::NONE, burst: 1 }, ..Settings::DEFAULT };
    let memory = set_words(&settings);
    let set = set_of(&memory, 1, &settings);
    let (tried, status) = attempts(&set, &mut call(1), Attempt::Next);
    assert_eq!((tried.len(), status), (1, Status::NO_ENDPOINT));
    set.replace(2, &spec, &[], &HostView::default()).unwrap();
    let (tried, status) = attempts(&set, &mut call(1), Attempt::Next);
    assert_eq!((tried.len(), status), (2, Status::BUDGET_EXHAUSTED));
}

/// Given a budget that the operator has off or only observed, then retries are made, and each one is counted once that would
/// have been refused.
#[test]
fn a_budget_that_is_observed_refuses_nothing_and_counts_what_it_would() {
    let settings = Settings { retries: BudgetSettings { ratio: Per10k::NONE, burst: 3 }, ..Settings::DEFAULT };
    for (mode, counted) in [(Mode::Observe, 7), (Mode::Off, 0)] {
        let (memory, segments) = (set_words(&settings), Segments::new(&[]));
        let (set, host) = (create(&memory, &settings), segments.attach());
        set.replace(3, &spec, &[], &host.view()).unwrap();
        let setting = Some(Setting { mode, share: Per10k::ALL });
        host.operator.set_mechanism(Mechanism::RetryBudget, setting, AUTHOR);
        for uin in 1..=10 {
            let mut call = call(uin);
            for _ in 0..2 {
                set.select(&mut call, Attempt::Next, &host.view(), at(0)).unwrap();
            }
        }
        assert_eq!(set.decisions(Decision::ObservedBudget), counted, "{mode:?}");
        assert_eq!(set.decisions(Decision::BudgetExhausted), 0, "{mode:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever calls meet, and in whatever order they are retried: no more than a share of the first attempts, and what was
    /// saved.
    #[test]
    fn further_attempts_stay_within_their_budgets(
        (ratio, burst) in (0u16..=10_000, 0u16..20),
        steps in prop::collection::vec((0usize..6, 0u8..3, 0usize..4), 1..400),
    ) {
        let budget = |ratio| BudgetSettings { ratio: Per10k::new(ratio).unwrap(), burst };
        let settings = Settings { retries: budget(ratio), backups: budget(ratio / 2), ..Settings::DEFAULT };
        let memory = set_words(&settings);
        let set = set_of(&memory, 5, &settings);
        let host = HostView::default();
        let mut calls: Vec<Call> = (1..=6).map(call).collect();
        let mut made = [0u64; 3];
        for (index, (which, step, outcome)) in steps.into_iter().enumerate() {
            let now = at(index as u64 * 10);
            let kind = if step == 2 { Attempt::Backup } else { Attempt::Next };
            if step == 0 {
                calls[which] = call(1 + index as u64);
            }
            let kind_made = match kind {
                _ if calls[which].attempts == 0 => 0,
                Attempt::Next => 1,
                Attempt::Backup => 2,
            };
            if let Ok(choice) = set.select(&mut calls[which], kind, &host, now) {
                made[kind_made] += 1;
                set.report(&choice, Outcome::ALL[outcome], TOOK_NS, &host, now);
            }
            let [first, retries, backups] = made;
            let within = |further: u64, ratio: u16| further * 10_000 <= first * u64::from(ratio) + u64::from(burst) * 10_000;
            prop_assert!(within(retries, ratio), "{made:?}");
            prop_assert!(within(backups, ratio / 2), "{made:?}");
            prop_assert_eq!(set.decisions(Decision::Retry), retries);
            prop_assert_eq!(set.decisions(Decision::Backup), backups);
        }
    }
}
