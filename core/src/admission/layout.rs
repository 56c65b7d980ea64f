//! The shared memory of a controller: a head, and one block per queue. Nothing but atomics.
//!
//! Lines that different parties write are kept apart: the hot line is read by every request and written once per
//! window; a queue's lines are written by the process that owns the queue. Zeroed memory is valid throughout, so
//! `init` only fills in what is not zero, and the magic comes last.

use core::mem::offset_of;
use core::ptr::NonNull;

use super::cell::{Cell32, Cell64};
use super::config::{Config, Mode, Policy};
use super::cpu::{CpuBound, CpuUse};
use super::flow::{Flow, FlowReading};
use super::key::{Cursor, PRIORITIES, USER_LEVELS};
use super::tenant::{Quota, TENANTS, TenantCounts, TenantSeen};
use super::window::Election;
use crate::host::header::layout_hash;
use crate::status::{Refusal, Status};
use crate::sync::{AtomicU64, Ordering};
use crate::time::Nanos;

/// Alignment of a controller's memory.
pub const ALIGN: usize = 64;
/// "mcadmis" and the version of the layout.
const MAGIC: u64 = 0x01_73_69_6d_64_61_63_6d;

/// One cache line: the unit in which a Rust caller provides the memory of a controller.
#[repr(C, align(64))]
pub struct Line([AtomicU64; 8]);

impl Line {
    /// A line of zeroes.
    pub const fn zeroed() -> Line {
        Line([const { AtomicU64::new(0) }; 8])
    }
}

/// What all queues share.
#[repr(C, align(64))]
pub(super) struct Head {
    identity: Identity,
    pub(super) hot: Hot,
    pub(super) quotas: [Quota; TENANTS],
    pub(super) closer: Closer,
    pub(super) tenants: [TenantSeen; TENANTS],
    /// Told by the server.
    pub(super) cpu: CpuUse,
}

/// Who wrote this memory, and for which settings. Written once.
#[repr(C, align(64))]
struct Identity {
    magic: AtomicU64,
    layout_hash: Cell64,
    total_len: Cell64,
    config: [Cell32; 13],
}

/// Read by every request, written once per window.
#[repr(C, align(64))]
pub(super) struct Hot {
    pub(super) election: Election,
    /// Keys at or above it are refused.
    pub(super) cursor: Cell32,
    /// Keys from here up to the cursor are marginal.
    pub(super) marginal_cursor: Cell32,
    pub(super) mode: Cell32,
    /// 1 while the cursor is in force; 2 if it is because of the processor.
    pub(super) shedding: Cell32,
    /// The shortest service time lately: nothing can be finished faster.
    pub(super) service_floor_ns: Cell64,
    /// Estimated wait above which everything is refused, by how many calls a task makes; 0: as in the settings.
    pub(super) hard_wait_limit_ns: Cell64,
    /// For which share of the tasks decisions do not count, in 1/10000.
    pub(super) exempt_per_10k: Cell32,
}

/// What the leader of a window knows from the windows before. Only the leader writes it.
#[repr(C, align(64))]
pub(super) struct Closer {
    /// Where the measurement began: the end of the last window that was used. 0: nothing measured yet.
    pub(super) measured_from_ns: Cell64,
    pub(super) windows_closed: Cell64,
    /// Arrivals of new work, in thousandths of a request per second.
    pub(super) demand_mrps: Cell64,
    /// What the service can complete; meaningful once `capacity_known`.
    pub(super) capacity_mrps: Cell64,
    pub(super) capacity_known: Cell64,
    pub(super) mean_service_ns: Cell64,
    /// Admitted calls that begin a task here, and that continue one.
    pub(super) admitted_new_mrps: Cell64,
    pub(super) admitted_continuing_mrps: Cell64,
    pub(super) cpu_bound: CpuBound,
    /// Of [`super::config::Policy::PassRate`]: the share of the demand that is held back, in 1/65536.
    pub(super) held_back_q16: Cell64,
    pub(super) by_priority: [PriorityShape; PRIORITIES],
}

/// Demand of one business priority, as the leader has seen it.
#[repr(C, align(64))]
pub(super) struct PriorityShape {
    /// Sum over the queues when last looked at.
    pub(super) count_seen: Cell32,
    pub(super) rate_mrps: Cell64,
    /// When the levels below were last brought up to date.
    pub(super) refreshed_ns: Cell64,
    pub(super) level_seen: [Cell32; USER_LEVELS],
    /// Recent demand per level, in 1/256 of a request.
    pub(super) level_weight: [Cell32; USER_LEVELS],
}

