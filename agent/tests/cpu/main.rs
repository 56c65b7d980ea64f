//! Given what the kernel would say of processes, their cgroups and the machine, in files of a directory, when a sampler has
//! looked twice, then it knows how busy the CPUs are that each process may use; or that it does not know.

mod agent;
mod cgroup_v1;
mod cgroup_v2;
mod damage;
mod machine;

use std::fs;
use std::path::Path;

use mcrpc_agent::cpu::sampler::{Places, Sampler};
use mcrpc_core::id::Per10k;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};
use tempfile::TempDir;

/// The process that is looked at.
const PID: u32 = 42;

/// A machine made of files, with a clock.
struct Kernel {
    root: TempDir,
    now: Nanos,
}

impl Kernel {
    /// Two CPUs that have done nothing, and nothing else.
    fn new() -> Kernel {
        let kernel = Kernel { root: tempfile::tempdir().unwrap(), now: Nanos(1_000 * NANOS_PER_SECOND) };
        kernel.set_cpus(&[(0, 0), (1, 0)]);
        kernel
    }

    fn places(&self) -> Places {
        Places { proc: self.root.path().join("proc"), cgroup: self.root.path().join("cgroup") }
    }

    fn sampler(&self) -> Sampler {
        Sampler::new(&self.places())
    }

    fn set(&self, path: impl AsRef<Path>, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: impl AsRef<Path>) {
        fs::remove_file(self.root.path().join(path)).unwrap();
    }

    /// What these CPUs have done: number, ticks.
    fn set_cpus(&self, cpus: &[(u32, u64)]) {
        let line = |(cpu, ticks): &(u32, u64)| format!("cpu{cpu} 0 0 0 {ticks} 0 0 0 0 0 0\n");
        let lines: String = cpus.iter().map(line).collect();
        self.set("proc/stat", &format!("cpu  1 2 3 4 5 6 7 8 9 10\n{lines}intr 1 2 3\nctxt 7\nbtime 1\n"));
    }

    /// A process that may run on these CPUs and is in these cgroups, and has used nothing.
    fn set_process(&self, pid: u32, cpus: &str, cgroups: &str) {
        let status =
            format!("Name:\tserver\nPid:\t{pid}\nCpus_allowed:\tff\nCpus_allowed_list:\t{cpus}\nThreads:\t1\n");
        self.set(format!("proc/{pid}/status"), &status);
        self.set(format!("proc/{pid}/cgroup"), cgroups);
        self.set_used(pid, 0);
    }

    /// The ticks that a process has used, half of them in the kernel.
    fn set_used(&self, pid: u32, ticks: u64) {
        let (user, system) = (ticks / 2, ticks - ticks / 2);
        let stat = format!("{pid} (a (bad) name) S 1 1 1 0 -1 4194560 1 2 3 4 {user} {system} 90 91 20 0 1 0 17 18\n");
        self.set(format!("proc/{pid}/stat"), &stat);
    }

    fn look_at(&self, sampler: &mut Sampler, pid: u32) -> Option<u16> {
        sampler.sample(&[pid], self.now)[0].map(Per10k::get)
    }

    /// The utilisation over a second in which `change` happened.
    fn sample_over(&mut self, change: impl FnOnce(&Kernel)) -> Option<u16> {
        let mut sampler = self.sampler();
        assert_eq!(self.look_at(&mut sampler, PID), None, "one look is none");
        change(self);
        self.now = self.now.plus(NANOS_PER_SECOND);
        self.look_at(&mut sampler, PID)
    }
}
