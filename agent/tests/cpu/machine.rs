//! Processes without a quota: the CPUs of the machine that they may run on.

use super::*;

#[test]
fn without_a_quota_it_is_how_busy_the_cpus_are_that_the_process_may_run_on() {
    // Its CPUs, what each CPU of the machine did within the second, and the answer.
    type Case = (&'static str, &'static [(u32, u64, u64)], Option<u16>);
    let cases: &[Case] = &[
        ("0-1", &[(0, 0, 100), (1, 0, 100)], Some(0)),
        ("0-1", &[(0, 100, 0), (1, 0, 100)], Some(5_000)),
        ("0-1", &[(0, 100, 0), (1, 100, 0)], Some(10_000)),
        ("0", &[(0, 100, 0), (1, 0, 100)], Some(10_000)),
        ("1", &[(0, 100, 0), (1, 25, 75)], Some(2_500)),
        ("0-1023", &[(0, 50, 50), (1, 25, 75)], Some(3_750)),
        ("0,1", &[(0, 33, 67), (1, 33, 67)], Some(3_300)),
        ("0-1", &[(0, 1, 2), (1, 0, 0)], Some(3_333)),
        ("2-3", &[(0, 50, 50), (1, 50, 50)], None),
        // A CPU went, or came: it is left out.
        ("0-1", &[(1, 25, 75)], Some(2_500)),
        ("0-2", &[(0, 0, 100), (1, 0, 100), (2, 100, 0)], Some(0)),
    ];
    for &(cpus, after, wanted) in cases {
        let mut kernel = Kernel::new();
        kernel.set_process(PID, cpus, "0::/\n");
        kernel.set("cgroup/cgroup.controllers", "cpu");
        assert_eq!(kernel.sample_over(|kernel| kernel.set_cpus(after)), wanted, "{cpus} {after:?}");
    }
}

/// Waiting for a disk is idle; time that the hypervisor took away is not, since nobody here can use it.
#[test]
fn every_time_of_a_cpu_is_counted_as_what_it_is() {
    let names = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];
    for (index, name) in names.into_iter().enumerate() {
        let mut kernel = Kernel::new();
        kernel.set_process(PID, "0", "");
        let utilisation = kernel.sample_over(|kernel| {
            let mut times = [0; 10];
            times[3] = 50;
            times[index] += 50;
            let times: Vec<String> = times.iter().map(ToString::to_string).collect();
            kernel.set("proc/stat", &format!("cpu  0\ncpu0 {}\n", times.join(" ")));
        });
        // A guest's time is in the user's as well.
        let wanted = if ["idle", "iowait", "guest", "guest_nice"].contains(&name) { 0 } else { 5_000 };
        assert_eq!(utilisation, Some(wanted), "{name}");
    }
}

#[test]
fn a_machine_without_cgroups_is_sampled_all_the_same() {
    let mut kernel = Kernel::new();
    kernel.set_process(PID, "0-1", "");
    kernel.remove("proc/42/cgroup");
    assert_eq!(kernel.sample_over(|kernel| kernel.set_cpus(&[(0, 30, 70), (1, 10, 90)])), Some(2_000));
}