/// One input queue and its workers.
#[repr(C, align(64))]
pub(super) struct Queue {
    pub(super) busy: QueueBusy,
    pub(super) gone: QueueGone,
    /// What was refused, by reason.
    pub(super) refused: [Cell64; Refusal::COUNT],
    /// What would have been refused, by reason, while in observe mode.
    pub(super) would_refuse: [Cell64; Refusal::COUNT],
    pub(super) seen: QueueSeen,
    pub(super) tenants: [TenantCounts; TENANTS],
    /// New work by business priority, and by user level within it.
    pub(super) demand: [Cell32; PRIORITIES],
    pub(super) demand_by_level: [[Cell32; USER_LEVELS]; PRIORITIES],
}

/// All that every request writes but its key's counters. One line: whoever adds to `flow` must own it anyway, so the
/// statistics beside it cost no further transfer between processors.
#[repr(C, align(64))]
pub(super) struct QueueBusy {
    pub(super) flow: Flow,
    /// How long the queue takes to move up by one request; 0 while the capacity is not known.
    pub(super) ns_per_request: Cell64,
    /// Requests admitted that continue a task.
    pub(super) admitted_continuing: Cell64,
    pub(super) wait_sum_ns: Cell64,
    /// The shortest service time in this window; 0 if there was none.
    pub(super) shortest_service_ns: Cell64,
    pub(super) service_sum_ns: Cell64,
    /// Requests that found an idle worker.
    pub(super) found_idle: Cell64,
}

/// Requests that were abandoned, or lost with their process: all of them, and those that were running.
#[repr(C)]
pub(super) struct QueueGone {
    pub(super) all: Cell64,
    pub(super) running: Cell64,
}

/// What has passed through a queue since it was laid out. Counts wrap.
#[derive(Clone, Copy)]
pub(super) struct Totals {
    pub(super) queued: u32,
    pub(super) running: u32,
    pub(super) admitted: u64,
    pub(super) dequeued: u64,
    pub(super) completed: u64,
}

impl Queue {
    /// Everything is derived from what is conserved: each request that came in is queued, running, completed, dropped
    /// as too late, or gone.
    pub(super) fn totals(&self) -> Totals {
        let flow = self.busy.flow.read();
        let running = flow.in_system().saturating_sub(flow.queued());
        let new = flow.completed_since(FlowReading(self.seen.flow.get()));
        let completed = self.seen.completed.get().wrapping_add(new.into());
        let left = completed.wrapping_add(self.refused[Refusal::DeadlineInQueue as usize].get());
        Totals {
            queued: flow.queued(),
            running,
            admitted: left.wrapping_add(flow.in_system().into()).wrapping_add(self.gone.all.get()),
            dequeued: left.wrapping_add(running.into()).wrapping_add(self.gone.running.get()),
            completed,
        }
    }
}

/// What the leader last saw of a queue. Only the leader writes it.
#[repr(C, align(64))]
pub(super) struct QueueSeen {
    pub(super) flow: Cell64,
    pub(super) found_idle: Cell64,
    /// All completions up to that reading of the flow.
    pub(super) completed: Cell64,
    pub(super) admitted: Cell64,
    pub(super) admitted_continuing: Cell64,
    pub(super) dequeued: Cell64,
    pub(super) refused_by_wait: Cell64,
    pub(super) wait_sum_ns: Cell64,
    pub(super) service_sum_ns: Cell64,
    pub(super) completed_mrps: Cell64,
    pub(super) capacity_mrps: Cell64,
}

