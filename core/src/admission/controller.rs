//! Closing a window: what was measured becomes a decision.
//!
//! Feed-forward, not stepping: demand and capacity are both known, so the cursor *jumps* in one window to the key
//! below which the demand is as large as what can be served. What the model gets wrong shows as a queue, and the
//! queue's distance from its target corrects the rate.
//!
//! The memory that a leader reads may be half written: its predecessor may have died, or been stopped for seconds
//! and run on. Every value is valid by itself, every average forgets, and a capacity that is wrong is corrected by
//! the next windows, so the controller returns from any state whatever (`tests/overload.rs` starts it from random
//! bytes).

use super::capacity::{
    FAST_US, HALF_Q16, MAX_MRPS, ONE_Q16, SLOW_US, Served, expected_capacity, expected_count, follow, rate_mrps, smooth,
};
use super::cell::Cell64;
use super::config::{Limits, Mode, Policy};
use super::demand;
use super::flow::FlowReading;
use super::handle::CPU_BOUND;
use super::key::Cursor;
use super::layout::{Closer, Head, Queue, View};
use super::tenant;
use super::window::{MAX_SPAN_NS, Turn};
use crate::status::Refusal;
use crate::time::{NANOS_PER_MICRO, NANOS_PER_SECOND};

/// A window with fewer requests says little, and is extended ...
const MIN_REQUESTS: u64 = 20;
/// ... up to this length.
const MAX_EXTENDED_NS: u64 = NANOS_PER_SECOND;
/// How fast a pass rate falls, per window: by an eighth.
const PASS_RATE_FALL_DIVISOR: u64 = 8;
/// How fast it rises: by a percentage point per window.
const PASS_RATE_RISE_Q16: u64 = ONE_Q16 / 100;
/// A pass rate lets at least this share through.
const MIN_PASS_RATE_Q16: u64 = ONE_Q16 / 32;
/// Values of [`super::layout::Hot::shedding`].
const NOT_SHEDDING: u32 = 0;
const SHEDDING: u32 = 1;
/// How fast the queue is brought to its target: the share of the distance corrected per second.
const QUEUE_GAIN_PER_S: i64 = 2;
/// The cursor never admits less than this part of the capacity, so that the service never stops measuring.
const MIN_RATE_DIVISOR: u64 = 10;
/// What one window brought, over all queues.
#[derive(Default)]
struct Window {
    served: Served,
    queued: u64,
    admitted_new: u64,
    admitted_continuing: u64,
    has_refused_by_wait: bool,
    wait_sum_ns: u64,
    wait_count: u64,
    service_sum_ns: u64,
    shortest_service_ns: u64,
    new_work: u64,
    is_first: bool,
    /// What the processor allows; 0 if it is not the bottleneck.
    cpu_bound_mrps: u64,
}

impl Window {
    fn mean_wait_ns(&self) -> u64 {
        self.wait_sum_ns / self.wait_count.max(1)
    }
}

