//! The decision: one request against the state of its queue. Pure, so that it can be told in one table.

use super::config::Limits;
use super::key::{Cursor, Key};
use crate::context::Context;
use crate::id::Salt;
use crate::status::Refusal;
use crate::time::Nanos;

/// What a decision needs to know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its importance.
    pub key: Key,
    /// When the caller stops waiting; [`Nanos::NEVER`] if it never does.
    pub deadline: Nanos,
    /// It has been sent before, here or to another server.
    pub is_retry: bool,
    /// This service has already served an earlier call of the same task: the task is worth finishing, so the
    /// cursor does not apply.
    pub continues_task: bool,
    /// Whom the server accounts it to: see [`super::tenant`]. 0: nobody.
    pub tenant: u16,
}

impl Request {
    /// The request that a context describes, accounted to nobody.
    #[inline]
    pub const fn from_context(context: &Context, salt: Salt) -> Request {
        Request {
            key: context.key(salt),
            deadline: context.deadline,
            is_retry: context.attempt > 0,
            continues_task: context.continues_task,
            tenant: 0,
        }
    }
}

/// What a decision needs to know of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueState {
    pub(super) queued: u32,
    pub(super) ns_per_request: u64,
    pub(super) shedding: bool,
    pub(super) cursor: Cursor,
    pub(super) marginal_cursor: Cursor,
    pub(super) hard_wait_limit_ns: u64,
    pub(super) service_floor_ns: u64,
}

/// How long a request will wait that enters a queue now.
#[inline]
pub(super) fn wait_ns(queued: u32, ns_per_request: u64) -> u64 {
    (u64::from(queued) + 1).saturating_mul(ns_per_request)
}

/// Whether the cursor lets a request pass: the ordinary refusal, and asked first.
#[inline]
pub(super) fn passes(request: &Request, cursor: Cursor) -> bool {
    cursor.admits(request.key) || request.continues_task
}

/// Why a request that the cursor lets pass must be refused, if it must, where somebody waits and its deadline is not past.
#[inline]
pub(super) fn decide(request: &Request, queue: &QueueState, limits: &Limits, now: Nanos) -> Option<Refusal> {
    let wait_ns = wait_ns(queue.queued, queue.ns_per_request);
    if !request.continues_task && !cursor_at(wait_ns, queue.cursor, queue.marginal_cursor, limits).admits(request.key) {
        return Some(Refusal::WaitAboveSoftLimit);
    }
    if wait_ns > hard_limit_ns(request, queue, limits, now) {
        return Some(Refusal::WaitAboveHardLimit);
    }
    if cannot_finish(wait_ns, queue.service_floor_ns, request.deadline, now) {
        return Some(Refusal::DeadlineOnArrival);
    }
    None
}

/// How long a request may wait at most.
///
/// Work in progress may wait for twice as long, since what was done for it would be lost; and so may a burst below overload,
/// since the service will digest it. New work may use half of the time it has: it is to be run too, and may be the first call of
/// several.
#[inline]
fn hard_limit_ns(request: &Request, queue: &QueueState, limits: &Limits, now: Nanos) -> u64 {
    let limit_ns = queue.hard_wait_limit_ns.min(limits.hard_wait_limit_ns);
    let is_spared = !queue.shedding || request.continues_task && queue.cursor.admits(request.key);
    let limit_ns = if is_spared { 2 * limit_ns } else { limit_ns };
    if request.continues_task { limit_ns } else { limit_ns.min(request.deadline.since(now) / 2) }
}

/// What is admitted of new work while so many wait: up to the target the cursor, from the soft limit on the marginal one, in
/// between a place between them. So the queue itself moves the cursor, within the band and at once.
#[inline]
pub(super) fn cursor_at(wait_ns: u64, cursor: Cursor, marginal: Cursor, limits: &Limits) -> Cursor {
    if wait_ns <= limits.target_wait_ns || marginal >= cursor {
        return cursor;
    }
    // Below 2^36, as are all settings.
    let span_ns = (limits.soft_wait_limit_ns - limits.target_wait_ns).max(1);
    let left_q16 = (limits.soft_wait_limit_ns.saturating_sub(wait_ns) << 16) / span_ns;
    // No more than the band, since no more is left than the span.
    Cursor(marginal.0 + ((u64::from(cursor.0 - marginal.0) * left_q16) >> 16) as u32)
}

/// Whether a request that has come to the head of its queue must not be run: its deadline is past, or it cannot be met
/// and others wait for the worker. With nobody waiting it is run: the estimate may be wrong for this request, and only
/// running it can show that.
#[inline]
pub(super) fn is_too_late(
    others_wait: impl FnOnce() -> bool,
    service_floor_ns: u64,
    deadline: Nanos,
    now: Nanos,
) -> bool {
    cannot_finish(0, service_floor_ns, deadline, now) && (now >= deadline || others_wait())
}

/// Whether a request that will wait for `wait_ns` more is too late even if it is served as fast as any.
///
/// A quarter of the service time is added for the way of the answer: at the edge of its deadline a request would be
/// run in full and be late by a hair, and so would every one behind it.
#[inline]
fn cannot_finish(wait_ns: u64, service_floor_ns: u64, deadline: Nanos, now: Nanos) -> bool {
    now.plus(wait_ns).plus(service_floor_ns).plus(service_floor_ns / 4) >= deadline && deadline != Nanos::NEVER
}
