//! The keys of the crash tests, and what may be answered for each of them.
//!
//! The value is computed from the key, so an entry that is anybody else's, or half one version and half another, is
//! seen.

use mcrpc_core::id::{Per10k, Salt};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};

/// Keys that are always present, always with the same value.
pub const STABLE: u32 = 80;
/// Keys that come, change and go.
pub const CHANGING: u32 = 4_000;
/// Values that a changing key has had.
pub const VERSIONS: u16 = 16;
/// Room in the table for this many of them at a time.
pub const CAPACITY: u32 = 320;

/// Whether a key has an entry, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Stable(u32),
    Changing(u32),
    Absent(u32),
}

impl Key {
    pub fn endpoint(self) -> Endpoint {
        let (network, number) = match self {
            Key::Stable(number) => (1, number),
            Key::Changing(number) => (2, number),
            Key::Absent(number) => (3, number),
        };
        Endpoint { address: network << 64 | u128::from(number), port: 8_080, service_id: 7 }
    }

    /// The changing key with this endpoint.
    pub fn changing(endpoint: &Endpoint) -> Option<u32> {
        (endpoint.address >> 64 == 2).then_some(endpoint.address as u32)
    }

    /// The entry of a version of the key: every part of it follows from both.
    pub fn entry(self, version: u16) -> Entry {
        let hash = Salt(self.endpoint().address as u64).hash((self.endpoint().address >> 64) as u64);
        let kind = if hash & 1 == 0 { Kind::Normal } else { Kind::Shielded };
        Entry {
            pass_rate: Per10k::new((hash >> 8) as u16 % 9_000 + version).unwrap(),
            kind,
            reject_level: RejectLevel::new((hash >> 32) as u16 % 4_000 + version).unwrap(),
        }
    }

    pub fn judge(self, answer: Option<Entry>) -> Verdict {
        match (self, answer) {
            (Key::Stable(_), None) => Verdict::Missing,
            (Key::Stable(_), Some(entry)) if entry == self.entry(0) => Verdict::Right,
            (Key::Changing(_), Some(entry)) if (0..VERSIONS).any(|version| entry == self.entry(version)) => {
                Verdict::Right
            }
            (Key::Changing(_) | Key::Absent(_), None) => Verdict::Right,
            _ => Verdict::Wrong,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    /// A value that the key never had.
    Wrong,
    /// No value for a key that always has one.
    Missing,
}
