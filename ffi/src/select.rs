//! Choosing an endpoint and reporting what it did, for C.

use core::mem::offset_of;

use core::ffi::c_int;

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::host::fail::BucketId;
use mcrpc_core::select::call::{Attempt, Call, Choice, Withheld};
use mcrpc_core::select::settings::MAX_ATTEMPTS;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use crate::endpoints::{self, mcrpc_endpoints_t};
use crate::host::mcrpc_host_t;
use crate::pointer::{self, code};
use crate::strategy::mcrpc_endpoint_t;

/// The first attempt of a call; or, if one was made before, a retry.
pub const MCRPC_ATTEMPT_NEXT: u32 = 0;
/// One more attempt while the others are on their way.
pub const MCRPC_ATTEMPT_BACKUP: u32 = 1;

/// It was answered.
pub const MCRPC_OUTCOME_OK: u32 = 0;
/// It was answered with a failure of the service's own: the endpoint works.
pub const MCRPC_OUTCOME_LOGIC: u32 = 1;
/// It failed on its way, or no answer came in time: the one thing that counts against an endpoint.
pub const MCRPC_OUTCOME_FAILED: u32 = 2;
/// It was refused because the endpoint is overloaded: that does not shield it; report its cursor with mcrpc_heard().
pub const MCRPC_OUTCOME_OVERLOADED: u32 = 3;

/// The most attempts of a call.
pub const MCRPC_MAX_ATTEMPTS: usize = 8;
const _: () = assert!(MCRPC_MAX_ATTEMPTS == MAX_ATTEMPTS);

/// Flag of mcrpc_choice_t: the attempt finds out for the whole host whether a shielded endpoint works again.
pub const MCRPC_CHOICE_PROBE: u32 = 1;

/// A call and its attempts so far. Zero it, fill in the first six fields, and use it for all attempts of one call.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_call_t {
    /// The user; 0 if there is none.
    pub uin: u64,
    /// Names the call: different for the calls of a user.
    pub call_id: u64,
    /// When its caller stops waiting, in ns; 0 or MCRPC_NO_DEADLINE if it never does.
    pub deadline_ns: u64,
    /// Its importance, from mcrpc_key(); 0 is withheld by no cursor.
    pub key: u32,
    /// The service that is called, as in `mcrpc skip`; 0 if nobody names services.
    pub service_id: u32,
    /// The method that is called, as in `mcrpc skip`.
    pub method_id: u32,
    /// Attempts so far. Private.
    pub attempts: u8,
    /// 1 if the service has served an earlier call of the same task: then its cursor does not apply. Send it with
    /// MCRPC_FLAG_CONTINUES_TASK.
    pub continues_task: u8,
    /// Must be 0.
    pub reserved: [u8; 2],
    /// The endpoints that were tried. Private.
    pub tried: [u32; MCRPC_MAX_ATTEMPTS],
    /// Must be 0.
    pub reserved_too: [u64; 3],
}

// A call is used where it lies, as what it is in the core: a copy would take stack that a coroutine does not have.
const _: () = assert!(offset_of!(mcrpc_call_t, reserved_too) == size_of::<Call>());
const _: () = assert!(align_of::<mcrpc_call_t>() == align_of::<Call>());
const _: () = assert!(offset_of!(mcrpc_call_t, uin) == offset_of!(Call, uin));
const _: () = assert!(offset_of!(mcrpc_call_t, call_id) == offset_of!(Call, call_id));
const _: () = assert!(offset_of!(mcrpc_call_t, deadline_ns) == offset_of!(Call, deadline));
const _: () = assert!(offset_of!(mcrpc_call_t, key) == offset_of!(Call, key));
const _: () = assert!(offset_of!(mcrpc_call_t, service_id) == offset_of!(Call, target.service_id));
const _: () = assert!(offset_of!(mcrpc_call_t, method_id) == offset_of!(Call, target.method_id));
const _: () = assert!(offset_of!(mcrpc_call_t, attempts) == offset_of!(Call, attempts));
const _: () = assert!(offset_of!(mcrpc_call_t, continues_task) == offset_of!(Call, continues_task));

impl mcrpc_call_t {
    #[inline]
    fn check_reserved(&self) -> Result<(), Status> {
        let [a, b, c] = self.reserved_too;
        if a | b | c | u64::from(u16::from_ne_bytes(self.reserved)) == 0 {
            Ok(())
        } else {
            Err(Status::INVALID_ARGUMENT)
        }
    }
}

/// The endpoint for an attempt.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_choice_t {
    /// The endpoint.
    pub endpoint: mcrpc_endpoint_t,
    /// Its number in the list that was in force.
    pub index: u32,
    /// MCRPC_CHOICE_...
    pub flags: u32,
    /// What you gave with the endpoint.
    pub user_data: u64,
    /// Send it along, if it is not 0: so many calls to this endpoint were withheld since the last one was sent.
    pub withheld_count: u32,
    /// The key of one of them. The server's counterpart is mcrpc_admission_withheld().
    pub withheld_key: u32,
    /// Private from here on.
    pub generation: u64,
    /// Private.
    pub cell: u64,
    /// Private.
    pub identity: u32,
    /// 0.
    pub reserved: u32,
    /// 0.
    pub reserved_too: [u64; 3],
}

