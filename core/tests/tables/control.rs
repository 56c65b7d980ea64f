use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;

use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{
    self, Author, Control, LIST_LEN, Mechanism, Note, Operator, SEGMENT_LEN, Setting, Target,
};
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::{at, endpoint, len_of, memory, overwrite};

const AUTHOR: Author = Author { uid: 1000, at_s: 1_700_000_000 };
const TARGET: Target = Target { service_id: 7, method_id: 3 };

fn segment() -> Vec<AtomicU64> {
    let words = memory(SEGMENT_LEN);
    control::create(Shared::new(&words), 1, 2, Salt(3)).unwrap();
    words
}

fn control(words: &[AtomicU64]) -> Control<'_> {
    Control::attach(View::new(words), len_of(words)).unwrap()
}

fn operator(words: &[AtomicU64]) -> Operator<'_> {
    Operator::attach(Shared::new(words), len_of(words)).unwrap()
}

fn ratio(per_10k: u16) -> Per10k {
    Per10k::new(per_10k).unwrap()
}

/// Of ten thousand users those for whom something holds.
fn users(holds: impl Fn(Uin) -> bool) -> BTreeSet<u64> {
    (1..=10_000).filter(|&uin| holds(Uin(uin))).collect()
}

#[test]
fn nothing_is_said_at_first() {
    let words = segment();
    let control = control(&words);
    assert!(!control.is_killed());
    assert!(Mechanism::ALL.iter().all(|&mechanism| control.mode_for(mechanism, Uin(1)).is_none()));
    assert!(!control.is_shielded(&endpoint(1), at(1.0)));
    assert!(!control.is_skipped(TARGET, Uin(1)));
    assert!(!control.has_dyes() && !control.is_dyed(Uin(1), at(1.0)));
    assert_eq!((control.salt(), control.rotation(), control.changes()), (Salt(3), 0, 0));
    assert_eq!((control.shields().count(), control.skips().count(), control.dyes().count()), (0, 0, 0));
    let short = memory(SEGMENT_LEN - 8);
    assert_eq!(control::create(Shared::new(&short), 1, 2, Salt(3)), Err(Status::TOO_SMALL));
}

/// When the kill switch is on, then every mechanism is off, whatever was said of it; and back when it is off again.
#[test]
fn the_kill_switch_overrides_everything() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    let enforce = Setting { mode: Mode::Enforce, share: Per10k::ALL };
    operator.set_mechanism(Mechanism::Skip, Some(enforce), AUTHOR);
    assert!(operator.set_killed(true, AUTHOR));
    assert!(!operator.set_killed(true, AUTHOR), "it was on");
    assert_eq!(operator.control().kill_author(), Some(AUTHOR));
    assert_eq!(operator.control().setting_author(Mechanism::Skip), Some(AUTHOR));
    assert_eq!(operator.control().setting_author(Mechanism::Shield), None);
    for mechanism in Mechanism::ALL {
        assert_eq!(control.mode_for(mechanism, Uin(1)), Some(Mode::Off));
    }
    assert_eq!(control.setting(Mechanism::Skip), Some(enforce), "it is kept");
    assert!(operator.set_killed(false, AUTHOR));
    assert_eq!(control.mode_for(Mechanism::Skip, Uin(1)), Some(Mode::Enforce));
    assert_eq!(control.mode_for(Mechanism::Shield, Uin(1)), None);
    assert_eq!(control.changes(), 4);
}

/// Every mode with every share; the users outside the share of an enforced mechanism are observed.
#[test]
fn a_mechanism_works_for_a_share_of_the_users() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    for mechanism in Mechanism::ALL {
        let mut before = BTreeSet::new();
        for share in [0, 1, 1_000, 5_000, 9_999, 10_000] {
            for mode in [Mode::Off, Mode::Observe, Mode::Enforce] {
                let setting = Setting { mode, share: ratio(share) };
                operator.set_mechanism(mechanism, Some(setting), AUTHOR);
                assert_eq!(control.setting(mechanism), Some(setting));
                let hit = users(|uin| control.mode_for(mechanism, uin) == Some(mode));
                if mode != Mode::Enforce {
                    assert_eq!(hit.len(), 10_000, "nobody is left out of {mode:?}");
                    continue;
                }
                assert!(hit.is_superset(&before), "a larger share only adds users");
                assert!(hit.len().abs_diff(share.into()) <= 200, "{} of {share}", hit.len());
                let observed = users(|uin| control.mode_for(mechanism, uin) == Some(Mode::Observe));
                assert_eq!(observed.len(), 10_000 - hit.len());
                before = hit;
            }
        }
        operator.set_mechanism(mechanism, None, AUTHOR);
        assert_eq!((control.setting(mechanism), control.mode_for(mechanism, Uin(1))), (None, None));
    }
}

