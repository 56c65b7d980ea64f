//! What admission costs per request, through the C ABI of the shared library, as a C++ server would call it.
//!
//! `cargo bench --bench admission` prints nanoseconds (median of 41 batches, and the span from the 10th to the 90th
//! percentile) and, if valgrind is installed, instructions. Two peers run in the same process for scale: a mutex
//! locked three times, the least that a limiter behind a lock costs for admit, dequeued and done; and `governor`, a
//! lock-free rate limiter. The two busy processes are this program, started again on the same mapped file.

#[path = "common/callgrind.rs"]
mod callgrind;
#[path = "common/library.rs"]
mod library;

use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use callgrind::instructions;
use libloading::Library;
use mcrpc_core::admission::Config;
use mcrpc_core::time::NANOS_PER_MILLI;
use mcrpc_ffi::admission::{
    MCRPC_MODE_ENFORCE, MCRPC_NO_DEADLINE, MCRPC_POLICY_FEED_FORWARD, mcrpc_admission_config_t,
    mcrpc_admission_snapshot_t, mcrpc_admission_t, mcrpc_request_t,
};
use memmap2::{MmapOptions, MmapRaw};

const BATCHES: usize = 41;
const BATCH: u64 = 100_000;
/// Requests in turn, over all priorities: few enough to stay in the first-level cache, as a request just read does.
const KEYS: usize = 512;

type Init = unsafe extern "C" fn(
    *mut std::ffi::c_void,
    usize,
    *const mcrpc_admission_config_t,
    u64,
    *mut mcrpc_admission_t,
) -> i32;
type Attach = unsafe extern "C" fn(*mut std::ffi::c_void, usize, *mut mcrpc_admission_t) -> i32;
type Admit = unsafe extern "C" fn(*const mcrpc_admission_t, u32, *const mcrpc_request_t, u64) -> i32;
type Dequeued = unsafe extern "C" fn(*const mcrpc_admission_t, u32, u64, u64, u64) -> i32;
type Done = unsafe extern "C" fn(*const mcrpc_admission_t, u32, u64, u64) -> i32;
type Snapshot = unsafe extern "C" fn(*const mcrpc_admission_t, *mut mcrpc_admission_snapshot_t) -> i32;
type Key = extern "C" fn(u64, u32, u64, u8, u64) -> u32;

/// The library, loaded as a C program would have it.
struct Api {
    init: Init,
    attach: Attach,
    admit: Admit,
    dequeued: Dequeued,
    done: Done,
    snapshot: Snapshot,
    key: Key,
    _library: Library,
}

impl Api {
    fn load() -> Api {
        let library = library::open("mcrpc");
        let find = |name| library::find(&library, name);
        // SAFETY: each type above repeats the signature of the function of that name in `mcrpc-ffi`, from whose sources this very
        // library was built by the build script.
        unsafe {
            Api {
                init: std::mem::transmute::<*const (), Init>(find("mcrpc_admission_init")),
                attach: std::mem::transmute::<*const (), Attach>(find("mcrpc_admission_attach")),
                admit: std::mem::transmute::<*const (), Admit>(find("mcrpc_admit")),
                dequeued: std::mem::transmute::<*const (), Dequeued>(find("mcrpc_dequeued")),
                done: std::mem::transmute::<*const (), Done>(find("mcrpc_done")),
                snapshot: std::mem::transmute::<*const (), Snapshot>(find("mcrpc_admission_snapshot")),
                key: std::mem::transmute::<*const (), Key>(find("mcrpc_key")),
                _library: library,
            }
        }
    }
}

/// A controller and the clock that its calls are given.
struct Bench<'a> {
    api: &'a Api,
    handle: mcrpc_admission_t,
    requests: Vec<mcrpc_request_t>,
    now_ns: u64,
    /// Requests that the overload left in queue 0.
    queued: u64,
    _memory: MmapRaw,
}

