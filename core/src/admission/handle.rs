//! What a server calls: admit, dequeued, done.
//!
//! ```text
//! admit ──► your queue ──► dequeued ──► your handler ──► done
//!    │            │             └ refused: it is too late to run it
//!    │            └ abandoned: it left the queue in another way
//!    └ refused: answer so at once
//! ```

use core::ptr::NonNull;

use super::config::{Config, Limits, Mode};
use super::controller;
use super::demand;
use super::flow::{FlowReading, MAX_IN_SYSTEM};
use super::gate::{self, QueueState, Request};
use super::key::{Cursor, Key};
use super::layout::{self, Line, Queue, View};
use super::tenant::{TENANTS, TenantCounts};
use crate::host::control::{Control, Mechanism};
use crate::id::{Per10k, Salt};
use crate::status::{Refusal, Status};
use crate::time::{NANOS_PER_MICRO, NANOS_PER_SECOND, Nanos};

/// With an unknown number of workers: a request that waited for less than this found one idle. It covers the time
/// that waking a thread takes.
const IDLE_WAIT_NS: u64 = 500 * NANOS_PER_MICRO;

/// Places tasks on the ramp.
const RAMP: Salt = Salt(0x7261_6d70);

/// A longer service time counts as this long.
const MAX_SERVICE_NS: u64 = 60 * NANOS_PER_SECOND;

/// A window is closed after this part of its length when overload begins.
const EARLY_WINDOWS: u64 = 4;

/// The most withheld requests that one caller may report at once.
const MAX_WITHHELD: u32 = u16::MAX as u32;

/// A controller, as one process sees it: pointers into shared memory and a private copy of the settings.
///
/// It is a plain value. Copies are equal, may be used by any number of threads at once, and stay valid in a child
/// after `fork` if the memory is mapped shared.
#[derive(Clone, Copy)]
pub struct Admission<'a> {
    pub(super) view: View<'a>,
    pub(super) limits: Limits,
}

impl<'a> Admission<'a> {
    /// Bytes that a controller with these settings needs.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if a setting is outside its range.
    pub fn memory_size(config: &Config) -> Result<usize, Status> {
        config.validate()?;
        Ok(layout::memory_size(config.queue_count))
    }

    /// Lays out a controller in `lines`, [`Admission::memory_size`] bytes of them.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for settings outside their range, [`Status::TOO_SMALL`] for too few lines.
    pub fn new(lines: &'a mut [Line], config: &Config, now: Nanos) -> Result<Admission<'a>, Status> {
        let len = size_of_val(lines);
        // SAFETY: the lines are borrowed exclusively for 'a, so nothing but this controller accesses them.
        unsafe { Admission::init(NonNull::from(lines).cast(), len, config, now) }
    }

    /// Lays out a controller in raw memory, for instance in a `MAP_SHARED` mapping made before a `fork`.
    ///
    /// # Safety
    ///
    /// `memory` points to `len` bytes that are valid for reads and writes for `'a`, and that are accessed during `'a`
    /// by nothing but this library, in this or another process.
    ///
    /// # Errors
    ///
    /// As for [`Admission::new`], and [`Status::MISALIGNED`] if `memory` is not aligned to 64 bytes.
    pub unsafe fn init(memory: NonNull<u8>, len: usize, config: &Config, now: Nanos) -> Result<Admission<'a>, Status> {
        // SAFETY: the same conditions, which the caller upholds.
        let view = unsafe { layout::init(memory, len, config, now) }?;
        Ok(Admission { view, limits: config.limits() })
    }