#[test]
fn a_shield_or_a_dye_is_in_force_until_its_end() {
    let never = Nanos::NEVER;
    // Until when, and in whole seconds; then when it is asked for, and whether it is in force.
    let cases = [
        (None, 0, never, true),
        (Some(at(100.0)), 100, at(10.0), true),
        (Some(at(100.0)), 100, at(99.9), true),
        (Some(at(100.0)), 100, at(100.0), false),
        (Some(at(100.1)), 101, at(100.5), true),
        (Some(at(100.1)), 101, at(101.0), false),
        (Some(Nanos(0)), 1, at(1.0), false),
        (Some(never), (1 << 28) - 1, at(100_000_000.0), true),
    ];
    for (until, value, asked_at, in_force) in cases {
        let words = segment();
        let (operator, control) = (operator(&words), control(&words));
        operator.shield(&endpoint(1), until, at(10.0), AUTHOR).unwrap();
        operator.dye(Uin(5), until, at(10.0), AUTHOR).unwrap();
        assert_eq!(control.is_shielded(&endpoint(1), asked_at), in_force, "until {until:?}, at {asked_at:?}");
        assert_eq!(control.is_dyed(Uin(5), asked_at), in_force);
        assert!(!control.is_shielded(&endpoint(2), asked_at) && !control.is_dyed(Uin(6), asked_at));
        let note = Note { value, author: AUTHOR };
        assert_eq!(note.is_in_force(asked_at), in_force);
        assert_eq!(control.shields().collect::<Vec<_>>(), [(endpoint(1), note)]);
        assert_eq!(control.dyes().collect::<Vec<_>>(), [(Uin(5), note)]);
        assert!(operator.unshield(&endpoint(1)) && operator.undye(Uin(5)));
        assert!(!operator.unshield(&endpoint(1)) && !operator.undye(Uin(5)), "they were gone");
        assert!(!control.is_shielded(&endpoint(1), asked_at) && !control.is_dyed(Uin(5), asked_at));
        assert_eq!((control.shields().count(), control.dyes().count()), (0, 0));
    }
}

/// A shield that is set again has its new end, and is still one.
#[test]
fn a_shield_is_replaced_by_one_with_another_end() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    for until in [Some(at(100.0)), Some(at(50.0)), None] {
        operator.shield(&endpoint(1), until, at(10.0), AUTHOR).unwrap();
        assert_eq!(control.shields().count(), 1);
        assert_eq!(control.is_shielded(&endpoint(1), at(75.0)), until != Some(at(50.0)));
    }
}

#[test]
fn a_skip_for_a_method_stands_before_that_for_its_service() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    let service = Target { method_id: 0, ..TARGET };
    let other = Target { method_id: 4, ..TARGET };
    let skip = |target, per_10k| operator.skip(target, ratio(per_10k), at(1.0), AUTHOR).unwrap();
    let ratios = || [TARGET, other, Target { service_id: 8, ..TARGET }].map(|target| control.skip_ratio(target).get());
    skip(service, 2_000);
    assert_eq!(ratios(), [2_000, 2_000, 0]);
    skip(TARGET, 500);
    assert_eq!(ratios(), [500, 2_000, 0]);
    skip(service, 0);
    assert_eq!(ratios(), [500, 0, 0]);
    skip(service, 10_000);
    skip(TARGET, 0);
    assert_eq!(ratios(), [10_000, 10_000, 0], "the service's stands again");
    assert_eq!(control.skips().map(|(target, ratio, _)| (target, ratio)).collect::<Vec<_>>(), [(service, Per10k::ALL)]);
}

/// When a skip's ratio grows, then those who were skipped stay skipped; with another rotation or salt others are.
#[test]
fn a_skip_hits_the_same_users_until_the_rotation_changes() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    let skipped = |per_10k| {
        operator.skip(TARGET, ratio(per_10k), at(1.0), AUTHOR).unwrap();
        users(|uin| control.is_skipped(TARGET, uin))
    };
    let mut before = BTreeSet::new();
    for per_10k in [0, 1, 100, 1_000, 5_000, 10_000] {
        let now = skipped(per_10k);
        assert!(now.is_superset(&before) && now.len().abs_diff(per_10k.into()) <= 200, "{} of {per_10k}", now.len());
        before = now;
    }
    let tenth = skipped(1_000);
    assert_eq!(skipped(1_000), tenth);
    operator.set_rotation(1);
    let rotated = skipped(1_000);
    operator.set_salt(Salt(4));
    let salted = skipped(1_000);
    for others in [&rotated, &salted] {
        // A tenth of a tenth is hit again by chance.
        assert!(others.intersection(&tenth).count() < 200);
    }
    assert_eq!((control.rotation(), control.salt()), (1, Salt(4)));
    operator.set_rotation(0);
    operator.set_salt(Salt(3));
    assert_eq!(skipped(1_000), tenth);
}

