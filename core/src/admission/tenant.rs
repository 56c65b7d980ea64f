//! Who floods? Offers and admissions by tenant, and the fair share to which a tenant can be held (SPEC K2, S12).
//!
//! A tenant is whom the server accounts a request to: the calling service, or the business. Priorities say what comes first
//! under overload, and nobody can check what a caller marks. With `fair_share`, a tenant that gets a quarter more than its
//! weighted max-min fair share of the capacity (Bertsekas and Gallager, *Data Networks*, section 6.5.2) is held to that share:
//! the rest of its work competes as the least important, as long as another tenant gets less than it asks and its share. So the
//! others lose little to one that marks everything as important, or sends ten times its load, and nothing is refused for its tenant
//! that there is room for. Shares come before priorities: which of a flooding tenant's tasks are demoted follows from a hash, and
//! another's batch work has its share too.

use super::capacity::{FAST_US, HALF_Q16, MAX_MRPS, ONE_Q16, SLOW_US, follow, smooth};
use super::cell::{Cell32, Cell64};
use super::key::Key;
use super::layout::{Head, View};
use crate::id::Per10k;

/// Tenants that are told apart, and nobody, who is 0: not counted, not held.
pub const TENANTS: usize = 64;
/// A tenant is short if it gets less than (1 - 1/32) of what it asks, or of its share.
const SHORT_DIVISOR: u64 = 32;
/// A tenant floods if it gets more than (1 + 1/4) of its fair share.
const SLACK_DIVISOR: u64 = 4;
/// Time constant of tenants' rates: a tenth of a server's work says little in a second. A surprise is followed at once.
const TENANT_US: u64 = 4 * SLOW_US;
/// A tenant's work is never demoted whole: what is admitted of it is what it is judged by.
const MAX_DEMOTED_Q16: u64 = ONE_Q16 - ONE_Q16 / 64;
/// Of a tenant's work in progress at most so many times the share competes as it claims that competes so of its new work.
const IN_PROGRESS: u32 = 4;
/// Steps in which the fair level is found: each halves the interval.
const LEVEL_STEPS: u32 = 24;

/// What a queue counts of a tenant.
#[repr(C)]
pub(super) struct TenantCounts {
    pub(super) offered: Cell64,
    pub(super) admitted: Cell64,
    /// Those that competed as what they claim.
    pub(super) admitted_as_claimed: Cell64,
}

/// What the leader knows of a tenant.
#[repr(C)]
pub(super) struct TenantSeen {
    offered: Cell64,
    admitted: Cell64,
    admitted_as_claimed: Cell64,
    offered_mrps: Cell64,
    admitted_mrps: Cell64,
    as_claimed_mrps: Cell64,
}

/// What a tenant's requests read.
#[repr(C)]
pub(super) struct Quota {
    /// Which share of its work competes as the least important, in 1/65536.
    demoted_q16: Cell32,
    /// Its weight less one.
    more_weight: Cell32,
}

impl Quota {
    /// Whether a tenant's request competes as the least important, and continues no task. What is demoted follows from the key, so
    /// that a task is demoted as a whole.
    #[inline]
    pub(super) fn demotes(&self, key: Key, continues_task: bool) -> bool {
        let demoted_q16 = self.demoted_q16.get();
        let demoted_q16 = if continues_task { demoted_in_progress_q16(demoted_q16) } else { demoted_q16 };
        // Fibonacci hashing: the upper half of the product depends on all bits of the key.
        key.0.wrapping_mul(0x9e37_79b1) >> 16 < demoted_q16
    }

    /// Which share of its work competes as the least important.
    pub(super) fn demoted(&self) -> Per10k {
        let per_10k = (u64::from(self.demoted_q16.get()).min(ONE_Q16) * 10_000) >> 16;
        // At most 10 000 by the line above.
        Per10k::new(per_10k as u16).unwrap_or(Per10k::ALL)
    }

    pub(super) fn set_weight(&self, weight: u32) {
        self.more_weight.set(weight.max(1) - 1);
    }

    /// A tenant's share at a level.
    fn fair_mrps(&self, level: u64) -> u64 {
        level.saturating_mul(self.weight()).min(MAX_MRPS)
    }

    fn weight(&self) -> u64 {
        u64::from(self.more_weight.get() % 10_000) + 1
    }
}

