//! Whatever holds endpoints back: none is chosen that must not be, and one is found if there is one.

use mcrpc_core::admission::{Cursor, Key, Mode};
use mcrpc_core::host::control::{Mechanism, Setting};
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{BudgetSettings, GroupRule, MAX_ATTEMPTS, Scope, Settings, Spec, ZoneStrategy};
use mcrpc_core::shield::breaker::State;
use mcrpc_core::shield::health::wrapping_ms;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use proptest::prelude::*;

use super::{AUTHOR, Segments, TARGET, TOOK_NS, at, create, endpoint, set_words, spec};

const FREE: BudgetSettings = BudgetSettings { ratio: Per10k::ALL, burst: u16::MAX };
const GROUP: u16 = 7;
/// Users below this belong to the group.
const GROUP_USERS: u64 = 50;
const MECHANISMS: [Mechanism; 3] = [Mechanism::Shield, Mechanism::PassRate, Mechanism::FastReject];

/// What is said of one endpoint.
#[derive(Clone, Debug)]
struct Said {
    region: u16,
    zone: u16,
    weight: u16,
    group: u16,
    by_operator: bool,
    entry: Option<Entry>,
    /// How many of ten calls fail.
    failing: u64,
}

#[derive(Clone, Debug)]
struct Scene {
    settings: Settings,
    endpoints: Vec<Said>,
    has_rule: bool,
    is_killed: bool,
    modes: [Option<Mode>; 3],
    /// User, key, time since the last one, a number that decides the rest.
    calls: Vec<(u64, u32, u64, u64)>,
}

fn entries() -> impl Strategy<Value = Option<Entry>> {
    let kinds = prop::sample::select(vec![Kind::Normal, Kind::Probe, Kind::Shielded]);
    let level = prop_oneof![2 => Just(0u16), 1 => 0u16..4096];
    let entry = (0u16..=10_000, kinds, level).prop_map(|(rate, kind, level)| Entry {
        pass_rate: Per10k::new(rate).unwrap(),
        kind,
        reject_level: RejectLevel::new(level).unwrap(),
    });
    prop_oneof![2 => Just(None), 1 => entry.prop_map(Some)]
}

fn said() -> impl Strategy<Value = Said> {
    let weight = prop::sample::select(vec![0u16, 1, 50, 100, 100]);
    let failing = prop::sample::select(vec![0u64, 0, 5, 10]);
    let group = prop::sample::select(vec![0, 0, GROUP]);
    (0u16..2, 0u16..2, weight, group, prop::bool::weighted(0.2), entries(), failing).prop_map(
        |(region, zone, weight, group, by_operator, entry, failing)| Said {
            region,
            zone,
            weight,
            group,
            by_operator,
            entry,
            failing,
        },
    )
}

fn scenes() -> impl Strategy<Value = Scene> {
    let modes = prop::sample::select(vec![None, None, Some(Mode::Off), Some(Mode::Observe), Some(Mode::Enforce)]);
    let calls = prop::collection::vec((0u64..100, 0u32..1 << 29, 0u64..400, any::<u64>()), 1..80);
    (
        (prop::sample::select(ZoneStrategy::ALL.to_vec()), any::<bool>(), 0u16..=10_000),
        prop::collection::vec(said(), 1..10),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::array::uniform3(modes),
        calls,
    )
        .prop_map(|((zone_strategy, shared, max_shielded), endpoints, has_rule, is_killed, modes, calls)| Scene {
            settings: Settings {
                capacity: 16,
                zone_strategy,
                scope: if shared { Scope::Host } else { Scope::Process },
                max_shielded: Per10k::new(max_shielded).unwrap(),
                max_attempts: MAX_ATTEMPTS as u8,
                retries: FREE,
                backups: FREE,
                ..Settings::DEFAULT
            },
            endpoints,
            has_rule,
            is_killed,
            modes,
            calls,
        })
}

impl Scene {
    fn is_enforced(&self, mechanism: Mechanism) -> bool {
        let mode = MECHANISMS.iter().zip(self.modes).find(|&(&of, _)| of == mechanism).and_then(|(_, mode)| mode);
        !self.is_killed && mode.is_none_or(|mode| mode == Mode::Enforce)
    }

    fn is_in_reach(&self, said: &Said, uin: Uin) -> bool {
        let in_zones = match self.settings.zone_strategy {
            ZoneStrategy::Anywhere => true,
            ZoneStrategy::ZoneFirst | ZoneStrategy::Region | ZoneStrategy::OneZoneByHash => said.region == 0,
            ZoneStrategy::ZoneOnly => said.region == 0 && said.zone == 0,
        };
        let is_in_group = said.group == 0 || self.has_rule && uin.0 < GROUP_USERS;
        in_zones && is_in_group && said.weight != 0
    }

