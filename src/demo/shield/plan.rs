//! What is measured, and for how long: every number that shapes this demo is in this file.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// Client processes of a run.
pub(crate) const CLIENTS: u64 = 4;
/// Calls per second of each.
pub(crate) const CALLS_PER_S: u64 = 250;
/// How long a client waits for one attempt.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(150);
/// How long a slow machine takes.
pub(crate) const SLOW: Duration = Duration::from_millis(3 * ATTEMPT_TIMEOUT.as_millis() as u64);
/// How long a flapping machine is down, and then up.
pub(crate) const FLAP: Duration = Duration::from_secs(1);
/// When all servers fail, this share of the requests to each.
pub(crate) const FAILING_SHARE: f64 = 0.75;
/// The grain of everything over time; the clients print in it.
pub(crate) const BUCKET_MS: u64 = 100;
/// Starting and stopping the processes of a run: only used to tell the time left.
pub(crate) const OVERHEAD: Duration = Duration::from_millis(1_200);
/// The zone of the clients when they prefer one, and the one that then is gone.
pub(crate) const OWN_ZONE: u16 = 1;

/// What stands between a fault and the users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protection {
    None,
    Retries,
    Process,
    Host,
}

impl Protection {
    /// All of them, from the least to the most.
    pub(crate) const ALL: [Protection; 4] =
        [Protection::None, Protection::Retries, Protection::Process, Protection::Host];

    /// As in the client's option.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Protection::None => "none",
            Protection::Retries => "retries",
            Protection::Process => "process",
            Protection::Host => "host",
        }
    }

    /// For people.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Protection::None => "one attempt at the user's own machine",
            Protection::Retries => "up to three retries at other machines, blindly and without a budget",
            Protection::Process => "shields and a budget of retries, each process for itself",
            Protection::Host => "the same, shared by all processes of the host and its agent",
        }
    }
}

/// What happens to machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fault {
    Down,
    Slow,
    Reset,
    Hang,
    Flap,
    Zone,
    All,
}

impl Fault {
    /// All of them.
    pub(crate) const ALL: [Fault; 7] =
        [Fault::Down, Fault::Slow, Fault::Reset, Fault::Hang, Fault::Flap, Fault::Zone, Fault::All];

    /// As in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Fault::Down => "down",
            Fault::Slow => "slow",
            Fault::Reset => "reset",
            Fault::Hang => "hang",
            Fault::Flap => "flap",
            Fault::Zone => "zone",
            Fault::All => "all",
        }
    }

    /// For people.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Fault::Down => "one of three machines is killed, and later started again on its port",
            Fault::Slow => "one of six answers, but later than its callers wait",
            Fault::Reset => "one of six accepts connections and resets them",
            Fault::Hang => "one of six is stopped: connections are accepted, nothing is answered",
            Fault::Flap => "one of six is killed, starts a second later, is killed a second later",
            Fault::Zone => "the three machines of the clients' own zone are killed; they prefer their zone",
            Fault::All => "each of the six resets three of four requests",
        }
    }

    /// The machines that a service has.
    pub(crate) fn machines(self) -> &'static [Machine] {
        match self {
            Fault::Down => &THREE,
            _ => &SIX,
        }
    }

    /// The numbers of those to which it happens.
    pub(crate) fn faulty(self) -> Vec<usize> {
        let is_hit = |(index, machine): &(usize, &Machine)| match self {
            Fault::All => true,
            Fault::Zone => machine.zone == OWN_ZONE,
            _ => *index == 0,
        };
        self.machines().iter().enumerate().filter(is_hit).map(|(index, _)| index).collect()
    }
}

/// One machine of a service.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) zone: u16,
    pub(crate) weight: u16,
    pub(crate) service_ms: u32,
}

const fn machine(zone: u16, weight: u16, service_ms: u32) -> Machine {
    Machine { zone, weight, service_ms }
}

const THREE: [Machine; 3] = [machine(1, 100, 2), machine(1, 100, 4), machine(1, 100, 7)];
const SIX: [Machine; 6] = [
    machine(1, 100, 3),
    machine(1, 100, 2),
    machine(1, 150, 5),
    machine(2, 100, 2),
    machine(2, 100, 4),
    machine(2, 150, 7),
];

/// One run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scenario {
    pub(crate) protection: Protection,
    pub(crate) fault: Fault,
}

/// The parts of a run, in whole buckets.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// Connections are made; not measured.
    pub(crate) settling: Duration,
    /// What the machines' shares are while all is well.
    pub(crate) before: Duration,
    pub(crate) fault: Duration,
    pub(crate) after: Duration,
}

impl Timing {
    /// From the first call to the last one.
    pub(crate) fn total(self) -> Duration {
        self.settling + self.before + self.fault + self.after
    }
}

/// How the runs are made.
pub(crate) struct Plan {
    /// Runs at the same time: each has its own servers, clients and agent.
    pub(crate) at_once: usize,
    fault_s: u64,
    before_ms: u64,
    /// After the fault, without shields and with them: those take time to let a machine have its share again.
    after_s: [u64; 2],
}

/// About three minutes.
pub(crate) const WHOLE: Plan = Plan { at_once: 4, fault_s: 8, before_ms: 4_000, after_s: [4, 13] };
/// Less than a minute.
pub(crate) const QUICK: Plan = Plan { at_once: 7, fault_s: 4, before_ms: 1_500, after_s: [2, 10] };

impl Plan {
    /// What is run at the same time, in order. Runs of a batch have the same protection, so each takes as long.
    pub(crate) fn batches(&self, faults: &[Fault]) -> Vec<Vec<Scenario>> {
        let batches = |protection| {
            let batch = move |faults: &[Fault]| faults.iter().map(|&fault| Scenario { protection, fault }).collect();
            faults.chunks(self.at_once).map(batch)
        };
        Protection::ALL.into_iter().flat_map(batches).collect()
    }

    /// The times of a run.
    pub(crate) fn timing(&self, scenario: Scenario) -> Timing {
        let has_shields = matches!(scenario.protection, Protection::Process | Protection::Host);
        Timing {
            settling: Duration::from_millis(500),
            before: Duration::from_millis(self.before_ms),
            fault: Duration::from_secs(self.fault_s),
            after: Duration::from_secs(self.after_s[usize::from(has_shields)]),
        }
    }

    /// How long a batch takes.
    pub(crate) fn batch_time(&self, batch: &[Scenario]) -> Duration {
        batch.iter().map(|&scenario| self.timing(scenario).total()).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(plan: &Plan) -> Duration {
        plan.batches(&Fault::ALL).iter().map(|batch| plan.batch_time(batch) + OVERHEAD).sum()
    }

    #[test]
    fn the_plans_keep_their_time() {
        assert!(total(&QUICK) < Duration::from_secs(60), "{:?}", total(&QUICK));
        assert!(total(&WHOLE) < Duration::from_secs(240), "{:?}", total(&WHOLE));
        assert_eq!(WHOLE.batches(&Fault::ALL).iter().flatten().count(), 28);
    }

    #[test]
    fn times_are_whole_buckets() {
        for plan in [&WHOLE, &QUICK] {
            for scenario in plan.batches(&Fault::ALL).into_iter().flatten() {
                let Timing { settling, before, fault, after } = plan.timing(scenario);
                for part in [settling, before, fault, after] {
                    assert_eq!(part.as_millis() % u128::from(BUCKET_MS), 0);
                }
            }
        }
    }
}
