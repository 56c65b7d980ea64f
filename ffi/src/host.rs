//! The host's shared segments, for C: opening them, and the housekeeping.

use core::ffi::{c_char, c_void};
use core::ptr::NonNull;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{Mismatch, PAGE};
use mcrpc_core::host::seat::NAME_LEN;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::liveness::MAX_AGE_MS;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use crate::pointer::{self, code};
use crate::sized::{self, Sized32};
use crate::state::{Host, PATH_LEN, Settings, Sizes};

/// Any owner: root or this process's own user.
pub const MCRPC_ANY_OWNER: u32 = u32::MAX;

/// What the host learnt about endpoints; written by the agent.
pub const MCRPC_SEGMENT_STRATEGY: u32 = 0;
/// What the operator said; written by the mcrpc command or the agent.
pub const MCRPC_SEGMENT_CONTROL: u32 = 1;
/// Leaky buckets; written by all processes.
pub const MCRPC_SEGMENT_FAIL: u32 = 2;
/// Counters and seats; written by all processes.
pub const MCRPC_SEGMENT_STAT: u32 = 3;
/// Trace rings; written by all processes.
pub const MCRPC_SEGMENT_TRACE: u32 = 4;
/// Log lines on their way to the agent; written by all processes. It is there if the agent keeps logs.
pub const MCRPC_SEGMENT_LOG: u32 = 6;

/// Bytes of a process's name.
pub const MCRPC_NAME_LEN: usize = 32;
const _: () = assert!(MCRPC_NAME_LEN == NAME_LEN);

/// Settings of a host. Start from MCRPC_HOST_CONFIG_INIT.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct mcrpc_host_config_t {
    /// sizeof(mcrpc_host_config_t)
    pub struct_size: u32,
    /// The user that the directory must belong to, or MCRPC_ANY_OWNER.
    pub owner_uid: u32,
    /// Strategies are no longer believed when their writer has not refreshed them for so long, 1000 to 3600000.
    pub max_age_ms: u32,
    /// mcrpc_host_create() only: processes that have counters of their own, 1 to 4096.
    pub seats: u32,
    /// mcrpc_host_create() only: counters, 1 to 65536.
    pub counters: u32,
    /// mcrpc_host_create() only: endpoints that have a leaky bucket, 1 to 1000000.
    pub buckets: u32,
    /// mcrpc_host_create() only: cells of 64 bytes in the trace ring of a process, a power of two from 16 to 65536.
    pub trace_cells: u32,
    /// Must be 0.
    pub reserved: u32,
    /// What the process is called in `mcrpc top`; ends at the first NUL, if there is one.
    pub name: [u8; MCRPC_NAME_LEN],
}

impl Default for mcrpc_host_config_t {
    fn default() -> mcrpc_host_config_t {
        mcrpc_host_config_t {
            struct_size: size_of::<mcrpc_host_config_t>() as u32,
            owner_uid: MCRPC_ANY_OWNER,
            max_age_ms: MAX_AGE_MS,
            seats: 64,
            counters: 512,
            buckets: 4_096,
            trace_cells: 256,
            reserved: 0,
            name: [0; MCRPC_NAME_LEN],
        }
    }
}

// SAFETY: repr(C), eight u32 and 32 bytes, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_host_config_t {
    const FIRST_VERSION_SIZE: usize = 64;
}
const _: () = assert!(size_of::<mcrpc_host_config_t>() == 64);

impl mcrpc_host_config_t {
    fn settings(&self) -> Result<Settings, Status> {
        if !(1_000..=3_600_000).contains(&self.max_age_ms) || self.reserved != 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        Ok(Settings {
            owner_uid: if self.owner_uid == MCRPC_ANY_OWNER { None } else { Some(self.owner_uid) },
            max_age_ns: u64::from(self.max_age_ms) * NANOS_PER_MILLI,
            name: self.name,
        })
    }

    fn sizes(&self) -> Sizes {
        Sizes { seats: self.seats, counters: self.counters, buckets: self.buckets, trace_cells: self.trace_cells }
    }
}

/// The host as one process sees it. It must lie in memory that is private to the process (static, heap or stack, not
/// MAP_SHARED) and stay where it is; zeroed, it is closed. All threads may use it at once, and a child after fork().
#[repr(C)]
pub struct mcrpc_host_t {
    /// Private.
    pub opaque: [u64; 512],
}

#[repr(C)]
struct Tagged {
    tag: u64,
    host: Host,
}

/// "mchost" and a version.
const TAG: u64 = 0x01_00_74_73_6f_68_63_6d;

const _: () = assert!(size_of::<Tagged>() <= size_of::<mcrpc_host_t>());
const _: () = assert!(align_of::<Tagged>() <= align_of::<mcrpc_host_t>());