    /// Whether it may be chosen at all, whatever its breaker says.
    fn may_be_called<'a>(
        &self,
        set: &EndpointSet<'a>,
        host: &HostView<'_, 'a>,
        index: usize,
        (call, tried): (&Call, &[usize]),
        now: Nanos,
    ) -> bool {
        let said = &self.endpoints[index];
        let is_shielded = said.by_operator || said.entry.is_some_and(|entry| entry.kind == Kind::Shielded);
        let level = said.entry.map_or(Cursor::OPEN, |entry| entry.reject_level.cursor());
        let cursor = set.health(index, host).unwrap().cursor(now).min(level);
        self.is_in_reach(said, call.uin)
            && !tried.contains(&index)
            && !(is_shielded && self.is_enforced(Mechanism::Shield))
            && (cursor.admits(call.key) || !self.is_enforced(Mechanism::FastReject))
    }

    /// Whether its breaker does not speak against it either.
    fn is_open<'a>(
        &self,
        set: &EndpointSet<'a>,
        host: &HostView<'_, 'a>,
        index: usize,
        is_first: bool,
        now: Nanos,
    ) -> bool {
        let word = set.health(index, host).unwrap().breaker();
        match word.state(&self.settings.rules.breaker, wrapping_ms(now)) {
            State::Normal | State::Recovering { .. } => true,
            State::Due => is_first || !self.is_enforced(Mechanism::Shield),
            State::Shielded { .. } | State::Probing => !self.is_enforced(Mechanism::Shield),
        }
    }

    fn play(&self) -> Result<(), TestCaseError> {
        let entries: Vec<_> =
            (0..).zip(&self.endpoints).filter_map(|(n, said)| Some((endpoint(n), said.entry?))).collect();
        let (memory, segments) = (set_words(&self.settings), Segments::new(&entries));
        let (set, host) = (create(&memory, &self.settings), segments.attach());
        let spec = |n: usize| {
            let &Said { region, zone, weight, group, .. } = &self.endpoints[n];
            Spec { region, zone, weight, group, ..spec(n) }
        };
        let rules = [GroupRule { group: GROUP, share: Per10k::ALL, first: Uin(0), last: Uin(GROUP_USERS - 1) }];
        set.replace(self.endpoints.len(), &spec, if self.has_rule { &rules } else { &[] }, &host.view()).unwrap();
        for (n, _) in self.endpoints.iter().enumerate().filter(|(_, said)| said.by_operator) {
            host.operator.shield(&endpoint(n), None, at(0), AUTHOR).unwrap();
        }
        for (mechanism, mode) in MECHANISMS.into_iter().zip(self.modes) {
            let setting = mode.map(|mode| Setting { mode, share: Per10k::ALL });
            host.operator.set_mechanism(mechanism, setting, AUTHOR);
        }
        host.operator.set_killed(self.is_killed, AUTHOR);
        let mut now_ms = 0;
        for &(uin, key, gap_ms, random) in &self.calls {
            now_ms += gap_ms;
            let call = Call::new(Uin(uin), random, Key(key), TARGET, Nanos::NEVER);
            self.play_call(&set, &host.view(), call, random, at(now_ms))?;
        }
        Ok(())
    }

    fn play_call<'a>(
        &self,
        set: &EndpointSet<'a>,
        host: &HostView<'_, 'a>,
        mut call: Call,
        random: u64,
        mut now: Nanos,
    ) -> Result<(), TestCaseError> {
        let (mut tried, mut is_later) = (vec![], false);
        while tried.len() < MAX_ATTEMPTS {
            let is_first = tried.is_empty();
            let all = 0..self.endpoints.len();
            let callable: Vec<_> =
                all.filter(|&index| self.may_be_called(set, host, index, (&call, &tried), now)).collect();
            let open: Vec<_> =
                callable.iter().copied().filter(|&index| self.is_open(set, host, index, is_first, now)).collect();
            let kind = if random >> 40 & 3 == 0 && !is_first { Attempt::Backup } else { Attempt::Next };
            let choice = match set.select(&mut call, kind, host, now) {
                Ok(choice) => choice,
                // What the most willing endpoint admits may have been counted 20 ms ago.
                Err(Status::WITHHELD) if !open.is_empty() && !is_later => {
                    (now, is_later) = (now.plus(20 * NANOS_PER_MILLI), true);
                    continue;
                }
                Err(status) => {
                    prop_assert!(open.is_empty(), "{status:?}, but {open:?} are open; tried: {tried:?}");
                    let reasons = [Status::NO_ENDPOINT, Status::SHIELDED, Status::BUCKET_FULL, Status::WITHHELD];
                    prop_assert!(reasons.contains(&status), "{status:?}");
                    return Ok(());
                }
            };
            let index = choice.index as usize;
            prop_assert!(callable.contains(&index), "{index} of {callable:?}; tried: {tried:?}");
            prop_assert_eq!(choice.endpoint, endpoint(index));
            tried.push(index);
            if random >> 20 & 7 == 0 {
                set.heard(&choice, Cursor(random as u32 >> 3), (random >> 32) as u32 % 1_000, host, now);
            }
            let fails = random.rotate_left(tried.len() as u32 * 7) % 10 < self.endpoints[index].failing;
            let outcome = match random >> 50 & 7 {
                _ if fails => Outcome::Failed,
                0 => Outcome::Overloaded,
                1 => Outcome::Logic,
                _ => Outcome::Ok,
            };
            set.report(&choice, outcome, TOOK_NS, host, now);
            if outcome == Outcome::Ok {
                return Ok(());
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 128 } else { 4_000 }))]

    #[test]
    fn no_endpoint_is_chosen_that_must_not_be_and_one_is_found_if_there_is_one(scene in scenes()) {
        scene.play()?;
    }
}
