//! Admission, for C.

use core::ffi::c_void;
use core::ptr::NonNull;

use mcrpc_core::admission::{Admission, Config, Key, Mode, Policy, Request};
use mcrpc_core::context::Context;
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::Nanos;

use crate::header::mcrpc_header_t;
use crate::host::{self, mcrpc_host_t};
use crate::pointer::{self, code};
use crate::sized::{self, Sized32};

/// Admit everything; count what passes, learn nothing.
pub const MCRPC_MODE_OFF: u32 = 0;
/// Decide and count, but admit everything.
pub const MCRPC_MODE_OBSERVE: u32 = 1;
/// Decide, and refuse.
pub const MCRPC_MODE_ENFORCE: u32 = 2;

/// The share of the requests that may pass follows from demand and capacity, in one jump.
pub const MCRPC_POLICY_FEED_FORWARD: u32 = 0;
/// Svrkit's pass rate: down fast while requests wait too long, up slowly else; the least important go first here too.
pub const MCRPC_POLICY_PASS_RATE: u32 = 1;

/// Flag of mcrpc_request_t: the call has been sent before, here or to another server.
pub const MCRPC_REQUEST_RETRY: u32 = 1;
/// Flag of mcrpc_request_t: this service has already served an earlier call of the same task.
pub const MCRPC_REQUEST_CONTINUES_TASK: u32 = 2;
/// The upper half of the flags of mcrpc_request_t is the tenant: whom the server accounts the request to, the calling service
/// or the business; 1 to 63, larger ones share their places, 0 is nobody. See mcrpc_admission_tenant_snapshot().
pub const MCRPC_REQUEST_TENANT_SHIFT: u32 = 16;

/// How many reasons for a refusal there are.
pub const MCRPC_REFUSAL_COUNT: usize = 7;
const _: () = assert!(MCRPC_REFUSAL_COUNT == Refusal::COUNT);
/// The length of the tables in mcrpc_queue_snapshot_t: there is room for reasons of later versions.
pub const MCRPC_REFUSAL_ROOM: usize = 16;

/// A deadline that never comes.
pub const MCRPC_NO_DEADLINE: u64 = u64::MAX;

/// Settings of a controller. Start from MCRPC_ADMISSION_CONFIG_INIT.
///
/// The times are waits in the input queue, not response times. They must be in the order target, overload, soft
/// limit, hard limit, each 1 to 60000.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_admission_config_t {
    /// sizeof(mcrpc_admission_config_t)
    pub struct_size: u32,
    /// Input queues that share the controller, 1 to 64: 1, or one per process of a prefork server.
    pub queue_count: u32,
    /// Workers behind each queue; 0 if that is no fixed number, as with coroutines.
    pub workers_per_queue: u32,
    /// MCRPC_MODE_...
    pub mode: u32,
    /// Length of a measuring window, 1 to 1000.
    pub window_ms: u32,
    /// Mean wait that is steered to while requests are shed.
    pub target_wait_ms: u32,
    /// Mean wait above which shedding begins.
    pub overload_wait_ms: u32,
    /// Estimated wait above which a request of marginal priority is refused.
    pub soft_wait_limit_ms: u32,
    /// Estimated wait above which every request is refused.
    pub hard_wait_limit_ms: u32,
    /// Share of the admitted requests that is marginal, in 1/10000.
    pub marginal_band_per_10k: u32,
    /// How much more than the learnt capacity is admitted, in 1/10000.
    pub headroom_per_10k: u32,
    /// MCRPC_POLICY_...
    pub policy: u32,
    /// The CPU use that is not exceeded, in 1/10000, if mcrpc_admission_set_cpu() tells one.
    pub cpu_limit_per_10k: u32,
    /// 1: a tenant that floods is held to its fair share; see MCRPC_REQUEST_TENANT_SHIFT.
    pub fair_share: u32,
}

