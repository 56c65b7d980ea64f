//! What the CPUs of the machine have done, and which of them a process may run on.

use std::collections::BTreeMap;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use mcrpc_core::id::Per10k;

use super::{misunderstood, read, share, value};

/// Times of a CPU that add up to all of it; those behind them are parts of the first two.
const TIMES: usize = 8;
const IDLE: RangeInclusive<usize> = 3..=4;

/// The CPUs that are online, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Machine(BTreeMap<u32, Times>);

/// In ticks since the machine was started.
#[derive(Clone, Copy, Debug)]
struct Times {
    idle: u64,
    all: u64,
}

/// CPUs that a process may run on.
#[derive(Debug)]
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

    /// How busy these CPUs were since an earlier look. One that was not there then, or whose times went back, is left out.
    pub(super) fn share_since(&self, before: &Machine, allowed: &Allowed) -> Option<Per10k> {
        let since = |(cpu, times): (&u32, &Times)| {
            let before = before.0.get(cpu)?;
            let all = times.all.checked_sub(before.all)?;
            let idle = times.idle.checked_sub(before.idle)?.min(all);
            Some((all - idle, all))
        };
        let cpus = self.0.iter().filter(|&(&cpu, _)| allowed.contains(cpu)).filter_map(since);
        let (busy, all) = cpus.fold((0, 0), |(busy, all), cpu| (busy + u128::from(cpu.0), all + u128::from(cpu.1)));
        share(busy, all)
    }
}

/// A line without its `cpu`: number, user, nice, system, idle, iowait, irq, softirq, steal, ...
fn cpu(line: &str) -> Option<(u32, Times)> {
    let mut fields = line.split_ascii_whitespace();
    let number = fields.next()?.parse().ok()?;
    let times = fields.take(TIMES).map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
    let sum = |times: &[u64]| times.iter().fold(0, |sum: u64, time| sum.saturating_add(*time));
    Some((number, Times { idle: sum(times.get(IDLE)?), all: sum(&times) }))
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
