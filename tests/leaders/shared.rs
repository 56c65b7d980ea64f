//! The file that the processes of a test map: a controller, and a board with the clock that they share.
//!
//! The clock is stepped by the processes themselves, so that closing windows is a large part of what they do. Each time that
//! a stepper gets is its own: what bears that time was written by it.

use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_core::admission::{Admission, Config};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use memmap2::MmapRaw;

pub const PROCESSES: usize = 4;
pub const QUEUES_EACH: usize = 2;
pub const CONFIG: Config =
    Config { queue_count: (PROCESSES * QUEUES_EACH) as u32, workers_per_queue: 1, ..Config::DEFAULT };

pub const WINDOW_NS: u64 = CONFIG.window_ms as u64 * NANOS_PER_MILLI;
/// In this time a process completes one request.
pub const STEP_NS: u64 = 4 * NANOS_PER_MILLI;
/// Whoever follows the clock is more than a step behind, and never bears the time of another process. So a process that steps
/// the clock alone notices the end of each window first.
const LAG_NS: u64 = STEP_NS + 1;
/// When the controller is laid out: a value that nothing else in its memory has.
const START: Nanos = Nanos(0x5_eed0_0000_0000);

/// What the processes tell each other.
#[repr(C)]
pub struct Board {
    pub clock: AtomicU64,
    /// The clock is not stepped beyond this.
    pub clock_limit: AtomicU64,
    /// The processes that step the clock, one bit each. The others follow it.
    pub steppers: AtomicU64,
    /// Requests per request that can be served, in per cent.
    pub load_percent: AtomicU64,
    /// Not 0: finish what is queued, and end.
    pub leave: AtomicU64,
    pub slots: [Slot; PROCESSES],
}

/// What one process says of itself.
#[repr(C, align(64))]
pub struct Slot {
    /// Grows as long as it runs; 0 before.
    pub beats: AtomicU64,
    /// Rounds of work.
    pub rounds: AtomicU64,
    /// The time that it has passed to a call that has not returned; else 0.
    pub calling_at: AtomicU64,
    /// Windows that were closed before that call.
    pub closed_before: AtomicU64,
}

impl Board {
    /// The next point in time for a process whose last one was `last`, if it is not to wait.
    pub fn next_time(&self, process: usize, last: Nanos) -> Option<Nanos> {
        if self.steppers.load(Ordering::Relaxed) & 1 << process == 0 {
            let now = Nanos(self.clock.load(Ordering::Relaxed) - LAG_NS);
            return (now != last).then_some(now);
        }
        let goes_on = self.clock.load(Ordering::Relaxed) < self.clock_limit.load(Ordering::Relaxed);
        goes_on.then(|| Nanos(self.clock.fetch_add(STEP_NS, Ordering::Relaxed) + STEP_NS))
    }
}

/// The mapping of one process.
pub struct Shared {
    map: MmapRaw,
}

const BOARD_LEN: usize = 4096;
const _: () = assert!(size_of::<Board>() <= BOARD_LEN);

impl Shared {
    /// Makes the file, with a controller in it.
    pub fn create(path: &Path) -> Shared {
        let file = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        file.set_len((BOARD_LEN + Admission::memory_size(&CONFIG).unwrap()) as u64).unwrap();
        let shared = Shared { map: MmapRaw::map_raw(&file).unwrap() };
        let (memory, len) = shared.controller();
        // SAFETY: the rest of the file, mapped as long as `shared`, is used by nothing but controllers.
        unsafe { Admission::init(memory, len, &CONFIG, START) }.unwrap();
        shared.board().clock.store(START.0, Ordering::Relaxed);
        shared.board().clock_limit.store(u64::MAX, Ordering::Relaxed);
        shared
    }

    pub fn open(path: &Path) -> Shared {
        let file = File::options().read(true).write(true).open(path).unwrap();
        Shared { map: MmapRaw::map_raw(&file).unwrap() }
    }

    pub fn board(&self) -> &Board {
        // SAFETY: the mapping begins with a page that is longer than a board, which consists of atomics only.
        unsafe { &*self.map.as_ptr().cast() }
    }

    pub fn admission(&self) -> Admission<'_> {
        let (memory, len) = self.controller();
        // SAFETY: as in `create`.
        unsafe { Admission::attach(memory, len) }.unwrap()
    }

    /// The two words that say who closes a window: since when the running window runs, and up to where it was measured. A
    /// leader takes its turn by writing its time into the first, and shows by the second that it has begun to write.
    ///
    /// They are found by the time that only they hold in a new controller, so this must be asked before it is used.
    pub fn turn_words(&self) -> [&AtomicU64; 2] {
        let (memory, len) = self.controller();
        // SAFETY: the controller consists of atomics only, and lives as long as the mapping.
        let words: &[AtomicU64] = unsafe { std::slice::from_raw_parts(memory.cast().as_ptr(), len / 8) };
        let turns: Vec<_> = words.iter().filter(|word| word.load(Ordering::Relaxed) == START.0).collect();
        turns.try_into().expect("the start of the first window, and of its measurement")
    }

    fn controller(&self) -> (NonNull<u8>, usize) {
        // SAFETY: the file is longer than the board's page.
        let start = unsafe { self.map.as_mut_ptr().add(BOARD_LEN) };
        (NonNull::new(start).unwrap(), self.map.len() - BOARD_LEN)
    }
}
