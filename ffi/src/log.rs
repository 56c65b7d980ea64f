//! Lines of text for the agent's files, for C.

use core::ffi::c_char;

use mcrpc_core::host::log::{Level, MAX_TEXT_LEN, Origin};
use mcrpc_core::host::seat::COMMON;
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use crate::context::mcrpc_context_t;
use crate::host::{self, mcrpc_host_t};
use crate::pointer::{self, code};
use crate::sized::{self, Sized32};

/// A line that says that something failed.
pub const MCRPC_LOG_ERROR: u32 = 1;
/// A line that says that something is not as it should be.
pub const MCRPC_LOG_WARN: u32 = 2;
/// A line for operators.
pub const MCRPC_LOG_INFO: u32 = 3;
/// A line for developers.
pub const MCRPC_LOG_DEBUG: u32 = 4;
/// A line about a single step.
pub const MCRPC_LOG_TRACE: u32 = 5;

/// The most bytes of text in a line; of a longer one the rest is cut off, and the file says so.
pub const MCRPC_LOG_MAX_LEN: usize = 3528;
const _: () = assert!(MCRPC_LOG_MAX_LEN == MAX_TEXT_LEN);

/// What is known of a line of text. Start from MCRPC_LOG_LINE_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_log_line_t {
    /// sizeof(mcrpc_log_line_t)
    pub struct_size: u32,
    /// MCRPC_LOG_...
    pub level: u32,
    /// The thread, as the program numbers them, for instance gettid() kept in a variable of the thread; 0: not said.
    pub thread: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The coroutine, as the program numbers them; 0: none.
    pub coroutine: u64,
    /// Now, in ns of CLOCK_MONOTONIC.
    pub now_ns: u64,
}

impl Default for mcrpc_log_line_t {
    fn default() -> mcrpc_log_line_t {
        mcrpc_log_line_t {
            struct_size: size_of::<mcrpc_log_line_t>() as u32,
            level: MCRPC_LOG_INFO,
            thread: 0,
            reserved: 0,
            coroutine: 0,
            now_ns: 0,
        }
    }
}

// SAFETY: repr(C), four u32 and two u64 at offset 16, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_log_line_t {
    const FIRST_VERSION_SIZE: usize = 32;
}
const _: () = assert!(size_of::<mcrpc_log_line_t>() == 32);

/// Hands a line of text to the host's agent, which writes it into a file with its time, process, thread, coroutine, user, call
/// graph and trace. The latter three are those of `context`, usually mcrpc_context_current(), which may be NULL. `text` needs no end of line and no NUL; control characters in it are written as \n, \t, \x1b.
///
/// The line is safe as soon as this returns: the agent takes it out of shared memory also when the process is killed with
/// the next instruction. Nothing waits: if the agent has not taken earlier lines yet, the line is dropped and counted.
/// Returns MCRPC_NO_POLICY when the agent keeps no logs (write the line somewhere else), MCRPC_LINE_DROPPED,
/// MCRPC_INVALID_ARGUMENT for an unknown level, MCRPC_BAD_STRUCT_SIZE.
/// Hot: any thread, coroutine or signal handler; no allocation, lock or system call; after fork too. Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create(); `line` and, unless it is NULL, `context` are readable for their struct_size;
/// `text` is readable for `len` bytes.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_log(
    host: *const mcrpc_host_t,
    line: *const mcrpc_log_line_t,
    context: *const mcrpc_context_t,
    text: *const c_char,
    len: usize,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promises.
        let (host, line, text) = unsafe { (host::get(host)?, sized::view(line)?, pointer::bytes(text.cast(), len)?) };
        let level = Level::from_number(line.level).filter(|_| line.reserved == 0).ok_or(Status::INVALID_ARGUMENT)?;
        let mut origin = Origin { time: Nanos(line.now_ns), ..Origin::default() };
        (origin.thread, origin.coroutine) = (line.thread, line.coroutine);
        if !context.is_null() {
            // SAFETY: the caller's promise.
            let context = unsafe { sized::view(context) }?;
            (origin.uin, origin.call_graph_id) = (Uin(context.uin), context.call_graph_id);
            origin.trace_id = context.trace_id;
        }
        let (process, log) = (host.process.get(), host.log.get().ok_or(Status::NO_POLICY)?);
        origin.pid = process.pid();
        let seat = process.seat();
        let seat = if seat <= log.seat_count() { seat } else { COMMON };
        let ring = log.ring(seat);
        if seat != COMMON {
            // Without room for that there is none for the line, and what was dropped is counted once.
            process.announce(log.instance(), || ring.open(origin.pid, host.name(), origin.time))?;
        }
        ring.write(level, &origin, text)
    })())
}