/// Closes the window that ended at `turn.now_ns`.
///
/// It runs on the stack of whoever called, 512 bytes at most: its steps are kept out of line, so that their frames follow
/// one another instead of adding up.
#[cold]
#[inline(never)]
pub(super) fn close(view: View<'_>, limits: &Limits, turn: Turn) {
    let View { head, queues } = view;
    let closer = &head.closer;
    // For a while nobody called, or all clocks jumped.
    if turn.now_ns.wrapping_sub(turn.started_ns) > MAX_SPAN_NS {
        closer.measured_from_ns.set(0);
        publish(head, Cursor::OPEN, Cursor::OPEN, NOT_SHEDDING);
        return;
    }
    let span_ns = turn.now_ns.wrapping_sub(closer.measured_from_ns.get());
    let off = head.hot.mode.get() == Mode::Off as u32;
    let measurable = span_ns <= MAX_SPAN_NS && closer.measured_from_ns.get() != 0 && !off;
    // That few came where many are usual says much.
    let usual = expected_count(closer.demand_mrps.get(), span_ns.min(MAX_SPAN_NS) / NANOS_PER_MICRO);
    if measurable && span_ns < MAX_EXTENDED_NS && usual.max(past_the_cursor(queues)) < MIN_REQUESTS {
        return;
    }
    if !head.hot.election.is_current(turn) {
        return;
    }
    closer.measured_from_ns.set(if off { 0 } else { turn.now_ns });
    // An unmeasurable span is gathered all the same, to move every `seen` up to now.
    let span_us = (span_ns.clamp(NANOS_PER_MICRO, MAX_SPAN_NS) / NANOS_PER_MICRO) as u32;
    let mut window = Window { served: Served { span_us, ..Served::default() }, ..Window::default() };
    gather(view, limits, &mut window);
    window.new_work = demand::observe(closer, queues, window.served.span_us.into(), window.is_first);
    // Gathering took long if the leader was stopped meanwhile: then what it gathered is not one window.
    if measurable && head.hot.election.is_current(turn) {
        learn(head, &window, limits, queues.len() as u32);
        let (completed, cpu_limit) = (window.served.completed.into(), limits.cpu_limit_per_10k.into());
        window.cpu_bound_mrps = closer.cpu_bound.follow(&head.cpu, completed, cpu_limit, turn.now_ns).unwrap_or(0);
        let outlook = judge(view, &window, limits);
        decide(view, limits, outlook, turn.now_ns);
        if limits.fair_share {
            // What is not enforced for all says nothing of what would be admitted.
            let is_enforced = head.hot.mode.get() == Mode::Enforce as u32 && head.hot.exempt_per_10k.get() == 0;
            tenant::observe(view, if is_enforced { outlook.capacity_mrps } else { 0 }, span_us.into());
        }
        closer.windows_closed.add(1);
    }
    head.hot.election.finish(turn);
}

/// Requests that got past the cursor since the leader last looked, read without moving what it has seen. The others say
/// nothing of the service, however many they are.
#[inline(never)]
fn past_the_cursor(queues: &[Queue]) -> u64 {
    queues.iter().fold(0u64, |sum, queue| {
        // One that fell is huge here: the window is closed, and the fall is seen to there.
        let admitted = queue.totals().admitted.wrapping_sub(queue.seen.admitted.get());
        let refused = refused_by_wait(queue).wrapping_sub(queue.seen.refused_by_wait.get());
        sum.saturating_add(admitted).saturating_add(refused)
    })
}

/// Adds up what the queues counted, and brings each queue's own capacity up to date.
#[inline(always)]
fn gather(View { head, queues }: View<'_>, limits: &Limits, window: &mut Window) {
    let closer = &head.closer;
    let expected_mrps = expected_capacity(limits.workers, closer.mean_service_ns.get());
    for queue in queues {
        learn_queue_capacity(queue, gather_queue(queue, window), expected_mrps);
    }
    window.served.waited_at_both_ends &= window.queued > 0;
    window.is_first = closer.windows_closed.get() == 0;
}

#[inline(never)]
fn gather_queue(queue: &Queue, window: &mut Window) -> Served {
    let (busy, seen) = (&queue.busy, &queue.seen);
    let totals = queue.totals();
    let continuing = seen.admitted_continuing.grow_to(busy.admitted_continuing.get());
    let admitted = seen.admitted.grow_to(totals.admitted);
    let refused = seen.refused_by_wait.grow_to(refused_by_wait(queue));
    let add = |sum: &mut u64, value: u64| *sum = sum.saturating_add(value);
    add(&mut window.admitted_continuing, continuing);
    add(&mut window.admitted_new, admitted.saturating_sub(continuing));
    window.has_refused_by_wait |= refused > 0;
    add(&mut window.wait_sum_ns, seen.wait_sum_ns.grow_to(busy.wait_sum_ns.get()));
    add(&mut window.service_sum_ns, seen.service_sum_ns.grow_to(busy.service_sum_ns.get()));
    add(&mut window.wait_count, seen.dequeued.grow_to(totals.dequeued));
    window.shortest_service_ns = shortest(window.shortest_service_ns, busy.shortest_service_ns.get());
    busy.shortest_service_ns.set(0);

    let (before, flow) = (FlowReading(seen.flow.get()), busy.flow.read());
    let completed = flow.completed_since(before);
    seen.flow.set(flow.0);
    seen.completed.add(completed.into());
    window.served.waited_at_both_ends |= before.queued() > 0;
    window.queued += u64::from(flow.queued());
    // One that does not fit is damage.
    let found_idle = u32::try_from(seen.found_idle.grow_to(busy.found_idle.get())).unwrap_or(0);
    window.served.completed = window.served.completed.saturating_add(completed);
    window.served.found_idle = window.served.found_idle.saturating_add(found_idle);
    let waited_at_both_ends = before.queued() > 0 && flow.queued() > 0;
    Served { completed, found_idle, waited_at_both_ends, span_us: window.served.span_us }
}

