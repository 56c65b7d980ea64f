//! What belongs to this process alone, and not to a child that it forks: its seat, and the lock of the housekeeping.
//!
//! It lies in a page that the kernel wipes in the child. So a child finds that it has no seat, uses the common one without
//! asking anybody, and takes its own with its first housekeeping; a lock that another thread of the parent held at the fork
//! is open.

use core::ffi::c_int;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use mcrpc_core::host::files::SEATS_LOCK;
use mcrpc_core::host::seat;
use mcrpc_core::status::Status;

use crate::mapping::{self, Directory, Identity};

/// All-zero bytes are its first state, also in a child.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Process {
    /// Who does the housekeeping; 0: nobody.
    busy: AtomicU32,
    /// [`seat::COMMON`] if it has none of its own.
    seat: AtomicU32,
    /// The instance of the counters in which it has the seat.
    seat_instance: AtomicU64,
    /// Questions that were answered with *no policy*.
    unanswered: AtomicU64,
    /// 1 once the seat lock is this process's own, not an inherited one.
    owns_lock: AtomicU32,
    /// The process's number, for its lines; 0 before its first housekeeping.
    pid: AtomicU32,
    /// The instance of the logs in which it has said who has the seat.
    log_instance: AtomicU64,
}

impl Process {
    /// The seat to count in. Hot.
    #[inline]
    pub(crate) fn seat(&self) -> u32 {
        self.seat.load(Ordering::Relaxed)
    }

    pub(crate) fn set_seat(&self, seat: u32, instance: u64) {
        self.log_instance.store(0, Ordering::Relaxed);
        self.seat_instance.store(instance, Ordering::Relaxed);
        self.seat.store(seat, Ordering::Relaxed);
    }

    /// The segment in which the seat was taken.
    pub(crate) fn seat_instance(&self) -> u64 {
        self.seat_instance.load(Ordering::Relaxed)
    }

    /// The process's number, if it is known. Hot.
    #[inline]
    pub(crate) fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    /// Says in these logs who has the seat, unless that was said. Hot.
    #[inline]
    pub(crate) fn announce(&self, log_instance: u64, say: impl FnOnce() -> Result<(), Status>) -> Result<(), Status> {
        if self.log_instance.load(Ordering::Relaxed) != log_instance {
            say()?;
            self.log_instance.store(log_instance, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Counts an answer that was *no policy*.
    #[inline]
    pub(crate) fn count_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Runs the housekeeping unless another thread does so already. The lock says whose it is: one that a thread of the
    /// parent held at a fork does not count, should the page not have been wiped.
    pub(crate) fn exclusively(&self, pid: u32, work: impl FnOnce()) {
        let held = self.busy.load(Ordering::Relaxed);
        if held != pid && self.busy.compare_exchange(held, pid, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            self.pid.store(pid, Ordering::Relaxed);
            work();
            self.busy.store(0, Ordering::Release);
        }
    }
}

/// Where the [`Process`] is, and the file whose bytes say who sits where. Lies in the host, which a child inherits.
#[derive(Default)]
#[repr(C)]
pub(crate) struct ProcessPlace {
    page: AtomicPtr<Process>,
    /// Used if the kernel cannot wipe a page on fork: then nobody has a seat of its own.
    fallback: Process,
    lock_file: AtomicI32,
    lock_device: AtomicU64,
    lock_inode: AtomicU64,
}

/// No file.
const NO_FILE: c_int = -1;

impl ProcessPlace {
    pub(crate) fn new() -> ProcessPlace {
        let place = ProcessPlace { lock_file: AtomicI32::new(NO_FILE), ..ProcessPlace::default() };
        if let Some(page) = mapping::map_page_wiped_on_fork() {
            place.page.store(page.as_ptr().cast(), Ordering::Release);
        }
        place
    }

    #[inline]
    pub(crate) fn get(&self) -> &Process {
        // SAFETY: null, or a page mapped in `new` and unmapped in `close`, after which nobody uses the host. It is
        // zeroed, aligned and large enough, and all-zero bytes are a `Process`, which consists of atomics.
        unsafe { self.page.load(Ordering::Relaxed).as_ref() }.unwrap_or(&self.fallback)
    }

    /// Whether this process can have a seat of its own: not where a child would take itself for its parent.
    pub(crate) fn can_sit(&self) -> bool {
        !self.page.load(Ordering::Relaxed).is_null()
    }

    /// The seat lock that this very process holds, if it is still open under its number, and the one in the directory.
    pub(crate) fn lock(&self, directory: &Directory) -> Option<c_int> {
        let owned = self.get().owns_lock.load(Ordering::Relaxed) != 0;
        let number = self.lock_file.load(Ordering::Relaxed);
        let identity = Some(self.lock_identity());
        let is_ours = || mapping::identity_of_number(number) == identity;
        (owned && is_ours() && directory.identity(SEATS_LOCK) == identity).then_some(number)
    }

    /// Opens the seat lock of this process, in place of the one it has or inherited.
    pub(crate) fn open_lock(&self, directory: &Directory) -> Option<c_int> {
        self.drop_lock();
        let (file, identity) = directory.open_lock(SEATS_LOCK).ok()?;
        let number = file.into_number();
        self.lock_device.store(identity.device, Ordering::Relaxed);
        self.lock_inode.store(identity.inode, Ordering::Relaxed);
        self.lock_file.store(number, Ordering::Relaxed);
        self.get().owns_lock.store(1, Ordering::Relaxed);
        Some(number)
    }

    fn lock_identity(&self) -> Identity {
        let (device, inode) = (self.lock_device.load(Ordering::Relaxed), self.lock_inode.load(Ordering::Relaxed));
        Identity { device, inode }
    }

    /// Closes the lock, unless the number is that of another file by now: the program may have closed all its files.
    fn drop_lock(&self) {
        self.get().owns_lock.store(0, Ordering::Relaxed);
        let number = self.lock_file.swap(NO_FILE, Ordering::Relaxed);
        if number != NO_FILE && mapping::identity_of_number(number) == Some(self.lock_identity()) {
            mapping::close(number);
        }
    }

    /// # Safety
    ///
    /// Nobody uses the host any more.
    pub(crate) unsafe fn close(&self) {
        self.drop_lock();
        if let Some(page) = NonNull::new(self.page.swap(core::ptr::null_mut(), Ordering::Relaxed)) {
            // SAFETY: mapped in `new` with this length, and used by nobody by the caller's promise.
            unsafe { mapping::unmap(page.cast(), mcrpc_core::host::header::PAGE) };
        }
    }
}

const _: () = assert!(seat::COMMON == 0 && size_of::<Process>() <= mcrpc_core::host::header::PAGE);
