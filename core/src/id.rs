//! Identity: the keyed hash of a user id, and ratios in ten-thousandths.
//!
//! The hash is keyed so that nobody can pick a `uin` that is always served: without the salt the level of a
//! user cannot be computed, and the salt is mixed with an epoch (the hour, say) so that the same users are not
//! always last.

/// A user id. 0 means that the request belongs to no user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Uin(pub u64);

/// The key of every hash over users: the same on all servers and callers of a fleet, unknown outside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Salt(pub u64);

impl Salt {
    /// The salt of the hour of a wall clock: by it the order of users changes on all machines at once. Servers and callers in Rust, and
    /// programs that give `mcrpc_key()` the hour as its epoch, use this one.
    pub const fn at_hour_of(self, unix_s: u64) -> Salt {
        self.at_epoch((unix_s / 3_600) as u32)
    }

    /// The salt of one epoch, for instance of one hour (`unix_time_s / 3600`).
    #[inline]
    pub const fn at_epoch(self, epoch: u32) -> Salt {
        Salt(fold(self.0 ^ MULTIPLIERS[0], epoch as u64 ^ MULTIPLIERS[1]))
    }

    /// A 64-bit keyed hash of `value`, every bit of it usable.
    ///
    /// Two rounds of the folded 128-bit multiplication of wyhash (Wang Yi, "wyhash: the fast and portable
    /// hash", 2019). Its output never leaves the process, so a keyed mixer suffices where a cryptographic one
    /// would be needed if an attacker could read it.
    #[inline]
    pub const fn hash(self, value: u64) -> u64 {
        fold(fold(value ^ MULTIPLIERS[0], self.0 ^ MULTIPLIERS[1]) ^ MULTIPLIERS[2], self.0 ^ MULTIPLIERS[3])
    }
}

/// Odd constants with balanced bits: the default secret of wyhash (final version 4).
pub(crate) const MULTIPLIERS: [u64; 4] =
    [0x2d35_8dcc_aa6c_78a5, 0x8bb8_4b93_962e_acc9, 0x4b33_a62e_d433_d4a3, 0x4d5a_2da5_1de1_aa47];

/// The two halves of the 128-bit product, folded: the mixer of wyhash.
#[inline]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

/// A ratio in ten-thousandths, 0 to 10 000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Per10k(u16);

impl Per10k {
    /// Nobody.
    pub const NONE: Per10k = Per10k(0);
    /// Everybody.
    pub const ALL: Per10k = Per10k(10_000);

    /// `ratio` ten-thousandths; `None` above 10 000.
    pub const fn new(ratio: u16) -> Option<Per10k> {
        if ratio <= Per10k::ALL.0 { Some(Per10k(ratio)) } else { None }
    }

    /// The number of ten-thousandths.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the owner of a keyed `hash` is within the ratio. Raising the ratio only ever adds owners.
    #[inline]
    pub const fn covers(self, hash: u64) -> bool {
        (((hash >> 32) * Per10k::ALL.0 as u64) >> 32) < self.0 as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::array;

    #[test]
    fn the_hash_depends_on_salt_and_epoch_and_spreads_evenly() {
        let salt = Salt(7);
        assert_ne!(salt.hash(1), Salt(8).hash(1));
        assert_ne!(salt.at_epoch(1).hash(1), salt.at_epoch(2).hash(1));
        assert_eq!([7_200, 10_799].map(|unix_s| salt.at_hour_of(unix_s)), [salt.at_epoch(2); 2]);
        let mut buckets = [0u32; 128];
        for uin in 0..128_000u64 {
            buckets[(salt.hash(uin) >> 57) as usize] += 1;
        }
        // 1 000 expected in each: six standard deviations are 190.
        assert!(buckets.iter().all(|count| (810..1190).contains(count)), "{buckets:?}");
    }

    #[test]
    fn every_bit_of_salt_and_epoch_counts() {
        let salts: [Salt; 65] = array::from_fn(|bit| Salt(1u64.checked_shl(bit as u32).unwrap_or(0)).at_epoch(3));
        let epochs: [Salt; 33] = array::from_fn(|bit| Salt(3).at_epoch(1u32.checked_shl(bit as u32).unwrap_or(0)));
        for of_one in [&salts[..], &epochs] {
            assert!((1..of_one.len()).all(|n| !of_one[..n].contains(&of_one[n])), "{of_one:?}");
        }
    }

    #[test]
    fn nobody_is_nobody_and_everybody_everybody() {
        for hash in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(!Per10k::NONE.covers(hash) && Per10k::ALL.covers(hash), "{hash:#x}");
        }
    }

    #[test]
    fn a_ratio_covers_its_share_and_growing_it_only_adds() {
        let salt = Salt(1);
        for (low, high) in [(0u16, 1u16), (500, 600), (5_000, 5_001), (9_999, 10_000)] {
            let (low, high) = (Per10k::new(low).unwrap(), Per10k::new(high).unwrap());
            let hashes = || (0..100_000u64).map(|uin| salt.hash(uin));
            assert!(hashes().all(|hash| !low.covers(hash) || high.covers(hash)));
            let covered = hashes().filter(|&hash| high.covers(hash)).count() as i64;
            assert!((covered - i64::from(high.get()) * 10).abs() < 600, "{high:?} covered {covered}");
        }
        assert_eq!(Per10k::new(10_001), None);
    }
}