/// Of work in progress a quarter as much is demoted, since what was done for it would be lost: a flood of new work is held back by
/// refusing that. What floods all the same only says that it continues tasks, and is demoted too.
#[inline]
fn demoted_in_progress_q16(demoted_q16: u32) -> u32 {
    let kept_q16 = (ONE_Q16 as u32).saturating_sub(demoted_q16);
    // The product is 2^18 at most, whatever the cell holds.
    let excess_q16 = (ONE_Q16 as u32).saturating_sub(IN_PROGRESS * kept_q16);
    let quarter_q16 = demoted_q16 / 4;
    if excess_q16 > quarter_q16 { excess_q16 } else { quarter_q16 }
}

/// Brings the rates of all tenants up to date, and with `capacity_mrps` (0: there is enough) what is demoted.
pub(super) fn observe(view: View<'_>, capacity_mrps: u64, span_us: u64) {
    follow_tenants(view, span_us);
    // A capacity may be thought larger than it is; what is admitted is not.
    let admitted_mrps = view.head.tenants.iter().map(|seen| seen.admitted_mrps.get()).fold(0, u64::saturating_add);
    let level = if capacity_mrps > 0 { fair_level(view.head, capacity_mrps.min(admitted_mrps)) } else { u64::MAX };
    demote(view.head, level, span_us);
}

#[inline(never)]
fn follow_tenants(View { head, queues }: View<'_>, span_us: u64) {
    for (tenant, (seen, _)) in (1..).zip(named(head)) {
        let (mut offered, mut admitted, mut as_claimed) = (0u64, 0u64, 0u64);
        for counts in queues.iter().filter_map(|queue| queue.tenants.get(tenant)) {
            offered = offered.wrapping_add(counts.offered.get());
            admitted = admitted.wrapping_add(counts.admitted.get());
            as_claimed = as_claimed.wrapping_add(counts.admitted_as_claimed.get());
        }
        follow_rate(&seen.offered_mrps, seen.offered.grow_to(offered), span_us);
        follow_rate(&seen.admitted_mrps, seen.admitted.grow_to(admitted), span_us);
        follow_rate(&seen.as_claimed_mrps, seen.admitted_as_claimed.grow_to(as_claimed), span_us);
    }
}

#[inline(never)]
fn follow_rate(average: &Cell64, count: u64, span_us: u64) {
    average.set(follow(average.get(), count, span_us, TENANT_US, HALF_Q16));
}

/// All tenants but the one of requests that name none.
fn named(head: &Head) -> impl Iterator<Item = (&TenantSeen, &Quota)> {
    let ([_, seen @ ..], [_, quotas @ ..]) = (&head.tenants, &head.quotas);
    seen.iter().zip(quotas)
}

/// Demotes of each tenant above its level as much as it gets above its share, if another one is short.
#[inline(never)]
fn demote(head: &Head, level: u64, span_us: u64) {
    let somebody_is_short = named(head).any(|(seen, quota)| {
        let asked_mrps = seen.offered_mrps.get().min(quota.fair_mrps(level));
        seen.admitted_mrps.get() < asked_mrps - asked_mrps / SHORT_DIVISOR
    });
    for (seen, quota) in named(head) {
        let kept = ONE_Q16 - u64::from(quota.demoted_q16.get()).min(ONE_Q16);
        let fair_mrps = quota.fair_mrps(level);
        let wanted = if somebody_is_short && seen.offered_mrps.get() > fair_mrps {
            let slack_mrps = if kept == ONE_Q16 { fair_mrps / SLACK_DIVISOR } else { 0 };
            (kept * (fair_mrps + slack_mrps) / seen.as_claimed_mrps.get().clamp(1, MAX_MRPS)).min(ONE_Q16)
        } else {
            ONE_Q16
        };
        // Held at once, and let go slowly: the rates say late that another tenant has become short.
        let kept = smooth(kept, wanted, span_us, if wanted < kept { FAST_US } else { 2 * TENANT_US });
        // An average never gets there.
        let kept = if wanted == ONE_Q16 && kept + ONE_Q16 / 100 >= ONE_Q16 { ONE_Q16 } else { kept };
        // At most 2^16 by the lines above.
        quota.demoted_q16.set((ONE_Q16 - kept).min(MAX_DEMOTED_Q16) as u32);
    }
}

/// The rate per weight at which the capacity is used up if nobody gets more than that, nor more than it offers.
#[inline(never)]
fn fair_level(head: &Head, capacity_mrps: u64) -> u64 {
    let used = |level: u64| {
        named(head).fold(0u64, |sum, (seen, quota)| {
            sum.saturating_add(seen.offered_mrps.get().min(level.saturating_mul(quota.weight())))
        })
    };
    let (mut low, mut high) = (0u64, capacity_mrps.min(MAX_MRPS));
    for _ in 0..LEVEL_STEPS {
        let middle = low.midpoint(high);
        if used(middle) <= capacity_mrps { low = middle } else { high = middle }
    }
    low
}
