//! What a host consists of in this process, and its housekeeping.

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::NonNull;

use mcrpc_core::host::control::{Control, Mechanism};
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch};
use mcrpc_core::host::log::Log;
use mcrpc_core::host::region::{Shared, View};
use mcrpc_core::host::seat::{COMMON, NAME_LEN};
use mcrpc_core::host::stat::{self, Stat};
use mcrpc_core::host::trace::{self, Trace};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::liveness::Liveness;
use mcrpc_core::strategy::table::Table;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use crate::attachment::{Attachment, GraceClock, Versions};
use crate::mapping::{self, Directory, Mapped};
use crate::process::ProcessPlace;

/// Bytes of a directory's path, with its terminator.
pub(crate) const PATH_LEN: usize = 256;

/// The most endpoints of a host in memory of the caller's.
const MAX_BUCKETS: u32 = 1_000_000;

/// How a program wants its host.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) owner_uid: Option<u32>,
    pub(crate) max_age_ns: u64,
    pub(crate) name: [u8; NAME_LEN],
}

/// Sizes of segments in the caller's own memory.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) seats: u32,
    pub(crate) counters: u32,
    pub(crate) buckets: u32,
    pub(crate) trace_cells: u32,
}

impl Sizes {
    fn lens(self) -> [usize; 3] {
        [
            stat::segment_len(self.seats, self.counters),
            fail::segment_len(self.buckets),
            trace::segment_len(self.seats, self.trace_cells),
        ]
    }

    pub(crate) fn memory_len(self) -> Result<usize, Status> {
        let valid = (1..=mcrpc_core::host::seat::MAX_SEATS).contains(&self.seats)
            && (1..=stat::MAX_COUNTERS).contains(&self.counters)
            && (1..=MAX_BUCKETS).contains(&self.buckets)
            && self.trace_cells.is_power_of_two()
            && (16..=trace::MAX_RING_CELLS).contains(&self.trace_cells);
        if valid { Ok(self.lens().iter().sum()) } else { Err(Status::INVALID_ARGUMENT) }
    }
}

pub(crate) struct Host {
    pub(crate) strategy: Attachment<Table<'static>>,
    pub(crate) control: Attachment<Control<'static>>,
    pub(crate) fail: Attachment<FailBuckets<'static>>,
    pub(crate) stat: Attachment<Stat<'static>>,
    pub(crate) trace: Attachment<Trace<'static>>,
    pub(crate) log: Attachment<Log<'static>>,
    pub(crate) process: ProcessPlace,
    settings: Settings,
    /// Empty: there is none, or the segments are in the caller's memory.
    path: [u8; PATH_LEN],
    watch: UnsafeCell<Watch>,
}

/// What the housekeeping remembers. Belongs to the holder of its lock.
struct Watch {
    /// Of the strategies' writer.
    liveness: Liveness,
    grace: GraceClock,
}

impl Host {
    /// A host that knows nothing yet; an empty path never will.
    pub(crate) fn new(settings: Settings, path: [u8; PATH_LEN], now: Nanos) -> Host {
        Host {
            strategy: Attachment::new(),
            control: Attachment::new(),
            fail: Attachment::new(),
            stat: Attachment::new(),
            trace: Attachment::new(),
            log: Attachment::new(),
            process: ProcessPlace::new(),
            settings,
            path,
            watch: UnsafeCell::new(Watch { liveness: Liveness::new(0, now), grace: GraceClock::new(now) }),
        }
    }

    /// Lays counters, buckets and traces out in the caller's memory.
    ///
    /// # Safety
    ///
    /// `memory` is aligned to a page or at least 64 bytes, zeroed, writable for `len` bytes, at least what `sizes` need,
    /// for as long as the host is used, and used by nothing but hosts.
    #[cold]
    pub(crate) unsafe fn attach_memory(&self, memory: NonNull<u8>, sizes: Sizes, now: Nanos) -> Result<(), Status> {
        let [stat_len, fail_len, trace_len] = sizes.lens();
        // SAFETY: the three lie one after the other within the caller's memory, whose length was checked.
        let (stat_words, fail_words, trace_words) = unsafe {
            (
                Shared::from_raw(memory, stat_len),
                Shared::from_raw(memory.byte_add(stat_len), fail_len),
                Shared::from_raw(memory.byte_add(stat_len + fail_len), trace_len),
            )
        };
        // Addresses differ from process to process and from run to run: as a seed they need not be secret.
        let seed = memory.addr().get() as u64 ^ now.0;
        stat::create(stat_words, sizes.seats, sizes.counters, seed, now.0)?;
        fail::create(fail_words, sizes.buckets, seed, now.0)?;
        trace::create(trace_words, sizes.seats, sizes.trace_cells, seed, now.0)?;
        let usage = |error: Mismatch| error.status;
        let stat = Stat::attach(stat_words, stat_len as u64).map_err(usage)?;
        let fail = FailBuckets::attach(fail_words, fail_len as u64).map_err(usage)?;
        let trace = Trace::attach(trace_words, trace_len as u64).map_err(usage)?;
        let grace = GraceClock::new(now);
        // SAFETY: nobody else knows of the host yet, and all places are free.
        unsafe {
            self.stat.attach(stat, None, &grace);
            self.fail.attach(fail, None, &grace);
            self.trace.attach(trace, None, &grace);
        }
        Ok(())
    }

