//! Processes in cgroups of version 1.

use super::*;

const OWN: &str = "9:name=systemd:/a/b\n4:cpu,cpuacct:/a/b\n2:memory:/elsewhere\n0::/ignored\n";

fn set_cgroup(kernel: &Kernel, path: &str, quota_us: i64, used_ns: u64, throttled: u64) {
    kernel.set(format!("cgroup/cpu/{path}/cpu.cfs_quota_us"), &format!("{quota_us}\n"));
    kernel.set(format!("cgroup/cpu/{path}/cpu.cfs_period_us"), "100000\n");
    let stat = format!("nr_periods 0\nnr_throttled {throttled}\nthrottled_time 0\n");
    kernel.set(format!("cgroup/cpu/{path}/cpu.stat"), &stat);
    kernel.set(format!("cgroup/cpuacct/{path}/cpuacct.usage"), &format!("{used_ns}\n"));
}

#[test]
fn what_counts_is_what_is_used_of_the_lowest_ceiling() {
    // Its own cgroup and the one above: quota in µs, ns used and periods throttled within the second; and the answer
    // for a process that uses 30 % of both CPUs.
    type Level = (i64, u64, u64);
    let cases: &[(&str, Level, Level, Option<u16>)] = &[
        ("a quarter of a CPU", (25_000, 100_000_000, 0), (-1, 0, 0), Some(4_000)),
        ("the quota above", (-1, 0, 0), (50_000, 450_000_000, 0), Some(9_000)),
        ("throttled", (25_000, 0, 2), (-1, 0, 0), Some(10_000)),
        ("no quota", (-1, 999_999_999, 0), (-1, 0, 0), Some(3_000)),
    ];
    for &(name, own, above, wanted) in cases {
        let mut kernel = Kernel::new();
        kernel.set_process(PID, "0-1", OWN);
        let set = |kernel: &Kernel, share: u64| {
            for (path, (quota_us, used_ns, throttled)) in [("a/b", own), ("a", above)] {
                set_cgroup(kernel, path, quota_us, 7 + share * used_ns, 3 + share * throttled);
            }
        };
        set(&kernel, 0);
        let utilisation = kernel.sample_over(|kernel| {
            set(kernel, 1);
            kernel.set_cpus(&[(0, 100), (1, 100)]);
            kernel.set_used(PID, 60);
        });
        assert_eq!(utilisation, wanted, "{name}");
    }
}
