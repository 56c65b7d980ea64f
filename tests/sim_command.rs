//! `mcrpc sim`, run as a person runs it: what it prints, what it writes, and how it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn sim(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    let Output { status, stdout, stderr } = command.arg("sim").args(arguments).current_dir(directory).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_scenario_is_run_judged_and_written() {
    let directory = tempfile::tempdir().unwrap();
    let arguments =
        ["--quick", "--seeds", "1", "--scenario", "step,brownout", "--policy", "none,mcrpc", "--json", "figures.json"];
    let (code, stdout, stderr) = sim(directory.path(), &arguments);
    assert_eq!(code, Some(0), "{stderr}");
    for expected in ["step, M^4: ", "│ mcrpc ", "step M^2: recovery_s <= 1 ", "not measured", "sim-report.html"] {
        assert!(stdout.contains(expected), "{expected}: {stdout}");
    }
    let page = fs::read_to_string(directory.path().join("sim-report.html")).unwrap();
    assert!(page.ends_with("</html>\n") && page.matches("<svg").count() == 8, "{}", page.matches("<svg").count());
    let json = fs::read(directory.path().join("figures.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    let cells = json["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    let step = cells.iter().find(|cell| cell["policy"] == "none" && cell["scenario"] == "step").unwrap();
    assert!(step["optimum_share"].as_f64().unwrap() < 0.5 && step["spread"]["p99_ms"].is_array(), "{step}");
    assert!(step.get("fairness").is_none() && step["seeds"] == 1 && step["load"] == 3.0, "{step}");
}

#[test]
fn without_ours_nothing_is_missed_and_a_check_passes() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--quick", "--seeds", "1", "--scenario", "brownout", "--policy", "none", "--check"];
    let (code, stdout, _) = sim(directory.path(), &arguments);
    assert_eq!(code, Some(0));
    assert!(!stdout.contains("FAIL") && !stdout.contains("pass "), "{stdout}");
}

#[test]
fn unknown_names_are_answered_with_the_known_ones() {
    let directory = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (["--scenario", "stedy"], "mcrpc: there is no scenario \"stedy\"; there are: steady; step; "),
        (["--policy", "nothing"], "mcrpc: there is no policy \"nothing\"; there are: none; "),
    ] {
        let (code, stdout, stderr) = sim(directory.path(), &arguments);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(stderr.starts_with(expected), "{stderr}");
    }
    let (code, stdout, _) = sim(directory.path(), &["--list"]);
    assert!(code == Some(0) && stdout.contains("\n  bursts ") && stdout.contains("\n  mcrpc\n"), "{stdout}");
}
