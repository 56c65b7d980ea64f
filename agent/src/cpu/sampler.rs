//! Utilisation from two looks. All who are under one ceiling share its figures, so each file is read once a look.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcrpc_core::id::Per10k;
use mcrpc_core::time::Nanos;

use super::cgroup::{Cgroup, Hierarchies, Usage};
use super::machine::{Allowed, Machine, used_by_process};
use super::share;

/// Where the kernel tells.
#[derive(Clone, Debug)]
pub struct Places {
    /// Of processes, and of the machine.
    pub proc: PathBuf,
    /// Of cgroups.
    pub cgroup: PathBuf,
}

impl Default for Places {
    fn default() -> Places {
        Places { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

/// What was seen at the last look.
pub struct Sampler {
    proc: PathBuf,
    hierarchies: Hierarchies,
    last: Look,
}

#[derive(Default)]
struct Look {
    at: Nanos,
    /// `None`: it could not be read.
    machine: Option<Machine>,
    /// By their numbers.
    processes: HashMap<u32, Process>,
    /// Each that somebody is in, or below it. `None` as a usage: it has no quota.
    cgroups: HashMap<Cgroup, io::Result<Option<Usage>>>,
}

/// What a process is under, and has used.
struct Process {
    allowed: Allowed,
    cgroup: Option<Cgroup>,
    used_ticks: u64,
}

impl Sampler {
    /// One that has not looked yet.
    pub fn new(places: &Places) -> Sampler {
        let hierarchies = Hierarchies::new(&places.cgroup);
        Sampler { proc: places.proc.clone(), hierarchies, last: Look::default() }
    }

    /// Where it looks for processes.
    pub fn proc(&self) -> &Path {
        &self.proc
    }

    /// Looks at these processes, all who heed the answer. How much of what each may use was used since the last look, `None`
    /// if that cannot be told: it was not there, its files are not to be read or understood, or this is the first look.
    pub fn sample(&mut self, pids: &[u32], now: Nanos) -> Vec<Option<Per10k>> {
        let look = self.look(pids, now);
        let before = std::mem::replace(&mut self.last, look);
        let mut used_ticks = HashMap::new();
        for (pid, process) in &self.last.processes {
            let earlier = before.processes.get(pid);
            if let Some(ticks) = earlier.and_then(|earlier| process.used_ticks.checked_sub(earlier.used_ticks)) {
                *used_ticks.entry(&process.allowed).or_insert(0) += ticks;
            }
        }
        let sample = |pid: &u32| {
            let process = self.last.processes.get(pid)?;
            self.last.share_since(&before, process, used_ticks.get(&process.allowed).copied())
        };
        pids.iter().map(sample).collect()
    }

    fn look(&self, pids: &[u32], now: Nanos) -> Look {
        let process = |&pid: &u32| Some((pid, Process::read(&self.proc.join(pid.to_string())).ok()?));
        let processes: HashMap<_, _> = pids.iter().filter_map(process).collect();
        let mut cgroups = HashMap::new();
        for cgroup in processes.values().flat_map(Process::cgroups) {
            cgroups.entry(cgroup).or_insert_with_key(|cgroup| self.hierarchies.usage(cgroup));
        }
        Look { at: now, machine: Machine::read(&self.proc).ok(), processes, cgroups }
    }
}

impl Look {
    /// The highest share of a ceiling that this process is under. `used_ticks` is what all together have used who may run
    /// on the same CPUs. These are a ceiling unless a quota is below them.
    fn share_since(&self, before: &Look, process: &Process, used_ticks: Option<u64>) -> Option<Per10k> {
        let elapsed = Duration::from_nanos(self.at.since(before.at));
        let cpus = self.machine.as_ref().map_or(usize::MAX, |machine| machine.count(&process.allowed));
        let mut highest = None;
        let mut is_below_cpus = false;
        for cgroup in process.cgroups() {
            let Some(usage) = self.cgroups.get(&cgroup)?.as_ref().ok()? else { continue };
            let earlier = before.cgroups.get(&cgroup)?.as_ref().ok()?.as_ref()?;
            highest = highest.max(Some(usage.share_since(earlier, elapsed)?));
            is_below_cpus |= usage.quota.is_below(cpus);
        }
        if is_below_cpus {
            return highest;
        }
        let usable_ticks = self.machine.as_ref()?.usable_since(before.machine.as_ref()?, &process.allowed);
        highest.max(Some(share(used_ticks?.into(), usable_ticks.into())?))
    }
}

impl Process {
    fn read(directory: &Path) -> io::Result<Process> {
        Ok(Process {
            allowed: Allowed::of_process(directory)?,
            cgroup: Cgroup::of_process(directory)?,
            used_ticks: used_by_process(directory)?,
        })
    }

    /// Its own, and those above it.
    fn cgroups(&self) -> impl Iterator<Item = Cgroup> + '_ {
        self.cgroup.iter().flat_map(Cgroup::and_ancestors)
    }
}
