//! The other process: this program, started again on the same mapped files, which does over and over what it is told.

use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::seat::COMMON;
use mcrpc_core::host::stat::{self, CounterKey, Kind, Stat};
use mcrpc_core::host::trace::{self, Trace};
use mcrpc_core::shield::leak::Leak;
use mcrpc_core::time::Nanos;

use crate::keys::{Keys, SEED};
use crate::segment::Segment;

/// Seats of the two processes.
pub const OUR_SEAT: u32 = 1;
const ITS_SEAT: u32 = 2;
const SEATS: u32 = 4;
const COLUMNS: u32 = 1_024;
/// The counter to which both add.
pub const COUNTER: CounterKey = CounterKey { id: 1, key: 1, kind: Kind::Sum };
/// Hardly fills, so that each pour is a store.
pub const LEAK: Leak = Leak { drain_ns: 1, ..Leak::DEFAULT };
/// Endpoints with a bucket: few enough to stay in the first-level cache.
pub const BUCKETS: u64 = 512;
/// Endpoints that there is room for.
const FAIL_CAPACITY: u32 = 16_384;
const BURST: usize = 16;
const TASK: usize = 0;
const DONE: usize = 1;

/// What the other process does.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Task {
    Rest = 0,
    /// Adds to the counter, in its own stripe.
    AddOwn = 1,
    /// Adds to the counter, in the common stripe.
    AddCommon = 2,
    /// Pours into all buckets in turn.
    PourAll = 3,
    /// Pours into the first bucket.
    PourFirst = 4,
    /// Writes records of 24 bytes into its own ring.
    WriteOwn = 5,
    /// Writes them into the common ring.
    WriteCommon = 6,
}

/// In the order of their numbers.
const TASKS: [Task; 7] =
    [Task::Rest, Task::AddOwn, Task::AddCommon, Task::PourAll, Task::PourFirst, Task::WriteOwn, Task::WriteCommon];

/// The mapped files that both processes use.
pub struct Host {
    stat: Segment,
    fail: Segment,
    trace: Segment,
    orders: Segment,
}

impl Host {
    pub fn create(directory: &Path) -> Host {
        let at = |name: &str, len: usize| Segment::create(&directory.join(name), len);
        let stat = at("stat", stat::segment_len(SEATS, COLUMNS));
        let fail = at("fail", fail::segment_len(FAIL_CAPACITY));
        let trace = at("trace", trace::segment_len(SEATS, 1_024));
        stat::create(stat.shared(), SEATS, COLUMNS, SEED, 1).unwrap();
        fail::create(fail.shared(), FAIL_CAPACITY, SEED, 1).unwrap();
        trace::create(trace.shared(), SEATS, 1_024, SEED, 1).unwrap();
        Host { stat, fail, trace, orders: at("orders", 4096) }
    }

    fn open(directory: &Path) -> Host {
        let at = |name: &str| Segment::open(&directory.join(name));
        Host { stat: at("stat"), fail: at("fail"), trace: at("trace"), orders: at("orders") }
    }

    pub fn stat(&self) -> Stat<'_> {
        Stat::attach(self.stat.shared(), self.stat.len()).unwrap()
    }

    pub fn fail(&self) -> FailBuckets<'_> {
        FailBuckets::attach(self.fail.shared(), self.fail.len()).unwrap()
    }

    pub fn trace(&self) -> Trace<'_> {
        Trace::attach(self.trace.shared(), self.trace.len()).unwrap()
    }

    /// Grows while the other process does something.
    pub fn progress(&self) -> u64 {
        self.orders.view().load(DONE)
    }

    /// Tells it, and waits until it does so.
    pub fn order(&self, task: Task) {
        self.orders.shared().publish(TASK, task as u64);
        std::thread::sleep(Duration::from_micros(500));
        let (before, start) = (self.progress(), Instant::now());
        while task != Task::Rest && self.progress() == before {
            assert!(start.elapsed() < Duration::from_secs(20), "the other process does not run");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// The other process; killed when it is dropped.
pub struct Partner(Child);

impl Partner {
    pub fn start(directory: &Path) -> Partner {
        let program = std::env::current_exe().unwrap();
        Partner(Command::new(program).arg("partner").arg(directory).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other process.
pub fn run(directory: &Path) {
    let host = Host::open(directory);
    let (stat, fail, trace) = (host.stat(), host.fail(), host.trace());
    let buckets: Vec<_> = Keys::first(BUCKETS).all().map(|endpoint| fail.bucket(&endpoint).unwrap()).collect();
    let counter = stat.column(COUNTER).unwrap();
    let orders = host.orders.shared();
    let pour = |bucket: usize| fail.pour(buckets[bucket], &LEAK, shared_clock()).unwrap();
    let write = |seat: u32| _ = trace.ring(seat).write(1, &[7; 24], Nanos(1));
    // Ends with the process that started it, whatever ended that.
    let parent = parent_id();
    for round in 0.. {
        let burst = round * BURST..(round + 1) * BURST;
        match TASKS.get(orders.load(TASK) as usize).copied().unwrap_or(Task::Rest) {
            Task::AddOwn => burst.for_each(|_| stat.add(ITS_SEAT, counter, 1)),
            Task::AddCommon => burst.for_each(|_| stat.add(COMMON, counter, 1)),
            Task::PourAll => burst.for_each(|n| pour(n % buckets.len())),
            Task::PourFirst => burst.for_each(|_| pour(0)),
            Task::WriteOwn => burst.for_each(|_| write(ITS_SEAT)),
            Task::WriteCommon => burst.for_each(|_| write(COMMON)),
            Task::Rest => {
                std::thread::sleep(Duration::from_micros(100));
                continue;
            }
        }
        orders.add(DONE, 1);
        if round % 65_536 == 0 && parent_id() != parent {
            return;
        }
    }
}

/// A clock that both processes share.
pub fn shared_clock() -> Nanos {
    Nanos(SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_nanos() as u64)
}