// SAFETY: repr(C), fourteen u32 without padding, the first is the size; any bits are valid.
unsafe impl Sized32 for mcrpc_admission_config_t {
    const FIRST_VERSION_SIZE: usize = 56;
}
const _: () = assert!(size_of::<mcrpc_admission_config_t>() == 56);

impl mcrpc_admission_config_t {
    fn to_core(self) -> Result<Config, Status> {
        Ok(Config {
            queue_count: self.queue_count,
            workers_per_queue: self.workers_per_queue,
            mode: Mode::from_number(self.mode).ok_or(Status::INVALID_ARGUMENT)?,
            window_ms: self.window_ms,
            target_wait_ms: self.target_wait_ms,
            overload_wait_ms: self.overload_wait_ms,
            soft_wait_limit_ms: self.soft_wait_limit_ms,
            hard_wait_limit_ms: self.hard_wait_limit_ms,
            marginal_band_per_10k: self.marginal_band_per_10k,
            headroom_per_10k: self.headroom_per_10k,
            policy: Policy::from_number(self.policy).ok_or(Status::INVALID_ARGUMENT)?,
            cpu_limit_per_10k: self.cpu_limit_per_10k,
            fair_share: match self.fair_share {
                0 => false,
                1 => true,
                _ => return Err(Status::INVALID_ARGUMENT),
            },
        })
    }
}

/// A controller as one process sees it: pointers into the memory given to mcrpc_admission_init(), and a copy of the
/// settings. It may be copied, used by all threads at once, and used on after fork(); it needs no clean-up.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct mcrpc_admission_t {
    /// Private.
    pub opaque: [u64; 24],
}

#[derive(Clone, Copy)]
struct Tagged {
    tag: u64,
    admission: Admission<'static>,
}

/// "mcadmhd" and a version.
const TAG: u64 = 0x01_64_68_6d_64_61_63_6d;

const _: () = assert!(size_of::<Tagged>() <= size_of::<mcrpc_admission_t>());
const _: () = assert!(align_of::<Tagged>() <= align_of::<mcrpc_admission_t>());

/// What a decision needs to know of a request. Start from MCRPC_REQUEST_INIT, or let mcrpc_request_from_header() fill it
/// in.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_request_t {
    /// When the caller stops waiting, in ns; MCRPC_NO_DEADLINE if it never does.
    pub deadline_ns: u64,
    /// Its importance, from mcrpc_key().
    pub key: u32,
    /// MCRPC_REQUEST_..., and the tenant << MCRPC_REQUEST_TENANT_SHIFT.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u64,
}

/// Flags that this version does not know.
const UNKNOWN_FLAGS: u32 =
    !(u32::MAX << MCRPC_REQUEST_TENANT_SHIFT | MCRPC_REQUEST_RETRY | MCRPC_REQUEST_CONTINUES_TASK);

impl From<Request> for mcrpc_request_t {
    fn from(request: Request) -> mcrpc_request_t {
        let retry = if request.is_retry { MCRPC_REQUEST_RETRY } else { 0 };
        let continues = if request.continues_task { MCRPC_REQUEST_CONTINUES_TASK } else { 0 };
        mcrpc_request_t { deadline_ns: request.deadline.0, key: request.key.0, flags: retry | continues, reserved: 0 }
    }
}

/// What a controller knows. Set struct_size before asking.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_admission_snapshot_t {
    /// sizeof(mcrpc_admission_snapshot_t)
    pub struct_size: u32,
    /// MCRPC_MODE_...
    pub mode: u32,
    /// 1 while the cursor is in force.
    pub shedding: u32,
    /// Keys at or above it are refused.
    pub cursor: u32,
    /// Keys from here up to the cursor are marginal.
    pub marginal_cursor: u32,
    /// How many queues share the controller.
    pub queue_count: u32,
    /// Windows that were used so far.
    pub windows_closed: u64,
    /// New work offered, in 1/1000 of a request per second.
    pub demand_mrps: u64,
    /// What the service can complete, in 1/1000 of a request per second; 0 while that is not known.
    pub capacity_mrps: u64,
    /// The shortest service time lately.
    pub service_floor_ns: u64,
}

