//! What the host learnt about an endpoint, for C.

use core::ffi::c_int;

use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Mechanism, Target};
use mcrpc_core::id::{Per10k, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;

use crate::admission::{MCRPC_MODE_ENFORCE, MCRPC_MODE_OFF};
use crate::host::{self, mcrpc_host_t};
use crate::pointer::{self, code};

/// The endpoint has no entry: all calls pass.
pub const MCRPC_STRATEGY_NONE: u32 = 0;
/// Its pass rate or reject level was computed from what the host's calls met.
pub const MCRPC_STRATEGY_NORMAL: u32 = 1;
/// It is to be found out whether it works again: its pass rate says how many calls are let through for that.
pub const MCRPC_STRATEGY_PROBE: u32 = 2;
/// An operator has shielded it.
pub const MCRPC_STRATEGY_SHIELDED: u32 = 3;

/// Admission at the server.
pub const MCRPC_MECHANISM_ADMISSION: u32 = 0;
/// Shielding of endpoints by leaky buckets.
pub const MCRPC_MECHANISM_SHIELD: u32 = 1;
/// Pass rates from the strategy table.
pub const MCRPC_MECHANISM_PASS_RATE: u32 = 2;
/// Percentage skips.
pub const MCRPC_MECHANISM_SKIP: u32 = 3;
/// Withholding what a server's cursor would refuse.
pub const MCRPC_MECHANISM_FAST_REJECT: u32 = 4;
/// The budget of retries.
pub const MCRPC_MECHANISM_RETRY_BUDGET: u32 = 5;

/// One endpoint of one service. It is the key of the host's tables, and does not grow.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_endpoint_t {
    /// The IPv6 address in network order, or ten 0, two 255 and the IPv4 address.
    pub address: [u8; 16],
    /// The service; 0 if the port says enough.
    pub service_id: u32,
    /// The port, in the host's byte order.
    pub port: u16,
    /// Must be 0.
    pub reserved: u16,
}

impl mcrpc_endpoint_t {
    #[inline]
    pub(crate) fn from_core(endpoint: &Endpoint) -> mcrpc_endpoint_t {
        let Endpoint { address, port, service_id } = *endpoint;
        mcrpc_endpoint_t { address: address.to_be_bytes(), service_id, port, reserved: 0 }
    }

    /// The endpoint that C filled in.
    #[inline]
    pub(crate) fn checked(self) -> Result<Endpoint, Status> {
        if self.reserved == 0 { Ok(self.to_core()) } else { Err(Status::INVALID_ARGUMENT) }
    }

    #[inline]
    pub(crate) fn to_core(self) -> Endpoint {
        Endpoint { address: u128::from_be_bytes(self.address), port: self.port, service_id: self.service_id }
    }
}

/// What to do with calls to an endpoint. It is returned by value, and does not grow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_strategy_t {
    /// MCRPC_OK: this is what the host knows. Anything else, mostly MCRPC_NO_POLICY: it knows nothing, and all pass.
    pub status: i32,
    /// The share of the calls that may be sent, 0 to 10000.
    pub pass_rate_per_10k: u32,
    /// MCRPC_STRATEGY_...
    pub kind: u32,
    /// Keys at or above it would be refused by the endpoint; 1 << 29 if none.
    pub reject_cursor: u32,
}

/// The endpoint at an IPv4 address (four bytes, network order).
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `address` is readable for four bytes, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_endpoint_v4(
    address: *const u8,
    port: u16,
    service_id: u32,
    out: *mut mcrpc_endpoint_t,
) -> i32 {
    code((|| {
        pointer::check(address)?;
        pointer::check(out.cast_const())?;
        // SAFETY: not null; readable by the caller's promise.
        let [a, b, c, d] = unsafe { address.cast::<[u8; 4]>().read() };
        let address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, a, b, c, d];
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(mcrpc_endpoint_t { address, service_id, port, reserved: 0 }) };
        Ok(())
    })())
}