/// What is known of a segment. Set struct_size before asking.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct mcrpc_segment_status_t {
    /// sizeof(mcrpc_segment_status_t)
    pub struct_size: u32,
    /// MCRPC_OK: it is in use. Otherwise why it is not.
    pub status: i32,
    /// The value found by the check that failed, or the system's error number.
    pub found: u64,
    /// The value expected.
    pub expected: u64,
    /// Strategies: the endpoints that do not pass all.
    pub entries: u64,
    /// Questions of this process, to whatever segment, that were answered with *no policy*.
    pub unanswered: u64,
}

// SAFETY: repr(C), two u32 and four u64 at offset 8, so without padding; any bits are valid.
unsafe impl Sized32 for mcrpc_segment_status_t {
    const FIRST_VERSION_SIZE: usize = 40;
}
const _: () = assert!(size_of::<mcrpc_segment_status_t>() == 40);

/// Opens the host's shared segments in `directory` (usually "/run/mcrpc"), and takes a seat for this process.
///
/// It succeeds also when there is no directory, no agent or nothing that can be believed: then every question is answered
/// with *no policy*, the call passes, and mcrpc_host_tick() goes on looking. NULL as directory: there never will be any.
/// mcrpc_host_segment_status() says what is in use and why not. `config` may be NULL.
/// Returns MCRPC_INVALID_ARGUMENT for a setting outside its range or a path of more than 255 bytes, _BAD_STRUCT_SIZE.
/// Once per process, before fork() or after. It maps files and keeps one open, whose lock is the process's seat: a program
/// that closes all its descriptors gets another seat with its next housekeeping. Since 0.1.
///
/// # Safety
///
/// `directory` is NULL or ends in NUL; `config` is NULL or readable for its struct_size; `out` is writable and not in use.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_open(
    directory: *const c_char,
    config: *const mcrpc_host_config_t,
    now_ns: u64,
    out: *mut mcrpc_host_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller's promises.
        let (settings, path) = unsafe { (read_config(config)?.settings()?, read_path(directory)?) };
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        let host = unsafe { put(out, Host::new(settings, path, Nanos(now_ns))) };
        host.tick(Nanos(now_ns));
        Ok(())
    })())
}

/// The bytes that mcrpc_host_create() needs with these settings. `config` may be NULL.
/// Returns MCRPC_INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// `config` is NULL or readable for its struct_size, `out` is writable.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_memory_size(config: *const mcrpc_host_config_t, out: *mut usize) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        // SAFETY: the caller's promise.
        let len = unsafe { read_config(config) }?.sizes().memory_len()?;
        // SAFETY: checked for null and alignment; writable by the caller's promise.
        unsafe { out.write(len) };
        Ok(())
    })())
}

/// Makes a host in memory of the caller's, for the processes of one server and without any agent: leaky buckets, counters
/// and traces are shared by all that inherit the memory (mmap with MAP_SHARED | MAP_ANONYMOUS before fork). There are no
/// strategies and no control segment: those questions are answered with *no policy*.
///
/// `memory` is aligned to 64 bytes, as long as mcrpc_host_memory_size() says, and stays mapped. It is overwritten.
/// Returns MCRPC_MISALIGNED, _TOO_SMALL, _INVALID_ARGUMENT or _BAD_STRUCT_SIZE. Once, before fork(). Since 0.1.
///
/// # Safety
///
/// `memory` is writable for `len` bytes and used by nothing but this library; `config` is NULL or readable for its
/// struct_size; `out` is writable and not in use.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_create(
    memory: *mut c_void,
    len: usize,
    config: *const mcrpc_host_config_t,
    now_ns: u64,
    out: *mut mcrpc_host_t,
) -> i32 {
    code((|| {
        pointer::check(out.cast_const())?;
        let memory = NonNull::new(memory.cast::<u8>()).ok_or(Status::NULL_ARGUMENT)?;
        // SAFETY: the caller's promise.
        let config = unsafe { read_config(config) }?;
        let (settings, sizes) = (config.settings()?, config.sizes());
        let wanted = sizes.memory_len()?;
        if !memory.addr().get().is_multiple_of(64) {
            return Err(Status::MISALIGNED);
        }
        if len > pointer::MAX_LEN || memory.addr().get().checked_add(len).is_none() {
            return Err(Status::INVALID_ARGUMENT);
        }
        if len < wanted {
            return Err(Status::TOO_SMALL);
        }
        // SAFETY: the caller gives `len` writable bytes for this library's own use, and `wanted` is no more.
        unsafe { memory.write_bytes(0, wanted) };
        let host = Host::new(settings, [0; PATH_LEN], Nanos(now_ns));
        // SAFETY: aligned, zeroed and long enough; the rest is the caller's promise.
        unsafe { host.attach_memory(memory, sizes, Nanos(now_ns)) }?;
        // SAFETY: checked for null and alignment, large enough by the assertion above, writable by the caller's promise.
        unsafe { put(out, host) }.tick(Nanos(now_ns));
        Ok(())
    })())
}