// SAFETY: repr(C), six u32 and four u64 at offset 24, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_admission_snapshot_t {
    const FIRST_VERSION_SIZE: usize = 56;
}
const _: () = assert!(size_of::<mcrpc_admission_snapshot_t>() == 56);

/// What a controller knows of one queue. Set struct_size before asking. Counts grow from 0 and wrap.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_queue_snapshot_t {
    /// sizeof(mcrpc_queue_snapshot_t)
    pub struct_size: u32,
    /// Requests that wait for a worker now.
    pub queued: u32,
    /// Requests that run now.
    pub running: u32,
    /// 0.
    pub reserved: u32,
    /// Requests admitted.
    pub admitted: u64,
    /// Requests completed.
    pub completed: u64,
    /// Sum of the waits of all requests that left the queue.
    pub wait_sum_ns: u64,
    /// How many left the queue.
    pub wait_count: u64,
    /// What the queue's workers can complete, in 1/1000 of a request per second; 0 while that is not known.
    pub capacity_mrps: u64,
    /// Requests refused, by reason: the status of index i is mcrpc_refusal_status(i). Those from MCRPC_REFUSAL_COUNT on are 0,
    /// or of a later version than this header.
    pub refused: [u64; MCRPC_REFUSAL_ROOM],
    /// Requests that would have been refused while in observe mode, by reason.
    pub would_refuse: [u64; MCRPC_REFUSAL_ROOM],
}

// SAFETY: repr(C), four u32 and 37 u64 at offset 16, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_queue_snapshot_t {
    const FIRST_VERSION_SIZE: usize = 312;
}
const _: () = assert!(size_of::<mcrpc_queue_snapshot_t>() == 312);

/// What a controller knows of a tenant. Set struct_size before asking. Counts grow from 0 and wrap.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_tenant_snapshot_t {
    /// sizeof(mcrpc_tenant_snapshot_t)
    pub struct_size: u32,
    /// Which share of its requests competes as the least important because it floods, in 1/10000.
    pub demoted_per_10k: u32,
    /// Its requests.
    pub offered: u64,
    /// Those that were admitted.
    pub admitted: u64,
}

// SAFETY: repr(C), two u32 and two u64 at offset 8, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_tenant_snapshot_t {
    const FIRST_VERSION_SIZE: usize = 24;
}
const _: () = assert!(size_of::<mcrpc_tenant_snapshot_t>() == 24);

/// The bytes that a controller with these settings needs: about 72 KiB, and 34 KiB per queue.
/// Returns MCRPC_BAD_STRUCT_SIZE or MCRPC_INVALID_ARGUMENT. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `config` is readable for its struct_size, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_memory_size(config: *const mcrpc_admission_config_t, out: *mut usize) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller promises that the config is readable.
        let size = Admission::memory_size(&unsafe { read_config(config) }?)?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(size) };
        Ok(())
    })())
}

/// Lays out a controller in `memory`, and sets `out` to a handle for it.
///
/// The memory is the caller's: static, heap, or shared between processes (mmap with MAP_SHARED before fork, or a
/// file). It must be aligned to MCRPC_ADMISSION_ALIGN, as long as mcrpc_admission_memory_size() says, and stay mapped at
/// the same address while a handle is used. Nothing needs to be released.
/// Returns MCRPC_MISALIGNED, _TOO_SMALL, _BAD_STRUCT_SIZE or _INVALID_ARGUMENT; then nothing was written.
/// Once, before anybody uses the memory; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `memory` is writable for `len` bytes and used by nothing but this library; `config` is readable for its struct_size;
/// `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_init(
    memory: *mut c_void,
    len: usize,
    config: *const mcrpc_admission_config_t,
    now_ns: u64,
    out: *mut mcrpc_admission_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(Status::NULL_ARGUMENT)?;
        // SAFETY: the caller promises that the config is readable.
        let config = unsafe { read_config(config) }?;
        // SAFETY: the caller gives the memory to this library for as long as it uses a handle.
        let admission = unsafe { Admission::init(memory, len, &config, Nanos(now_ns)) }?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe { out.cast::<Tagged>().write(Tagged { tag: TAG, admission }) };
        Ok(())
    })())
}

