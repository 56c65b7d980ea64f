//! What belongs to this process alone, and not to a child that it forks: its seat, and the lock of the housekeeping.
//!
//! It lies in a page that the kernel wipes in the child. So a child finds that it has no seat, uses the common one without
//! asking anybody, and takes its own with its first housekeeping; a lock that another thread of the parent held at the fork
//! is open.

use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use mcrpc_core::host::seat;

use crate::mapping::{self, Directory, Identity};

/// All-zero bytes are its first state, also in a child.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Process {
    busy: AtomicU32,
    /// [`seat::COMMON`] if it has none of its own.
    seat: AtomicU32,
    /// The instance of the counters in which it has the seat.
    seat_instance: AtomicU64,
    /// Questions that were answered with *no policy*.
    unanswered: AtomicU64,
    /// 1 once the seat lock is this process's own, not an inherited one.
    owns_lock: AtomicU32,
}

impl Process {
    /// The seat to count in. Hot.
    #[inline]
    pub(crate) fn seat(&self) -> u32 {
        self.seat.load(Ordering::Relaxed)
    }

    pub(crate) fn set_seat(&self, seat: u32, instance: u64) {
        self.seat_instance.store(instance, Ordering::Relaxed);
        self.seat.store(seat, Ordering::Relaxed);
    }

    /// The segment in which the seat was taken.
    pub(crate) fn seat_instance(&self) -> u64 {
        self.seat_instance.load(Ordering::Relaxed)
    }

    /// Counts an answer that was *no policy*.
    #[inline]
    pub(crate) fn count_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unanswered(&self) -> u64 {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Runs the housekeeping unless another thread does so already.
    pub(crate) fn exclusively<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        self.busy.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let result = work();
        self.busy.store(0, Ordering::Release);
        Some(result)
    }
}

/// Where the [`Process`] is, and the file whose bytes say who sits where. Lies in the host, which a child inherits.
#[derive(Default)]
#[repr(C)]
pub(crate) struct ProcessPlace {
    page: AtomicPtr<Process>,
    /// Used if the kernel cannot wipe a page on fork: then a child shares its parent's seat.
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

    /// The seat lock of this very process, opened if need be.
    pub(crate) fn own_lock(&self, directory: &Directory, name: &CStr) -> Option<c_int> {
        let process = self.get();
        if process.owns_lock.load(Ordering::Relaxed) == 0 {
            self.drop_lock();
            let (file, identity) = directory.open_lock(name).ok()?;
            self.lock_device.store(identity.device, Ordering::Relaxed);
            self.lock_inode.store(identity.inode, Ordering::Relaxed);
            self.lock_file.store(file.into_number(), Ordering::Relaxed);
            process.owns_lock.store(1, Ordering::Relaxed);
        }
        Some(self.lock_file.load(Ordering::Relaxed))
    }

    /// Closes the lock, unless the number is that of another file by now: a child may have closed all it inherited.
    fn drop_lock(&self) {
        let number = self.lock_file.swap(NO_FILE, Ordering::Relaxed);
        let (device, inode) = (self.lock_device.load(Ordering::Relaxed), self.lock_inode.load(Ordering::Relaxed));
        if number != NO_FILE && mapping::identity_of_number(number) == Some(Identity { device, inode }) {
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
