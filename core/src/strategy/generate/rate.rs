//! The arithmetic of pass rates.

use crate::id::Per10k;

/// The lowest pass rate, 1 %: the calls that still pass are the probes.
pub const FLOOR: Per10k = per_10k(100);

/// An endpoint is well from this success rate on, 98 %: some calls fail everywhere, and sending fewer does not help them.
pub const HEALTHY: Per10k = per_10k(9_800);

/// `value` ten-thousandths; more than all are all.
pub(super) const fn per_10k(value: u64) -> Per10k {
    if value >= Per10k::ALL.get() as u64 {
        return Per10k::ALL;
    }
    match Per10k::new(value as u16) {
        Some(rate) => rate,
        None => Per10k::ALL,
    }
}

/// `rate` and `change_per_10k` of itself more, between [`FLOOR`] and all. Rounded away from `rate`, so by at least one
/// ten-thousandth: a small rate moves too.
pub(super) fn changed(rate: Per10k, change_per_10k: i32) -> Per10k {
    let rate = u64::from(rate.get());
    let step = (rate * u64::from(change_per_10k.unsigned_abs())).div_ceil(u64::from(Per10k::ALL.get()));
    let changed = if change_per_10k < 0 { rate.saturating_sub(step) } else { rate.saturating_add(step) };
    per_10k(changed).max(FLOOR)
}
