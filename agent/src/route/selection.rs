//! A route as the core's sets take it: endpoints, rules of groups, settings.

use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::settings::{BudgetSettings, GroupRule, Scope, Settings, Spec};
use mcrpc_core::shield::health::Rules;
use mcrpc_core::shield::leak::Leak;

use super::client_file::{ClientSettings, Shield};
use super::group_rule;
use super::load::Route;

impl Route {
    /// The settings of a set for this route, with room for `capacity` endpoints. A change of them takes a new set.
    pub fn set_settings(&self, capacity: u32) -> Settings {
        let ClientSettings { retry, shield, zone, .. } = &self.client;
        let budget = |ratio, default: BudgetSettings| BudgetSettings { ratio, ..default };
        Settings {
            capacity,
            scope: scope(shield),
            rules: Rules { leak: leak(shield), ..Settings::DEFAULT.rules },
            max_shielded: Per10k::new(u16::from(shield.max_shielded_percent) * 100).unwrap_or(Per10k::ALL),
            zone_strategy: zone.strategy,
            region: zone.region.get(),
            zone: zone.zone.get(),
            max_attempts: retry.max_attempts,
            retries: budget(retry.budget, Settings::DEFAULT.retries),
            backups: budget(retry.backup, Settings::DEFAULT.backups),
            ..Settings::DEFAULT
        }
    }

    /// Its servers. Their `user_data` is their number in [`Route::servers`].
    pub fn specs(&self) -> Vec<Spec> {
        (0..)
            .zip(&self.servers)
            .map(|(number, server)| Spec {
                endpoint: server.endpoint,
                weight: server.weight,
                region: server.region.get(),
                zone: server.zone.get(),
                group: server.group.get(),
                user_data: number,
            })
            .collect()
    }

    /// Its rules: at most [`mcrpc_core::select::settings::MAX_GROUP_RULES`].
    pub fn group_rules(&self) -> Vec<GroupRule> {
        self.client.groups.iter().flat_map(rules_of).collect()
    }
}

/// The users of a rule first, in ranges, then its share.
pub(super) fn rules_of(rule: &group_rule::GroupRule) -> impl Iterator<Item = GroupRule> {
    let group = rule.group.get();
    let mut ranges: Vec<(Uin, Uin)> = Vec::new();
    for &uin in &rule.users {
        match ranges.last_mut() {
            Some((_, last)) if last.0 + 1 == uin.0 => *last = uin,
            _ => ranges.push((uin, uin)),
        }
    }
    let share = GroupRule { group, share: rule.share, first: Uin(0), last: Uin(u64::MAX) };
    let users = ranges.into_iter().map(move |(first, last)| GroupRule { group, share: Per10k::ALL, first, last });
    users.chain((rule.share != Per10k::NONE).then_some(share))
}

/// A bucket of the process alone is what `FailCount` without `NewFailCount` and `UseMMLB` asks for.
fn scope(shield: &Shield) -> Scope {
    let is_own = shield.fail_count > 0 && shield.new_fail_count == 0 && !shield.use_mmlb;
    if is_own { Scope::Process } else { Scope::Host }
}

fn leak(shield: &Shield) -> Option<Leak> {
    Leak::of_count(if shield.new_fail_count > 0 { shield.new_fail_count } else { shield.fail_count })
}