/// The housekeeping, about once a second: attaches segments that have appeared or been replaced, stops believing
/// strategies whose writer is gone, takes a seat after fork(), and says that the process lives.
///
/// Without it what was attached is believed for ever, and a forked child counts in the common seat. Any thread that is not
/// cancelled, also several at once. It opens, maps and looks at files: not for a signal handler or a small stack (4 KiB
/// are used). Since 0.1.
///
/// # Safety
///
/// `host` was set by mcrpc_host_open() or _create().
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_tick(host: *const mcrpc_host_t, now_ns: u64) -> i32 {
    // SAFETY: the caller's promise.
    code(unsafe { get(host) }.map(|host| host.tick(Nanos(now_ns))))
}

/// Gives the seat back, unmaps the segments and closes the host. Nobody may use it during the call or afterwards; a child's
/// call does not touch its parent. A process that ends need not call it. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_host_tick(); no other call uses the host.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_close(host: *mut mcrpc_host_t) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let inner = unsafe { get(host) }?;
        // SAFETY: nobody else uses the host, by the caller's promise.
        unsafe { inner.close() };
        // SAFETY: checked by `get`.
        unsafe { host.cast::<u64>().write(0) };
        Ok(())
    })())
}

/// Whether a segment (MCRPC_SEGMENT_...) is in use, and why not: e.g. "segment_other_major", found 2, expected 1.
/// Any thread; no allocation, lock or system call. Since 0.1.
///
/// # Safety
///
/// As for mcrpc_host_tick(); `out` is writable for its struct_size.
#[cfg_attr(feature = "export-symbols", unsafe(no_mangle))]
pub unsafe extern "C" fn mcrpc_host_segment_status(
    host: *const mcrpc_host_t,
    segment: u32,
    out: *mut mcrpc_segment_status_t,
) -> i32 {
    code((|| {
        // SAFETY: the caller's promise.
        let host = unsafe { get(host) }?;
        let versions = match Segment::from_number(segment).ok_or(Status::INVALID_ARGUMENT)? {
            Segment::Strategy => &host.strategy.versions,
            Segment::Control => &host.control.versions,
            Segment::Fail => &host.fail.versions,
            Segment::Stat => &host.stat.versions,
            Segment::Trace => &host.trace.versions,
            Segment::Log => &host.log.versions,
            Segment::Cold => return Err(Status::INVALID_ARGUMENT),
        };
        let reason: Mismatch = versions.status();
        let answer = mcrpc_segment_status_t {
            struct_size: 0,
            status: reason.status.0,
            found: reason.found,
            expected: reason.expected,
            entries: host.strategy.get().map_or(0, |table| table.active()),
            unanswered: host.process.get().unanswered(),
        };
        // SAFETY: the caller promises that the struct is writable for its size.
        unsafe { sized::write(out, &answer) }
    })())
}

/// # Safety
///
/// `config` is NULL or readable for its struct_size.
unsafe fn read_config(config: *const mcrpc_host_config_t) -> Result<mcrpc_host_config_t, Status> {
    if config.is_null() {
        return Ok(mcrpc_host_config_t::default());
    }
    // SAFETY: the caller's promise.
    unsafe { sized::read(config) }
}

/// # Safety
///
/// `directory` is NULL or ends in NUL.
unsafe fn read_path(directory: *const c_char) -> Result<[u8; PATH_LEN], Status> {
    let mut path = [0; PATH_LEN];
    if directory.is_null() {
        return Ok(path);
    }
    for (index, byte) in path.iter_mut().enumerate() {
        // SAFETY: all bytes before this one were not NUL, so this one is part of the string.
        *byte = unsafe { directory.cast::<u8>().add(index).read() };
        if *byte == 0 {
            return Ok(path);
        }
    }
    Err(Status::INVALID_ARGUMENT)
}

/// # Safety
///
/// `out` is aligned, writable and used by nobody.
unsafe fn put<'a>(out: *mut mcrpc_host_t, host: Host) -> &'a Host {
    // SAFETY: `mcrpc_host_t` has room for a `Tagged`, by the assertion above; the rest is the caller's promise.
    unsafe {
        out.cast::<Tagged>().write(Tagged { tag: TAG, host });
        &(*out.cast::<Tagged>()).host
    }
}

/// The host behind a handle. Hot.
///
/// # Safety
///
/// Unless null or zeroed, `host` was set by mcrpc_host_open() or _create().
#[inline]
pub(crate) unsafe fn get<'a>(host: *const mcrpc_host_t) -> Result<&'a Host, Status> {
    pointer::check(host)?;
    // SAFETY: not null and aligned; readable by the caller's promise.
    if unsafe { host.cast::<u64>().read() } != TAG {
        return Err(Status::NOT_INITIALISED);
    }
    // SAFETY: the tag says that `put` wrote a `Tagged`. It is only changed through its atomics and cells from then on.
    Ok(unsafe { &(*host.cast::<Tagged>()).host })
}

const _: () = assert!(PAGE == 4096);
