//! What is kept of one endpoint between two periods, and when a generator is asked.

use super::rate::{FLOOR, changed, per_10k};
use crate::id::Per10k;
use crate::time::{NANOS_PER_SECOND, Nanos};

/// So many requests are gathered before a generator is asked: one failure must not decide.
pub const MIN_REQUESTS: u32 = 10;

/// After so long without a failure and without enough requests for a decision an endpoint climbs back.
pub const QUIET_NS: u64 = 30 * NANOS_PER_SECOND;

/// What such an endpoint climbs per period: from 1 % to all in 21 periods.
const CLIMB_PER_10K: i32 = 2_500;

/// What the calls to an endpoint met during a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Calls that ended.
    pub requests: u32,
    /// Those that failed for the endpoint's sake: no connection, no answer, a timeout. An answer is no failure, also one
    /// that reports an error of the business or refuses for overload.
    pub failures: u32,
}

impl Sample {
    /// How many calls did not fail.
    pub const fn successes(self) -> u32 {
        self.requests.saturating_sub(self.failures)
    }

    /// Their share, rounded down: with any failure it is less than all. All of no requests.
    pub const fn success_rate(self) -> Per10k {
        let share = (self.successes() as u64 * Per10k::ALL.get() as u64).checked_div(self.requests as u64);
        match share {
            Some(share) => per_10k(share),
            None => Per10k::ALL,
        }
    }

    const fn plus(self, other: Sample) -> Sample {
        Sample {
            requests: self.requests.saturating_add(other.requests),
            failures: self.failures.saturating_add(other.failures),
        }
    }
}

/// What a generator decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The pass rate under which it was gathered.
    pub pass_rate: Per10k,
    /// What was gathered since the last decision: at least [`MIN_REQUESTS`] requests.
    pub sample: Sample,
    /// How long that took: one period, or more if there were few requests.
    pub gathered_ns: u64,
}

/// A generator: from what was gathered to the next pass rate. A closure is one, too:
///
/// ```
/// use mcrpc_core::id::Per10k;
/// use mcrpc_core::strategy::generate::{Evidence, HEALTHY, Sample, Track};
/// use mcrpc_core::time::Nanos;
///
/// let mut all_or_half = |evidence: &Evidence| match evidence.sample.success_rate() {
///     success if success >= HEALTHY => Per10k::ALL,
///     _ => Per10k::new(5_000).unwrap(),
/// };
/// let mut track = Track::new(Per10k::ALL, Nanos(0));
/// let sample = Sample { requests: 100, failures: 30 };
/// assert_eq!(track.update(&mut all_or_half, sample, Nanos::from_millis(1_000)).get(), 5_000);
/// ```
pub trait Generate {
    /// The next pass rate of an endpoint; one below [`FLOOR`] is raised to it.
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k;
}

impl<F: FnMut(&Evidence) -> Per10k> Generate for F {
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k {
        self(evidence)
    }
}

/// One endpoint: its pass rate, and what was gathered since the last decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    pass_rate: Per10k,
    gathered: Sample,
    gathering_since: Nanos,
    /// The last failure or decision.
    quiet_since: Nanos,
}

impl Track {
    /// Begins with a pass rate: all, or what was in force before the agent was started.
    pub fn new(pass_rate: Per10k, now: Nanos) -> Track {
        Track { pass_rate: pass_rate.max(FLOOR), gathered: Sample::default(), gathering_since: now, quiet_since: now }
    }

    /// The share of calls that may be sent.
    pub const fn pass_rate(&self) -> Per10k {
        self.pass_rate
    }

    /// For how long no call has failed and nothing was decided.
    pub const fn quiet_ns(&self, now: Nanos) -> u64 {
        now.since(self.quiet_since)
    }

    /// A period is over; the pass rate from here on. To be called for each period, also for one without a request.
    ///
    /// `now` is of a monotonic clock. What it does at worst, jumping, is to begin a climb early or late: no decision
    /// and no step depends on how long a period was.
    pub fn update(&mut self, generator: &mut dyn Generate, sample: Sample, now: Nanos) -> Per10k {
        self.gathered = self.gathered.plus(sample);
        self.quiet_since = if sample.failures > 0 { now } else { self.quiet_since.min(now) };
        if self.gathered.requests >= MIN_REQUESTS {
            let gathered_ns = now.since(self.gathering_since);
            let evidence = Evidence { pass_rate: self.pass_rate, sample: self.gathered, gathered_ns };
            *self = Track::new(generator.pass_rate(&evidence), now);
        } else if self.quiet_ns(now) >= QUIET_NS {
            let quiet_since = self.quiet_since;
            *self = Track { quiet_since, ..Track::new(changed(self.pass_rate, CLIMB_PER_10K), now) };
        } else if self.gathered.requests == 0 {
            self.gathering_since = now;
        }
        self.pass_rate
    }
}
