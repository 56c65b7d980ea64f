//! What the cgroups of a process have used, and may use. Of version 2, or of version 1 where that has the `cpu` controller.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcrpc_core::id::Per10k;

use super::{misunderstood, read, share, value};

/// Where the hierarchies are mounted.
pub(super) struct Hierarchies {
    root: PathBuf,
    v2_root: PathBuf,
}

/// The cgroup of a process that limits its CPU use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cgroup {
    version: Version,
    /// Absolute within the hierarchy.
    path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Version {
    V1,
    V2,
}

/// What a cgroup with a quota has used so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    used_ns: u64,
    /// Periods in which the quota was used up.
    throttled: u64,
    pub(super) quota: Quota,
}

/// So much CPU time may be used in so much time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    run_us: u64,
    period_us: u64,
}

impl Quota {
    /// Whether it is used up before so many CPUs are.
    pub(super) fn is_below(self, cpus: usize) -> bool {
        u128::from(self.run_us) < u128::from(self.period_us) * cpus as u128
    }

    fn new(run_us: &str, period_us: &str) -> io::Result<Quota> {
        let positive = |text: &str| text.trim().parse().ok().filter(|&us: &u64| us > 0).ok_or_else(misunderstood);
        Ok(Quota { run_us: positive(run_us)?, period_us: positive(period_us)? })
    }
}

impl Usage {
    /// What was used of the quota since an earlier look; all of it if it was used up in any period. `None` for a cgroup
    /// that is another one than before.
    pub(super) fn share_since(&self, before: &Usage, elapsed: Duration) -> Option<Per10k> {
        let used_ns = self.used_ns.checked_sub(before.used_ns)?;
        let throttled = self.throttled.checked_sub(before.throttled)?;
        let may_ns = elapsed.as_nanos().saturating_mul(self.quota.run_us.into()) / u128::from(self.quota.period_us);
        if throttled > 0 { Some(Per10k::ALL) } else { share(used_ns.into(), may_ns) }
    }
}

impl Cgroup {
    /// The cgroup of the process that has this directory in `/proc`; `None` on a machine without cgroups.
    pub(super) fn of_process(process: &Path) -> io::Result<Option<Cgroup>> {
        let text = read(&process.join("cgroup"))?.unwrap_or_default();
        let mut found = None;
        for line in text.lines() {
            let mut fields = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(misunderstood());
            };
            let cgroup = |version| Cgroup { version, path: PathBuf::from(path) };
            match controllers.split(',').any(|controller| controller == "cpu") {
                true => found = Some(cgroup(Version::V1)),
                false if controllers.is_empty() => found = found.or(Some(cgroup(Version::V2))),
                false => {}
            }
        }
        Ok(found)
    }

    /// It, and all above it.
    pub(super) fn and_ancestors(&self) -> impl Iterator<Item = Cgroup> + '_ {
        self.path.ancestors().map(|path| Cgroup { version: self.version, path: path.to_owned() })
    }
}

impl Hierarchies {
    /// Those below `root`, usually `/sys/fs/cgroup`.
    pub(super) fn new(root: &Path) -> Hierarchies {
        // Where both versions are mounted, version 2 lies in a directory beside the controllers of version 1.
        let is_v2 = root.join("cgroup.controllers").is_file();
        let v2_root = if is_v2 { root.to_owned() } else { root.join("unified") };
        Hierarchies { root: root.to_owned(), v2_root }
    }

    /// What a cgroup has used; `None` if it has no quota.
    pub(super) fn usage(&self, cgroup: &Cgroup) -> io::Result<Option<Usage>> {
        let path = cgroup.path.strip_prefix("/").map_err(|_| misunderstood())?;
        // The agent is in a cgroup namespace from which this one cannot be seen.
        if path.starts_with("..") {
            return Err(io::ErrorKind::NotFound.into());
        }
        match cgroup.version {
            Version::V1 => self.usage_v1(path),
            Version::V2 => self.usage_v2(path),
        }
    }

    fn usage_v2(&self, path: &Path) -> io::Result<Option<Usage>> {
        let directory = self.v2_root.join(path);
        let Some(max) = read_in(&directory, "cpu.max")? else { return Ok(None) };
        let (run_us, period_us) = max.split_once(' ').ok_or_else(misunderstood)?;
        if run_us == "max" {
            return Ok(None);
        }
        let quota = Quota::new(run_us, period_us)?;
        let stat = read(&directory.join("cpu.stat"))?.ok_or_else(misunderstood)?;
        let used_ns = number(&stat, "usage_usec")?.saturating_mul(1_000);
        Ok(Some(Usage { used_ns, throttled: number(&stat, "nr_throttled")?, quota }))
    }

    fn usage_v1(&self, path: &Path) -> io::Result<Option<Usage>> {
        let directory = self.root.join("cpu").join(path);
        let Some(run_us) = read_in(&directory, "cpu.cfs_quota_us")? else { return Ok(None) };
        if run_us.trim().starts_with('-') {
            return Ok(None);
        }
        let other = |path: PathBuf| read(&path)?.ok_or_else(misunderstood);
        let quota = Quota::new(&run_us, &other(directory.join("cpu.cfs_period_us"))?)?;
        let used = other(self.root.join("cpuacct").join(path).join("cpuacct.usage"))?;
        let used_ns = used.trim().parse().map_err(|_| misunderstood())?;
        let throttled = number(&other(directory.join("cpu.stat"))?, "nr_throttled")?;
        Ok(Some(Usage { used_ns, throttled, quota }))
    }
}

/// A file that not every cgroup has: not the topmost one, nor one for which the controller is not enabled.
fn read_in(directory: &Path, name: &str) -> io::Result<Option<String>> {
    let text = read(&directory.join(name))?;
    if text.is_none() && !directory.is_dir() { Err(io::ErrorKind::NotFound.into()) } else { Ok(text) }
}

fn number(text: &str, word: &str) -> io::Result<u64> {
    value(text, word).and_then(|value| value.parse().ok()).ok_or_else(misunderstood)
}