impl<'a> Bench<'a> {
    fn create(api: &'a Api, file: &Path, queue_count: u32) -> Bench<'a> {
        let Config {
            window_ms,
            target_wait_ms,
            overload_wait_ms,
            soft_wait_limit_ms,
            hard_wait_limit_ms,
            marginal_band_per_10k,
            headroom_per_10k,
            cpu_limit_per_10k,
            ..
        } = Config::DEFAULT;
        let config = mcrpc_admission_config_t {
            struct_size: size_of::<mcrpc_admission_config_t>() as u32,
            queue_count,
            workers_per_queue: 1,
            mode: MCRPC_MODE_ENFORCE,
            window_ms,
            target_wait_ms,
            overload_wait_ms,
            soft_wait_limit_ms,
            hard_wait_limit_ms,
            marginal_band_per_10k,
            headroom_per_10k,
            policy: MCRPC_POLICY_FEED_FORWARD,
            cpu_limit_per_10k,
            fair_share: 0,
        };
        std::fs::write(file, vec![0u8; 4 << 20]).unwrap();
        Bench::open(api, file, |memory, len, handle| {
            // SAFETY: the mapping is ours, page-aligned and longer than two queues need.
            unsafe { (api.init)(memory, len, &raw const config, shared_clock_ns(), handle) }
        })
    }

    fn attach(api: &'a Api, file: &Path) -> Bench<'a> {
        // SAFETY: the mapping is shared with the process that made it, and used by the library only.
        Bench::open(api, file, |memory, len, handle| unsafe { (api.attach)(memory, len, handle) })
    }

    fn open(
        api: &'a Api,
        file: &Path,
        set_up: impl Fn(*mut std::ffi::c_void, usize, *mut mcrpc_admission_t) -> i32,
    ) -> Bench<'a> {
        let file = std::fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
        let memory = MmapOptions::new().map_raw(&file).unwrap();
        let mut handle = mcrpc_admission_t { opaque: [0; 24] };
        assert_eq!(set_up(memory.as_mut_ptr().cast(), memory.len(), &raw mut handle), 0);
        let requests = (0..KEYS as u64)
            .map(|n| mcrpc_request_t {
                deadline_ns: MCRPC_NO_DEADLINE,
                key: (api.key)(7, 0, n * 7919 + 1, (n % 64) as u8, 0),
                flags: 0,
                reserved: 0,
            })
            .collect();
        Bench { api, handle, requests, now_ns: shared_clock_ns(), queued: 0, _memory: memory }
    }

    fn admit(&self, queue: u32, request: usize, now_ns: u64) -> i32 {
        // SAFETY: the handle was set up in `open`; the request is a live reference.
        unsafe { (self.api.admit)(&self.handle, queue, &self.requests[request % KEYS], now_ns) }
    }

    fn dequeued(&self, queue: u32, admitted_ns: u64, now_ns: u64) -> i32 {
        // SAFETY: as for `admit`.
        unsafe { (self.api.dequeued)(&self.handle, queue, admitted_ns, MCRPC_NO_DEADLINE, now_ns) }
    }

    fn done(&self, queue: u32, started_ns: u64, now_ns: u64) -> i32 {
        // SAFETY: as for `admit`.
        unsafe { (self.api.done)(&self.handle, queue, started_ns, now_ns) }
    }

    fn is_shedding(&self) -> bool {
        let mut snapshot = mcrpc_admission_snapshot_t {
            struct_size: size_of::<mcrpc_admission_snapshot_t>() as u32,
            ..Default::default()
        };
        // SAFETY: as for `admit`; the struct says its own size.
        assert_eq!(unsafe { (self.api.snapshot)(&self.handle, &raw mut snapshot) }, 0);
        snapshot.shedding == 1
    }

    /// One request through all three calls, `count` times, on a clock that is read once: as a server does that reads
    /// it once per turn of its loop. A window closes every 100 ms.
    fn whole_requests(&mut self, queue: u32, count: u64) {
        self.now_ns = shared_clock_ns();
        for n in 0..count {
            let now_ns = self.now_ns + n * 25;
            black_box(self.admit(queue, n as usize, now_ns));
            black_box(self.dequeued(queue, now_ns, now_ns));
            black_box(self.done(queue, now_ns, now_ns + 20));
        }
    }

    /// Ten seconds of overload.
    fn overload(&mut self) {
        for _ in 0..100 {
            self.busy_window();
            self.now_ns += 100 * NANOS_PER_MILLI;
        }
        assert!(self.is_shedding(), "the bench could not bring the controller into overload");
    }

    /// What one window of overload brings: four arrivals over all priorities for each one served, after a long wait.
    fn busy_window(&mut self) {
        for n in 0..400 {
            self.queued += u64::from(self.admit(0, n * 31, self.now_ns) == 0);
            if n % 4 == 0 && self.queued > 0 {
                self.queued -= 1;
                self.dequeued(0, self.now_ns.saturating_sub(60 * NANOS_PER_MILLI), self.now_ns);
                self.done(0, self.now_ns.saturating_sub(NANOS_PER_MILLI), self.now_ns);
            }
        }
    }

    /// A request that the cursor refuses, over and over within one window.
    fn refusals(&self, count: u64) {
        let least = self.requests.iter().enumerate().max_by_key(|(_, request)| request.key).unwrap().0;
        let mut refused = 0;
        for _ in 0..count {
            refused += u64::from(black_box(self.admit(0, least, self.now_ns)) != 0);
        }
        assert_eq!(refused, count, "every one must be refused");
    }

    /// The calls that close a window, in ns each.
    fn closes(&mut self, count: usize) -> Vec<f64> {
        let mut times = Vec::new();
        for _ in 0..count {
            self.busy_window();
            self.now_ns += 100 * NANOS_PER_MILLI;
            let start = Instant::now();
            self.queued += u64::from(black_box(self.admit(0, 0, self.now_ns)) == 0);
            times.push(start.elapsed().as_nanos() as f64);
        }
        times
    }
}

/// A clock that both processes share.
fn shared_clock_ns() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_nanos() as u64
}

