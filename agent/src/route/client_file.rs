//! `client/<idc>/<svc>_cli.conf`: how the programs of one IDC call a service. Every key has a default.
//!
//! ```text
//! [Timeouts]   ConnectMs, CallMs
//! [Retry]      MaxAttempts, BudgetPer10k, BackupPer10k
//! [Shield]     FailCount, NewFailCount, UseMMLB, MaxShieldedPercent
//! [Zone]       Region, Zone, Strategy
//! [Groups]     Rule0 = group=canary share=5% uin=123,456
//! ```

use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::select::settings::{MAX_GROUP_RULES, Settings, ZoneStrategy};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::time::Millis;

use super::error::{FaultList, Faults};
use super::group_rule::{self, GroupRule};
use super::ini::{self, Section};
use super::names::{NameId, Names, collision};
use super::reader::{SectionReader, check_sections, numbered};
use super::selection::rules_of;

/// How the programs of one IDC call a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long they wait.
    pub timeouts: Timeouts,
    /// How often they try.
    pub retry: Retry,
    /// When they leave an endpoint alone.
    pub shield: Shield,
    /// Where they are, and how far they go.
    pub zone: Zone,
    /// Which users go to which group; the first rule that covers a user decides. Who is covered by none goes to the
    /// servers that are in no group.
    pub groups: Vec<GroupRule>,
}

/// `[Timeouts]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection; never longer than for the call.
    pub connect: Millis,
    /// For the call with all its attempts.
    pub call: Millis,
}

/// `[Retry]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The first one counts: 1 is no retry.
    pub max_attempts: u8,
    /// Retries per first attempt.
    pub budget: Per10k,
    /// Backup requests per first attempt.
    pub backup: Per10k,
}

/// `[Shield]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shield {
    /// The limit of the per-second leaky bucket in the process, in failures; 0 = off.
    pub fail_count: u32,
    /// The same of the bucket that all processes of the host share; 0 = off.
    pub new_fail_count: u32,
    /// Whether the agent judges and probes endpoints for the whole host.
    pub use_mmlb: bool,
    /// At most so many of the endpoints are left alone at a time.
    pub max_shielded_percent: u8,
}

/// `[Zone]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone {
    /// The region of the callers.
    pub region: NameId,
    /// Their zone.
    pub zone: NameId,
    /// Which servers they call.
    pub strategy: ZoneStrategy,
}

/// Each strategy as it stands in the file.
pub(super) const STRATEGIES: [(&str, ZoneStrategy); 5] = [
    ("anywhere", ZoneStrategy::Anywhere),
    ("zone_first", ZoneStrategy::ZoneFirst),
    ("region", ZoneStrategy::Region),
    ("zone_only", ZoneStrategy::ZoneOnly),
    ("one_zone_by_hash", ZoneStrategy::OneZoneByHash),
];

/// As a strategy stands in the file.
pub fn strategy_name(strategy: ZoneStrategy) -> &'static str {
    STRATEGIES.iter().find(|(_, known)| *known == strategy).map_or("", |(name, _)| name)
}

/// The strategy that stands in a file so.
pub fn strategy_of(name: &str) -> Option<ZoneStrategy> {
    STRATEGIES.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
}

const fn needs(strategy: ZoneStrategy) -> &'static [&'static str] {
    match strategy {
        ZoneStrategy::Anywhere => &[],
        ZoneStrategy::ZoneFirst | ZoneStrategy::ZoneOnly => &["Region", "Zone"],
        ZoneStrategy::Region | ZoneStrategy::OneZoneByHash => &["Region"],
    }
}

/// A file that has no fault of its own.
#[derive(Debug)]
pub(super) struct ClientFile {
    pub settings: ClientSettings,
    pub names: Names,
    pub zone_lines: ZoneLines,
    /// Where the rules stand, in the order of `settings.groups`.
    pub rule_lines: Vec<(String, u32)>,
}

/// Where the keys of `[Zone]` stand.
#[derive(Debug)]
pub(super) struct ZoneLines {
    pub region: u32,
    pub zone: u32,
    pub strategy: u32,
}

const SECTIONS: &[&str] = &["Timeouts", "Retry", "Shield", "Zone", "Groups"];
const MAX_CALL_MS: u32 = 3_600_000;
const DEFAULT_CALL_MS: u32 = 1_000;
const DEFAULT_CONNECT_MS: u32 = 200;

/// Reads a file.
pub(super) fn parse(text: &str, mut faults: FaultList) -> Result<ClientFile, Faults> {
    let sections = ini::parse(text, &mut faults);
    check_sections(&sections, SECTIONS, &mut faults);
    let absent = Section::default();
    let of = |name: &str| sections.iter().find(|section| section.name == name).unwrap_or(&absent);
    let mut names = Names::default();
    let timeouts = timeouts(of("Timeouts"), &mut faults);
    let retry = retry(of("Retry"), &mut faults);
    let shield = shield(of("Shield"), &mut faults);
    let (zone, zone_lines) = zone(of("Zone"), &mut names, &mut faults);
    let (groups, rule_lines) = groups(of("Groups"), &mut names, &mut faults);
    let settings = ClientSettings { timeouts, retry, shield, zone, groups };
    faults.or(Some(ClientFile { settings, names, zone_lines, rule_lines }))
}

