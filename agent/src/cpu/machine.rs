//! What the CPUs of the machine could have done for processes, and what a process has used of them.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use super::{misunderstood, read, value};

/// User, nice, system, idle, iowait: times of a CPU that processes use, or could. Those behind them belong to interrupts and
/// the hypervisor, or are parts of these.
const USABLE: usize = 5;
/// Where user and system time stand behind the name of a process, which ends in a bracket.
const PROCESS_TIMES: RangeInclusive<usize> = 11..=12;

/// The CPUs that are online, by their numbers: the ticks that each could have given to processes.
#[derive(Debug, Default)]
pub(super) struct Machine(BTreeMap<u32, u64>);

/// CPUs that a process may run on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Allowed(Vec<RangeInclusive<u32>>);

impl Machine {
    /// What `/proc/stat` says.
    pub(super) fn read(proc: &Path) -> io::Result<Machine> {
        let text = read(&proc.join("stat"))?.ok_or_else(misunderstood)?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("cpu"));
        // The first line is the sum of all.
        let cpus = lines.filter(|line| !line.starts_with(' ')).map(|line| cpu(line).ok_or_else(misunderstood));
        cpus.collect::<io::Result<_>>().map(Machine)
    }

    /// How many of these CPUs are online.
    pub(super) fn count(&self, allowed: &Allowed) -> usize {
        self.0.keys().filter(|&&cpu| allowed.contains(cpu)).count()
    }

    /// The ticks that these CPUs could have given since an earlier look. One that was not there then, or whose times went
    /// back, is left out.
    pub(super) fn usable_since(&self, before: &Machine, allowed: &Allowed) -> u64 {
        let cpus = self.0.iter().filter(|&(&cpu, _)| allowed.contains(cpu));
        let since = |(cpu, usable): (&u32, &u64)| usable.checked_sub(*before.0.get(cpu)?);
        sum(cpus.filter_map(since))
    }
}

/// A line without its `cpu`: number, user, nice, system, idle, iowait, irq, softirq, steal, ...
fn cpu(line: &str) -> Option<(u32, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let number = fields.next()?.parse().ok()?;
    let times = fields.take(USABLE).map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    (times.len() == USABLE).then(|| (number, sum(times)))
}

/// The ticks that the process has used that has this directory in `/proc`.
pub(super) fn used_by_process(process: &Path) -> io::Result<u64> {
    let text = read(&process.join("stat"))?.ok_or(io::ErrorKind::NotFound)?;
    // A name may hold brackets and blanks.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let times = fields.get(PROCESS_TIMES).ok_or_else(misunderstood)?;
    times.iter().map(|time| time.parse().ok()).collect::<Option<Vec<u64>>>().map(sum).ok_or_else(misunderstood)
}

fn sum(times: impl IntoIterator<Item = u64>) -> u64 {
    times.into_iter().fold(0, u64::saturating_add)
}

impl Allowed {
    /// Those of the process that has this directory in `/proc`: its affinity, within its cpuset.
    pub(super) fn of_process(process: &Path) -> io::Result<Allowed> {
        let text = read(&process.join("status"))?.ok_or(io::ErrorKind::NotFound)?;
        let Some(list) = value(&text, "Cpus_allowed_list") else { return Ok(Allowed(vec![0..=u32::MAX])) };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some(first.parse().ok()?..=last.parse().ok()?)
        };
        list.split(',').map(range).collect::<Option<_>>().map(Allowed).ok_or_else(misunderstood)
    }

    fn contains(&self, cpu: u32) -> bool {
        self.0.iter().any(|range| range.contains(&cpu))
    }
}