/// Sets `out` to a handle for the controller that another process laid out in the same memory, wherever it is mapped
/// here. Processes made by fork() need not call it: the parent's handle is good in the child.
/// Returns MCRPC_MISALIGNED, _TOO_SMALL, _NOT_INITIALISED or _VERSION_MISMATCH. Any thread; no allocation, lock or system
/// call. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_admission_init().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_attach(memory: *mut c_void, len: usize, out: *mut mcrpc_admission_t) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(Status::NULL_ARGUMENT)?;
        // SAFETY: the caller gives the memory to this library for as long as it uses a handle.
        let admission = unsafe { Admission::attach(memory, len) }?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe { out.cast::<Tagged>().write(Tagged { tag: TAG, admission }) };
        Ok(())
    })())
}

/// The importance of a request, smaller is more important: business priority (0 to 63, 0 first), then a level
/// that a keyed hash of `uin` chooses, then the task. All calls of a task must be given the same numbers; `task_id` is 0
/// when the uin alone names the task. `salt` is the fleet's secret; `epoch` (the hour, say) rotates who comes first.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_key(salt: u64, epoch: u32, uin: u64, priority: u8, task_id: u64) -> u32 {
    Key::new(Salt(salt).at_epoch(epoch), priority, Uin(uin), task_id).0
}

/// What admission needs to know of a request whose header was read at `arrival_ns`: key, flags and deadline.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `header` is readable, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_request_from_header(
    header: *const mcrpc_header_t,
    salt: u64,
    epoch: u32,
    arrival_ns: u64,
    out: *mut mcrpc_request_t,
) -> i32 {
    code((|| {
        pointer::check(header)?;
        pointer::check(out.cast_const())?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let header = unsafe { header.read() }.to_core()?;
        let context = Context::from_header(&header, Nanos(arrival_ns));
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(Request::from_context(&context, Salt(salt).at_epoch(epoch)).into()) };
        Ok(())
    })())
}

/// May I take this request into `queue` (0 to queue_count - 1)?
///
/// MCRPC_OK: put it into the queue, and call mcrpc_dequeued() or mcrpc_abandoned() later. MCRPC_QUEUE_FULL,
/// _BELOW_CURSOR, _WAIT_ABOVE_SOFT_LIMIT, _WAIT_ABOVE_HARD_LIMIT, _DEADLINE_ON_ARRIVAL or _EXPIRED_ON_ARRIVAL: answer at
/// once with this status and mcrpc_cursor(). Any other status: the call was wrong, the request is not accounted for.
/// `now_ns` is CLOCK_MONOTONIC, here and below.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach(), `request` is readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admit(
    admission: *const mcrpc_admission_t,
    queue: u32,
    request: *const mcrpc_request_t,
    now_ns: u64,
) -> i32 {
    code((|| {
        pointer::check(request)?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let request = unsafe { request.read() };
        if request.flags & UNKNOWN_FLAGS != 0 || request.reserved != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        let request = Request {
            key: Key(request.key),
            deadline: Nanos(request.deadline_ns),
            is_retry: request.flags & MCRPC_REQUEST_RETRY != 0,
            continues_task: request.flags & MCRPC_REQUEST_CONTINUES_TASK != 0,
            tenant: (request.flags >> MCRPC_REQUEST_TENANT_SHIFT) as u16,
        };
        // SAFETY: a handle from init or attach, by the caller's promise.
        unsafe { handle(admission) }?.admit(queue, &request, Nanos(now_ns))
    })())
}