    /// The housekeeping: about once a second, by any thread.
    #[cold]
    pub(crate) fn tick(&self, now: Nanos) {
        let pid = mapping::own_pid();
        self.process.get().exclusively(pid, || {
            let directory = self.path().map(|path| Directory::open(path, self.settings.owner_uid));
            // SAFETY: the lock is held here, and what it guards is used by nobody else.
            let watch = unsafe { &mut *self.watch.get() };
            watch.grace.advance(now);
            match &directory {
                Some(Ok(directory)) => {
                    // SAFETY: the lock.
                    unsafe { self.look_at_files(directory, watch, now) };
                    self.sit_down(Some(directory), pid, now);
                }
                Some(Err(reason)) => self.lose_sight(*reason),
                None => self.sit_down(None, pid, now),
            }
            self.judge_strategies(watch, now);
            self.beat(now);
        });
    }

    /// Whether the operator lets a mechanism take effect for a user; he does if nothing is known. Hot.
    #[inline]
    pub(crate) fn is_enforced(&self, mechanism: Mechanism, uin: u64) -> bool {
        self.control.get().is_none_or(|control| control.is_enforced(mechanism, Uin(uin)))
    }

    fn path(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.path).ok().filter(|path| !path.is_empty())
    }

    /// # Safety
    ///
    /// The caller holds the housekeeping lock.
    unsafe fn look_at_files(&self, directory: &Directory, watch: &mut Watch, now: Nanos) {
        let grace = &watch.grace;
        // SAFETY: the lock, and: a mapping stays where it is until `Attachment` unmaps it, which it does only when no
        // reader can be using it. Other processes write to a segment only through the core.
        unsafe {
            renew(&self.control, Segment::Control, directory, grace, |mapped| {
                Control::attach(view(mapped), mapped.len as u64)
            });
            renew(&self.fail, Segment::Fail, directory, grace, |mapped| {
                FailBuckets::attach(shared(mapped), mapped.len as u64)
            });
            renew(&self.stat, Segment::Stat, directory, grace, |mapped| {
                Stat::attach(shared(mapped), mapped.len as u64)
            });
            renew(&self.trace, Segment::Trace, directory, grace, |mapped| {
                Trace::attach(shared(mapped), mapped.len as u64)
            });
            renew(&self.log, Segment::Log, directory, grace, |mapped| Log::attach(shared(mapped), mapped.len as u64));
            let is_new = renew(&self.strategy, Segment::Strategy, directory, grace, |mapped| {
                Table::attach(view(mapped), mapped.len as u64)
            });
            if is_new && let Some(table) = self.strategy.newest() {
                // What a dead agent left is not believed until somebody refreshes it. Stamps from the future are of
                // another boot, or of another time namespace.
                let age_ms = mapping::boottime_ms().checked_sub(table.refreshed_ms());
                let is_fresh = age_ms.is_some_and(|age_ms| age_ms <= self.settings.max_age_ns / NANOS_PER_MILLI);
                let beat = table.refresh_seq();
                watch.liveness = if is_fresh { Liveness::new(beat, now) } else { Liveness::unproven(beat, now) };
            }
        }
    }

    #[inline(never)]
    fn all_versions(&self) -> [&Versions; 6] {
        [
            &self.strategy.versions,
            &self.control.versions,
            &self.fail.versions,
            &self.stat.versions,
            &self.trace.versions,
            &self.log.versions,
        ]
    }

    /// The directory cannot be entered any more. What is mapped is still good, and the strategies grow stale by
    /// themselves; what is not mapped has this as its reason.
    fn lose_sight(&self, reason: Mismatch) {
        self.all_versions().iter().for_each(|versions| versions.suspend_unless_mapped(reason));
    }

    /// Believes the strategies only while their writer lives.
    fn judge_strategies(&self, watch: &mut Watch, now: Nanos) {
        let Some(table) = self.strategy.newest() else { return };
        let age_ns = watch.liveness.observe(table.refresh_seq(), now);
        if let Err(reason) = table.check_ready() {
            self.strategy.versions.suspend(reason);
        } else if age_ns > self.settings.max_age_ns {
            let (found, expected) = (age_ns / NANOS_PER_MILLI, self.settings.max_age_ns / NANOS_PER_MILLI);
            self.strategy.versions.suspend(Mismatch { status: Status::SEGMENT_STALE, found, expected });
        } else if self.strategy.get().is_none() {
            self.strategy.versions.resume();
        }
    }

    /// Takes a seat if this process has none. No directory: the segments are in the caller's memory.
    #[cold]
    fn sit_down(&self, directory: Option<&Directory>, pid: u32, now: Nanos) {
        let Some(stat) = self.stat.get() else { return };
        if !self.process.can_sit() || self.is_seated(directory, stat) {
            return;
        }
        let seat = self.find_seat(directory, stat, pid, now).unwrap_or(COMMON);
        if seat != COMMON {
            stat.seats().set_name(seat, &self.settings.name);
            stat.seats().set_pid_namespace(seat, mapping::own_pid_namespace());
            if let Some(trace) = self.trace.get() {
                trace.ring(seat).recover();
            }
        }
        self.process.get().set_seat(seat, stat.instance());
    }

    /// Says that the process lives.
    fn beat(&self, now: Nanos) {
        if let Some((stat, seat)) = self.own_seat() {
            stat.seats().beat(seat, self.process.get().unanswered(), now);
        }
    }

    /// What the process is called. Hot.
    #[inline]
    pub(crate) fn name(&self) -> &[u8; NAME_LEN] {
        &self.settings.name
    }

    /// The seat of this process in the counters that are attached, if it has one of its own.
    #[inline(never)]
    fn own_seat(&self) -> Option<(&Stat<'static>, u32)> {
        let (process, stat) = (self.process.get(), self.stat.get()?);
        let is_own = process.seat() != COMMON && process.seat_instance() == stat.instance();
        is_own.then_some((stat, process.seat()))
    }

    /// Whether the seat is still this process's: in these counters, by a lock on the file that all others lock.
    fn is_seated(&self, directory: Option<&Directory>, stat: &Stat<'_>) -> bool {
        let has_lock = directory.is_none_or(|directory| self.process.lock(directory).is_some());
        let is_seated = has_lock && self.own_seat().is_some();
        if !is_seated {
            self.process.get().set_seat(COMMON, stat.instance());
        }
        is_seated
    }

    #[cold]
    fn find_seat(&self, directory: Option<&Directory>, stat: &Stat<'_>, pid: u32, now: Nanos) -> Option<u32> {
        let Some(directory) = directory else {
            return stat.seats().claim(pid, now, &mut |_, owner| owner == 0 || mapping::is_gone(owner));
        };
        // Opened anew: a lock on a byte of counters that were replaced ends with it.
        let lock_file = self.process.open_lock(directory)?;
        stat.seats().claim(pid, now, &mut |seat, _| mapping::lock_byte(lock_file, seat))
    }

    /// Gives the seat back and unmaps everything.
    ///
    /// # Safety
    ///
    /// Nobody uses the host any more.
    pub(crate) unsafe fn close(&self) {
        if let Some((stat, seat)) = self.own_seat() {
            stat.seats().release(seat);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.all_versions().iter().for_each(|versions| versions.close());
            self.process.close();
        }
    }
}

