//! `mcrpc record` and `mcrpc replay`: a simulated server is recorded, and its decisions are made again under other settings.

use std::path::Path;
use std::process::{Command, Output};

use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, SharedMode};
use mcrpc_core::admission::record::{DecisionRecord, TRACE_KIND};
use mcrpc_core::admission::{Key, Request};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::trace::{self, Trace};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use serde_json::Value;

fn mcrpc(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.args(arguments).env_remove("MCRPC_DIR").env_remove("MCRPC_OWNER_UID").output().unwrap()
}

fn replayed(file: &Path, arguments: &[&str]) -> Value {
    let output = mcrpc(&[&["replay", file.to_str().unwrap(), "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn given_a_recorded_overload_when_settings_change_then_the_difference_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("step.rec");
    let output = mcrpc(&["record", "--simulate", "step:0", "--for", "60s", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let same = replayed(&file, &[]);
    assert!(same["fidelity_percent"].as_f64().unwrap() > 97.0, "{same}");
    assert_eq!(same["changed"], serde_json::json!([]));
    assert_eq!(replayed(&file, &[]), same, "a replay is always the same");

    let strict =
        replayed(&file, &["--policy", "target_wait_ms=1,overload_wait_ms=2,soft_wait_limit_ms=3,hard_wait_limit_ms=5"]);
    let refused = |report: &Value| report["replayed"]["refused"].as_u64().unwrap();
    assert!(refused(&strict) > refused(&same));
    assert!(strict["newly_refused"]["requests"].as_u64() > strict["newly_admitted"]["requests"].as_u64());
    let cells = strict["matrix"].as_array().unwrap();
    let sum: u64 = cells.iter().map(|cell| cell["requests"].as_u64().unwrap()).sum();
    assert_eq!(Some(sum), strict["requests"].as_u64(), "each request is in one cell");

    let off = replayed(&file, &["--policy", "mode=off"]);
    assert_eq!(refused(&off), 0);
    assert!(off["replayed"]["mean_wait_ms"].as_f64() > same["replayed"]["mean_wait_ms"].as_f64());
    let more = replayed(&file, &["--workers", "32"]);
    assert_eq!(refused(&more), 0, "with four times the workers");
}

#[test]
fn what_is_in_trace_rings_is_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let (dir, file) = (temp.path().join("mcrpc"), temp.path().join("ring.rec"));
    let directory = Directory::open_or_create(&dir).unwrap();
    let create = |words: mcrpc_core::host::region::Shared<'_>| trace::create(words, 2, 1_024, 1, 2);
    let mapping = directory.replace(Segment::Trace, trace::segment_len(2, 1_024), SharedMode::GROUP, create).unwrap();
    let ring = Trace::attach(mapping.shared(), mapping.len()).unwrap().ring(1);
    let mut recorder = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    recorder.args(["record", "--for", "1500ms", "--dir"]).arg(&dir).arg(&file);
    let mut recorder = recorder.spawn().unwrap();
    let mut written = 0u64;
    while recorder.try_wait().unwrap().is_none() {
        let now = clock::monotonic();
        let request =
            Request { key: Key(5), deadline: Nanos::NEVER, is_retry: false, continues_task: false, tenant: 0 };
        let record = DecisionRecord {
            arrived: now,
            uin: Uin(written),
            request,
            queue: 0,
            workers: 4,
            decision: Status::OK,
            is_observed: false,
            wait_us: 0,
            service_us: 100,
            withheld: (0, Key(0)),
        };
        ring.write(TRACE_KIND, &record.to_bytes(), now).unwrap();
        ring.write(1, b"a line of a log", now).unwrap();
        written += 1;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(recorder.wait().unwrap().success());
    let report = replayed(&file, &[]);
    let found = report["requests"].as_u64().unwrap();
    assert!(found > 0 && found <= written, "{found} of {written}");
    assert_eq!(report["fidelity_percent"], 100.0);
}

#[test]
fn what_cannot_be_replayed_says_why() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("none.rec");
    std::fs::write(&file, b"a text").unwrap();
    let error = |arguments: &[&str]| {
        let output = mcrpc(arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&["replay", file.to_str().unwrap()]).contains("no recording"));
    assert!(error(&["record", "--simulate", "nowhere", file.to_str().unwrap()]).contains("mcrpc sim --list"));
    assert!(error(&["record", "--dir", "/nonexistent", file.to_str().unwrap()]).contains("mcrpc agent"));
}
