//! What is measured, and for how long: every number that shapes this demo is in this file.

use std::time::Duration;

use serde::Serialize;

use super::super::load::Rate;

/// Servers of the tier behind the front.
pub(crate) const SERVERS: u32 = 3;
/// Workers of each.
pub(crate) const WORKERS: u32 = 8;
/// How long a call is served on average.
pub(crate) const SERVICE_MS: u32 = 32;
/// What all of them can do together.
pub(crate) const CAPACITY_PER_S: f64 = (SERVERS * WORKERS) as f64 * 1_000.0 / SERVICE_MS as f64;
/// What is left of it in a brownout.
pub(crate) const BROWNOUT: f64 = 0.4;
/// Calls of a task, one after the other.
pub(crate) const CALLS_PER_TASK: u32 = 2;
/// The most attempts of a call.
pub(crate) const ATTEMPTS: u32 = 3;
/// A task is worth nothing later than this after its user began to wait.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);
/// Connections of the users to the front.
pub(crate) const CONNECTIONS: usize = 16;
/// The grain of everything over time; the servers print in it.
pub(crate) const BUCKET: Duration = Duration::from_millis(100);
/// Starting and stopping the processes of a run: only used to tell the time left.
pub(crate) const OVERHEAD: Duration = Duration::from_millis(700);
/// All policies meet the same arrivals; each repetition has other ones.
pub(crate) const SEED: u64 = 0x666c_6565;

/// In a retry storm: how likely the user of a failed task tries again, how often at most, and after which time on average.
pub(crate) const USER_RETRY_SHARE: f64 = 0.9;
pub(crate) const USER_RETRIES: u32 = 3;
pub(crate) const USER_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What the servers do about overload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    None,
    DropTail,
    PassRate,
    Gradient2,
    Mcrpc,
}

impl Policy {
    /// All of them.
    pub(crate) const ALL: [Policy; 5] =
        [Policy::None, Policy::DropTail, Policy::PassRate, Policy::Gradient2, Policy::Mcrpc];

    /// As in the servers' option.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::DropTail => "drop-tail",
            Policy::PassRate => "pass-rate",
            Policy::Gradient2 => "gradient2",
            Policy::Mcrpc => "mcrpc",
        }
    }

    /// How the front calls servers with this policy.
    pub(crate) const fn caller(self) -> &'static str {
        match self {
            Policy::Mcrpc => "mcrpc",
            _ => "blind",
        }
    }

    /// For people.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Policy::None => "everything is taken",
            Policy::DropTail => "a queue of half as many places as workers; what does not fit is refused",
            Policy::PassRate => "Svrkit's share of requests let through: down fast while they wait too long, up slowly",
            Policy::Gradient2 => "Netflix's limit on what is in the system, by the gradient of the latency",
            Policy::Mcrpc => "this library on both sides: admission, and callers that heed it with a budget of retries",
        }
    }
}

/// What happens to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Scenario {
    #[serde(rename = "steady-2x")]
    Steady2,
    #[serde(rename = "steady-4x")]
    Steady4,
    #[serde(rename = "brownout")]
    Brownout,
    #[serde(rename = "retry-storm")]
    RetryStorm,
}

impl Scenario {
    /// All of them.
    pub(crate) const ALL: [Scenario; 4] =
        [Scenario::Steady2, Scenario::Steady4, Scenario::Brownout, Scenario::RetryStorm];

    /// As in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Scenario::Steady2 => "steady-2x",
            Scenario::Steady4 => "steady-4x",
            Scenario::Brownout => "brownout",
            Scenario::RetryStorm => "retry-storm",
        }
    }

    /// For people.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Scenario::Steady2 => "twice as many tasks as the servers can do, from 0.7 times and back",
            Scenario::Steady4 => "four times as many, from 0.7 times and back",
            Scenario::Brownout => "at 0.8 of the capacity all servers become slow, and 0.4 of it is left for a while",
            Scenario::RetryStorm => "0.7, then three times, then 0.7 again; users whose task failed try again",
        }
    }

    /// Tasks as a multiple of the usual capacity: usually, and during the overload.
    pub(crate) const fn loads(self) -> (f64, f64) {
        match self {
            Scenario::Steady2 => (0.7, 2.0),
            Scenario::Steady4 => (0.7, 4.0),
            Scenario::Brownout => (0.8, 0.8),
            Scenario::RetryStorm => (0.7, 3.0),
        }
    }

    /// What is left of the usual capacity during the overload.
    pub(crate) const fn capacity_left(self) -> f64 {
        match self {
            Scenario::Brownout => BROWNOUT,
            _ => 1.0,
        }
    }

    /// Tasks per second that an ideal service would do well during the overload.
    pub(crate) fn optimum_per_s(self) -> f64 {
        let (_, load) = self.loads();
        load.min(self.capacity_left()) * CAPACITY_PER_S / f64::from(CALLS_PER_TASK)
    }

    /// The arrivals of new tasks; those of users who try again come on top.
    pub(crate) fn rates(self, timing: Timing) -> [Rate; 3] {
        let (usual, overload) = self.loads();
        let rate = |length, load| Rate { length, tasks_per_s: load * CAPACITY_PER_S / f64::from(CALLS_PER_TASK) };
        [rate(timing.before, usual), rate(timing.overload, overload), rate(timing.after, usual)]
    }
}

