//! The settings of a controller, and where their defaults come from.

use crate::status::Status;
use crate::time::NANOS_PER_MILLI;

/// Whether decisions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Mode {
    /// Admit everything; count what passes, learn nothing.
    Off = 0,
    /// Decide and count, but admit everything.
    Observe = 1,
    /// Decide, and refuse.
    #[default]
    Enforce = 2,
}

impl Mode {
    /// The mode with this number.
    pub const fn from_number(number: u32) -> Option<Mode> {
        Some(match number {
            0 => Mode::Off,
            1 => Mode::Observe,
            2 => Mode::Enforce,
            _ => return None,
        })
    }
}

/// How the share of the requests is found that may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Policy {
    /// From demand and capacity, in one jump.
    #[default]
    FeedForward = 0,
    /// Svrkit's: down fast while requests wait too long, up slowly else. The least important go first here too.
    PassRate = 1,
}

impl Policy {
    /// The policy with this number.
    pub const fn from_number(number: u32) -> Option<Policy> {
        Some(match number {
            0 => Policy::FeedForward,
            1 => Policy::PassRate,
            _ => return None,
        })
    }
}

/// The settings of a controller. [`Config::DEFAULT`] suits services whose calls take 1 to 100 ms.
///
/// The times are waiting times in the input queue, not response times: a slow backend does not look like overload.
/// Defaults and their sensitivity are from a simulation of 24 workers of 32 ms under 0.5 to 4 times their capacity
/// (`docs/overload.md`): within the ranges given, goodput moves by less than 3 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Input queues that share the controller: 1 for a server with one queue, the number of processes for a
    /// prefork server in which each has a queue of its own. 1 to [`Config::MAX_QUEUES`].
    pub queue_count: u32,
    /// Workers behind each queue: threads or processes that run one request at a time. 0 if that is no fixed
    /// number, as with coroutines.
    pub workers_per_queue: u32,
    /// Whether decisions count.
    pub mode: Mode,
    /// How the share that may pass is found.
    pub policy: Policy,
    /// Length of a window. Tried: 30 to 100.
    pub window_ms: u32,
    /// Mean wait that the cursor steers to while shedding. Tried: 5 to 20.
    pub target_wait_ms: u32,
    /// Mean wait in a window above which shedding begins. Tried: 15 to 40.
    pub overload_wait_ms: u32,
    /// Estimated wait above which a request in the marginal band is refused. Tried: 20 to 40.
    pub soft_wait_limit_ms: u32,
    /// Estimated wait above which every request is refused; twice that while nothing is shed, so that a burst
    /// which the service can still digest passes. Tried: 50 to 120.
    pub hard_wait_limit_ms: u32,
    /// Share of the admitted keys, from the cursor down, that is the marginal band. Tried: 2 000 to 3 500.
    pub marginal_band_per_10k: u32,
    /// How much more than the learnt capacity is admitted, so that a rise of the capacity is seen. Tried: 300 to 2 000.
    pub headroom_per_10k: u32,
    /// The CPU use that is not exceeded, if the controller is told one: see [`super::Admission::set_cpu`].
    pub cpu_limit_per_10k: u32,
    /// Whether a tenant that floods is held to its fair share: see [`super::tenant`].
    pub fair_share: bool,
}

impl Config {
    /// One queue, an unknown number of workers, and the times that the simulation found best.
    pub const DEFAULT: Config = Config {
        queue_count: 1,
        workers_per_queue: 0,
        mode: Mode::Enforce,
        policy: Policy::FeedForward,
        window_ms: 100,
        target_wait_ms: 15,
        overload_wait_ms: 25,
        soft_wait_limit_ms: 40,
        hard_wait_limit_ms: 80,
        marginal_band_per_10k: 2_600,
        headroom_per_10k: 1_500,
        cpu_limit_per_10k: 9_500,
        fair_share: false,
    };
    /// The most queues that one controller serves.
    pub const MAX_QUEUES: u32 = 64;
    /// The most workers behind one queue.
    pub const MAX_WORKERS: u32 = super::flow::MAX_IN_SYSTEM;
    /// The longest setting of a time.
    pub const MAX_MS: u32 = 60_000;

    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if one is outside its range, or if the waits are not in the order target,
    /// overload, soft limit, hard limit.
    pub fn validate(&self) -> Result<(), Status> {
        let waits = [self.target_wait_ms, self.overload_wait_ms, self.soft_wait_limit_ms, self.hard_wait_limit_ms];
        let valid = (1..=Config::MAX_QUEUES).contains(&self.queue_count)
            && self.workers_per_queue <= Config::MAX_WORKERS
            && (1..=1_000).contains(&self.window_ms)
            && waits.iter().all(|wait_ms| (1..=Config::MAX_MS).contains(wait_ms))
            && waits.is_sorted()
            && self.marginal_band_per_10k <= 10_000
            && self.headroom_per_10k <= 10_000
            && (1..=10_000).contains(&self.cpu_limit_per_10k);
        if valid { Ok(()) } else { Err(Status::INVALID_ARGUMENT) }
    }

    pub(super) fn limits(&self) -> Limits {
        let ns = |ms: u32| u64::from(ms) * NANOS_PER_MILLI;
        Limits {
            workers: self.workers_per_queue,
            window_ns: ns(self.window_ms),
            target_wait_ns: ns(self.target_wait_ms),
            overload_wait_ns: ns(self.overload_wait_ms),
            soft_wait_limit_ns: ns(self.soft_wait_limit_ms),
            hard_wait_limit_ns: ns(self.hard_wait_limit_ms),
            max_counted_wait_ns: 4 * ns(self.hard_wait_limit_ms),
            marginal_band_per_10k: self.marginal_band_per_10k,
            headroom_per_10k: self.headroom_per_10k,
            cpu_limit_per_10k: self.cpu_limit_per_10k,
            policy: self.policy,
            fair_share: self.fair_share,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::DEFAULT
    }
}

/// The settings in the units of the hot path. Each handle has its own copy: a damaged segment cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) workers: u32,
    pub(super) window_ns: u64,
    pub(super) target_wait_ns: u64,
    pub(super) overload_wait_ns: u64,
    pub(super) soft_wait_limit_ns: u64,
    pub(super) hard_wait_limit_ns: u64,
    /// A longer wait counts as this long, so that one stray sample cannot decide a window.
    pub(super) max_counted_wait_ns: u64,
    pub(super) marginal_band_per_10k: u32,
    pub(super) headroom_per_10k: u32,
    pub(super) cpu_limit_per_10k: u32,
    pub(super) policy: Policy,
    pub(super) fair_share: bool,
}