fn timeouts(section: &Section, faults: &mut FaultList) -> Timeouts {
    let mut reader = SectionReader::new(section, &["ConnectMs", "CallMs"], faults);
    let call_ms = reader.number("CallMs", "time in ms", 1..=MAX_CALL_MS).unwrap_or(DEFAULT_CALL_MS);
    let connect_ms = reader.number("ConnectMs", "time in ms", 1..=MAX_CALL_MS);
    if connect_ms.is_some_and(|connect_ms| connect_ms > call_ms) {
        reader.fault("ConnectMs", format!("is longer than CallMs, {call_ms}: expected at most that"));
    }
    let connect_ms = connect_ms.unwrap_or(DEFAULT_CONNECT_MS.min(call_ms));
    Timeouts { connect: Millis(connect_ms), call: Millis(call_ms) }
}

fn retry(section: &Section, faults: &mut FaultList) -> Retry {
    let mut reader = SectionReader::new(section, &["MaxAttempts", "BudgetPer10k", "BackupPer10k"], faults);
    let max_attempts = reader.number("MaxAttempts", "number of attempts", 1..=8).unwrap_or(4);
    let mut ratio = |key: &str, default: u16| {
        let ratio = reader.number(key, "ratio in ten-thousandths", 0..=Per10k::ALL.get()).unwrap_or(default);
        Per10k::new(ratio).unwrap_or_default()
    };
    let Settings { retries, backups, .. } = Settings::DEFAULT;
    let budget = ratio("BudgetPer10k", retries.ratio.get());
    Retry { max_attempts, budget, backup: ratio("BackupPer10k", backups.ratio.get()) }
}

fn shield(section: &Section, faults: &mut FaultList) -> Shield {
    let known = &["FailCount", "NewFailCount", "UseMMLB", "MaxShieldedPercent"];
    let mut reader = SectionReader::new(section, known, faults);
    let mut limit = |key: &str| reader.number(key, "number of failures", 0..=Leak::MAX_COUNT).unwrap_or(0);
    let (fail_count, new_fail_count) = (limit("FailCount"), limit("NewFailCount"));
    let use_mmlb = reader.number("UseMMLB", "switch", 0..=1u8) == Some(1);
    let max_shielded_percent = reader.number("MaxShieldedPercent", "percentage", 0..=100).unwrap_or(50);
    Shield { fail_count, new_fail_count, use_mmlb, max_shielded_percent }
}

fn zone(section: &Section, names: &mut Names, faults: &mut FaultList) -> (Zone, ZoneLines) {
    let mut reader = SectionReader::new(section, &["Region", "Zone", "Strategy"], faults);
    // In a set that is empty a name meets no other.
    let region = reader.name("Region", "region").and_then(|name| names.regions.add(&name).ok()).unwrap_or_default();
    let zone = reader.name("Zone", "zone").and_then(|name| names.zones.add(&name).ok()).unwrap_or_default();
    let expected = STRATEGIES.map(|(name, _)| name).join(", ");
    let strategy = reader.read("Strategy", "strategy", &format!("one of {expected}"), strategy_of);
    let strategy = strategy.unwrap_or(ZoneStrategy::Anywhere);
    for key in needs(strategy) {
        if !section.entries.iter().any(|entry| entry.key == *key) {
            let what = format!(
                "{:?} needs {key}: expected the {} of the callers",
                strategy_name(strategy),
                key.to_lowercase()
            );
            reader.fault("Strategy", what);
        }
    }
    let [region_line, zone_line, strategy_line] = ["Region", "Zone", "Strategy"].map(|key| reader.line_of(key));
    (Zone { region, zone, strategy }, ZoneLines { region: region_line, zone: zone_line, strategy: strategy_line })
}

fn groups(section: &Section, names: &mut Names, faults: &mut FaultList) -> (Vec<GroupRule>, Vec<(String, u32)>) {
    let mut reader = SectionReader::new(section, &["Rule<N>"], faults);
    let rules = section.entries.iter().filter_map(|entry| Some((numbered(&entry.key, "Rule")?, entry)));
    let mut rules: Vec<_> = rules.collect();
    rules.sort_by_key(|(number, _)| *number);
    let (mut read, mut parts) = ((Vec::new(), Vec::new()), 0);
    for (_, entry) in rules {
        let rule = group_rule::parse(&entry.value).and_then(|rule| match names.groups.add(&rule.group) {
            Ok(group) => Ok(GroupRule { group, share: rule.share, users: rule.users.into_iter().map(Uin).collect() }),
            Err(other) => Err(collision(&rule.group, other)),
        });
        match rule {
            Ok(rule) => {
                let (before, more) = (parts, rules_of(&rule).count());
                parts += more;
                if before <= MAX_GROUP_RULES && parts > MAX_GROUP_RULES {
                    reader.fault(&entry.key, format!(
                        "is one too many: expected at most {MAX_GROUP_RULES} shares and runs of consecutive user ids in all rules"
                    ));
                }
                read.0.push(rule);
                read.1.push((entry.key.clone(), entry.line));
            }
            Err(what) => reader.fault(&entry.key, what),
        }
    }
    read
}