/// Median, 10th and 90th percentile.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    (at(0.5), at(0.1), at(0.9))
}

fn per_operation(mut batch: impl FnMut(u64)) -> (f64, f64, f64) {
    batch(BATCH);
    let times = (0..BATCHES).map(|_| {
        let start = Instant::now();
        batch(BATCH);
        start.elapsed().as_nanos() as f64 / BATCH as f64
    });
    spread(times.collect())
}

fn report(name: &str, (median, low, high): (f64, f64, f64), wanted_ns: Option<f64>, instructions: Option<f64>) {
    let wanted = wanted_ns
        .map_or(String::new(), |ns| format!("  wanted <= {ns} ns: {}", if median <= ns { "yes" } else { "NO" }));
    let instructions = instructions.map_or(String::new(), |count| format!("  {count:6.0} instructions"));
    println!("{name:<68} {median:8.1} ns  ({low:.1} to {high:.1}){instructions}{wanted}");
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let api = Api::load();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("admission");
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["partner", file, queue] => partner(&api, Path::new(file), queue.parse().unwrap()),
        ["once", what, count] => once(&api, &file, what, count.parse().unwrap()),
        _ => all(&api, &file),
    }
}

/// The other of two busy processes: says that it runs, and runs until it is killed.
fn partner(api: &Api, file: &Path, queue: u32) {
    let mut bench = Bench::attach(api, file);
    println!("running");
    loop {
        bench.whole_requests(queue, BATCH);
    }
}

fn once(api: &Api, file: &Path, what: &str, count: u64) {
    let mut bench = Bench::create(api, file, 1);
    match what {
        "request" => bench.whole_requests(0, count),
        "refusal" => {
            bench.overload();
            bench.refusals(count);
        }
        "close" => {
            bench.overload();
            bench.closes(count as usize / 100);
        }
        _ => panic!("unknown: {what}"),
    }
}

fn all(api: &Api, file: &Path) {
    println!("{:<68} {:>11}  (10 % to 90 %)", "per operation, through the C ABI", "median");

    let mut bench = Bench::create(api, file, 2);
    let alone = per_operation(|count| bench.whole_requests(0, count));
    report("admit + dequeued + done, one process", alone, Some(25.0), instructions(&["request"]));

    // A prefork server has a queue per process. Two processes that do everything on one queue fight for its lines as
    // they would for the queue itself; that figure is for scale.
    for (name, queue, wanted_ns) in [("each its own queue", 1, Some(60.0)), ("both on one queue", 0, None)] {
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["partner", file.to_str().unwrap(), &queue.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut [0; 8]).unwrap();
        let busy = per_operation(|count| bench.whole_requests(0, count));
        other.kill().unwrap();
        other.wait().unwrap();
        report(&format!("admit + dequeued + done, two busy processes, {name}"), busy, wanted_ns, None);
    }

    let mut bench = Bench::create(api, file, 1);
    bench.overload();
    let refusal = per_operation(|count| bench.refusals(count));
    report("refusal by the cursor", refusal, Some(8.0), instructions(&["refusal"]));
    let close = spread(bench.closes(2_000));
    report("the request that closes a window, demand over 64 priorities", close, Some(5_000.0), None);

    println!("\nfor scale, in the same run");
    let mutex = Mutex::new(0u64);
    let locked = per_operation(|count| {
        for _ in 0..count * 3 {
            *mutex.lock().unwrap() += 1;
        }
    });
    report("a mutex locked three times", locked, None, None);
    let governor = governor::RateLimiter::direct(governor::Quota::per_second(std::num::NonZeroU32::MAX));
    let checked = per_operation(|count| {
        for _ in 0..count {
            black_box(governor.check().is_ok());
        }
    });
    report("governor: one check of a fixed rate, with its clock", checked, None, None);
    let clock = per_operation(|count| {
        for _ in 0..count {
            black_box(Instant::now());
        }
    });
    report("reading the clock once", clock, None, None);
    println!(
        "\nadmit + dequeued + done costs {:.2} of three locks, {:.2} of one governor check",
        alone.0 / locked.0,
        alone.0 / checked.0
    );
    std::io::stdout().flush().unwrap();
}
