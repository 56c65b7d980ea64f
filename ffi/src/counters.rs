//! Counters, leaky buckets and traces that all processes of the host share, for C.

use mcrpc_core::host::control::Mechanism;
use mcrpc_core::host::fail::BucketId;
use mcrpc_core::host::seat::{COMMON, QueueReport};
use mcrpc_core::host::stat::{Column, CounterKey, Kind, Stat};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use crate::admission::{self, mcrpc_admission_t};
use crate::host::{self, mcrpc_host_t};
use crate::pointer::{self, code};
use crate::state::Host;
use crate::strategy::mcrpc_endpoint_t;

/// A counter that is added to: its value is the sum over all processes.
pub const MCRPC_COUNTER_SUM: u32 = 0;
/// A counter of which the largest value within ten seconds is kept.
pub const MCRPC_COUNTER_MAX: u32 = 1;

/// The most bytes of a trace record; what is longer is cut off.
pub const MCRPC_TRACE_MAX_LEN: usize = 888;
const _: () = assert!(MCRPC_TRACE_MAX_LEN == mcrpc_core::host::trace::MAX_RECORD_LEN);

/// How a bucket leaks; the same for all who use it. 0 < drain, limit <= capacity <= one day. Start from MCRPC_LEAK_INIT.
/// It does not grow: all versions must agree on a bucket that they share.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_leak_t {
    /// How long one failure takes to leak out.
    pub drain_ns: u64,
    /// The bucket is full when it needs longer than this to become empty.
    pub limit_ns: u64,
    /// It never needs longer than this.
    pub capacity_ns: u64,
}

/// Sets `out` to the number of the counter `id` (at most 2^31 - 1), `key`, `kind` (MCRPC_COUNTER_...), which is made if there
/// is none: for mcrpc_counter_add() and mcrpc_counter_max(). Good until the host's counters are replaced.
/// Returns MCRPC_NO_POLICY, _INVALID_ARGUMENT (also for id 0 with key 0) or _TABLE_FULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_counter_open(
    host: *const mcrpc_host_t,
    id: u32,
    key: u32,
    kind: u32,
    out: *mut u64,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller's promise.
        let (_, stat) = counters(unsafe { host::get(host) }?)?;
        let kind = match kind {
            MCRPC_COUNTER_SUM => Kind::Sum,
            MCRPC_COUNTER_MAX => Kind::Max,
            _ => return Err(Status::INVALID_ARGUMENT),
        };
        let column = stat.column(CounterKey { id, key, kind })?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(stat.instance() << 32 | u64::from(column.number())) };
        Ok(())
    })())
}

/// Adds `n` to a counter from mcrpc_counter_open(), for this process.
/// Returns MCRPC_STALE_ID when the counters were replaced (open it again), MCRPC_NO_POLICY when there are none.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_counter_add(host: *const mcrpc_host_t, counter: u64, n: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let (seat, stat) = counters(unsafe { host::get(host) }?)?;
        stat.add(seat, column(stat, counter)?, n);
        Ok(())
    })())
}

/// Raises a counter of kind MCRPC_COUNTER_MAX to at least `value`, of which 48 bits count.
/// Returns as mcrpc_counter_add().
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_counter_max(host: *const mcrpc_host_t, counter: u64, value: u64, now_ns: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let (seat, stat) = counters(unsafe { host::get(host) }?)?;
        stat.set_max(seat, column(stat, counter)?, value, Nanos(now_ns));
        Ok(())
    })())
}

/// Adds `n` to the counter `id`, `key`: mcrpc_counter_open() and mcrpc_counter_add() in one.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_count(host: *const mcrpc_host_t, id: u32, key: u32, n: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let (seat, stat) = counters(unsafe { host::get(host) }?)?;
        stat.add(seat, stat.column(CounterKey { id, key, kind: Kind::Sum })?, n);
        Ok(())
    })())
}

