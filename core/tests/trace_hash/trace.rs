//! What is hashed: every decision as a number, and where the numbers of a world come from. No floating point.

use core::fmt;

use mcrpc_core::status::Status;

/// FNV-1a over 64-bit words, with what a person can compare beside it.
pub struct Trace {
    hash: u64,
    decisions: u64,
    refused: u64,
}

impl Trace {
    pub fn new() -> Trace {
        Trace { hash: 0xcbf2_9ce4_8422_2325, decisions: 0, refused: 0 }
    }

    /// The bytes are taken from the value, the lowest first, not from memory: the order of bytes of a machine has no part in it.
    pub fn word(&mut self, word: u64) {
        for byte in word.to_le_bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub fn decision<T>(&mut self, decision: &Result<T, Status>, value: impl FnOnce(&T) -> u64) {
        self.decisions += 1;
        match decision {
            Ok(decided) => self.word(value(decided)),
            Err(status) => {
                self.refused += 1;
                self.word(u64::from(status.0.cast_unsigned()));
            }
        }
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x} after {} decisions, {} of them refusals", self.hash, self.decisions, self.refused)
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Near enough to exponentially distributed around `mean`: one value for each sixteenth of the distribution.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        /// In 1/1000 of the mean, which is theirs too.
        const QUANTILES: [u64; 16] =
            [32, 99, 171, 248, 331, 421, 520, 629, 750, 888, 1_048, 1_240, 1_479, 1_802, 2_326, 4_016];
        mean * QUANTILES[(self.next() >> 60) as usize] / 1_000
    }
}