/// The capacity behind one queue, for the estimate of its wait.
#[inline(never)]
fn learn_queue_capacity(queue: &Queue, served: Served, expected_mrps: Option<u64>) {
    let seen = &queue.seen;
    let completed_mrps =
        follow(seen.completed_mrps.get(), served.completed.into(), served.span_us.into(), FAST_US, HALF_Q16);
    seen.completed_mrps.set(completed_mrps);
    let known = Some(seen.capacity_mrps.get()).filter(|&capacity| capacity > 0).or(expected_mrps);
    let capacity_mrps = served.queue_capacity(known, completed_mrps).unwrap_or(0);
    seen.capacity_mrps.set(capacity_mrps);
    queue.busy.ns_per_request.set((1_000 * NANOS_PER_SECOND).checked_div(capacity_mrps).unwrap_or(0));
}

/// Moves the averages over all queues on by one window.
#[inline(never)]
fn learn(head: &Head, window: &Window, limits: &Limits, queue_count: u32) {
    let closer = &head.closer;
    let span_us = u64::from(window.served.span_us);
    let known_demand = (!window.is_first).then(|| closer.demand_mrps.get());
    closer.demand_mrps.set(demand::follow_demand(known_demand, window.new_work, span_us));

    let mean_ns = closer.mean_service_ns.get();
    if let Some(sample_ns) = window.service_sum_ns.checked_div(window.served.completed.into()) {
        let next_ns = if mean_ns == 0 { sample_ns } else { smooth(mean_ns, sample_ns, span_us, FAST_US) };
        closer.mean_service_ns.set(next_ns);
    }
    let known = (closer.capacity_known.get() != 0).then(|| closer.capacity_mrps.get().min(MAX_MRPS));
    let known = known.or_else(|| expected_capacity(limits.workers * queue_count, closer.mean_service_ns.get()));
    // Some workers of a prefork server are always idle for a moment. Only short queues say that there is room.
    let explore = head.hot.shedding.get() != 0 && window.mean_wait_ns() < limits.target_wait_ns;
    if let Some(capacity_mrps) = window.served.capacity(known, explore) {
        closer.capacity_mrps.set(capacity_mrps);
        closer.capacity_known.set(1);
    }
    // What is admitted for long is no more than what is served: twice that is damage, and would take long to forget.
    let plausible_mrps = known.map_or(MAX_MRPS, |capacity_mrps| 2 * capacity_mrps);
    let follow_admitted = |average: &Cell64, count: u64| {
        average.set(smooth(average.get().min(plausible_mrps), rate_mrps(count, span_us), span_us, SLOW_US));
    };
    follow_admitted(&closer.admitted_new_mrps, window.admitted_new);
    follow_admitted(&closer.admitted_continuing_mrps, window.admitted_continuing);

    let new_share_q16 = new_share_q16(closer);
    // A task of many calls waits for each: up to a quarter less.
    let limit_ns = limits.hard_wait_limit_ns - limits.hard_wait_limit_ns / 4 * (ONE_Q16 - new_share_q16) / ONE_Q16;
    head.hot.hard_wait_limit_ns.set(limit_ns);

    let floor_ns = head.hot.service_floor_ns.get().min(MAX_SPAN_NS);
    head.hot.service_floor_ns.set(next_service_floor_ns(floor_ns, window.shortest_service_ns));
}