    /// Joins the controller that somebody else laid out in the same memory, wherever it is mapped here.
    ///
    /// # Safety
    ///
    /// As for [`Admission::init`].
    ///
    /// # Errors
    ///
    /// [`Status::MISALIGNED`], [`Status::TOO_SMALL`]; [`Status::NOT_INITIALISED`] if there is no controller,
    /// [`Status::VERSION_MISMATCH`] if another version laid it out.
    pub unsafe fn attach(memory: NonNull<u8>, len: usize) -> Result<Admission<'a>, Status> {
        // SAFETY: the same conditions, which the caller upholds.
        let (view, config) = unsafe { layout::attach(memory, len) }?;
        Ok(Admission { view, limits: config.limits() })
    }

    /// May I take this request into `queue`?
    ///
    /// `Ok`: put it into the queue, and call [`dequeued`](Self::dequeued) or [`abandoned`](Self::abandoned) later.
    ///
    /// # Errors
    ///
    /// The reason for which to refuse it: any of [`Refusal`] but `DeadlineInQueue`. Answer at once with this status
    /// and the [`cursor`](Self::cursor). [`Status::INVALID_ARGUMENT`] if there is no such queue.
    #[inline]
    pub fn admit(&self, queue: u32, request: &Request, now: Nanos) -> Result<(), Status> {
        let queue = self.queue(queue)?;
        self.judge::<true>(queue, request, now, |flow| flow.in_system() < self.limits.workers)?;
        queue.busy.flow.enter();
        Ok(())
    }

    /// Closes the window, if it is over.
    #[inline(always)]
    pub(super) fn watch_window(&self, now: Nanos) {
        if self.view.head.hot.election.is_over(now.0, self.limits.window_ns) {
            self.close_window(now, self.limits.window_ns);
        }
    }

    /// Decides and counts; and closes the window if it is over, unless the caller does.
    #[inline(always)]
    pub(super) fn judge<const WATCHES_WINDOW: bool>(
        &self,
        queue: &Queue,
        request: &Request,
        now: Nanos,
        is_worker_idle: impl FnOnce(FlowReading) -> bool,
    ) -> Result<(), Status> {
        let claimed_key = request.key;
        let effective;
        let request = if request.tenant == 0 {
            request
        } else {
            effective = self.account(queue, request);
            &effective
        };
        let hot = &self.view.head.hot;
        if WATCHES_WINDOW {
            self.watch_window(now);
        }
        let mode = hot.mode.get();
        let flow = queue.busy.flow.read();
        let worker_idle = is_worker_idle(flow);
        if mode != Mode::Off as u32 {
            if worker_idle && now < request.deadline && hot.shedding.get() != CPU_BOUND {
                self.count_demand(queue, request);
            } else {
                if now < request.deadline && self.overload_begins(queue, flow, now) {
                    self.close_window(now, self.limits.window_ns / EARLY_WINDOWS);
                }
                self.consider(queue, request, flow, mode, now)?;
            }
        }
        if request.continues_task {
            queue.busy.admitted_continuing.add(1);
        }
        if worker_idle {
            queue.busy.found_idle.add(1);
        }
        if let Some(counts) = tenant_counts(queue, request.tenant) {
            counts.admitted.add(1);
            if request.key == claimed_key {
                counts.admitted_as_claimed.add(1);
            }
        }
        Ok(())
    }

    /// Counts a request for its tenant, and says what it competes as. One of a tenant that floods loses what it claims.
    #[inline(never)]
    fn account(&self, queue: &Queue, request: &Request) -> Request {
        if let Some(counts) = tenant_counts(queue, request.tenant) {
            counts.offered.add(1);
        }
        let quota = self.view.head.quotas.get(place_of(request.tenant)).filter(|_| self.limits.fair_share);
        if quota.is_some_and(|quota| quota.demotes(request.key, request.continues_task)) {
            Request { key: request.key.least_important(), continues_task: false, ..*request }
        } else {
            *request
        }
    }

    #[cold]
    #[inline(never)]
    fn close_window(&self, now: Nanos, least_ns: u64) {
        if let Some(turn) = self.view.head.hot.election.take_turn(now.0, least_ns) {
            controller::close(self.view, &self.limits, turn);
        }
    }

    /// The retry of a call that the cursor refuses again is not new work: see [`demand`].
    #[inline]
    fn count_demand(&self, queue: &Queue, request: &Request) {
        let cursor = Cursor(self.view.head.hot.cursor.get());
        if !request.continues_task && (!request.is_retry || cursor.admits(request.key)) {
            demand::count(queue, request.key);
        }
    }

    /// May this request be taken, whose body is still on its way? If not, its body need not be kept. One that may is asked about again,
    /// by [`admit`](Self::admit), when it is there.
    ///
    /// # Errors
    ///
    /// [`Status::BELOW_CURSOR`]: it is refused, and counted as such. [`Status::INVALID_ARGUMENT`] if there is no such queue.
    pub fn judge_early(&self, queue: u32, request: &Request) -> Result<(), Status> {
        let of = self.queue(queue)?;
        if request.continues_task || self.cursor(queue).admits(request.key) {
            return Ok(());
        }
        self.count_demand(of, request);
        self.refuse(of, Refusal::BelowCursor, self.view.head.hot.mode.get(), request.key.0.into())
    }

    /// A caller says that it withheld `count` requests since its last one, of which one had this key: they are demand too,
    /// without which the cursor would open as soon as callers heed it. Beyond 65 535 requests none is believed.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    pub fn withheld(&self, queue: u32, key: Key, count: u32) -> Result<(), Status> {
        demand::count_withheld(self.queue(queue)?, key, if count > MAX_WITHHELD { MAX_WITHHELD } else { count });
        Ok(())
    }

    /// Nothing is shed yet, and waits show that it should: the sooner there is a cursor, the fewer tasks are begun in vain.
    #[inline]
    fn overload_begins(&self, queue: &Queue, flow: FlowReading, now: Nanos) -> bool {
        let hot = &self.view.head.hot;
        hot.shedding.get() == 0
            && gate::wait_ns(flow.queued(), queue.busy.ns_per_request.get()) > self.limits.overload_wait_ns
            && hot.election.is_over(now.0, self.limits.window_ns / EARLY_WINDOWS)
    }

    /// Counts and decides, where no worker is idle or the deadline is past: apart, so that the ordinary case needs few
    /// registers.
    #[inline(never)]
    fn consider(
        &self,
        queue: &Queue,
        request: &Request,
        flow: FlowReading,
        mode: u32,
        now: Nanos,
    ) -> Result<(), Status> {
        // It is no demand and says nothing of this service.
        if now >= request.deadline {
            return self.refuse(queue, Refusal::ExpiredOnArrival, mode, request.key.0.into());
        }
        self.count_demand(queue, request);
        if flow.in_system() >= MAX_IN_SYSTEM {
            return self.refuse(queue, Refusal::QueueFull, mode, request.key.0.into());
        }
        let hot = &self.view.head.hot;
        let (shedding, cursor) = (hot.shedding.get(), Cursor(hot.cursor.get()));
        // Where the processor is the bottleneck no queue shows it.
        if flow.queued() == 0 && shedding != CPU_BOUND {
            return Ok(());
        }
        if !gate::passes(request, cursor) {
            return self.refuse(queue, Refusal::BelowCursor, mode, request.key.0.into());
        }
        let state = QueueState {
            queued: flow.queued(),
            ns_per_request: queue.busy.ns_per_request.get(),
            shedding: shedding != 0,
            cursor,
            marginal_cursor: Cursor(hot.marginal_cursor.get()),
            hard_wait_limit_ns: match hot.hard_wait_limit_ns.get() {
                0 => u64::MAX,
                limit_ns => limit_ns,
            },
            service_floor_ns: hot.service_floor_ns.get(),
        };
        match gate::decide(request, &state, &self.limits, now) {
            Some(reason) => self.refuse(queue, reason, mode, request.key.0.into()),
            None => Ok(()),
        }
    }

    /// A worker has taken an admitted request out of its queue. Shall it run it?
    ///
    /// `admitted_at` is the time that was passed to [`admit`](Self::admit). After `Ok` call [`done`](Self::done).
    ///
    /// # Errors
    ///
    /// [`Status::DEADLINE_IN_QUEUE`]: it is too late; answer so, and do not call `done`.
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    #[inline]
    pub fn dequeued(&self, queue: u32, admitted_at: Nanos, deadline: Nanos, now: Nanos) -> Result<(), Status> {
        let queue = self.queue(queue)?;
        let hot = &self.view.head.hot;
        let wait_ns = self.count_wait(queue, now.since(admitted_at));
        let mode = hot.mode.get();
        let others_wait = || queue.busy.flow.read().queued() > 1;
        if mode != Mode::Off as u32
            && gate::is_too_late(others_wait, hot.service_floor_ns.get(), deadline, now)
            && let Err(status) = self.refuse(queue, Refusal::DeadlineInQueue, mode, admitted_at.0)
        {
            queue.busy.flow.drop_queued();
            return Err(status);
        }
        if self.limits.workers == 0 && wait_ns < IDLE_WAIT_NS {
            queue.busy.found_idle.add(1);
        }
        queue.busy.flow.start();
        Ok(())
    }

    /// A request that [`dequeued`](Self::dequeued) let run is finished, well or badly; also when its worker has died, which
    /// somebody else says then. `started_at` is the time that was passed to `dequeued`.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    #[inline]
    pub fn done(&self, queue: u32, started_at: Nanos, now: Nanos) -> Result<(), Status> {
        let queue = self.queue(queue)?;
        self.count_service(queue, now.since(started_at));
        queue.busy.flow.complete();
        Ok(())
    }

    /// Counts how long a request has waited, and says what was counted.
    #[inline]
    pub(super) fn count_wait(&self, queue: &Queue, wait_ns: u64) -> u64 {
        let wait_ns = wait_ns.min(self.limits.max_counted_wait_ns);
        queue.busy.wait_sum_ns.add(wait_ns);
        wait_ns
    }

    /// Counts how long a request has run.
    #[inline]
    pub(super) fn count_service(&self, queue: &Queue, service_ns: u64) {
        let service_ns = service_ns.max(1);
        let shortest_ns = queue.busy.shortest_service_ns.get();
        if shortest_ns == 0 || service_ns < shortest_ns {
            queue.busy.shortest_service_ns.set(service_ns);
        }
        queue.busy.service_sum_ns.add(if service_ns < MAX_SERVICE_NS { service_ns } else { MAX_SERVICE_NS });
    }

    /// An admitted request left its queue without being run: the queue was full after all, or its caller has gone.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    #[inline]
    pub fn abandoned(&self, queue: u32) -> Result<(), Status> {
        let queue = self.queue(queue)?;
        queue.gone.all.add(1);
        queue.busy.flow.drop_queued();
        Ok(())
    }

    /// The process that served `queue` is gone, and with it all that was queued and running there. To be called
    /// before another process takes the queue over.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    pub fn queue_lost(&self, queue: u32) -> Result<(), Status> {
        let queue = self.queue(queue)?;
        let lost = queue.busy.flow.forget_levels();
        queue.gone.all.add(lost.in_system().into());
        queue.gone.running.add(lost.in_system().saturating_sub(lost.queued()).into());
        Ok(())
    }

    /// The cursor to put into every response: callers need not send what it does not admit. With one queue it follows the
    /// queue's length, and is open while that is empty. With several it says what the server as a whole admits, since callers do not
    /// know queues. Always open in every mode but [`Mode::Enforce`], and on a ramp.
    #[inline]
    pub fn cursor(&self, queue: u32) -> Cursor {
        let hot = &self.view.head.hot;
        let is_in_force = hot.mode.get() == Mode::Enforce as u32 && hot.exempt_per_10k.get() == 0;
        let Some(queue) = self.queue(queue).ok().filter(|_| is_in_force) else { return Cursor::OPEN };
        if self.view.queues.len() > 1 {
            return Cursor(hot.cursor.get());
        }
        let queued = queue.busy.flow.read().queued();
        if queued == 0 && hot.shedding.get() != CPU_BOUND {
            return Cursor::OPEN;
        }
        let wait_ns = gate::wait_ns(queued, queue.busy.ns_per_request.get());
        gate::cursor_at(wait_ns, Cursor(hot.cursor.get()), Cursor(hot.marginal_cursor.get()), &self.limits)
    }

    /// Changes the mode for all processes, at once. Requests in flight stay accounted for.
    pub fn set_mode(&self, mode: Mode) {
        self.view.head.hot.mode.set(mode as u32);
    }

    /// Puts in force what the host's operator says of admission, mode and share; without a word of his, `own_mode` for all. To be
    /// called once a second.
    pub fn follow(&self, control: Option<&Control<'_>>, own_mode: Mode) {
        let (mode, share) = match control {
            Some(control) if control.is_killed() => (Mode::Off, Per10k::ALL),
            Some(control) => control
                .setting(Mechanism::Admission)
                .map_or((own_mode, Per10k::ALL), |setting| (setting.mode, setting.share)),
            None => (own_mode, Per10k::ALL),
        };
        // In between, less is enforced than before or after.
        if mode == Mode::Enforce {
            self.set_enforced(share);
        }
        self.set_mode(mode);
        self.set_enforced(share);
    }

    /// For which share of the tasks [`Mode::Enforce`] is in force, for a ramp; what the others would have been refused for is
    /// counted. A task keeps its place: raising the share only adds tasks. All of them at first.
    pub fn set_enforced(&self, share: Per10k) {
        self.view.head.hot.exempt_per_10k.set((Per10k::ALL.get() - share.get()).into());
    }

    /// Whether the ramp has not reached the owner of a number yet.
    #[inline]
    fn is_exempt(&self, number: u64) -> bool {
        let exempt = self.view.head.hot.exempt_per_10k.get();
        // Its own salt: independent of the order of importance.
        exempt != 0 && RAMP.hash(number) >> 32 >= ((10_000 - u64::from(exempt.min(10_000))) << 32) / 10_000
    }

    /// Says how much of the processor this service uses of what it may use (its cgroup's quota), in 1/10000, as sampled lately: four
    /// times a second, say. Above the limit of the settings less is admitted, before any queue shows it. For services whose
    /// concurrency nothing else bounds, such as coroutines: where there are no more workers than processors, a full processor is
    /// what one wants. A sample is used for two seconds.
    pub fn set_cpu(&self, cpu_per_10k: u32, now: Nanos) {
        self.view.head.cpu.set(cpu_per_10k, now);
    }

    /// Sets a tenant's weight for its fair share, 1 to 10 000; 1 at first.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for another weight, or a tenant that is not 1 to 63.
    pub fn set_tenant_weight(&self, tenant: u16, weight: u32) -> Result<(), Status> {
        match self.view.head.quotas.get(usize::from(tenant)) {
            Some(quota) if tenant != 0 && (1..=10_000).contains(&weight) => {
                quota.set_weight(weight);
                Ok(())
            }
            _ => Err(Status::INVALID_ARGUMENT),
        }
    }

    /// What was counted of a tenant.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] for a tenant that is not 1 to 63.
    pub fn tenant_snapshot(&self, tenant: u16) -> Result<TenantSnapshot, Status> {
        let quota = self.view.head.quotas.get(usize::from(tenant)).ok_or(Status::INVALID_ARGUMENT)?;
        if tenant == 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        let counts = self.view.queues.iter().filter_map(|queue| tenant_counts(queue, tenant));
        let (offered, admitted) = counts.fold((0u64, 0u64), |(offered, admitted), counts| {
            (offered.wrapping_add(counts.offered.get()), admitted.wrapping_add(counts.admitted.get()))
        });
        Ok(TenantSnapshot { offered, admitted, demoted: quota.demoted() })
    }

    /// What the controller knows, for people and metrics. The values are read one after the other.
    pub fn snapshot(&self) -> Snapshot {
        let (hot, closer) = (&self.view.head.hot, &self.view.head.closer);
        Snapshot {
            mode: Mode::from_number(hot.mode.get()).unwrap_or(Mode::Off),
            shedding: hot.shedding.get() != 0,
            cursor: Cursor(hot.cursor.get()),
            marginal_cursor: Cursor(hot.marginal_cursor.get()),
            queue_count: self.view.queues.len() as u32,
            windows_closed: closer.windows_closed.get(),
            demand_mrps: closer.demand_mrps.get(),
            capacity_mrps: if closer.capacity_known.get() != 0 { closer.capacity_mrps.get() } else { 0 },
            service_floor_ns: hot.service_floor_ns.get(),
        }
    }

    /// What the controller knows of one queue.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    pub fn queue_snapshot(&self, queue: u32) -> Result<QueueSnapshot, Status> {
        let queue = self.queue(queue)?;
        let totals = queue.totals();
        Ok(QueueSnapshot {
            queued: totals.queued,
            running: totals.running,
            admitted: totals.admitted,
            completed: totals.completed,
            refused: queue.refused.each_ref().map(|count| count.get()),
            would_refuse: queue.would_refuse.each_ref().map(|count| count.get()),
            wait_sum_ns: queue.busy.wait_sum_ns.get(),
            wait_count: totals.dequeued,
            capacity_mrps: queue.seen.capacity_mrps.get(),
        })
    }

    #[inline]
    pub(super) fn queue(&self, queue: u32) -> Result<&'a Queue, Status> {
        self.view.queues.get(queue as usize).ok_or(Status::INVALID_ARGUMENT)
    }

    /// Counts a refusal; `Err` if it is in force.
    #[inline]
    fn refuse(&self, queue: &Queue, reason: Refusal, mode: u32, ramp_by: u64) -> Result<(), Status> {
        let enforced = mode == Mode::Enforce as u32 && !self.is_exempt(ramp_by);
        let counts = if enforced { &queue.refused } else { &queue.would_refuse };
        counts[reason as usize].add(1);
        if enforced { Err(reason.status()) } else { Ok(()) }
    }
}

