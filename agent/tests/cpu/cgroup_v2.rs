//! Processes in cgroups of version 2.

use super::*;

/// A cgroup with what it has used.
fn set_cgroup(kernel: &Kernel, path: &str, max: &str, used_us: u64, throttled: u64) {
    kernel.set("cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
    kernel.set(format!("cgroup/{path}/cpu.max"), &format!("{max}\n"));
    let stat = format!(
        "usage_usec {used_us}\nuser_usec 1\nsystem_usec 2\nnr_periods 9\nnr_throttled {throttled}\nthrottled_usec 7\n"
    );
    kernel.set(format!("cgroup/{path}/cpu.stat"), &stat);
}

#[test]
fn what_counts_is_what_is_used_of_the_lowest_ceiling() {
    // For each cgroup from the process's own upward: quota, µs used and throttled periods within the second; then the ticks
    // of 200 that the process itself used, and the answer.
    type Case = (&'static str, &'static [(&'static str, u64, u64)], u64, Option<u16>);
    let cases: &[Case] = &[
        ("half of half a CPU", &[("50000 100000", 250_000, 0)], 0, Some(5_000)),
        ("nothing", &[("50000 100000", 0, 0)], 0, Some(0)),
        ("all", &[("50000 100000", 500_000, 0)], 0, Some(10_000)),
        ("more than all, since the clocks differ", &[("50000 100000", 510_000, 0)], 0, Some(10_000)),
        ("a share of 1/10000", &[("100000 100000", 100, 0)], 0, Some(1)),
        ("throttled once is full", &[("50000 100000", 10_000, 1)], 0, Some(10_000)),
        ("a quota below the CPUs: these are others' matter", &[("150000 100000", 150_000, 0)], 180, Some(1_000)),
        ("no quota", &[("max 100000", 900_000, 0)], 90, Some(4_500)),
        ("a quota above the CPUs", &[("400000 100000", 400_000, 0)], 90, Some(4_500)),
        ("a quota above the CPUs that others use up", &[("400000 100000", 4_000_000, 0)], 90, Some(10_000)),
        (
            "the quota above is the fuller",
            &[("50000 100000", 50_000, 0), ("100000 100000", 700_000, 0)],
            0,
            Some(7_000),
        ),
        ("its own is the fuller", &[("50000 100000", 450_000, 0), ("100000 100000", 700_000, 0)], 0, Some(9_000)),
        ("only the one above has a quota", &[("max 100000", 1, 0), ("100000 100000", 600_000, 0)], 199, Some(6_000)),
        ("only that far above is throttled", &[("max 1", 0, 0), ("max 1", 0, 0), ("1000 2000", 0, 3)], 0, Some(10_000)),
        ("another period", &[("1000 4000", 125_000, 0)], 0, Some(5_000)),
    ];
    for &(name, cgroups, ticks, wanted) in cases {
        let paths = ["slice/service/worker", "slice/service", "slice"];
        let paths = &paths[paths.len() - cgroups.len()..];
        let mut kernel = Kernel::new();
        kernel.set_process(PID, "0-1", &format!("0::/{}\n", paths[0]));
        let set = |kernel: &Kernel, share: u64| {
            for (path, (max, used_us, throttled)) in paths.iter().zip(cgroups) {
                set_cgroup(kernel, path, max, 1_000_000 + share * used_us, 5 + share * throttled);
            }
        };
        set(&kernel, 0);
        let utilisation = kernel.sample_over(|kernel| {
            set(kernel, 1);
            kernel.set_cpus(&[(0, 100), (1, 100)]);
            kernel.set_used(PID, ticks);
        });
        assert_eq!(utilisation, wanted, "{name}");
    }
}

/// In a container the topmost cgroup that it sees is its own, and has a quota.
#[test]
fn the_topmost_cgroup_may_have_a_quota_and_a_cgroup_without_the_controller_has_none() {
    let mut kernel = Kernel::new();
    kernel.set_process(PID, "0-1", "0::/inner\n");
    kernel.set("cgroup/inner/cgroup.procs", "42\n");
    set_cgroup(&kernel, "", "100000 100000", 0, 0);
    assert_eq!(kernel.sample_over(|kernel| set_cgroup(kernel, "", "100000 100000", 800_000, 0)), Some(8_000));
}

#[test]
fn where_version_1_is_mounted_too_without_cpu_the_quota_is_found_beside_it() {
    let mut kernel = Kernel::new();
    kernel.set_process(PID, "0-1", "1:name=systemd:/x\n2:memory:/x\n0::/service\n");
    let set = |kernel: &Kernel, used_us: u64| {
        kernel.set("cgroup/unified/service/cpu.max", "100000 100000\n");
        kernel.set("cgroup/unified/service/cpu.stat", &format!("usage_usec {used_us}\nnr_throttled 0\n"));
    };
    set(&kernel, 0);
    assert_eq!(kernel.sample_over(|kernel| set(kernel, 100_000)), Some(1_000));
}

/// Many processes in one cgroup, and one that comes later, share its figures.
#[test]
fn whoever_is_in_a_cgroup_that_is_known_is_sampled_with_the_first_look_at_it() {
    let mut kernel = Kernel::new();
    for pid in 1..=3 {
        kernel.set_process(pid, "0-1", "0::/service\n");
    }
    set_cgroup(&kernel, "service", "100000 100000", 0, 0);
    let mut sampler = kernel.sampler();
    assert_eq!(sampler.sample(&[1, 2], kernel.now), [None, None]);
    set_cgroup(&kernel, "service", "100000 100000", 500_000, 0);
    kernel.now = kernel.now.plus(2 * NANOS_PER_SECOND);
    let all: Vec<_> = sampler.sample(&[3, 2, 1, 4], kernel.now).into_iter().map(|it| it.map(Per10k::get)).collect();
    assert_eq!(all, [Some(2_500), Some(2_500), Some(2_500), None]);
}
