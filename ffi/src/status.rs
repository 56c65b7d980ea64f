//! Names and texts of statuses, and the version of the library.

use core::ffi::c_char;

use mcrpc_core::status::Status;

/// Version of the library as a number: major * 1 000 000 + minor * 1 000 + patch.
const VERSION: u32 = 1_000_000 * decimal(env!("CARGO_PKG_VERSION_MAJOR"))
    + 1_000 * decimal(env!("CARGO_PKG_VERSION_MINOR"))
    + decimal(env!("CARGO_PKG_VERSION_PATCH"));

const fn decimal(digits: &str) -> u32 {
    let mut value = 0;
    let mut rest = digits.as_bytes();
    while let [digit, tail @ ..] = rest {
        value = value * 10 + (*digit - b'0') as u32;
        rest = tail;
    }
    value
}

/// The version of the library that runs: major * 1000000 + minor * 1000 + patch. Compare it with
/// MCRPC_VERSION_NUMBER, the version of this header.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_version() -> u32 {
    VERSION
}

/// The version of the library that runs, as text. Static.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The name of a status, such as "below_cursor": a metric label. Static; "unknown" for a number that this version
/// does not know, never NULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_status_name(status: i32) -> *const c_char {
    Status(status).description().map_or(c"unknown", |entry| entry.name.get()).as_ptr()
}

/// What a status means and what to do about it, as one sentence for people. Static, never NULL.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub extern "C" fn mcrpc_status_text(status: i32) -> *const c_char {
    Status(status)
        .description()
        .map_or(c"This version of the library does not know this status.", |entry| entry.text.get())
        .as_ptr()
}