/// A worker has taken an admitted request out of `queue`. Shall it run it? `admitted_ns` is what was passed to
/// mcrpc_admit() as now_ns, `deadline_ns` what it was told as deadline.
///
/// MCRPC_OK: run it, then call mcrpc_done(). MCRPC_DEADLINE_IN_QUEUE: it is too late; answer so, and call nothing more.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_dequeued(
    admission: *const mcrpc_admission_t,
    queue: u32,
    admitted_ns: u64,
    deadline_ns: u64,
    now_ns: u64,
) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    let admission = unsafe { handle(admission) };
    code(admission.and_then(|it| it.dequeued(queue, Nanos(admitted_ns), Nanos(deadline_ns), Nanos(now_ns))))
}

/// A request that mcrpc_dequeued() let run is finished, well or badly; also when its worker has died, which somebody else
/// says then. `started_ns` is what was passed to mcrpc_dequeued() as now_ns. Returns MCRPC_OK.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_done(
    admission: *const mcrpc_admission_t,
    queue: u32,
    started_ns: u64,
    now_ns: u64,
) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    let admission = unsafe { handle(admission) };
    code(admission.and_then(|it| it.done(queue, Nanos(started_ns), Nanos(now_ns))))
}

/// An admitted request left `queue` without being run: the queue was full after all, or its caller has gone.
/// Returns MCRPC_OK.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_abandoned(admission: *const mcrpc_admission_t, queue: u32) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    code(unsafe { handle(admission) }.and_then(|it| it.abandoned(queue)))
}

/// The cursor to put into every response: until it expires (300 ms), callers need not send requests whose key is not
/// below it. MCRPC_CURSOR_OPEN while the queue is empty, in every mode but enforce, and for a wrong handle or queue.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_cursor(admission: *const mcrpc_admission_t, queue: u32) -> u32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    unsafe { handle(admission) }.map_or(MCRPC_CURSOR_OPEN, |it| it.cursor(queue).0)
}

/// The cursor that admits every key.
pub const MCRPC_CURSOR_OPEN: u32 = 0x2000_0000;
const _: () = assert!(MCRPC_CURSOR_OPEN == mcrpc_core::admission::Cursor::OPEN.0);

/// The process that served `queue` is gone, and with it all that was queued and running there. To be called before
/// another process takes the queue over. Returns MCRPC_OK. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_queue_lost(admission: *const mcrpc_admission_t, queue: u32) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    code(unsafe { handle(admission) }.and_then(|it| it.queue_lost(queue)))
}

/// A caller says that it withheld `count` requests since its last one, of which one had this key: mcrpc_choice_t at its side.
/// They count as demand, without which the cursor would open as soon as callers heed it. Returns MCRPC_OK or
/// MCRPC_INVALID_ARGUMENT. Hot: any thread, coroutine or signal handler; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_withheld(
    admission: *const mcrpc_admission_t,
    queue: u32,
    key: u32,
    count: u32,
) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    code(unsafe { handle(admission) }.and_then(|it| it.withheld(queue, Key(key), count)))
}

/// Changes the mode for all processes at once. Requests in flight stay accounted for. Returns MCRPC_OK, or
/// MCRPC_INVALID_ARGUMENT for a number that is no MCRPC_MODE_. Any thread; signal-safe. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_set_mode(admission: *const mcrpc_admission_t, mode: u32) -> i32 {
    code((|| {
        let mode = Mode::from_number(mode).ok_or(Status::INVALID_ARGUMENT)?;
        // SAFETY: a handle from init or attach, by the caller's promise.
        unsafe { handle(admission) }?.set_mode(mode);
        Ok(())
    })())
}