/// The value of [`layout::Hot::shedding`] that says that the processor is the bottleneck.
pub(super) const CPU_BOUND: u32 = 2;

/// Where a tenant's requests are counted; nobody's are not.
#[inline]
fn tenant_counts(queue: &Queue, tenant: u16) -> Option<&TenantCounts> {
    if tenant == 0 { None } else { queue.tenants.get(place_of(tenant)) }
}

/// The place of a tenant, from 1 on: numbers that are too large share those of others, and none is nobody's.
#[inline]
fn place_of(tenant: u16) -> usize {
    usize::from(tenant.wrapping_sub(1)) % (TENANTS - 1) + 1
}

/// What a controller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether decisions count.
    pub mode: Mode,
    /// Whether the cursor is in force.
    pub shedding: bool,
    /// Keys at or above it are refused.
    pub cursor: Cursor,
    /// Keys from here up to the cursor are refused when the queue exceeds the soft limit.
    pub marginal_cursor: Cursor,
    /// How many queues share the controller.
    pub queue_count: u32,
    /// Windows that were used so far.
    pub windows_closed: u64,
    /// New work offered, in thousandths of a request per second.
    pub demand_mrps: u64,
    /// What the service can complete, in thousandths of a request per second; 0 while that is not known.
    pub capacity_mrps: u64,
    /// The shortest service time lately.
    pub service_floor_ns: u64,
}

/// What a controller knows of a tenant. Counts grow from 0 and wrap at 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantSnapshot {
    /// Its requests.
    pub offered: u64,
    /// Those that were admitted.
    pub admitted: u64,
    /// Which share of its work competes as the least important, because it floods.
    pub demoted: Per10k,
}

/// What a controller knows of one queue. Counts grow from 0 and wrap at 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSnapshot {
    /// Requests that wait for a worker now.
    pub queued: u32,
    /// Requests that run now.
    pub running: u32,
    /// Requests admitted.
    pub admitted: u64,
    /// Requests completed.
    pub completed: u64,
    /// Requests refused, by reason.
    pub refused: [u64; Refusal::COUNT],
    /// Requests that would have been refused while in observe mode, by reason.
    pub would_refuse: [u64; Refusal::COUNT],
    /// Sum of the waits of all requests that left the queue.
    pub wait_sum_ns: u64,
    /// How many left the queue.
    pub wait_count: u64,
    /// What the workers of this queue can complete, in thousandths of a request per second; 0 if not known.
    pub capacity_mrps: u64,
}
