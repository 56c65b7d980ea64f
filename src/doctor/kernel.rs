//! Limits that the system sets: files, waiting connections, room for the segments, processor time.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::finding::{Examined, Severity};

/// A server has a file for each connection.
const FILES_WANTED: u64 = 4_096;
/// Connections that wait to be accepted: a burst fills fewer in a moment.
const BACKLOG_WANTED: u64 = 1_024;
/// To replace the largest segment it must fit beside the old one.
const ROOM_WANTED: u64 = 64 << 20;
/// `TMPFS_MAGIC` and `RAMFS_MAGIC`.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// What the system says.
struct Limits {
    files: Option<u64>,
    backlog: Option<u64>,
    is_in_memory: Option<bool>,
    room: Option<u64>,
    /// µs of quota and of its period.
    quota: Option<(u64, u64)>,
    cpus_allowed: usize,
    cpus: Option<usize>,
}

/// Looks at the limits of this process and of the file system.
pub(super) fn examine(dir: &Path, examined: &mut Examined) {
    let statfs = rustix::fs::statfs(dir).ok();
    let limits = Limits {
        files: getrlimit(Resource::Nofile).current,
        backlog: number("/proc/sys/net/core/somaxconn"),
        is_in_memory: statfs.as_ref().map(|statfs| IN_MEMORY.contains(&statfs.f_type)),
        room: statfs.as_ref().map(|statfs| statfs.f_bavail.saturating_mul(statfs.f_bsize as u64)),
        quota: quota(),
        cpus_allowed: std::thread::available_parallelism().map_or(1, usize::from),
        cpus: cpus(),
    };
    limits.judge(examined);
}

impl Limits {
    fn judge(&self, examined: &mut Examined) {
        let Limits { files, backlog, is_in_memory, room, quota, cpus_allowed, cpus } = *self;
        if files.is_some_and(|files| files < FILES_WANTED) {
            let text = format!("{} open files for each process, as this one is started", files.unwrap_or(0));
            examined.found(
                Severity::Warning,
                "nofile",
                "low",
                text,
                format!("ulimit -n, or LimitNOFILE= of systemd: {FILES_WANTED} and more for servers"),
            );
        } else {
            examined.ok("nofile", files.map_or_else(|| "unlimited".to_owned(), |files| files.to_string()));
        }
        match backlog {
            Some(backlog) if backlog < BACKLOG_WANTED => {
                let text = format!(
                    "net.core.somaxconn is {backlog}: a burst of connections is dropped by the kernel, which looks like a dead server"
                );
                examined.found(
                    Severity::Warning,
                    "somaxconn",
                    "low",
                    text,
                    format!("sysctl net.core.somaxconn={BACKLOG_WANTED}"),
                );
            }
            Some(backlog) => examined.ok("somaxconn", backlog.to_string()),
            None => {}
        }
        if is_in_memory == Some(false) {
            let text = "the directory is on no file system in memory: each change is written to a disk, which can make calls wait";
            examined.found(Severity::Warning, "filesystem", "on_disk", text, "keep it below /run or /dev/shm");
        }
        if room.is_some_and(|room| room < ROOM_WANTED) {
            let text = format!("{} MiB are free where the segments are", room.unwrap_or(0) >> 20);
            let remedy = format!("a larger file system: {} MiB, so that a segment can be replaced", ROOM_WANTED >> 20);
            examined.found(Severity::Warning, "filesystem", "full", text, remedy);
        } else if is_in_memory == Some(true) {
            examined.ok("filesystem", "in memory, with room");
        }
        let quota =
            quota.filter(|(run_us, period_us)| u128::from(*run_us) < u128::from(*period_us) * cpus_allowed as u128);
        if let Some((run_us, period_us)) = quota {
            let share = run_us as f64 / period_us as f64;
            let text = format!(
                "the cgroup may use {share:.1} of {cpus_allowed} processors: its threads stand still for the rest of each period of {} ms",
                period_us / 1_000
            );
            examined.found(
                Severity::Note,
                "cpu",
                "quota",
                text,
                "no more workers than the quota has processors, and mcrpc_admission_set_cpu()",
            );
        }
        match cpus {
            Some(cpus) if cpus_allowed < cpus && quota.is_none() => {
                let text = format!("{cpus_allowed} of {cpus} processors may be used");
                examined.found(Severity::Note, "cpu", "affinity", text, "count workers by these, not by the machine's");
            }
            _ if quota.is_none() => examined.ok("cpu", format!("{cpus_allowed} processors")),
            _ => {}
        }
    }
}

fn number(path: &str) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Of the cgroup of this process, version 2.
fn quota() -> Option<(u64, u64)> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    parse_quota(&std::fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.max")).ok()?)
}

fn parse_quota(text: &str) -> Option<(u64, u64)> {
    let (run, period) = text.trim().split_once(' ')?;
    Some((run.parse().ok()?, period.parse().ok().filter(|period| *period > 0)?))
}

fn cpus() -> Option<usize> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let is_cpu = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    Some(stat.lines().filter(is_cpu).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Limits = Limits {
        files: Some(65_536),
        backlog: Some(4_096),
        is_in_memory: Some(true),
        room: Some(1 << 30),
        quota: None,
        cpus_allowed: 8,
        cpus: Some(8),
    };

    #[test]
    fn each_limit_that_is_too_low_is_found() {
        let text = |limits: Limits| {
            let mut examined = Examined::default();
            limits.judge(&mut examined);
            (examined.worst(), examined.to_string())
        };
        assert_eq!(text(GOOD).0, Severity::Ok);
        for (limits, severity, said) in [
            (Limits { files: Some(1_024), ..GOOD }, Severity::Warning, "1024 open files"),
            (Limits { backlog: Some(128), ..GOOD }, Severity::Warning, "somaxconn is 128"),
            (Limits { is_in_memory: Some(false), ..GOOD }, Severity::Warning, "written to a disk"),
            (Limits { room: Some(1 << 20), ..GOOD }, Severity::Warning, "1 MiB are free"),
            (Limits { quota: Some((150_000, 100_000)), ..GOOD }, Severity::Note, "1.5 of 8 processors"),
            (Limits { cpus_allowed: 2, ..GOOD }, Severity::Note, "2 of 8 processors"),
        ] {
            let (worst, text) = text(limits);
            assert!(worst == severity && text.contains(said) && text.contains("-> "), "{text}");
        }
        assert_eq!(text(Limits { quota: Some((1_600_000, 100_000)), ..GOOD }).0, Severity::Ok, "no limit at all");
    }

    #[test]
    fn a_quota_is_two_numbers_or_none() {
        assert_eq!(parse_quota("150000 100000\n"), Some((150_000, 100_000)));
        assert_eq!((parse_quota("max 100000\n"), parse_quota(""), parse_quota("1 0")), (None, None, None));
    }
}