/// What the host learnt about an endpoint, for a call of `uin`. It always answers: if nothing is known, or the operator has
/// turned pass rates off for this user, that all calls pass.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `endpoint` is readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_strategy(
    host: *const mcrpc_host_t,
    endpoint: *const mcrpc_endpoint_t,
    uin: u64,
) -> mcrpc_strategy_t {
    const PASS: mcrpc_strategy_t = mcrpc_strategy_t {
        status: Status::OK.0,
        pass_rate_per_10k: Per10k::ALL.get() as u32,
        kind: MCRPC_STRATEGY_NONE,
        reject_cursor: mcrpc_core::admission::Cursor::OPEN.0,
    };
    let arguments = (|| -> Result<_, Status> {
        // SAFETY: the caller's promise.
        let host = unsafe { host::get(host) }?;
        pointer::check(endpoint)?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        Ok((host, unsafe { endpoint.read() }.checked()?))
    })();
    let (host, endpoint) = match arguments {
        Ok(arguments) => arguments,
        Err(status) => return mcrpc_strategy_t { status: status.0, ..PASS },
    };
    let Some(table) = host.strategy.get() else {
        host.process.get().count_unanswered();
        return mcrpc_strategy_t { status: Status::NO_POLICY.0, ..PASS };
    };
    if table.active() == 0 || !host.is_enforced(Mechanism::PassRate, uin) {
        return PASS;
    }
    match table.lookup(&endpoint) {
        Some(entry) => mcrpc_strategy_t {
            status: Status::OK.0,
            pass_rate_per_10k: entry.pass_rate.get().into(),
            kind: entry.kind as u32,
            reject_cursor: entry.reject_level.cursor().0,
        },
        None => PASS,
    }
}

/// How a mechanism (MCRPC_MECHANISM_...) is to work for the calls of `uin`: what the operator said for the whole host,
/// else `own_mode`, the program's own setting. After `mcrpc kill on` it is MCRPC_MODE_OFF for all. A server's admission
/// follows by mcrpc_admission_follow().
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_mode(host: *const mcrpc_host_t, mechanism: u32, uin: u64, own_mode: u32) -> u32 {
    let own_mode = if own_mode <= MCRPC_MODE_ENFORCE { own_mode } else { MCRPC_MODE_OFF };
    // SAFETY: the caller's promise.
    let (Ok(host), Some(mechanism)) = (unsafe { host::get(host) }, Mechanism::from_number(mechanism)) else {
        return own_mode;
    };
    let said: Option<Mode> = host.control.get().and_then(|control| control.mode_for(mechanism, Uin(uin)));
    said.map_or(own_mode, |mode| mode as u32)
}

/// 1 if the operator has turned every mechanism off (`mcrpc kill on`), else 0.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_host_mode().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_killed(host: *const mcrpc_host_t) -> c_int {
    // SAFETY: the caller's promise.
    let control = unsafe { host::get(host) }.ok().and_then(|host| host.control.get());
    control.is_some_and(|control| control.is_killed()).into()
}

/// The key of the hashes over users for this host, for mcrpc_key(): what the operator set, else `own_salt`.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_host_mode().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_salt(host: *const mcrpc_host_t, own_salt: u64) -> u64 {
    // SAFETY: the caller's promise.
    let control = unsafe { host::get(host) }.ok().and_then(|host| host.control.get());
    control.map(|control| control.salt().0).filter(|&salt| salt != 0).unwrap_or(own_salt)
}

/// 1 if the call graph of `uin` is to be recorded (`mcrpc dye`), else 0.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_host_mode().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_dyed(host: *const mcrpc_host_t, uin: u64, now_ns: u64) -> c_int {
    // SAFETY: the caller's promise.
    let control = unsafe { host::get(host) }.ok().and_then(|host| host.control.get());
    control.is_some_and(|control| control.is_dyed(Uin(uin), Nanos(now_ns))).into()
}

/// MCRPC_SHIELDED if an operator has shielded the endpoint for the whole host (`mcrpc shield`): choose another one, without
/// counting a retry. MCRPC_OK otherwise, also when nothing is known or shields are off for the calls of `uin`.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(), `endpoint` is readable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_shield_check(
    host: *const mcrpc_host_t,
    endpoint: *const mcrpc_endpoint_t,
    uin: u64,
    now_ns: u64,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let host = unsafe { host::get(host) }?;
        pointer::check(endpoint)?;
        // SAFETY: checked for null and alignment; readable by the caller's promise.
        let endpoint = unsafe { endpoint.read() }.checked()?;
        let Some(control) = host.control.get() else {
            host.process.get().count_unanswered();
            return Ok(());
        };
        let shielded =
            control.is_shielded(&endpoint, Nanos(now_ns)) && control.is_enforced(Mechanism::Shield, Uin(uin));
        if shielded { Err(Status::SHIELDED) } else { Ok(()) }
    })())
}

/// MCRPC_SKIPPED if an operator has this share of the users' calls to a method left out (`mcrpc skip`): do without the
/// answer. The same users each time. MCRPC_OK otherwise, also when nothing is known. `method_id` is from mcrpc_method_id().
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_skip_check(host: *const mcrpc_host_t, service_id: u32, method_id: u32, uin: u64) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let host = unsafe { host::get(host) }?;
        let Some(control) = host.control.get() else {
            host.process.get().count_unanswered();
            return Ok(());
        };
        let skipped = control.is_skipped(Target { service_id, method_id }, Uin(uin))
            && control.is_enforced(Mechanism::Skip, Uin(uin));
        if skipped { Err(Status::SKIPPED) } else { Ok(()) }
    })())
}