/// The shortest service time, which falls at once and rises by an eighth per window.
///
/// It halves in a window that completed nothing: were it kept, a service that has once been slow would drop every
/// request as too late, measure nothing, and never notice that it has become fast again.
fn next_service_floor_ns(floor_ns: u64, shortest_ns: u64) -> u64 {
    match (floor_ns, shortest_ns) {
        (_, 0) => floor_ns / 2,
        (0, _) => shortest_ns.min(MAX_SPAN_NS),
        _ => shortest_ns.min(floor_ns + floor_ns / 8 + 1),
    }
}

/// What the window says of the next one. Two registers.
#[derive(Clone, Copy)]
struct Outlook {
    /// The share of the demand to let in, in 1/65536.
    share_q16: u32,
    /// [`super::layout::Hot::shedding`].
    shedding: u32,
    /// What can be served, where something is shed; else 0.
    capacity_mrps: u64,
}

/// How much new work can be let in.
#[inline(never)]
fn judge(View { head, queues }: View<'_>, window: &Window, limits: &Limits) -> Outlook {
    let closer = &head.closer;
    let is_cpu_bound = window.cpu_bound_mrps > 0;
    let overloaded = window.mean_wait_ns() > limits.overload_wait_ns || window.has_refused_by_wait || is_cpu_bound;
    let shedding = head.hot.shedding.get() != NOT_SHEDDING || overloaded;
    let known_mrps = (closer.capacity_known.get() != 0).then(|| closer.capacity_mrps.get());
    // Others may use the processor too: however full it is, this service is not driven out.
    let least_mrps = known_mrps.unwrap_or_else(|| closer.demand_mrps.get().min(MAX_MRPS)) / MIN_RATE_DIVISOR;
    let cpu_bound_mrps = is_cpu_bound.then_some(window.cpu_bound_mrps.max(least_mrps));
    let capacity_mrps = match (known_mrps, cpu_bound_mrps) {
        _ if !shedding => None,
        (Some(known), Some(cpu_bound)) => Some(known.min(cpu_bound)),
        (known, cpu_bound) => known.or(cpu_bound),
    };
    let share_q16 = match (limits.policy, capacity_mrps) {
        (Policy::PassRate, _) => step_pass_rate(closer, overloaded),
        (Policy::FeedForward, Some(capacity_mrps)) => {
            let (queued, headroom_per_10k) = if is_cpu_bound {
                (backlog(head, queues, capacity_mrps), 0)
            } else {
                (window.queued, limits.headroom_per_10k.into())
            };
            share_to_serve(closer, wanted_rate_mrps(capacity_mrps, headroom_per_10k, queued, limits.target_wait_ns))
        }
        (Policy::FeedForward, None) => ONE_Q16,
    };
    let is_over = share_q16 >= ONE_Q16 && window.mean_wait_ns() < limits.overload_wait_ns;
    let shedding = match shedding && !is_over {
        false => NOT_SHEDDING,
        true if is_cpu_bound => CPU_BOUND,
        true => SHEDDING,
    };
    // More than everything is everything.
    Outlook { share_q16: share_q16.min(ONE_Q16) as u32, shedding, capacity_mrps: capacity_mrps.unwrap_or(0) }
}

/// Jumps to the cursor that lets in as much.
#[inline(never)]
fn decide(View { head, queues }: View<'_>, limits: &Limits, outlook: Outlook, now_ns: u64) {
    if outlook.shedding == NOT_SHEDDING {
        // Said anew in every window: a leader that died between two of these words must not leave a cursor in force.
        return publish(head, Cursor::OPEN, Cursor::OPEN, NOT_SHEDDING);
    }
    let outside_band_per_10k = 10_000 - u64::from(limits.marginal_band_per_10k);
    let share_q16 = u64::from(outlook.share_q16);
    let marginal_share_q16 = share_q16 * outside_band_per_10k / 10_000;
    let cursor = demand::cursor_for_share(&head.closer, queues, share_q16, now_ns);
    let marginal_cursor = demand::cursor_for_share(&head.closer, queues, marginal_share_q16, now_ns);
    publish(head, cursor, marginal_cursor, outlook.shedding);
}