/// Changes when a word moves. What changes without moving one (the fields of the flow word, of a key, the order of the
/// settings) changes the version in the magic.
const LAYOUT_HASH: u64 = {
    const FACTS: &[usize] = &[
        size_of::<Head>(),
        offset_of!(Identity, config),
        offset_of!(Head, hot),
        offset_of!(Hot, cursor),
        offset_of!(Hot, marginal_cursor),
        offset_of!(Hot, mode),
        offset_of!(Hot, shedding),
        offset_of!(Hot, service_floor_ns),
        offset_of!(Hot, hard_wait_limit_ns),
        offset_of!(Hot, exempt_per_10k),
        offset_of!(Head, quotas),
        offset_of!(Head, tenants),
        offset_of!(Head, cpu),
        size_of::<Quota>(),
        size_of::<TenantSeen>(),
        size_of::<TenantCounts>(),
        offset_of!(Head, closer),
        offset_of!(Closer, windows_closed),
        offset_of!(Closer, demand_mrps),
        offset_of!(Closer, capacity_mrps),
        offset_of!(Closer, capacity_known),
        offset_of!(Closer, mean_service_ns),
        offset_of!(Closer, admitted_new_mrps),
        offset_of!(Closer, admitted_continuing_mrps),
        offset_of!(Closer, cpu_bound),
        offset_of!(Closer, held_back_q16),
        offset_of!(Closer, by_priority),
        offset_of!(PriorityShape, rate_mrps),
        offset_of!(PriorityShape, refreshed_ns),
        offset_of!(PriorityShape, level_seen),
        size_of::<PriorityShape>(),
        offset_of!(PriorityShape, level_weight),
        size_of::<Queue>(),
        offset_of!(QueueBusy, flow),
        offset_of!(QueueBusy, ns_per_request),
        offset_of!(QueueBusy, admitted_continuing),
        offset_of!(QueueBusy, wait_sum_ns),
        offset_of!(QueueBusy, shortest_service_ns),
        offset_of!(QueueBusy, service_sum_ns),
        offset_of!(QueueBusy, found_idle),
        offset_of!(QueueSeen, flow),
        offset_of!(QueueSeen, found_idle),
        offset_of!(QueueSeen, completed),
        offset_of!(QueueSeen, admitted),
        offset_of!(QueueSeen, admitted_continuing),
        offset_of!(QueueSeen, dequeued),
        offset_of!(QueueSeen, refused_by_wait),
        offset_of!(QueueSeen, wait_sum_ns),
        offset_of!(QueueSeen, service_sum_ns),
        offset_of!(QueueSeen, completed_mrps),
        offset_of!(QueueSeen, capacity_mrps),
        offset_of!(Queue, gone),
        offset_of!(Queue, refused),
        offset_of!(Queue, would_refuse),
        offset_of!(Queue, seen),
        offset_of!(Queue, tenants),
        offset_of!(Queue, demand),
        offset_of!(Queue, demand_by_level),
    ];
    let mut words = [0; FACTS.len()];
    let mut i = 0;
    while i < FACTS.len() {
        words[i] = FACTS[i] as u64;
        i += 1;
    }
    layout_hash(&words)
};

const _: () = {
    assert!(align_of::<Head>() == ALIGN && align_of::<Queue>() == ALIGN && align_of::<Line>() == ALIGN);
    assert!(size_of::<Head>().is_multiple_of(ALIGN) && size_of::<Queue>().is_multiple_of(ALIGN));
    assert!(size_of::<Identity>() == 128 && size_of::<Hot>() == 64);
    assert!(size_of::<QueueBusy>() == 64);
};

/// Bytes that a controller with `queue_count` queues needs.
pub(super) const fn memory_size(queue_count: u32) -> usize {
    size_of::<Head>() + queue_count as usize * size_of::<Queue>()
}

/// References into a controller's memory, whose length was checked when they were made.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) head: &'a Head,
    pub(super) queues: &'a [Queue],
}

/// Lays out a new controller in zeroed or used memory, which nobody else may use meanwhile.
///
/// # Safety
///
/// `memory` points to `len` bytes that are valid for reads and writes for `'a`, and that are accessed during `'a`
/// by nothing but this library, in this or another process.
pub(super) unsafe fn init<'a>(
    memory: NonNull<u8>,
    len: usize,
    config: &Config,
    now: Nanos,
) -> Result<View<'a>, Status> {
    config.validate()?;
    let total_len = memory_size(config.queue_count);
    check_region(memory, len, total_len)?;
    // SAFETY: `check_region` found `len >= total_len`, and the caller gives `len` writable bytes for its own use.
    unsafe { memory.write_bytes(0, total_len) };
    // SAFETY: aligned and long enough by `check_region`; the caller keeps the memory valid for 'a.
    let view = unsafe { view(memory, config.queue_count) };
    let identity = &view.head.identity;
    identity.layout_hash.set(LAYOUT_HASH);
    identity.total_len.set(total_len as u64);
    for (cell, value) in identity.config.iter().zip(config_words(config)) {
        cell.set(value);
    }
    let hot = &view.head.hot;
    hot.election.begin(now.0);
    hot.cursor.set(Cursor::OPEN.0);
    hot.marginal_cursor.set(Cursor::OPEN.0);
    hot.mode.set(config.mode as u32);
    view.head.closer.measured_from_ns.set(now.0);
    // Release: whoever sees the magic sees all of the above.
    identity.magic.store(MAGIC, Ordering::Release);
    Ok(view)
}