impl mcrpc_choice_t {
    #[inline]
    fn from_core(choice: &Choice) -> mcrpc_choice_t {
        mcrpc_choice_t {
            endpoint: mcrpc_endpoint_t::from_core(&choice.endpoint),
            index: choice.index,
            flags: if choice.is_probe { MCRPC_CHOICE_PROBE } else { 0 },
            user_data: choice.user_data,
            withheld_count: choice.withheld.count,
            withheld_key: choice.withheld.key.0,
            generation: choice.generation,
            cell: choice.cell.map_or(0, BucketId::number),
            identity: choice.identity,
            reserved: 0,
            reserved_too: [0; 3],
        }
    }

    #[inline]
    fn to_core(self) -> Choice {
        Choice {
            index: self.index,
            generation: self.generation,
            endpoint: self.endpoint.to_core(),
            user_data: self.user_data,
            is_probe: self.flags & MCRPC_CHOICE_PROBE != 0,
            withheld: Withheld { count: self.withheld_count, key: Key(self.withheld_key) },
            cell: if self.cell == 0 { None } else { Some(BucketId::from_number(self.cell)) },
            identity: self.identity,
        }
    }
}

/// Which endpoint for the next attempt of `call`? MCRPC_OK: `out` says which; send the request, then report with
/// mcrpc_report(). Call it again after a failure: that is a retry, which goes to an endpoint that was not tried yet. Anything
/// else: do not send. MCRPC_SKIPPED, _WITHHELD (it would be refused everywhere), _SHIELDED, _BUCKET_FULL, _NO_ENDPOINT; for
/// attempts after the first one also _ATTEMPTS_EXHAUSTED, _BUDGET_EXHAUSTED and _OUT_OF_TIME.
///
/// Passing over endpoints that are shielded, or that a pass rate or cursor holds the call back from, uses up no retry. With
/// an endpoint that is shielded the next call of its users is sent there once in a while, by one process of the host. `host` may
/// be NULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(), `host` is NULL or was set by mcrpc_host_open() or _create(); `call` is
/// readable and writable, and used by nobody else meanwhile; `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_select(
    endpoints: *const mcrpc_endpoints_t,
    host: *const mcrpc_host_t,
    call: *mut mcrpc_call_t,
    attempt: u32,
    now_ns: u64,
    out: *mut mcrpc_choice_t,
) -> i32 {
    code((|| {
        pointer::check(call.cast_const())?;
        pointer::check(out.cast_const())?;
        let attempt = Attempt::from_number(attempt).ok_or(Status::INVALID_ARGUMENT)?;
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (endpoints::get(endpoints)?, endpoints::view(host)?) };
        // SAFETY: checked for null and alignment; readable by the caller's promise, and any bits are a valid one.
        unsafe { &*call }.check_reserved()?;
        // SAFETY: checked for null and alignment; it begins as a `Call`, of which any bits are one, as asserted above; the
        // caller's own meanwhile, by its promise.
        let call = unsafe { &mut *call.cast::<Call>() };
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        let mut write = |choice: &Choice| unsafe { out.write(mcrpc_choice_t::from_core(choice)) };
        set.select_to(call, attempt, &host, Nanos(now_ns), &mut write)?;
        Ok(())
    })())
}

/// The attempt that `choice` was made for met `outcome` (MCRPC_OUTCOME_...) after `elapsed_ns`. `host` may be NULL.
/// Returns MCRPC_OK or _INVALID_ARGUMENT for another outcome. An attempt that is never reported does no lasting harm.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `endpoints` was set by mcrpc_endpoints_init(), `host` is NULL or was set by mcrpc_host_open() or _create(); `choice` is
/// readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_report(
    endpoints: *const mcrpc_endpoints_t,
    host: *const mcrpc_host_t,
    choice: *const mcrpc_choice_t,
    outcome: u32,
    elapsed_ns: u64,
    now_ns: u64,
) -> i32 {
    code((|| {
        pointer::check(choice)?;
        let outcome = Outcome::from_number(outcome).ok_or(Status::INVALID_ARGUMENT)?;
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (endpoints::get(endpoints)?, endpoints::view(host)?) };
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let choice = unsafe { &*choice };
        set.report(&choice.to_core(), outcome, elapsed_ns, &host, Nanos(now_ns));
        Ok(())
    })())
}

/// The reply to the attempt that `choice` was made for said that the endpoint admits keys below `cursor`, for `hold_ms` (at
/// most 10 s count): until then nobody on the host sends it others. A cursor of 1 << 29 admits all. `host` may be NULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_report().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_heard(
    endpoints: *const mcrpc_endpoints_t,
    host: *const mcrpc_host_t,
    choice: *const mcrpc_choice_t,
    cursor: u32,
    hold_ms: u32,
    now_ns: u64,
) -> i32 {
    code((|| {
        pointer::check(choice)?;
        // SAFETY: the caller's promises.
        let (set, host) = unsafe { (endpoints::get(endpoints)?, endpoints::view(host)?) };
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let choice = unsafe { choice.read() }.to_core();
        let cursor = if cursor > Cursor::OPEN.0 { Cursor::OPEN } else { Cursor(cursor) };
        set.heard(&choice, cursor, hold_ms, &host, Nanos(now_ns));
        Ok(())
    })())
}

/// 1 if another endpoint may do better after this outcome (MCRPC_OUTCOME_...), else 0. A failure of the service's own is only
/// tried again if the program says so.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_outcome_is_retriable(outcome: u32) -> c_int {
    Outcome::from_number(outcome).is_some_and(Outcome::is_retriable).into()
}

/// The outcome (MCRPC_OUTCOME_...) of an attempt that ended with a status of this library's list or with a code of the
/// service's own.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_outcome_of(status: i32) -> u32 {
    Outcome::of(Status(status)) as u32
}