/// Raises the maximum `id`, `key` to at least `value`: mcrpc_counter_open() and mcrpc_counter_max() in one.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_set_max(host: *const mcrpc_host_t, id: u32, key: u32, value: u64, now_ns: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let (seat, stat) = counters(unsafe { host::get(host) }?)?;
        stat.set_max(seat, stat.column(CounterKey { id, key, kind: Kind::Max })?, value, Nanos(now_ns));
        Ok(())
    })())
}

/// Sets `out` to the number of the leaky bucket of an endpoint, which all processes of the host share. Once per endpoint;
/// good until the host's buckets are replaced.
/// Returns MCRPC_NO_POLICY or _TABLE_FULL: then the endpoint has none, and is never shielded by it.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `endpoint` is readable, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_bucket_open(
    host: *const mcrpc_host_t,
    endpoint: *const mcrpc_endpoint_t,
    out: *mut u64,
) -> i32 {
    code((|| {
        pointer::check(endpoint)?;
        pointer::check(out.cast_const())?;
        // SAFETY: the caller's promise.
        let host = unsafe { host::get(host) }?;
        let buckets = host.fail.get().ok_or(Status::NO_POLICY)?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let id = buckets.bucket(&unsafe { endpoint.read() }.checked()?)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(id.number()) };
        Ok(())
    })())
}

/// A call to the endpoint of `bucket` has failed: pours one failure in.
/// Returns MCRPC_STALE_ID when the buckets were replaced (open it again), MCRPC_NO_POLICY when there are none,
/// MCRPC_INVALID_ARGUMENT for a leak outside its range.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `leak` is readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_bucket_pour(
    host: *const mcrpc_host_t,
    bucket: u64,
    leak: *const mcrpc_leak_t,
    now_ns: u64,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (host, leak) = unsafe { (host::get(host)?, read_leak(leak)?) };
        leak.validate()?;
        host.fail.get().ok_or(Status::NO_POLICY)?.pour(BucketId::from_number(bucket), &leak, Nanos(now_ns))
    })())
}

/// MCRPC_BUCKET_FULL if the endpoint of `bucket` has failed so often lately that it is to be passed over. MCRPC_OK otherwise,
/// also when nothing is known, when shields are off for the calls of `uin`, and for a number that is good no more (which
/// mcrpc_bucket_pour() tells).
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `leak` is readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_bucket_check(
    host: *const mcrpc_host_t,
    bucket: u64,
    leak: *const mcrpc_leak_t,
    uin: u64,
    now_ns: u64,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (host, leak) = unsafe { (host::get(host)?, read_leak(leak)?) };
        let Some(buckets) = host.fail.get() else {
            host.process.get().count_unanswered();
            return Ok(());
        };
        let full = buckets.is_full(BucketId::from_number(bucket), &leak, Nanos(now_ns)).unwrap_or(false);
        if full && host.is_enforced(Mechanism::Shield, uin) { Err(Status::BUCKET_FULL) } else { Ok(()) }
    })())
}

/// Empties a bucket: its endpoint has proved that it works.
/// Returns as mcrpc_bucket_pour(). Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_bucket_empty(host: *const mcrpc_host_t, bucket: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let host = unsafe { host::get(host) }?;
        host.fail.get().ok_or(Status::NO_POLICY)?.empty(BucketId::from_number(bucket))
    })())
}

/// Appends a record to this process's trace ring: a decision, a log line, a sampled call. `kind` is yours, from 1 on. It can
/// be read when the process hangs or is dead (`mcrpc inspect`). At most MCRPC_TRACE_MAX_LEN bytes are kept.
/// Returns MCRPC_NO_POLICY when there is no ring, MCRPC_RECORD_DROPPED when another thread still writes at that place.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `data` is readable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_trace(
    host: *const mcrpc_host_t,
    kind: u8,
    data: *const u8,
    len: usize,
    now_ns: u64,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (host, data) = unsafe { (host::get(host)?, pointer::bytes(data, len)?) };
        let trace = host.trace.get().ok_or(Status::NO_POLICY)?;
        let seat = host.process.get().seat();
        let seat = if seat <= trace.seat_count() { seat } else { COMMON };
        trace.ring(seat).write(kind, data, Nanos(now_ns))
    })())
}

