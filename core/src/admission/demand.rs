//! What the callers want: new work, counted by importance.
//!
//! Counting is two plain increments per request, in the memory of its queue. Reading is the leader's: it follows
//! the rate of each of the 64 priorities in every window, and the 128 user levels only of the priority in which a
//! cursor falls, so that a close costs some 200 additions per queue whatever the number of levels.
//!
//! Only *new* work counts: not a call that continues a task, and not the retry of a call that the cursor refused
//! and refuses again, which would make the unimportant keys look three times as wanted as they are.

use super::capacity::{FAST_US, ONE_Q16, SLOW_US, follow, rate_mrps};
use super::cell::{Cell32, growth32};
use super::key::{Cursor, Key, USER_LEVELS};
use super::layout::{Closer, PriorityShape, Queue};
use crate::time::NANOS_PER_MICRO;

/// The weight of each level when nothing is known of them: ten requests.
const EVEN: u64 = 10 << 8;

/// Counts a request that begins a task here.
#[inline]
pub(super) fn count(queue: &Queue, key: Key) {
    // `priority` and `user_level` are below the lengths of the tables, so neither index can be out of bounds.
    let (priority, level) = (key.priority(), key.user_level());
    queue.demand[priority].add(1);
    queue.demand_by_level[priority][level].add(1);
}

/// Counts requests that were not sent because this server would have refused them: as many as one of their keys stands for.
pub(super) fn count_withheld(queue: &Queue, key: Key, count: u32) {
    queue.demand[key.priority()].add(count);
    queue.demand_by_level[key.priority()][key.user_level()].add(count);
}

/// Brings the rates of all priorities up to date and returns how much new work the window brought.
#[inline(never)]
pub(super) fn observe(closer: &Closer, queues: &[Queue], span_us: u64, first: bool) -> u64 {
    let mut total = 0u64;
    for (priority, shape) in closer.by_priority.iter().enumerate() {
        let now = sum(queues.iter().filter_map(|queue| queue.demand.get(priority)));
        let count = u64::from(growth32(now, shape.count_seen.get()));
        shape.count_seen.set(now);
        total += count;
        let known = (!first).then(|| shape.rate_mrps.get());
        shape.rate_mrps.set(follow_demand(known, count, span_us));
    }
    total
}

/// The rate of a stream of new work; at first what the window brought. A surprise moves it 0.7 of the way at once.
pub(super) fn follow_demand(known_mrps: Option<u64>, count: u64, span_us: u64) -> u64 {
    match known_mrps {
        None => rate_mrps(count, span_us),
        Some(known_mrps) => follow(known_mrps, count, span_us, FAST_US, ONE_Q16 * 7 / 10),
    }
}

/// The cursor that admits a share of the demand (in 1/65536), the most important first.
#[inline(never)]
pub(super) fn cursor_for_share(closer: &Closer, queues: &[Queue], share_q16: u64, now_ns: u64) -> Cursor {
    if share_q16 >= ONE_Q16 {
        return Cursor::OPEN;
    }
    let total: u64 = closer.by_priority.iter().map(|shape| shape.rate_mrps.get()).fold(0, u64::saturating_add);
    let mut left = share_of(total, share_q16);
    for (priority, shape) in closer.by_priority.iter().enumerate() {
        let rate = shape.rate_mrps.get();
        if rate > left {
            let share_q16 = left.saturating_mul(ONE_Q16) / rate.max(1);
            let (level, fraction) = level_for_share(shape, queues, priority, share_q16, now_ns);
            return Cursor::within(priority, level, fraction);
        }
        left -= rate;
    }
    // Reached only when no demand is known at all.
    Cursor::OPEN
}

/// Where in one priority a share of its demand ends: the user level and the fraction of it, in 1/65536.
fn level_for_share(
    shape: &PriorityShape,
    queues: &[Queue],
    priority: usize,
    share_q16: u64,
    now_ns: u64,
) -> (usize, u32) {
    let total = refresh_levels(shape, queues, priority, now_ns);
    let mut left = share_of(total, share_q16);
    for (level, weight) in shape.level_weight.iter().enumerate() {
        let weight = u64::from(weight.get());
        if weight > left {
            // Below 65536, because `left` is below `weight`.
            return (level, (left * ONE_Q16 / weight.max(1)) as u32);
        }
        left -= weight;
    }
    (USER_LEVELS - 1, ONE_Q16 as u32)
}

/// Ages the levels of one priority to `now_ns`, adds what has come since, and returns their sum.
fn refresh_levels(shape: &PriorityShape, queues: &[Queue], priority: usize, now_ns: u64) -> u64 {
    let age_us = now_ns.saturating_sub(shape.refreshed_ns.get()) / NANOS_PER_MICRO;
    shape.refreshed_ns.set(now_ns);
    let kept_q16 = (SLOW_US << 16) / SLOW_US.saturating_add(age_us).max(1);
    let mut total = 0u64;
    for (level, (seen, weight)) in shape.level_seen.iter().zip(&shape.level_weight).enumerate() {
        let now = sum(queues.iter().filter_map(|queue| queue.demand_by_level.get(priority)?.get(level)));
        // If it was long ago, what came since counts as much as its last two seconds would.
        let new = u64::from(growth32(now, seen.get())) * (SLOW_US << 8) / age_us.max(SLOW_US);
        seen.set(now);
        let kept = share_of(u64::from(weight.get()), kept_q16);
        let aged = kept.saturating_add(new).min(u64::from(u32::MAX));
        // At most u32::MAX by the line above.
        weight.set(aged as u32);
        total += aged;
    }
    // Two seconds at the priority's rate bring half as much. Four times that is damage, which would take long to forget.
    if total > shape.rate_mrps.get().saturating_mul(2).saturating_add(EVEN * USER_LEVELS as u64) {
        shape.level_weight.iter().for_each(|weight| weight.set(EVEN as u32));
        total = EVEN * USER_LEVELS as u64;
    }
    total
}

fn sum<'a>(cells: impl Iterator<Item = &'a Cell32>) -> u32 {
    cells.fold(0, |sum, cell| sum.wrapping_add(cell.get()))
}

/// A share of a value, for values below 2^48.
fn share_of(value: u64, share_q16: u64) -> u64 {
    value.saturating_mul(share_q16) >> 16
}