/// Puts in force what the operator of `host` says of admission (`mcrpc mode admission enforce --share 5%`, `mcrpc kill on`):
/// mode and share; without a word of his, `own_mode` for all. Often: a kill switch reaches admission with the next call of this, which
/// is a few loads, so twenty times a second is not too much. Returns MCRPC_OK, also when there is no host;
/// MCRPC_INVALID_ARGUMENT for a number that is no MCRPC_MODE_. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach(), `host` by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_follow(
    admission: *const mcrpc_admission_t,
    host: *const mcrpc_host_t,
    own_mode: u32,
) -> i32 {
    code((|| {
        let own_mode = Mode::from_number(own_mode).ok_or(Status::INVALID_ARGUMENT)?;
        // SAFETY: a handle from init or attach, by the caller's promise.
        let admission = unsafe { handle(admission) }?;
        // SAFETY: a host that was opened or created, by the caller's promise.
        let control = unsafe { host::get(host) }?.control.get();
        admission.follow(control, own_mode);
        Ok(())
    })())
}

/// For which share of the tasks (0 to 10000) MCRPC_MODE_ENFORCE is in force, for a ramp; what the others would have been refused
/// for is counted. Raising the share only adds tasks. All of them at first. Returns MCRPC_OK or MCRPC_INVALID_ARGUMENT.
/// Any thread; signal-safe. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_set_enforced(admission: *const mcrpc_admission_t, share_per_10k: u32) -> i32 {
    code((|| {
        let share = u16::try_from(share_per_10k).ok().and_then(Per10k::new).ok_or(Status::INVALID_ARGUMENT)?;
        // SAFETY: a handle from init or attach, by the caller's promise.
        unsafe { handle(admission) }?.set_enforced(share);
        Ok(())
    })())
}

/// Says how much of the processor this service uses of what it may use (its cgroup's quota), in 1/10000, as sampled lately: four
/// times a second, say. Above cpu_limit_per_10k less is admitted, before any queue shows it. For services whose concurrency
/// nothing else bounds, such as coroutines: where there are no more workers than processors, a full processor is what one
/// wants. A sample is used for two seconds. Returns MCRPC_OK. Any thread; signal-safe. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_set_cpu(
    admission: *const mcrpc_admission_t,
    cpu_per_10k: u32,
    now_ns: u64,
) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    code(unsafe { handle(admission) }.map(|it| it.set_cpu(cpu_per_10k, Nanos(now_ns))))
}

/// Sets a tenant's weight for its fair share, 1 to 10000; 1 at first. Returns MCRPC_OK, or MCRPC_INVALID_ARGUMENT for another
/// weight or a tenant that is not 1 to 63. Any thread; signal-safe. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_set_tenant_weight(
    admission: *const mcrpc_admission_t,
    tenant: u16,
    weight: u32,
) -> i32 {
    // SAFETY: a handle from init or attach, by the caller's promise.
    code(unsafe { handle(admission) }.and_then(|it| it.set_tenant_weight(tenant, weight)))
}

/// What was counted of a tenant (1 to 63). Returns MCRPC_OK, MCRPC_INVALID_ARGUMENT or MCRPC_BAD_STRUCT_SIZE.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach(); `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_tenant_snapshot(
    admission: *const mcrpc_admission_t,
    tenant: u16,
    out: *mut mcrpc_tenant_snapshot_t,
) -> i32 {
    code((|| {
        // SAFETY: a handle from init or attach, by the caller's promise.
        let snapshot = unsafe { handle(admission) }?.tenant_snapshot(tenant)?;
        let value = mcrpc_tenant_snapshot_t {
            struct_size: 0,
            demoted_per_10k: snapshot.demoted.get().into(),
            offered: snapshot.offered,
            admitted: snapshot.admitted,
        };
        // SAFETY: the caller promises that the struct is as long as its size field says.
        unsafe { sized::write(out, &value) }
    })())
}

