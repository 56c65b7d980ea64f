//! Files that are missing, vanish or say nonsense: no sample, and the next look is as good as ever.

use proptest::prelude::*;

use super::*;

/// All files that the answer depends on, with what they say.
const FILES: [(&str, &str); 6] = [
    ("proc/42/status", "Cpus_allowed_list:\t0-1\n"),
    ("proc/42/cgroup", "0::/a\n"),
    ("proc/42/stat", "42 (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20\n"),
    ("proc/stat", "cpu  0\ncpu0 0 0 0 1 0 0 0 0\ncpu1 0 0 0 1 0 0 0 0\n"),
    ("cgroup/a/cpu.max", "100000 100000\n"),
    ("cgroup/a/cpu.stat", "usage_usec 0\nnr_throttled 0\n"),
];

fn kernel() -> Kernel {
    let kernel = Kernel::new();
    kernel.set("cgroup/cgroup.controllers", "cpu");
    FILES.iter().for_each(|(path, text)| kernel.set(path, text));
    kernel
}

fn step(kernel: &mut Kernel, sampler: &mut Sampler) -> Option<u16> {
    kernel.now = kernel.now.plus(NANOS_PER_SECOND);
    kernel.look_at(sampler, PID)
}

#[test]
fn what_cannot_be_understood_is_no_sample_until_it_can_be() {
    let nonsense: &[(&str, &[&str])] = &[
        ("proc/42/status", &["Cpus_allowed_list:\tx\n", "Cpus_allowed_list:\t\n", "Cpus_allowed_list:\t5-\n"]),
        ("proc/42/cgroup", &["0:/a\n", "nonsense\n", "0::/gone\n", "0::/../a\n", "0::a\n", "0::/a (deleted)\n"]),
        ("proc/42/stat", &["", "42 (x) S 1 1 1 0 -1 0 0 0 0 0 0", "42 (x) S 1 1 1 0 -1 0 0 0 0 0 x 0 0", "42 (x"]),
        ("cgroup/a/cpu.max", &["", "max", "x 100000\n", "100000 x\n", "0 100000\n", "100000 0\n", "-1 100000\n"]),
        ("cgroup/a/cpu.stat", &["", "usage_usec 1\n", "nr_throttled 1\n", "usage_usec x\nnr_throttled 0\n"]),
    ];
    for (path, texts) in nonsense {
        for text in *texts {
            let mut kernel = kernel();
            let mut sampler = kernel.sampler();
            step(&mut kernel, &mut sampler);
            assert_eq!(step(&mut kernel, &mut sampler), Some(0));
            kernel.set(path, text);
            assert_eq!(step(&mut kernel, &mut sampler), None, "{path} {text:?}");
            FILES.iter().for_each(|(path, text)| kernel.set(path, text));
            step(&mut kernel, &mut sampler);
            assert_eq!(step(&mut kernel, &mut sampler), Some(0), "{path} {text:?} is over");
        }
    }
}

#[test]
fn a_quota_is_enough_if_the_machine_cannot_be_read() {
    for text in ["", "cpu0 1 2\n", "cpu0 x 0 0 0 0 0 0 0\n", "cpux 0 0 0 0 0 0 0 0\n"] {
        let mut kernel = kernel();
        kernel.set("proc/stat", text);
        assert_eq!(kernel.sample_over(|_| {}), Some(0).filter(|_| !text.is_empty()), "{text:?}");
    }
}

#[test]
fn figures_that_go_back_are_no_sample() {
    let mut kernel = kernel();
    kernel.set("cgroup/a/cpu.stat", "usage_usec 9\nnr_throttled 9\n");
    assert_eq!(kernel.sample_over(|kernel| kernel.set("cgroup/a/cpu.stat", "usage_usec 8\nnr_throttled 9\n")), None);
    kernel.set("cgroup/a/cpu.stat", "usage_usec 9\nnr_throttled 9\n");
    assert_eq!(kernel.sample_over(|kernel| kernel.set("cgroup/a/cpu.stat", "usage_usec 9\nnr_throttled 8\n")), None);
}

#[test]
fn a_process_that_is_gone_and_a_clock_that_stands_give_no_sample() {
    let mut kernel = kernel();
    let mut sampler = kernel.sampler();
    step(&mut kernel, &mut sampler);
    kernel.remove("proc/42/status");
    assert_eq!(step(&mut kernel, &mut sampler), None);
    kernel.set("proc/42/status", "Cpus_allowed_list:\t0-1\n");
    step(&mut kernel, &mut sampler);
    assert_eq!(kernel.look_at(&mut sampler, PID), None, "no time has passed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the files say, there is an answer of at most 10 000, or none.
    #[test]
    fn no_file_makes_it_panic(texts in prop::collection::vec("[a-z0-9 :/\\-\n_]{0,60}|[0-9]{1,25} [0-9]{1,25}", 12)) {
        let mut kernel = kernel();
        let mut sampler = kernel.sampler();
        for texts in texts.chunks(FILES.len()) {
            for ((path, whole), text) in FILES.iter().zip(texts) {
                kernel.set(path, &whole.replace('0', text));
            }
            let answer = step(&mut kernel, &mut sampler);
            prop_assert!(answer.is_none_or(|utilisation| utilisation <= 10_000));
        }
    }
}
