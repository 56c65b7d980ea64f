//! Instructions instead of nanoseconds: what a noisy machine cannot disturb.

use std::process::Command;

/// Instructions per operation, if valgrind is installed: two runs of this program with the arguments `once`, `what` and a
/// count, subtracted.
pub fn instructions(what: &str) -> Option<f64> {
    let collected = |count: u64| -> Option<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().ok()?)
            .args(["once", what, &count.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find(|line| line.contains("Collected"))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    let count = (collected(20_000)? - collected(10_000)?) / 10_000.0;
    assert!(count > 0.0, "the program does not run under valgrind");
    Some(count)
}