/// Shows what the admission controller does with `queue`, this process's own, to `mcrpc top`: about once a second, with
/// mcrpc_host_tick(). Returns MCRPC_NO_POLICY when there are no counters or the process has no seat of its own.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `admission` by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_report_queue(
    host: *const mcrpc_host_t,
    admission: *const mcrpc_admission_t,
    queue: u32,
    now_ns: u64,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let (seat, stat) = counters(unsafe { host::get(host) }?)?;
        // SAFETY: the caller's promise.
        let admission = unsafe { admission::handle(admission) }?;
        let gate = admission.gate(queue)?;
        let (controller, queue) = (admission.snapshot(), admission.queue_snapshot(queue)?);
        if seat == COMMON {
            return Err(Status::NO_POLICY);
        }
        stat.seats().report(
            seat,
            &QueueReport {
                reported_ns: now_ns,
                queued: queue.queued.into(),
                running: queue.running.into(),
                admitted: queue.admitted,
                completed: queue.completed,
                mode: controller.mode as u64,
                shedding: controller.shedding.into(),
                cursor: controller.cursor.0.into(),
                demand_mrps: controller.demand_mrps,
                capacity_mrps: controller.capacity_mrps,
                refused: queue.refused,
                would_refuse: queue.would_refuse,
                gate: Some(gate),
            },
        );
        Ok(())
    })())
}

/// How much is used of the CPU time that this process may use, as the agent last saw it, once a second, 0 to 10000: of the
/// quota of its cgroup or of one above it; or, unless a quota is lower, of the CPUs that it may run on, by all processes that
/// have a seat. Sets `sampled_ns`, unless it is NULL, to when that was: give both to mcrpc_admission_set_cpu(), so that a
/// sample counts once, however many processes of a server pass it on.
/// Returns MCRPC_NO_POLICY when there is no agent, it has not looked within two seconds, or it cannot see this process
/// (which is in another PID namespace, or has no seat of its own).
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `sampled_ns` is NULL or writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_cpu(host: *const mcrpc_host_t, now_ns: u64, sampled_ns: *mut u64) -> i32 {
    // SAFETY: the caller's promises.
    unsafe { cpu(host, Nanos(now_ns), sampled_ns) }.unwrap_or_else(|status| status.0)
}

/// # Safety
///
/// As for [`mcrpc_host_cpu`].
#[inline]
unsafe fn cpu(host: *const mcrpc_host_t, now: Nanos, sampled_ns: *mut u64) -> Result<i32, Status> {
    // SAFETY: the caller's promise.
    let (seat, stat) = counters(unsafe { host::get(host) }?)?;
    let sample = stat.seats().cpu(seat, now).ok_or(Status::NO_POLICY)?;
    if !sampled_ns.is_null() {
        pointer::check(sampled_ns.cast_const())?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { sampled_ns.write(Nanos::from_millis(sample.at_ms).0) };
    }
    Ok(sample.utilisation.get().into())
}

/// The counters, and the seat to count in.
#[inline]
fn counters(host: &Host) -> Result<(u32, &Stat<'static>), Status> {
    let stat = host.stat.get().ok_or(Status::NO_POLICY)?;
    let process = host.process.get();
    Ok((if process.seat_instance() == stat.instance() { process.seat() } else { COMMON }, stat))
}

#[inline]
fn column(stat: &Stat<'_>, counter: u64) -> Result<Column, Status> {
    if counter >> 32 == stat.instance() & u64::from(u32::MAX) {
        Ok(Column::from_number(counter as u32))
    } else {
        Err(Status::STALE_ID)
    }
}

/// # Safety
///
/// Unless null, `leak` is readable.
#[inline]
unsafe fn read_leak(leak: *const mcrpc_leak_t) -> Result<Leak, Status> {
    pointer::check(leak)?;
    // SAFETY: checked for null and alignment; readable by the caller's promise.
    let leak = unsafe { leak.read() };
    Ok(Leak { drain_ns: leak.drain_ns, limit_ns: leak.limit_ns, capacity_ns: leak.capacity_ns })
}