/// Given a list without room, when another shield comes, then it is refused and the others stand; when they have come
/// to their end, there is room again.
#[test]
fn a_full_list_refuses_newcomers_until_shields_expire() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    let shield = |n, until, now| operator.shield(&endpoint(n), Some(at(until)), at(now), AUTHOR);
    let (taken, refused): (Vec<u64>, Vec<u64>) = (0..1_000).partition(|&n| shield(n, 100.0, 1.0).is_ok());
    assert!(taken.len() > LIST_LEN * 9 / 10 && taken.len() <= LIST_LEN, "{} of {LIST_LEN}", taken.len());
    assert!(refused.iter().all(|&n| shield(n, 100.0, 1.0) == Err(Status::TABLE_FULL)));
    assert!(taken.iter().all(|&n| control.is_shielded(&endpoint(n), at(99.0))));
    assert!(refused.iter().all(|&n| !control.is_shielded(&endpoint(n), at(99.0))));
    assert_eq!(control.shields().count(), taken.len());
    let late: Vec<u64> = refused.into_iter().take(100).filter(|&n| shield(n, 200.0, 100.0).is_ok()).collect();
    assert!(late.len() > 90, "{} of 100", late.len());
    assert!(late.iter().all(|&n| control.is_shielded(&endpoint(n), at(150.0))));
    assert!(taken.iter().all(|&n| !control.is_shielded(&endpoint(n), at(150.0))));
    assert!(late.iter().all(|&n| operator.unshield(&endpoint(n))));
    let left = taken.iter().filter(|&&n| operator.unshield(&endpoint(n))).count();
    assert!(left >= taken.len() - late.len(), "each late one stands in one place");
    assert_eq!(control.shields().count(), 0);
}

/// Skips have no end: a full list of them stays full until one is taken out.
#[test]
fn a_list_of_skips_has_room_only_when_one_is_ended() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    let target = |n| Target { service_id: n, method_id: 1 };
    let skip = |n, per_10k| operator.skip(target(n), ratio(per_10k), at(1.0), AUTHOR);
    let (taken, refused): (Vec<u32>, Vec<u32>) = (0..1_000).partition(|&n| skip(n, 100).is_ok());
    assert!(refused.iter().all(|&n| skip(n, 100) == Err(Status::TABLE_FULL)));
    taken.iter().for_each(|&n| skip(n, 0).unwrap());
    assert_eq!(control.skips().count(), 0);
    assert!(refused.iter().take(256).filter(|&&n| skip(n, 100).is_ok()).count() > 240);
}

#[test]
fn the_lists_do_not_disturb_each_other() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    for n in 0..200 {
        operator.shield(&endpoint(n), None, at(1.0), AUTHOR).unwrap();
        operator.dye(Uin(n), None, at(1.0), AUTHOR).unwrap();
        operator.skip(Target { service_id: n as u32, method_id: 9 }, ratio(1), at(1.0), AUTHOR).unwrap();
    }
    assert_eq!((control.shields().count(), control.skips().count(), control.dyes().count()), (200, 200, 200));
    assert!((0..200).all(|n| operator.unshield(&endpoint(n))));
    assert_eq!((control.shields().count(), control.skips().count(), control.dyes().count()), (0, 200, 200));
    assert!(control.has_dyes() && (0..200).all(|n| control.is_dyed(Uin(n), at(1.0))));
}

#[test]
fn mechanisms_have_names_and_numbers() {
    let names = Mechanism::ALL.map(Mechanism::name);
    assert_eq!(names, ["admission", "shield", "pass-rate", "skip", "fast-reject", "retry-budget"]);
    for (number, mechanism) in (0..).zip(Mechanism::ALL) {
        assert_eq!(Mechanism::from_number(number), Some(mechanism));
    }
    assert_eq!(Mechanism::from_number(Mechanism::ALL.len() as u32), None);
}

/// Given a shield whose note was damaged, so that it seems to be of another endpoint, then it is not changed on its word.
#[test]
fn a_note_that_does_not_fit_its_entry_is_not_written_over() {
    let words = segment();
    let (operator, control) = (operator(&words), control(&words));
    operator.shield(&endpoint(1), None, at(1.0), AUTHOR).unwrap();
    let key = endpoint(1).to_words();
    let note = (0..words.len()).find(|&word| View::new(&words).load_line(word).starts_with(&key)).unwrap();
    overwrite(&words, note, key[0] ^ 1);
    assert_eq!(operator.shield(&endpoint(1), None, at(1.0), AUTHOR), Err(Status::KEY_COLLISION));
    assert!(control.is_shielded(&endpoint(1), at(1.0)), "it stands");
    assert_eq!(control.shields().count(), 0, "nobody knows whose it is");
    overwrite(&words, note, key[0]);
    assert_eq!(operator.shield(&endpoint(1), None, at(1.0), AUTHOR), Ok(()));
}
