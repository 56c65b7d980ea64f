//! Files in memory: the only system calls of the library, made when a host is opened and in its housekeeping.

use core::ffi::{CStr, c_int};
use core::ptr::NonNull;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch};
use mcrpc_core::host::trust::{self, Facts, Writers};
use mcrpc_core::status::Status;

/// A file that is open; closed when dropped.
pub(crate) struct File(c_int);

impl File {
    pub(crate) fn number(&self) -> c_int {
        self.0
    }

    /// Leaves the file open: the caller keeps its number.
    pub(crate) fn into_number(self) -> c_int {
        let number = self.0;
        core::mem::forget(self);
        number
    }
}

impl Drop for File {
    fn drop(&mut self) {
        close(self.0);
    }
}

pub(crate) fn close(number: c_int) {
    // SAFETY: closing a number touches no memory; the callers own the ones they pass.
    unsafe { libc::close(number) };
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The directory of a host, open.
pub(crate) struct Directory {
    file: File,
    owner_uid: u32,
}

impl Directory {
    #[inline(never)]
    pub(crate) fn open(path: &CStr, wanted_owner: Option<u32>) -> Result<Directory, Mismatch> {
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_RDONLY;
        // SAFETY: the path ends in NUL.
        let file = opened(unsafe { libc::open(path.as_ptr(), flags) })?;
        let (facts, _) = look_at(file.number(), libc::S_IFDIR)?;
        // SAFETY: has no arguments and cannot fail.
        let own_uid = unsafe { libc::geteuid() };
        trust::check_directory(&facts, own_uid, wanted_owner)?;
        Ok(Directory { file, owner_uid: facts.owner_uid })
    }

    /// Which file has this name now.
    #[inline(never)]
    pub(crate) fn identity(&self, name: &CStr) -> Option<Identity> {
        stat(self.file.number(), name, libc::AT_SYMLINK_NOFOLLOW).map(|found| identity_of(&found))
    }

    /// Maps a segment, for reading alone if only its owner writes it. Nothing in it has been checked yet.
    #[inline(never)]
    pub(crate) fn map(&self, segment: Segment) -> Result<Mapped, Mismatch> {
        let writable = segment.writers() == Writers::Everybody;
        let access = if writable { libc::O_RDWR } else { libc::O_RDONLY };
        let file = self.open_file(segment.file_name(), access)?;
        let (facts, identity) = look_at(file.number(), libc::S_IFREG)?;
        trust::check_file(&facts, self.owner_uid, segment.writers())?;
        if facts.len < header::PAGE as u64 || facts.len > isize::MAX as u64 {
            let (found, expected) = (facts.len, header::PAGE as u64);
            return Err(Mismatch { status: Status::SEGMENT_TOO_SHORT, found, expected });
        }
        let protection = if writable { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let flags = libc::MAP_SHARED | if segment.is_read_by_calls() { libc::MAP_POPULATE } else { 0 };
        let base = map_pages(facts.len as usize, protection, flags, file.number())?;
        Ok(Mapped { base, len: facts.len as usize, identity })
    }

    /// Opens the file whose bytes the processes lock.
    pub(crate) fn open_lock(&self, name: &CStr) -> Result<(File, Identity), Mismatch> {
        let file = self.open_file(name, libc::O_RDWR)?;
        let (_, identity) = look_at(file.number(), libc::S_IFREG)?;
        Ok((file, identity))
    }

    #[inline(never)]
    fn open_file(&self, name: &CStr, access: c_int) -> Result<File, Mismatch> {
        let flags = access | libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: the name ends in NUL.
        opened(unsafe { libc::openat(self.file.number(), name.as_ptr(), flags) })
    }
}

/// A segment in memory, until somebody unmaps it.
#[derive(Clone, Copy)]
pub(crate) struct Mapped {
    pub(crate) base: NonNull<u8>,
    pub(crate) len: usize,
    pub(crate) identity: Identity,
}

/// # Safety
///
/// `base` and `len` are those of a mapping, and nobody uses it any more.
pub(crate) unsafe fn unmap(base: NonNull<u8>, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(base.as_ptr().cast(), len) };
}

/// A page of zeroes, private to this process: a child made by `fork` finds zeroes in it again.
pub(crate) fn map_page_wiped_on_fork() -> Option<NonNull<u8>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let base = map_pages(header::PAGE, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1).ok()?;
    // SAFETY: the page was mapped just now.
    if unsafe { libc::madvise(base.as_ptr().cast(), header::PAGE, libc::MADV_WIPEONFORK) } == 0 {
        return Some(base);
    }
    // SAFETY: nobody knows of the page.
    unsafe { unmap(base, header::PAGE) };
    None
}

