//! One segment as a process holds it, with its earlier versions.
//!
//! Threads read the segment while the housekeeping puts a newer one in its place. So a mapping is never pulled from under
//! them: it is retired, and unmapped only when its place is needed and it has been retired for a minute, measured by the
//! housekeeping that has run meanwhile: a process that was stopped has not lived. A call into the library takes nanoseconds.
//! While no place is free the newer segment is not attached; the old one is superseded, and questions to it are not answered.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering, compiler_fence};

use mcrpc_core::host::header::Mismatch;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use crate::mapping::{self, Identity, Mapped};

const GENERATIONS: usize = 4;
const GRACE_NS: u64 = 60 * NANOS_PER_SECOND;
/// One housekeeping lets at most so much of the grace pass, whatever the clock says.
const MAX_STEP_NS: u64 = NANOS_PER_SECOND;
const NONE: u32 = 0;

/// A segment that readers see as a `T`.
pub(crate) struct Attachment<T> {
    pub(crate) versions: Versions,
    values: [UnsafeCell<MaybeUninit<T>>; GENERATIONS],
}

impl<T: Copy> Attachment<T> {
    pub(crate) const fn new() -> Attachment<T> {
        Attachment {
            versions: Versions::new(),
            values: [const { UnsafeCell::new(MaybeUninit::uninit()) }; GENERATIONS],
        }
    }

    /// What readers use. Hot.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        self.at(self.versions.in_force.load(Ordering::Acquire))
    }

    /// What was attached last, in force or not.
    pub(crate) fn newest(&self) -> Option<&T> {
        self.at(self.versions.newest.load(Ordering::Acquire))
    }

    #[inline]
    fn at(&self, number: u32) -> Option<&T> {
        let value = self.values.get((number as usize).wrapping_sub(1))?;
        // SAFETY: `attach` writes the value before it stores its number (release), which was read here (acquire), and
        // writes it again only when it was retired for `GRACE_NS`, when no call that saw the number is running any more.
        Some(unsafe { (*value.get()).assume_init_ref() })
    }

    /// Puts a segment in force and retires the one before. `false` if there is no place for it yet.
    ///
    /// # Safety
    ///
    /// The caller holds the housekeeping lock; `value` uses `mapped` or, if that is `None`, memory that outlives this.
    pub(crate) unsafe fn attach(&self, value: T, mapped: Option<Mapped>, grace: &GraceClock) -> bool {
        // SAFETY: the caller holds the lock.
        let Some(number) = (unsafe { self.versions.make_place(mapped, grace.passed_ns) }) else { return false };
        if let Some(place) = self.values.get(number as usize - 1) {
            // SAFETY: the place was never used, or retired so long ago that nobody reads it any more.
            unsafe { place.get().write(MaybeUninit::new(value)) };
            self.versions.use_newest(number);
        }
        true
    }
}

/// How much time has passed for this process, in steps that are bounded: see the head of this file.
pub(crate) struct GraceClock {
    passed_ns: u64,
    last: Nanos,
}

impl GraceClock {
    pub(crate) const fn new(now: Nanos) -> GraceClock {
        GraceClock { passed_ns: 0, last: now }
    }

    pub(crate) fn advance(&mut self, now: Nanos) {
        self.passed_ns = self.passed_ns.saturating_add(now.since(self.last).min(MAX_STEP_NS));
        self.last = now;
    }
}

/// Which mappings there are and which is in use, whatever is in them.
pub(crate) struct Versions {
    /// One more than the generation that readers use.
    in_force: AtomicU32,
    /// One more than the generation mapped last.
    newest: AtomicU32,
    status: AtomicI32,
    found: AtomicU64,
    expected: AtomicU64,
    generations: [UnsafeCell<Generation>; GENERATIONS],
}

#[derive(Clone, Copy)]
struct Generation {
    used: bool,
    /// `None`: memory of the caller's.
    mapped: Option<Mapped>,
    /// On the [`GraceClock`].
    retired_at_ns: Option<u64>,
}

impl Generation {
    const UNUSED: Generation = Generation { used: false, mapped: None, retired_at_ns: None };
}

impl Versions {
    const fn new() -> Versions {
        Versions {
            in_force: AtomicU32::new(NONE),
            newest: AtomicU32::new(NONE),
            status: AtomicI32::new(Status::NO_POLICY.0),
            found: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            generations: [const { UnsafeCell::new(Generation::UNUSED) }; GENERATIONS],
        }
    }