/// The parts of a run, in whole buckets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) before: Duration,
    pub(crate) overload: Duration,
    pub(crate) after: Duration,
}

impl Timing {
    /// From the first arrival to the last one.
    pub(crate) fn total(self) -> Duration {
        self.before + self.overload + self.after
    }
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) scenario: Scenario,
    pub(crate) policy: Policy,
    /// Which repetition it is.
    pub(crate) number: u64,
}

/// How the runs are made.
pub(crate) struct Plan {
    /// How often each policy meets each scenario.
    pub(crate) repetitions: u64,
    /// Runs at the same time: each has its own processes.
    pub(crate) at_once: usize,
    before_ms: u64,
    overload_ms: u64,
    after_ms: u64,
    /// Users come back for a while.
    storm_after_ms: u64,
}

/// About three minutes.
pub(crate) const WHOLE: Plan =
    Plan { repetitions: 3, at_once: 5, before_ms: 2_000, overload_ms: 7_000, after_ms: 4_000, storm_after_ms: 10_000 };

/// Less than a minute.
pub(crate) const QUICK: Plan =
    Plan { repetitions: 1, at_once: 5, before_ms: 1_500, overload_ms: 4_000, after_ms: 3_000, storm_after_ms: 7_000 };

impl Plan {
    /// What is run at the same time, in order. Runs of a batch are of one scenario, so each takes as long.
    pub(crate) fn batches(&self) -> Vec<Vec<Run>> {
        let runs = |scenario| {
            let numbers = 0..self.repetitions;
            numbers.flat_map(move |number| Policy::ALL.map(|policy| Run { scenario, policy, number }))
        };
        let of_scenario = |scenario| runs(scenario).collect::<Vec<_>>();
        let batches = |runs: Vec<Run>| runs.chunks(self.at_once).map(<[Run]>::to_vec).collect::<Vec<_>>();
        Scenario::ALL.into_iter().map(of_scenario).flat_map(batches).collect()
    }

    /// The times of a run.
    pub(crate) fn timing(&self, scenario: Scenario) -> Timing {
        let after_ms = if scenario == Scenario::RetryStorm { self.storm_after_ms } else { self.after_ms };
        Timing {
            before: Duration::from_millis(self.before_ms),
            overload: Duration::from_millis(self.overload_ms),
            after: Duration::from_millis(after_ms),
        }
    }

    /// How long a batch takes.
    pub(crate) fn batch_time(&self, batch: &[Run]) -> Duration {
        let run_time = |run: &Run| self.timing(run.scenario).total() + DEADLINE + OVERHEAD;
        batch.iter().map(run_time).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(plan: &Plan) -> Duration {
        plan.batches().iter().map(|batch| plan.batch_time(batch)).sum()
    }

    #[test]
    fn the_plans_keep_their_time() {
        assert!(total(&QUICK) < Duration::from_secs(60), "{:?}", total(&QUICK));
        assert!(total(&WHOLE) < Duration::from_secs(300), "{:?}", total(&WHOLE));
        assert_eq!(QUICK.batches().iter().flatten().count(), Policy::ALL.len() * Scenario::ALL.len());
    }

    #[test]
    fn times_are_whole_buckets() {
        for (plan, scenario) in [&WHOLE, &QUICK].into_iter().flat_map(|plan| Scenario::ALL.map(|of| (plan, of))) {
            let Timing { before, overload, after } = plan.timing(scenario);
            for part in [before, overload, after] {
                assert_eq!(part.as_millis() % BUCKET.as_millis(), 0);
            }
        }
    }

    #[test]
    fn the_optimum_is_what_is_offered_or_what_can_be_done() {
        assert_eq!(Scenario::Steady4.optimum_per_s(), 375.0);
        assert_eq!(Scenario::Brownout.optimum_per_s(), 150.0);
    }
}