/// What the controller knows. Returns MCRPC_OK or MCRPC_BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call.
/// Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach(); `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_snapshot(
    admission: *const mcrpc_admission_t,
    out: *mut mcrpc_admission_snapshot_t,
) -> i32 {
    code((|| {
        // SAFETY: a handle from init or attach, by the caller's promise.
        let snapshot = unsafe { handle(admission) }?.snapshot();
        let value = mcrpc_admission_snapshot_t {
            struct_size: 0,
            mode: snapshot.mode as u32,
            shedding: u32::from(snapshot.shedding),
            cursor: snapshot.cursor.0,
            marginal_cursor: snapshot.marginal_cursor.0,
            queue_count: snapshot.queue_count,
            windows_closed: snapshot.windows_closed,
            demand_mrps: snapshot.demand_mrps,
            capacity_mrps: snapshot.capacity_mrps,
            service_floor_ns: snapshot.service_floor_ns,
        };
        // SAFETY: the caller promises that the struct is as long as its size field says.
        unsafe { sized::write(out, &value) }
    })())
}

/// What the controller knows of one queue. Returns MCRPC_OK, MCRPC_INVALID_ARGUMENT or MCRPC_BAD_STRUCT_SIZE.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `admission` was set by mcrpc_admission_init() or _attach(); `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_admission_queue_snapshot(
    admission: *const mcrpc_admission_t,
    queue: u32,
    out: *mut mcrpc_queue_snapshot_t,
) -> i32 {
    code((|| {
        // SAFETY: a handle from init or attach, by the caller's promise.
        let snapshot = unsafe { handle(admission) }?.queue_snapshot(queue)?;
        let mut value = mcrpc_queue_snapshot_t {
            queued: snapshot.queued,
            running: snapshot.running,
            admitted: snapshot.admitted,
            completed: snapshot.completed,
            wait_sum_ns: snapshot.wait_sum_ns,
            wait_count: snapshot.wait_count,
            capacity_mrps: snapshot.capacity_mrps,
            ..Default::default()
        };
        if let (Some(refused), Some(would_refuse)) =
            (value.refused.first_chunk_mut(), value.would_refuse.first_chunk_mut())
        {
            (*refused, *would_refuse) = (snapshot.refused, snapshot.would_refuse);
        }
        // SAFETY: the caller promises that the struct is as long as its size field says.
        unsafe { sized::write(out, &value) }
    })())
}

/// The status of a reason: index 0 to MCRPC_REFUSAL_COUNT - 1 of the tables in mcrpc_queue_snapshot_t.
/// MCRPC_INVALID_ARGUMENT for another index.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_refusal_status(index: u32) -> i32 {
    Refusal::ALL.get(index as usize).map_or(Status::INVALID_ARGUMENT, |reason| reason.status()).0
}

/// # Safety
///
/// Unless null, `config` is readable for its struct_size.
#[inline(never)]
unsafe fn read_config(config: *const mcrpc_admission_config_t) -> Result<Config, Status> {
    // SAFETY: the caller's promise.
    unsafe { sized::read(config) }?.to_core()
}

/// The controller behind a handle.
///
/// # Safety
///
/// `admission` is null, or points to a readable handle; if that was ever set, its memory is still mapped.
#[inline]
pub(crate) unsafe fn handle<'a>(admission: *const mcrpc_admission_t) -> Result<&'a Admission<'static>, Status> {
    pointer::check(admission)?;
    // SAFETY: checked for null and alignment; readable by the caller's promise, and any bytes are a valid u64.
    if unsafe { (&raw const (*admission.cast::<Tagged>()).tag).read() } != TAG {
        return Err(Status::NOT_INITIALISED);
    }
    // SAFETY: the tag says that init or attach wrote a `Tagged` here; nobody writes to a handle in use.
    Ok(unsafe { &(*admission.cast::<Tagged>()).admission })
}