    /// Which file was attached last.
    ///
    /// # Safety
    ///
    /// The caller holds the housekeeping lock, as for all functions below that say no more.
    pub(crate) unsafe fn identity(&self) -> Option<Identity> {
        let generation = self.generations.get((self.newest.load(Ordering::Relaxed) as usize).wrapping_sub(1))?;
        // SAFETY: only whoever holds the lock writes to it.
        unsafe { (*generation.get()).mapped }.map(|mapped| mapped.identity)
    }

    /// Retires the newest generation and gives `mapped` the number of another.
    ///
    /// # Safety
    ///
    /// As for [`identity`](Self::identity).
    #[inline(never)]
    unsafe fn make_place(&self, mapped: Option<Mapped>, now_ns: u64) -> Option<u32> {
        let newest = self.newest.load(Ordering::Relaxed) as usize;
        // SAFETY: only whoever holds the lock looks at it, here and below.
        let at = |index: usize| self.generations.get(index).map(|generation| unsafe { *generation.get() });
        let is_unused = |index: &usize| at(*index).is_some_and(|generation| !generation.used);
        let is_free = |index: &usize| {
            let retired_at_ns = at(*index).and_then(|generation| generation.retired_at_ns);
            *index + 1 != newest && retired_at_ns.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) >= GRACE_NS)
        };
        let index = (0..GENERATIONS).find(is_unused).or_else(|| (0..GENERATIONS).find(is_free))?;
        let (old, place) = (at(index)?, self.generations.get(index)?);
        // SAFETY: the lock; and what was retired for so long is read by nobody.
        unsafe {
            // Forgotten before it is unmapped: a child that another thread forks in between leaves a mapping behind,
            // and does not unmap what is there by then.
            *place.get() = Generation::UNUSED;
            compiler_fence(Ordering::SeqCst);
            if let Some(old) = old.mapped {
                mapping::unmap(old.base, old.len);
            }
            *place.get() = Generation { used: true, mapped, retired_at_ns: None };
            if let Some(newest) = self.generations.get(newest.wrapping_sub(1)) {
                (*newest.get()).retired_at_ns = Some(now_ns);
            }
        }
        Some(index as u32 + 1)
    }

    /// Lets readers use this generation, which is the newest.
    #[inline(never)]
    fn use_newest(&self, number: u32) {
        self.newest.store(number, Ordering::Release);
        self.resume();
    }

    /// Lets readers use what was attached last.
    pub(crate) fn resume(&self) {
        self.set_status(Status::OK, 0, 0);
        self.in_force.store(self.newest.load(Ordering::Relaxed), Ordering::Release);
    }

    /// Readers use nothing from now on, for this reason.
    pub(crate) fn suspend(&self, reason: Mismatch) {
        self.in_force.store(NONE, Ordering::Release);
        self.set_status(reason.status, reason.found, reason.expected);
    }

    /// What is mapped stays in use; otherwise this is why nothing is.
    #[inline(never)]
    pub(crate) fn suspend_unless_mapped(&self, reason: Mismatch) {
        if self.newest.load(Ordering::Relaxed) == NONE {
            self.suspend(reason);
        }
    }

    fn set_status(&self, status: Status, found: u64, expected: u64) {
        self.status.store(status.0, Ordering::Relaxed);
        self.found.store(found, Ordering::Relaxed);
        self.expected.store(expected, Ordering::Relaxed);
    }

    /// Why readers use nothing; OK if they do.
    pub(crate) fn status(&self) -> Mismatch {
        Mismatch {
            status: Status(self.status.load(Ordering::Relaxed)),
            found: self.found.load(Ordering::Relaxed),
            expected: self.expected.load(Ordering::Relaxed),
        }
    }

    /// Unmaps everything.
    ///
    /// # Safety
    ///
    /// Nobody uses the host any more.
    #[inline(never)]
    pub(crate) unsafe fn close(&self) {
        self.in_force.store(NONE, Ordering::Relaxed);
        self.newest.store(NONE, Ordering::Relaxed);
        for generation in &self.generations {
            // SAFETY: nobody else is there, by the caller's promise.
            if let Some(old) = unsafe { (*generation.get()).mapped } {
                // SAFETY: mapped by this process, and used by nobody any more.
                unsafe { mapping::unmap(old.base, old.len) };
            }
        }
    }
}