/// Attaches the file that has the segment's name, unless it is the one that is in use. Whether it did.
///
/// # Safety
///
/// The caller holds the housekeeping lock, and what `attach` makes of a mapping uses nothing but it.
#[cold]
unsafe fn renew<T: Copy>(
    attachment: &Attachment<T>,
    segment: Segment,
    directory: &Directory,
    grace: &GraceClock,
    attach: impl FnOnce(&Mapped) -> Result<T, Mismatch>,
) -> bool {
    // SAFETY: the lock.
    let Some(mapped) = (unsafe { map_if_new(&attachment.versions, segment, directory) }) else { return false };
    let reason = match attach(&mapped) {
        // SAFETY: the lock; the value uses the mapping alone, by the caller's promise.
        Ok(value) if unsafe { attachment.attach(value, Some(mapped), grace) } => return true,
        Ok(_) => Mismatch { status: Status::SEGMENT_NOT_READY, found: 0, expected: 0 },
        Err(reason) => reason,
    };
    // SAFETY: nobody knows of the mapping.
    unsafe { mapping::unmap(mapped.base, mapped.len) };
    attachment.versions.suspend_unless_mapped(reason);
    false
}

/// # Safety
///
/// The caller holds the housekeeping lock.
#[cold]
unsafe fn map_if_new(versions: &Versions, segment: Segment, directory: &Directory) -> Option<Mapped> {
    let named = directory.identity(segment.file_name());
    // SAFETY: the lock.
    if named.is_some() && named == unsafe { versions.identity() } {
        return None;
    }
    // A file that was mapped before stays in use: it is as good as it was, and strategies that nobody refreshes grow
    // stale.
    directory.map(segment).map_err(|reason| versions.suspend_unless_mapped(reason)).ok()
}

/// # Safety
///
/// The mapping stays as long as the result is used.
unsafe fn view(mapped: &Mapped) -> View<'static> {
    // SAFETY: page-aligned and readable for its length; the rest is the caller's promise.
    unsafe { View::from_raw(mapped.base, mapped.len) }
}

/// # Safety
///
/// As for [`view`], and the mapping is writable.
unsafe fn shared(mapped: &Mapped) -> Shared<'static> {
    // SAFETY: page-aligned, readable and writable for its length; the rest is the caller's promise.
    unsafe { Shared::from_raw(mapped.base, mapped.len) }
}

const _: () = assert!(header::PAGE.is_multiple_of(64));