fn map_pages(len: usize, protection: c_int, flags: c_int, file: c_int) -> Result<NonNull<u8>, Mismatch> {
    // SAFETY: without MAP_FIXED no mapping that exists is touched.
    let base = unsafe { libc::mmap(core::ptr::null_mut(), len, protection, flags, file, 0) };
    if base == libc::MAP_FAILED { Err(last_error()) } else { NonNull::new(base.cast()).ok_or_else(last_error) }
}

/// Locks one byte for as long as the file is open, in this process or in any that inherited it. `false` if somebody else
/// has it.
pub(crate) fn lock_byte(file: c_int, offset: u32) -> bool {
    // SAFETY: a struct of integers, of which zero is a value of each.
    let mut range: libc::flock = unsafe { core::mem::zeroed() };
    range.l_type = libc::F_WRLCK as libc::c_short;
    range.l_whence = libc::SEEK_SET as libc::c_short;
    range.l_start = offset.into();
    range.l_len = 1;
    // SAFETY: the command takes a pointer to a `flock`, which lives until the call returns.
    unsafe { libc::fcntl(file, libc::F_OFD_SETLK, &raw const range) == 0 }
}

/// Which file is open under a number, if any.
pub(crate) fn identity_of_number(number: c_int) -> Option<Identity> {
    look_at(number, libc::S_IFREG).ok().map(|(_, identity)| identity)
}

/// Milliseconds of the clock that strategies are stamped with.
pub(crate) fn boottime_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` has room for the answer; on failure it stays 0, which is before every stamp.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

/// This process.
pub(crate) fn own_pid() -> u32 {
    // SAFETY: has no arguments and cannot fail.
    unsafe { libc::getpid() }.cast_unsigned()
}

/// The inode of the PID namespace in which [`own_pid`] is this process's number; 0 if it cannot be seen.
pub(crate) fn own_pid_namespace() -> u64 {
    stat(libc::AT_FDCWD, c"/proc/self/ns/pid", 0).map_or(0, |found| found.stx_ino)
}

/// Whether there is no such process any more.
pub(crate) fn is_gone(pid: u32) -> bool {
    // SAFETY: signal 0 is never delivered.
    unsafe { libc::kill(pid.cast_signed(), 0) == -1 && errno() == libc::ESRCH }
}

fn opened(number: c_int) -> Result<File, Mismatch> {
    if number < 0 { Err(last_error()) } else { Ok(File(number)) }
}

fn look_at(file: c_int, wanted_kind: libc::mode_t) -> Result<(Facts, Identity), Mismatch> {
    let found = stat(file, c"", libc::AT_EMPTY_PATH).ok_or_else(last_error)?;
    let mode = libc::mode_t::from(found.stx_mode);
    let facts = Facts {
        is_expected_kind: mode & libc::S_IFMT == wanted_kind,
        owner_uid: found.stx_uid,
        mode: mode & 0o7777,
        len: found.stx_size,
    };
    Ok((facts, identity_of(&found)))
}

/// `statx`, since `fstat` and its like are functions of the C library from glibc 2.33 on only: a library built there would not
/// start with an older one.
#[inline(never)]
fn stat(directory: c_int, name: &CStr, flags: c_int) -> Option<libc::statx> {
    let mut found = core::mem::MaybeUninit::<libc::statx>::uninit();
    let mask = libc::STATX_BASIC_STATS;
    // SAFETY: the name ends in NUL, and `found` has room for the answer.
    let answer = unsafe { libc::statx(directory, name.as_ptr(), flags, mask, found.as_mut_ptr()) };
    // SAFETY: filled in if the call succeeded.
    (answer == 0).then(|| unsafe { found.assume_init() })
}

fn identity_of(found: &libc::statx) -> Identity {
    let device = u64::from(found.stx_dev_major) << 32 | u64::from(found.stx_dev_minor);
    Identity { device, inode: found.stx_ino }
}

/// What the last system call said; an unexpected number is in `found`.
#[cold]
#[inline(never)]
fn last_error() -> Mismatch {
    let number = errno();
    let status = match number {
        libc::ENOENT => Status::SEGMENT_MISSING,
        libc::EACCES | libc::EPERM => Status::SEGMENT_DENIED,
        libc::ELOOP | libc::ENOTDIR => Status::SEGMENT_NOT_A_FILE,
        _ => Status::SEGMENT_IO,
    };
    Mismatch { status, found: u64::from(number.cast_unsigned()), expected: 0 }
}

fn errno() -> c_int {
    // SAFETY: the C library's address of the calling thread's error number is always valid.
    unsafe { *libc::__errno_location() }
}
