//! Processes without a quota: the CPUs of the machine that they may run on.

use super::*;

#[test]
fn without_a_quota_it_is_what_the_process_uses_of_the_cpus_that_it_may_run_on() {
    // Its CPUs, what each CPU of the machine did within the second and what the process used, in ticks, and the answer.
    type Case = (&'static str, &'static [(u32, u64)], u64, Option<u16>);
    let cases: &[Case] = &[
        ("0-1", &[(0, 100), (1, 100)], 0, Some(0)),
        ("0-1", &[(0, 100), (1, 100)], 100, Some(5_000)),
        ("0-1", &[(0, 100), (1, 100)], 200, Some(10_000)),
        ("0-1", &[(0, 100), (1, 100)], 201, Some(10_000)),
        ("0", &[(0, 100), (1, 100)], 100, Some(10_000)),
        ("1", &[(0, 100), (1, 100)], 25, Some(2_500)),
        ("0-1023", &[(0, 100), (1, 100)], 75, Some(3_750)),
        ("0,1", &[(0, 100), (1, 100)], 66, Some(3_300)),
        ("0-1", &[(0, 3), (1, 0)], 1, Some(3_333)),
        ("2-3", &[(0, 100), (1, 100)], 1, None),
        // A CPU went, or came: it is left out.
        ("0-1", &[(1, 100)], 25, Some(2_500)),
        ("0-2", &[(0, 100), (1, 100), (2, 100)], 50, Some(2_500)),
    ];
    for &(cpus, after, used, wanted) in cases {
        let mut kernel = Kernel::new();
        kernel.set_process(PID, cpus, "0::/\n");
        kernel.set("cgroup/cgroup.controllers", "cpu");
        let utilisation = kernel.sample_over(|kernel| {
            kernel.set_cpus(after);
            kernel.set_used(PID, used);
        });
        assert_eq!(utilisation, wanted, "{cpus} {after:?} {used}");
    }
}

/// What interrupts and the hypervisor take no process can use; the time of a guest is in the user's as well.
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
            kernel.set_used(PID, 40);
        });
        let wanted = if index < 5 { 4_000 } else { 8_000 };
        assert_eq!(utilisation, Some(wanted), "{name}");
    }
}

#[test]
fn what_counts_is_what_all_use_together_who_heed_it_and_may_run_on_the_same_cpus() {
    let mut kernel = Kernel::new();
    // The last one is nobody who heeds it.
    for (pid, cpus) in [(1, "0-1"), (2, "0-1"), (3, "1"), (4, "0-1")] {
        kernel.set_process(pid, cpus, "");
    }
    let mut sampler = kernel.sampler();
    sampler.sample(&[1, 2, 3], kernel.now);
    kernel.set_cpus(&[(0, 100), (1, 100)]);
    for (pid, ticks) in [(1, 60), (2, 40), (3, 30), (4, 70)] {
        kernel.set_used(pid, ticks);
    }
    kernel.now = kernel.now.plus(NANOS_PER_SECOND);
    // A number that is given twice is one process.
    let all: Vec<_> = sampler.sample(&[1, 2, 3, 2], kernel.now).into_iter().map(|it| it.map(Per10k::get)).collect();
    assert_eq!(all, [Some(5_000), Some(5_000), Some(3_000), Some(5_000)]);
}

#[test]
fn a_machine_without_cgroups_is_sampled_all_the_same() {
    let mut kernel = Kernel::new();
    kernel.set_process(PID, "0-1", "");
    kernel.remove("proc/42/cgroup");
    let utilisation = kernel.sample_over(|kernel| {
        kernel.set_cpus(&[(0, 100), (1, 100)]);
        kernel.set_used(PID, 40);
    });
    assert_eq!(utilisation, Some(2_000));
}