/// Finds the controller that another call to [`init`] laid out in the same memory.
///
/// # Safety
///
/// As for [`init`].
pub(super) unsafe fn attach<'a>(memory: NonNull<u8>, len: usize) -> Result<(View<'a>, Config), Status> {
    check_region(memory, len, memory_size(1))?;
    // SAFETY: aligned and long enough for a head by `check_region`; the caller keeps the memory valid for 'a.
    let head = unsafe { memory.cast::<Head>().as_ref() };
    let identity = &head.identity;
    if identity.magic.load(Ordering::Acquire) != MAGIC {
        return Err(Status::NOT_INITIALISED);
    }
    if identity.layout_hash.get() != LAYOUT_HASH {
        return Err(Status::VERSION_MISMATCH);
    }
    let config = config_from_words(|index| identity.config.get(index).map_or(0, Cell32::get))
        .filter(|config| config.validate().is_ok())
        .ok_or(Status::NOT_INITIALISED)?;
    let total_len = memory_size(config.queue_count);
    if identity.total_len.get() != total_len as u64 {
        return Err(Status::NOT_INITIALISED);
    }
    check_region(memory, len, total_len)?;
    // SAFETY: aligned and long enough for this many queues by `check_region`; valid for 'a by the caller.
    Ok((unsafe { view(memory, config.queue_count) }, config))
}

fn check_region(memory: NonNull<u8>, len: usize, wanted: usize) -> Result<(), Status> {
    if !memory.addr().get().is_multiple_of(ALIGN) {
        return Err(Status::MISALIGNED);
    }
    // No object is longer than isize::MAX, and none wraps around the address space.
    if len > isize::MAX as usize || memory.addr().get().checked_add(len).is_none() {
        return Err(Status::INVALID_ARGUMENT);
    }
    if len < wanted { Err(Status::TOO_SMALL) } else { Ok(()) }
}

/// # Safety
///
/// `memory` is aligned to [`ALIGN`] and valid for [`memory_size`]`(queue_count)` bytes during `'a`, and only atomics
/// access it.
unsafe fn view<'a>(memory: NonNull<u8>, queue_count: u32) -> View<'a> {
    // SAFETY: `Head` and `Queue` consist of atomics only: every bit pattern is a valid value, and a shared reference
    // to them allows other threads and processes to write. Length and alignment are the caller's promise, and
    // `Head`'s size is a multiple of `Queue`'s alignment (asserted above), so the queues are aligned too.
    unsafe {
        let head = memory.cast::<Head>().as_ref();
        let first = memory.byte_add(size_of::<Head>()).cast::<Queue>();
        View { head, queues: core::slice::from_raw_parts(first.as_ptr(), queue_count as usize) }
    }
}

fn config_words(config: &Config) -> [u32; 13] {
    [
        config.queue_count,
        config.workers_per_queue,
        config.mode as u32,
        config.window_ms,
        config.target_wait_ms,
        config.overload_wait_ms,
        config.soft_wait_limit_ms,
        config.hard_wait_limit_ms,
        config.marginal_band_per_10k,
        config.headroom_per_10k,
        config.policy as u32,
        config.cpu_limit_per_10k,
        u32::from(config.fair_share),
    ]
}

fn config_from_words(word: impl Fn(usize) -> u32) -> Option<Config> {
    Some(Config {
        queue_count: word(0),
        workers_per_queue: word(1),
        mode: Mode::from_number(word(2))?,
        window_ms: word(3),
        target_wait_ms: word(4),
        overload_wait_ms: word(5),
        soft_wait_limit_ms: word(6),
        hard_wait_limit_ms: word(7),
        marginal_band_per_10k: word(8),
        headroom_per_10k: word(9),
        policy: Policy::from_number(word(10))?,
        cpu_limit_per_10k: word(11),
        fair_share: word(12) != 0,
    })
}
