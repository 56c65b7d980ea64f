//! What an entry says, in 28 bits: 0-13 pass rate, 14-15 kind, 16-27 reject level.

use crate::admission::Cursor;
use crate::id::Per10k;

const KIND_SHIFT: u32 = 14;
const LEVEL_SHIFT: u32 = 16;
const RATE_MASK: u32 = (1 << KIND_SHIFT) - 1;
/// The bits of a cursor that a reject level leaves out.
const CURSOR_SHIFT: u32 = 17;
const MAX_LEVEL: u32 = 0xFFF;

/// Why an endpoint has an entry. 0 is none of them: such an entry means nothing, and the call passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Its pass rate or reject level was computed from what the host's calls met.
    Normal = 1,
    /// It is to be found out whether it works again: its pass rate says how many calls are let through for that.
    Probe = 2,
    /// An operator has shielded it.
    Shielded = 3,
}

/// By number, from 1 on. A table, since the jump that the compiler makes of a `match` cannot be predicted.
const KINDS: [Kind; 4] = [Kind::Normal, Kind::Normal, Kind::Probe, Kind::Shielded];

/// The upper bits of a server's cursor, rounded up: calls above it would be refused there. 0: all pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RejectLevel(u16);

impl RejectLevel {
    /// Nothing is refused.
    pub const OPEN: RejectLevel = RejectLevel(0);

    /// The level from which on everything that the cursor refuses is refused, and a little less: who is in doubt sends.
    pub const fn from_cursor(cursor: Cursor) -> RejectLevel {
        let level = cursor.0.div_ceil(1 << CURSOR_SHIFT);
        if level > MAX_LEVEL {
            return RejectLevel::OPEN;
        }
        RejectLevel(if level == 0 { 1 } else { level as u16 })
    }

    /// The level with this number; `None` above 4095.
    pub const fn new(number: u16) -> Option<RejectLevel> {
        if number as u32 <= MAX_LEVEL { Some(RejectLevel(number)) } else { None }
    }

    /// Its number, 0 to 4095.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The cursor that it stands for.
    pub const fn cursor(self) -> Cursor {
        if self.0 == 0 { Cursor::OPEN } else { Cursor((self.0 as u32) << CURSOR_SHIFT) }
    }
}

/// What to do with calls to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The share of the calls that may be sent.
    pub pass_rate: Per10k,
    /// Why.
    pub kind: Kind,
    /// What the endpoint would refuse.
    pub reject_level: RejectLevel,
}

impl Entry {
    /// Whether it says nothing that needs an entry.
    pub fn passes_all(&self) -> bool {
        self.pass_rate == Per10k::ALL && self.kind == Kind::Normal && self.reject_level == RejectLevel::OPEN
    }

    /// The value of a word of the table.
    pub const fn to_bits(&self) -> u32 {
        self.pass_rate.get() as u32 | (self.kind as u32) << KIND_SHIFT | (self.reject_level.get() as u32) << LEVEL_SHIFT
    }

    /// What a value says; `None`, which passes, for what no writer of this version writes.
    #[inline]
    pub const fn from_bits(bits: u32) -> Option<Entry> {
        let kind = bits >> KIND_SHIFT & 3;
        match Per10k::new((bits & RATE_MASK) as u16) {
            Some(pass_rate) if kind != 0 => {
                let reject_level = RejectLevel((bits >> LEVEL_SHIFT & MAX_LEVEL) as u16);
                Some(Entry { pass_rate, kind: KINDS[kind as usize], reject_level })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Key;

    #[test]
    fn every_value_is_an_entry_or_passes() {
        for bits in (0..1 << 28).step_by(97) {
            if let Some(entry) = Entry::from_bits(bits) {
                assert_eq!(entry.to_bits(), bits);
            }
        }
    }

    #[test]
    fn a_reject_level_refuses_no_more_than_its_cursor() {
        for cursor in (0..=Cursor::OPEN.0).step_by(9_973) {
            let level = RejectLevel::from_cursor(Cursor(cursor));
            assert!(level.cursor().0 >= cursor && level.cursor().0 - cursor <= 1 << CURSOR_SHIFT);
            assert!(cursor == 0 || level.cursor().admits(Key(cursor - 1)));
        }
        assert_eq!(RejectLevel::from_cursor(Cursor::OPEN), RejectLevel::OPEN);
    }
}
