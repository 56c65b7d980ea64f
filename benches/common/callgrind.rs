//! Instructions and cache misses instead of nanoseconds: what a noisy machine cannot disturb.

use std::process::Command;

/// Instructions per operation, if valgrind is installed: two runs of this program with the arguments `once`, those in `what`
/// and a count, subtracted.
pub fn instructions(what: &[&str]) -> Option<f64> {
    let count = per_operation(what, &["--tool=callgrind", "--callgrind-out-file=/dev/null"], "Collected :")?;
    Some(count)
}

/// Data-cache misses per operation, if valgrind is installed, of a processor with 48 KiB of first-level cache and 2 MiB
/// behind it: those of each.
#[allow(dead_code, reason = "not every program that counts instructions asks")]
pub fn misses(what: &[&str]) -> Option<[f64; 2]> {
    let simulated = [
        "--tool=cachegrind",
        "--cachegrind-out-file=/dev/null",
        "--cache-sim=yes",
        "--I1=32768,8,64",
        "--D1=49152,12,64",
        "--LL=2097152,16,64",
    ];
    let [Some(first), Some(last)] = ["D1  misses:", "LLd misses:"].map(|label| per_operation(what, &simulated, label))
    else {
        return None;
    };
    Some([first, last])
}

/// What the line with this label says, per operation.
fn per_operation(what: &[&str], tool: &[&str], label: &str) -> Option<f64> {
    let counted = |count: u64| -> Option<f64> {
        let output = Command::new("valgrind")
            .args(tool)
            .arg(std::env::current_exe().ok()?)
            .arg("once")
            .args(what)
            .arg(count.to_string())
            .output()
            .ok()?;
        assert!(output.status.success(), "the program does not run under valgrind");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let (_, figures) = text.lines().find_map(|line| line.split_once(label))?;
        figures.split_whitespace().next()?.replace(',', "").parse().ok()
    };
    Some((counted(20_000)? - counted(10_000)?) / 10_000.0)
}