/// The share of what is admitted that begins a task, in 1/65536: one over the calls that a task makes.
fn new_share_q16(closer: &Closer) -> u64 {
    let new_mrps = closer.admitted_new_mrps.get().clamp(1, MAX_MRPS);
    let continuing_mrps = closer.admitted_continuing_mrps.get().min(MAX_MRPS);
    (new_mrps << 16) / (new_mrps + continuing_mrps)
}

/// The share of the demand that can be served, in 1/65536.
#[inline(never)]
fn share_to_serve(closer: &Closer, wanted_mrps: u64) -> u64 {
    let wanted_new_mrps = (wanted_mrps * new_share_q16(closer)) >> 16;
    (wanted_new_mrps << 16) / closer.demand_mrps.get().max(1)
}

/// Where the processor is the bottleneck: how many more are in the system than two service times explain.
fn backlog(head: &Head, queues: &[Queue], capacity_mrps: u64) -> u64 {
    let in_system =
        queues.iter().map(|queue| u64::from(queue.busy.flow.read().in_system())).fold(0, u64::saturating_add);
    let explained_us = 2 * head.hot.service_floor_ns.get().min(MAX_SPAN_NS) / NANOS_PER_MICRO;
    in_system.saturating_sub(expected_count(capacity_mrps, explained_us))
}

/// Svrkit's actuator (SPEC S11): the share falls fast while requests wait too long, and rises slowly else.
fn step_pass_rate(closer: &Closer, overloaded: bool) -> u64 {
    let share_q16 = ONE_Q16.saturating_sub(closer.held_back_q16.get());
    let share_q16 = if overloaded {
        (share_q16 - share_q16 / PASS_RATE_FALL_DIVISOR).max(MIN_PASS_RATE_Q16)
    } else {
        (share_q16 + PASS_RATE_RISE_Q16).min(ONE_Q16)
    };
    closer.held_back_q16.set(ONE_Q16 - share_q16);
    share_q16
}

/// The rate of calls to let in: capacity and headroom, corrected by the queue's distance from its target.
#[inline(never)]
fn wanted_rate_mrps(capacity_mrps: u64, headroom_per_10k: u64, queued: u64, target_wait_ns: u64) -> u64 {
    let capacity_mrps = capacity_mrps.min(MAX_MRPS);
    let headroom_mrps = capacity_mrps * headroom_per_10k / 10_000;
    let target_us = target_wait_ns / NANOS_PER_MICRO;
    // At most 64 queues of 2^14, and 10^10 mrps for 60 s: the sums stay far inside an i64.
    let target_queued = expected_count(capacity_mrps, target_us).cast_signed();
    let correction_mrps = QUEUE_GAIN_PER_S * 1_000 * (target_queued - queued.cast_signed());
    let wanted = (capacity_mrps + headroom_mrps).cast_signed() + correction_mrps;
    wanted.max(0).cast_unsigned().clamp(capacity_mrps / MIN_RATE_DIVISOR, 2 * MAX_MRPS)
}

/// Puts a decision in force. A mixture of two decisions lasts until the next window at most, and admits what one of them
/// would.
fn publish(head: &Head, cursor: Cursor, marginal_cursor: Cursor, shedding: u32) {
    head.hot.marginal_cursor.set(marginal_cursor.0);
    head.hot.cursor.set(cursor.0);
    head.hot.shedding.set(shedding);
}

fn refused_by_wait(queue: &Queue) -> u64 {
    const BY_WAIT: [Refusal; 4] = [
        Refusal::WaitAboveSoftLimit,
        Refusal::WaitAboveHardLimit,
        Refusal::DeadlineOnArrival,
        Refusal::DeadlineInQueue,
    ];
    BY_WAIT
        .iter()
        .filter_map(|&reason| queue.refused.get(reason as usize))
        .fold(0, |sum, count| sum.wrapping_add(count.get()))
}

/// The shorter of two service times, where 0 means none.
fn shortest(left_ns: u64, right_ns: u64) -> u64 {
    if left_ns == 0 || (right_ns != 0 && right_ns < left_ns) { right_ns } else { left_ns }
}
