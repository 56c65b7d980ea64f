//! `mcrpc route`, run as a person runs it: what it prints, where, and how it ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const CLIENT: &str = "client/sz/demo_cli.conf";
const ROUTE: &str = "route/global/demo_route.conf";

/// The files that the documentation shows, in a root of their own.
fn documented() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routes.md")).unwrap();
    let blocks = page.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for (path, text) in [CLIENT, ROUTE].into_iter().zip(blocks) {
        replace(root.path(), path, text);
    }
    root
}

fn replace(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(root.join("new"), text).unwrap();
    fs::rename(root.join("new"), path).unwrap();
}

fn mcrpc(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.arg("route").args(arguments).current_dir(root);
    command
}

fn run(root: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = mcrpc(root, arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn check_counts_good_files_and_lists_every_fault_of_bad_ones() {
    let root = documented();
    let (code, stdout, _) = run(root.path(), &["check", "."]);
    assert_eq!((code, stdout.as_str()), (Some(0), "2 files of 1 service for 1 IDC: no fault.\n"));
    replace(root.path(), CLIENT, "[Retry]\nMaxAttempts = 0\nMaxAttemps = 3\n");
    let (code, stdout, stderr) = run(root.path(), &["check", "."]);
    assert_eq!(
        stdout,
        "./client/sz/demo_cli.conf:2: [Retry] MaxAttempts: \"0\" is no number of attempts: expected a number from 1 to 8\n\
         ./client/sz/demo_cli.conf:3: [Retry] MaxAttemps: is no known key: the nearest is MaxAttempts, and known are \
         MaxAttempts, BudgetPer10k, BackupPer10k\n\
         2 files of 1 service for 1 IDC: 2 faults.\n"
    );
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
}

#[test]
fn show_says_what_a_client_uses_and_from_which_file() {
    let root = documented();
    let (code, stdout, _) = run(root.path(), &["show", ".", "sz", "demo"]);
    assert_eq!(code, Some(0));
    for line in [
        "Service demo, id 7",
        "Route file ./route/global/demo_route.conf (for every IDC that has none of its own)",
        "Timeouts: connect 100 ms, call 800 ms",
        "Zone: zone_first; callers in region south, zone sz",
        "Group canary: 5% of the users, and 2 by name: 10001, 10002",
        "[2001:db8:2::1]:8080",
    ] {
        assert!(stdout.contains(line), "{line:?} is not in:\n{stdout}");
    }
    let (_, stdout, _) = run(root.path(), &["show", ".", "sz", "demo", "--json"]);
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&json["service_id"], &json["route_is_global"]), (&7.into(), &true.into()));
    assert_eq!(json["servers"][1]["group"], "canary");
    assert_eq!(json["servers"][0]["group"], Value::Null);
    let (code, stdout, stderr) = run(root.path(), &["show", ".", "gz", "demo"]);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert_eq!(stderr, "./client/gz/demo_cli.conf: there is no such file: make it, or correct the name\n");
}

#[test]
fn a_watch_shows_what_takes_effect_and_what_is_refused() {
    let root = documented();
    let mut command = mcrpc(root.path(), &["show", ".", "sz", "demo", "--json", "--watch"]);
    let mut child = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut shown = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let mut refused = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&shown.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["timeouts"]["call_ms"], 800);
    replace(root.path(), CLIENT, "[Timeouts]\nCallMs = 0\n");
    let fault = refused.next().unwrap().unwrap();
    assert!(fault.starts_with("./client/sz/demo_cli.conf:2: [Timeouts] CallMs: \"0\""), "{fault}");
    assert_eq!(refused.next().unwrap().unwrap(), "What was good last stays in force.");
    replace(root.path(), CLIENT, "[Timeouts]\nCallMs = 9\n[Groups]\nRule0 = group=canary share=0%\n");
    assert_eq!(next()["timeouts"]["call_ms"], 9);
}
