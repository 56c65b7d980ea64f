//! The shared library, loaded as a C program would have it.

use std::ffi::{c_char, c_void};

use libloading::Library;
use mcrpc_ffi::endpoints::{mcrpc_endpoint_spec_t, mcrpc_endpoints_config_t, mcrpc_endpoints_t, mcrpc_group_rule_t};
use mcrpc_ffi::host::{mcrpc_host_config_t, mcrpc_host_t};
use mcrpc_ffi::select::{mcrpc_call_t, mcrpc_choice_t};

use crate::library;

type HostOpen = unsafe extern "C" fn(*const c_char, *const mcrpc_host_config_t, u64, *mut mcrpc_host_t) -> i32;
type HostClose = unsafe extern "C" fn(*mut mcrpc_host_t) -> i32;
type Init = unsafe extern "C" fn(*mut c_void, usize, *const mcrpc_endpoints_config_t, *mut mcrpc_endpoints_t) -> i32;
type Replace = unsafe extern "C" fn(
    *const mcrpc_endpoints_t,
    *const mcrpc_host_t,
    *const mcrpc_endpoint_spec_t,
    u32,
    *const mcrpc_group_rule_t,
    u32,
) -> i32;
type Select = unsafe extern "C" fn(
    *const mcrpc_endpoints_t,
    *const mcrpc_host_t,
    *mut mcrpc_call_t,
    u32,
    u64,
    *mut mcrpc_choice_t,
) -> i32;
type Report =
    unsafe extern "C" fn(*const mcrpc_endpoints_t, *const mcrpc_host_t, *const mcrpc_choice_t, u32, u64, u64) -> i32;

/// The functions that the benchmark calls, by their names without `mcrpc_`.
pub struct Api {
    pub host_open: HostOpen,
    pub host_close: HostClose,
    pub endpoints_init: Init,
    pub endpoints_replace: Replace,
    pub select: Select,
    pub report: Report,
    _library: Library,
}

impl Api {
    pub fn load() -> Api {
        let library = library::open("mcrpc");
        let find = |name| library::find(&library, name);
        // SAFETY: each type above repeats the signature of the function of that name in `mcrpc-ffi`, from whose sources this very
        // library was built by the build script.
        unsafe {
            Api {
                host_open: std::mem::transmute::<*const (), HostOpen>(find("mcrpc_host_open")),
                host_close: std::mem::transmute::<*const (), HostClose>(find("mcrpc_host_close")),
                endpoints_init: std::mem::transmute::<*const (), Init>(find("mcrpc_endpoints_init")),
                endpoints_replace: std::mem::transmute::<*const (), Replace>(find("mcrpc_endpoints_replace")),
                select: std::mem::transmute::<*const (), Select>(find("mcrpc_select")),
                report: std::mem::transmute::<*const (), Report>(find("mcrpc_report")),
                _library: library,
            }
        }
    }
}
