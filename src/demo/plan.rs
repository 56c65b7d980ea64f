//! What the demo measures, and for how long: every number that shapes it is in this file.

use std::time::Duration;

use serde::Serialize;

/// Threads or processes that run requests.
pub(crate) const WORKERS: u32 = 8;
/// How long a request is served: the worker waits, as for a database.
pub(crate) const SERVICE_MS: u32 = 10;
/// The server's input queue, in requests.
pub(crate) const SERVER_QUEUE: u32 = 1000;
/// Connections from the client to the server. More than a thousand would fill the queue in the capacity runs.
pub(crate) const CONNECTIONS: usize = 512;
/// A task is worth nothing later than this after its arrival.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);
/// How often a call is sent at most.
pub(crate) const ATTEMPTS: u8 = 3;
/// How long the client waits for one attempt: a third of the deadline, so that three fit.
pub(crate) const ATTEMPT_BUDGET: Duration = Duration::from_millis(DEADLINE.as_millis() as u64 / ATTEMPTS as u64);
/// The grain of all curves over time.
pub(crate) const BUCKET: Duration = Duration::from_millis(100);
/// Starting a server, connecting to it and stopping it: only used to tell the time left.
pub(crate) const OVERHEAD: Duration = Duration::from_millis(120);
/// The arrivals of a run come from this seed, so that both admission settings meet the same ones.
pub(crate) const SEED: u64 = 0x6d63_7270;

/// A warm-up that is not measured, and then a span that is.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

impl Span {
    /// From the start of the warm-up to the end.
    pub(crate) const fn total(self) -> Duration {
        Duration::from_millis((self.warm_up.as_millis() + self.measured.as_millis()) as u64)
    }
}

/// Part of a run with a steady load, as a multiple of the capacity.
#[derive(Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) length: Duration,
    pub(crate) load: f64,
}

/// Low load, a step up, and back. All lengths are whole buckets.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) before: Phase,
    pub(crate) overload: Phase,
    pub(crate) after: Phase,
}

impl Step {
    /// The phases in order.
    pub(crate) const fn phases(self) -> [Phase; 3] {
        [self.before, self.overload, self.after]
    }

    /// From the first arrival to the end.
    pub(crate) fn total(self) -> Duration {
        self.phases().iter().map(|phase| phase.length).sum()
    }
}

/// Which runs there are and how long each takes.
pub(crate) struct Plan {
    pub(crate) capacity: Span,
    pub(crate) run: Span,
    pub(crate) loads: &'static [f64],
    pub(crate) step: Option<Step>,
}

const fn span(warm_up_ms: u64, measured_ms: u64) -> Span {
    Span { warm_up: Duration::from_millis(warm_up_ms), measured: Duration::from_millis(measured_ms) }
}

const fn phase(seconds: u64, load: f64) -> Phase {
    Phase { length: Duration::from_secs(seconds), load }
}

/// About 135 seconds.
pub(crate) const WHOLE: Plan = Plan {
    capacity: span(500, 1500),
    run: span(800, 2200),
    loads: &[0.5, 1.0, 2.0, 4.0],
    step: Some(Step { before: phase(2, 0.5), overload: phase(3, 4.0), after: phase(3, 0.5) }),
};

/// About 36 seconds.
pub(crate) const QUICK: Plan = Plan { capacity: span(400, 1500), run: span(700, 1300), loads: &[0.5, 4.0], step: None };

/// How the server runs requests at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    Threads,
    Processes,
}

impl Mode {
    /// Both, in the order of the runs.
    pub(crate) const ALL: [Mode; 2] = [Mode::Threads, Mode::Processes];

    /// As in the table, and in the server's option.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mode::Threads => "threads",
            Mode::Processes => "processes",
        }
    }
}

/// One run against a fresh server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) mode: Mode,
    pub(crate) admission: bool,
    pub(crate) calls_per_task: u32,
    pub(crate) load: f64,
}

impl Scenario {
    /// For the progress bar.
    pub(crate) fn label(&self) -> String {
        let Scenario { mode, calls_per_task, load, .. } = self;
        let calls = if *calls_per_task == 1 { "1 call" } else { "2 calls" };
        format!("{}, admission {}, {calls} per task, load {load}", mode.name(), on_off(self.admission))
    }
}

/// `on` or `off`.
pub(crate) const fn on_off(admission: bool) -> &'static str {
    if admission { "on" } else { "off" }
}

impl Plan {
    /// All runs but the steps, in their order: what is compared follows one another.
    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let mut scenarios = Vec::new();
        for mode in Mode::ALL {
            for calls_per_task in [1, 2] {
                for &load in self.loads {
                    for admission in [false, true] {
                        scenarios.push(Scenario { mode, admission, calls_per_task, load });
                    }
                }
            }
        }
        scenarios
    }

    /// The step runs in their order; none in a plan without a step.
    pub(crate) fn step_runs(&self) -> Vec<(Mode, bool, Step)> {
        let mut runs = Vec::new();
        for mode in Mode::ALL {
            for admission in [false, true] {
                runs.extend(self.step.map(|step| (mode, admission, step)));
            }
        }
        runs
    }

    /// How many runs there are, those for the capacities included.
    pub(crate) fn run_count(&self) -> usize {
        Mode::ALL.len() + self.scenarios().len() + self.step_runs().len()
    }

    /// How long everything takes, building aside.
    pub(crate) fn total(&self) -> Duration {
        let steps: Duration = self.step_runs().iter().map(|(_, _, step)| step.total()).sum();
        self.capacity.total() * Mode::ALL.len() as u32
            + self.run.total() * self.scenarios().len() as u32
            + steps
            + OVERHEAD * self.run_count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_keep_their_time() {
        assert!(WHOLE.total() < Duration::from_secs(150));
        assert!(QUICK.total() < Duration::from_secs(40));
        assert_eq!((WHOLE.scenarios().len(), QUICK.scenarios().len()), (32, 16));
    }

    #[test]
    fn three_attempts_fit_in_the_deadline() {
        assert!(ATTEMPT_BUDGET * u32::from(ATTEMPTS) <= DEADLINE);
    }
}
