//! What a caller wants of a set: its endpoints, where it stands itself, and its limits.

use crate::id::{Per10k, Uin};
use crate::shield::breaker;
use crate::shield::health::Rules;
use crate::status::Status;
use crate::strategy::endpoint::Endpoint;

/// The most endpoints of a set.
pub const MAX_ENDPOINTS: u32 = 1024;
/// The largest weight.
pub const MAX_WEIGHT: u16 = 10_000;
/// The most attempts of a call.
pub const MAX_ATTEMPTS: usize = 8;
/// The most rules that send users to groups.
pub const MAX_GROUP_RULES: usize = 8;

/// One endpoint of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Where it listens.
    pub endpoint: Endpoint,
    /// Its share of the users compared with the others; 0 takes none.
    pub weight: u16,
    /// Its region; 0 if there is only one.
    pub region: u16,
    /// Its zone (IDC) within the region.
    pub zone: u16,
    /// Its group: 0 is for everybody, others are for the users whom a rule sends there.
    pub group: u16,
    /// The caller's own: comes back with each choice.
    pub user_data: u64,
}

/// Sends users to the endpoints of a group, as long as the rule stands (SPEC K6: grey release).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Where to.
    pub group: u16,
    /// Which share of the users in the range.
    pub share: Per10k,
    /// The first user of the range.
    pub first: Uin,
    /// The last one.
    pub last: Uin,
}

/// Which endpoints a caller uses, by where it stands itself (SPEC B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ZoneStrategy {
    /// All of them.
    Anywhere = 0,
    /// Those in its own zone; when there are none, or too many of them are shielded, those in its region.
    ZoneFirst = 1,
    /// Those in its region.
    Region = 2,
    /// Those in its own zone, and no others.
    ZoneOnly = 3,
    /// Those of one zone of its region, which follows from the user.
    OneZoneByHash = 4,
}

impl ZoneStrategy {
    /// All of them, in the order of their numbers.
    pub const ALL: [ZoneStrategy; 5] = [
        ZoneStrategy::Anywhere,
        ZoneStrategy::ZoneFirst,
        ZoneStrategy::Region,
        ZoneStrategy::ZoneOnly,
        ZoneStrategy::OneZoneByHash,
    ];

    /// The strategy with this number.
    pub fn from_number(number: u32) -> Option<ZoneStrategy> {
        ZoneStrategy::ALL.get(number as usize).copied()
    }
}

/// Who shares what is known of the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Scope {
    /// All processes of the host, if its segment is there; else as [`Process`](Scope::Process).
    Host = 0,
    /// Those that use this set's memory.
    Process = 1,
}

impl Scope {
    /// The scope with this number.
    pub fn from_number(number: u32) -> Option<Scope> {
        [Scope::Host, Scope::Process].get(number as usize).copied()
    }
}

/// A budget: every first attempt brings a part of a token, another attempt takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Further attempts over first ones, in the long run.
    pub ratio: Per10k,
    /// So many tokens are there at first, and are saved at most.
    pub burst: u16,
}

/// The settings of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Room for so many endpoints.
    pub capacity: u32,
    /// Who shares what is known of the endpoints.
    pub scope: Scope,
    /// How failures count.
    pub rules: Rules,
    /// At most this share of the endpoints is shielded; beyond it, those with the lightest faults are called.
    pub max_shielded: Per10k,
    /// Which endpoints are used.
    pub zone_strategy: ZoneStrategy,
    /// The caller's region.
    pub region: u16,
    /// The caller's zone.
    pub zone: u16,
    /// Attempts of a call, the first one included.
    pub max_attempts: u8,
    /// The budget of retries.
    pub retries: BudgetSettings,
    /// The budget of backup requests.
    pub backups: BudgetSettings,
    /// The key of the ring: callers with the same one choose the same endpoints for a user.
    pub ring_seed: u64,
}

impl Settings {
    /// Three retries (SPEC S5), at most half of the endpoints shielded. Of any five hundred calls no more than a tenth is tried
    /// again, what was saved included; and what is saved is enough to find a dead endpoint out without losing a call.
    pub const DEFAULT: Settings = Settings {
        capacity: 128,
        scope: Scope::Host,
        rules: Rules { breaker: breaker::Settings::DEFAULT, leak: None },
        max_shielded: per_10k(5_000),
        zone_strategy: ZoneStrategy::Anywhere,
        region: 0,
        zone: 0,
        max_attempts: 4,
        retries: BudgetSettings { ratio: per_10k(800), burst: 10 },
        backups: BudgetSettings { ratio: per_10k(400), burst: 5 },
        ring_seed: 0,
    };

    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`].
    pub fn validate(&self) -> Result<(), Status> {
        self.rules.leak.map_or(Ok(()), |leak| leak.validate())?;
        let valid = (1..=MAX_ENDPOINTS).contains(&self.capacity)
            && (1..=MAX_ATTEMPTS).contains(&usize::from(self.max_attempts))
            && self.rules.breaker.is_valid();
        if valid { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }
    }
}

const fn per_10k(ratio: u16) -> Per10k {
    match Per10k::new(ratio) {
        Some(ratio) => ratio,
        None => Per10k::ALL,
    }
}
