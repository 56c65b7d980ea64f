//! The operator's commands, run as a person runs them: on whole, damaged and missing directories, with and without
//! processes. Nothing is killed: a dead process is a child that has ended.

mod host;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use mcrpc_agent::clock;
use mcrpc_agent::directory::Directory;
use mcrpc_core::host::control::{Control, Mechanism, Target};
use mcrpc_core::host::files::{CONTROL_LOCK, Segment};
use mcrpc_core::id::Uin;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::wire::header::method_id;
use serde_json::Value;

use host::{FAILING, Host, SHIELDED, empty_dir};

fn mcrpc(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.args(arguments).env("MCRPC_DIR", dir).env_remove("MCRPC_OWNER_UID").env_remove("SUDO_UID");
    command.output().unwrap()
}

/// What a command says when it succeeds.
fn said(dir: &Path, arguments: &[&str]) -> String {
    let output = mcrpc(dir, arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text
}

/// What it says when it fails.
fn complained(dir: &Path, arguments: &[&str]) -> String {
    let output = mcrpc(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
}

fn json(dir: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(dir, arguments)).unwrap()
}

fn assert_says(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in:\n{text}");
    }
}

#[test]
fn the_kill_switch_reaches_who_is_attached_and_says_what_it_changed() {
    let host = Host::new();
    let mapping = host.control();
    let attached = Control::attach(mapping.view(), mapping.len()).unwrap();
    assert!(!attached.is_killed());
    let text = said(&host.path, &["kill", "on"]);
    assert!(attached.is_killed(), "with its next call");
    assert_says(&text, &["off -> ON", "next call", "2 processes have seats here, 1 of them hung"]);
    assert_says(&said(&host.path, &["kill", "on"]), &["ON already"]);
    assert_eq!(json(&host.path, &["kill", "status", "--json"])["killed"], true);
    assert_says(&said(&host.path, &["top", "--once", "--interval", "100ms"]), &["KILL SWITCH IS ON"]);
    assert_says(&said(&host.path, &["kill", "off"]), &["ON -> off"]);
    assert!(!attached.is_killed());
    let status = said(&host.path, &["kill", "status"]);
    assert_says(&status, &["Kill switch: off, since 20", " by user "]);
}

#[test]
fn without_an_agent_the_segment_is_made_and_without_need_it_is_not() {
    let (_temp, path) = empty_dir();
    let text = complained(&path, &["kill", "status"]);
    assert_says(&text, &["opening the directory", "mcrpc agent", "--dir"]);
    assert!(!path.exists());
    let text = said(&path, &["kill", "on"]);
    assert_says(&text, &["Made the directory", "Made the control segment", "off -> ON", "no process has a seat here"]);
    let directory = Directory::open(&path, None).unwrap();
    let mapping = directory.map(Segment::Control).unwrap();
    assert!(Control::attach(mapping.view(), mapping.len()).unwrap().is_killed());

    std::fs::remove_file(directory.path_of(Segment::Control.file_name())).unwrap();
    for arguments in [&["kill", "off"][..], &["kill", "status"], &["shield", SHIELDED, "--off"], &["skip", "7", "off"]]
    {
        assert_says(&said(&path, arguments), &["nothing was ever said"]);
    }
    assert_eq!(json(&path, &["shield", "--json"]), serde_json::json!([]));
    assert_says(&said(&path, &["mode"]), &["retry-budget", "default", "nothing was ever said"]);
    assert!(!directory.path_of(Segment::Control.file_name()).exists());
}

#[test]
fn modes_are_set_for_all_or_a_share_and_listed() {
    let host = Host::new();
    let text = said(&host.path, &["mode", "pass-rate", "enforce", "--share", "5%"]);
    assert_says(&text, &["Mode of pass-rate: default -> enforce for 5% of the users"]);
    assert_says(&said(&host.path, &["mode", "pass-rate", "observe"]), &["enforce for 5% of the users -> observe"]);
    let modes = json(&host.path, &["mode", "--json"]);
    assert_eq!(modes["modes"].as_array().unwrap().len(), 6);
    let one = json(&host.path, &["mode", "pass-rate", "--json"]);
    assert_eq!((&one["modes"][0]["mechanism"], &one["modes"][0]["mode"]), (&"pass-rate".into(), &"observe".into()));
    assert_says(&said(&host.path, &["mode", "pass-rate", "default"]), &["observe -> default"]);
    assert_says(&complained(&host.path, &["mode", "shield", "off", "--share", "5%"]), &["enforce only"]);
    said(&host.path, &["kill", "on"]);
    assert_says(&said(&host.path, &["mode", "skip", "enforce"]), &["kill switch is ON"]);
    assert_says(&said(&host.path, &["mode"]), &["off (kill switch)"]);
}

/// A ramp as it is driven: dry run, a few, more, all, and back to where it began.
#[test]
fn every_mechanism_goes_up_the_ramp_and_back() {
    let host = Host::new();
    let mapping = host.control();
    let attached = Control::attach(mapping.view(), mapping.len()).unwrap();
    for mechanism in Mechanism::ALL {
        let name = mechanism.name();
        let enforced = || (0..1_000).filter(|&uin| attached.is_enforced(mechanism, Uin(uin))).count();
        assert_eq!((attached.setting(mechanism), enforced()), (None, 1_000), "{name}");
        for (arguments, least, most) in [
            (&["observe"][..], 0, 0),
            (&["enforce", "--share", "5%"], 20, 80),
            (&["enforce", "--share", "50%"], 420, 580),
            (&["enforce"], 1_000, 1_000),
            (&["enforce", "--share", "50%"], 420, 580),
            (&["enforce", "--share", "5%"], 20, 80),
            (&["observe"], 0, 0),
            (&["off"], 0, 0),
        ] {
            said(&host.path, &[&["mode", name], arguments].concat());
            assert!((least..=most).contains(&enforced()), "{name} {arguments:?}: {}", enforced());
        }
        said(&host.path, &["mode", name, "default"]);
        assert_eq!((attached.setting(mechanism), enforced()), (None, 1_000), "{name}");
    }
}

#[test]
fn shields_have_a_term_an_author_and_an_end() {
    let host = Host::new();
    let mapping = host.control();
    let attached = Control::attach(mapping.view(), mapping.len()).unwrap();
    let endpoint = Endpoint::new(SHIELDED.parse().unwrap(), 5);
    let text = said(&host.path, &["shield", SHIELDED, "--service", "5", "--for", "10m"]);
    assert_says(&text, &["Shield of 10.1.2.3:80, service 5: none -> for another"]);
    let now = clock::monotonic();
    assert!(attached.is_shielded(&endpoint, now) && !attached.is_shielded(&endpoint, now.plus(602_000_000_000)));
    said(&host.path, &["shield", FAILING]);
    let list = json(&host.path, &["shield", "--json"]);
    let of = |socket: &str| list.as_array().unwrap().iter().find(|order| order["endpoint"] == socket).unwrap().clone();
    let (timed, endless) = (of(SHIELDED), of(FAILING));
    assert!((590..=600).contains(&timed["ends_in_s"].as_u64().unwrap()), "{timed}");
    assert_eq!((&endless["ends_in_s"], &endless["in_force"]), (&Value::Null, &true.into()));
    assert_eq!(timed["by_uid"], rustix::process::getuid().as_raw());
    assert!(timed["set_at"].as_str().unwrap().starts_with("20"));
    assert_says(&said(&host.path, &["shield"]), &[SHIELDED, FAILING, "until taken back"]);
    let text = said(&host.path, &["shield", SHIELDED, "--service", "5", "--off"]);
    assert_says(&text, &["-> none"]);
    assert!(!attached.is_shielded(&endpoint, clock::monotonic()));
}

#[test]
fn skips_name_services_and_methods_and_rotate() {
    let host = Host::new();
    let mapping = host.control();
    let attached = Control::attach(mapping.view(), mapping.len()).unwrap();
    let target = Target { service_id: 7, method_id: method_id(b"demo.Echo.Get") };
    assert_says(&said(&host.path, &["skip", "7:demo.Echo.Get", "100%"]), &["demo.Echo.Get", "0% -> 100%"]);
    assert!(attached.is_skipped(target, Uin(1)));
    assert_says(&said(&host.path, &["skip", "0x7", "0.5%"]), &["Skip of service 7: 0% -> 0.5%"]);
    assert_says(
        &said(&host.path, &["skip", "7:demo.Echo.Get", "off"]),
        &["100% -> 0%", "as a whole is skipped for 0.5%"],
    );
    assert_eq!(attached.skip_ratio(target).get(), 50);
    assert_says(&said(&host.path, &["skip", "--rotate"]), &["Rotation: 0 -> 1"]);
    let list = json(&host.path, &["skip", "list", "--json"]);
    assert_eq!((&list["rotation"], &list["skips"][0]["ratio"]), (&1.into(), &"0.5%".into()));
    assert_says(&said(&host.path, &["skip"]), &["0.5%", "all"]);
    assert_says(&complained(&host.path, &["skip", "7"]), &["Say a share"]);
    assert_says(&complained(&host.path, &["skip", "echo", "5%"]), &["named by its number"]);
}

#[test]
fn dyes_are_set_listed_and_ended() {
    let host = Host::new();
    assert_says(&said(&host.path, &["dye", "42", "--for", "1h"]), &["not recorded -> recorded for another"]);
    assert_eq!(json(&host.path, &["dye", "--json"])[0]["uin"], 42);
    assert_says(&said(&host.path, &["dye", "42", "--off"]), &["-> not recorded"]);
    assert_says(&complained(&host.path, &["dye", "0"]), &["no user"]);
}

#[test]
fn who_cannot_be_served_is_told_what_to_do() {
    let host = Host::new();
    let path = host.file(Segment::Control);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    for arguments in [&["kill", "on"][..], &["kill", "status"], &["shield"], &["skip", "7", "5%"]] {
        assert_says(&complained(&host.path, arguments), &["damaged", "control.v1", "remove the file"]);
    }
    std::fs::set_permissions(&host.path, PermissionsExt::from_mode(0o777)).unwrap();
    assert_says(&complained(&host.path, &["kill", "on"]), &["Others than its owner may write"]);
    let (_temp, missing) = empty_dir();
    assert_says(&complained(&missing.join("deeper"), &["kill", "on"]), &["making the directory"]);
    assert_says(&complained(&host.path, &["top"]), &["--once"]);
}

/// Needs root, to become somebody else.
#[test]
fn another_user_is_told_who_may() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let host = Host::new();
    let program = host.path.join("mcrpc");
    std::fs::copy(env!("CARGO_BIN_EXE_mcrpc"), &program).unwrap();
    std::fs::set_permissions(host.path.parent().unwrap(), PermissionsExt::from_mode(0o755)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let output =
            Command::new(&program).uid(65_534).gid(65_534).args(arguments).env("MCRPC_DIR", &host.path).output();
        let output = output.unwrap();
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap()
    };
    assert_says(&as_nobody(&["kill", "on"]), &["Permission denied", "You are user 65534", "run this as root"]);
    assert_says(&as_nobody(&["kill", "status"]), &["Kill switch: off"]);
    let text = as_nobody(&["top", "--once", "--interval", "100ms"]);
    assert_says(&text, &["stat: ", "Permission denied", "kill switch off", "Strategies", "processes unknown"]);

    std::os::unix::fs::chown(&host.path, Some(1_234), None).unwrap();
    assert_says(&complained(&host.path, &["kill", "on"]), &["Found 0x4d2 (1234)", "say so with --owner 1234"]);
    assert_says(&said(&host.path, &["kill", "on", "--owner", "1234"]), &["off -> ON"]);
}

#[test]
fn a_held_lock_is_not_waited_for_long() {
    let host = Host::new();
    let _lock = host.directory.lock(CONTROL_LOCK, "tests").unwrap();
    assert_says(&complained(&host.path, &["kill", "on"]), &["control.lock", "another process has held it"]);
}

#[test]
fn inspect_shows_every_kind_and_hides_the_seed() {
    let host = Host::new();
    said(&host.path, &["shield", SHIELDED]);
    let text = said(&host.path, &["inspect"]);
    assert_says(
        &text,
        &["MCRPC.ST", "MCRPC.TR", "health    ok", "hidden (--show-seed)", "10.1.2.3:80", "25%", "probe"],
    );
    assert_says(
        &text,
        &["400", "300", "alive", "dead", "hung", "42", "999", "a line that was logged", "[2001:db8::1]:443"],
    );
    assert_says(&text, &["MCRPC.LG", "64 cells; 64 wait for the agent", "dropped   1 lines"]);
    assert!(!text.contains("abcdef01") && !text.contains('\x1b'), "{text}");
    let strategy = host.file(Segment::Strategy);
    assert_says(&said(&host.path, &["inspect", "--show-seed", strategy.to_str().unwrap()]), &["0x0000abcdef012345"]);

    let reports = json(&host.path, &["inspect", "--json"]);
    let of = |kind: &str| reports.as_array().unwrap().iter().find(|report| report["kind"] == kind).unwrap().clone();
    let strategies = of("strategy");
    assert_eq!(strategies["health"]["verdict"], "ok");
    assert_eq!((&strategies["header"]["crc_ok"], &strategies["header"]["seed"]), (&true.into(), &Value::Null));
    let entry = &strategies["contents"]["entries"][0];
    assert_eq!((&entry["endpoint"], &entry["pass_rate_per10k"]), (&SHIELDED.into(), &2500.into()));
    assert_eq!(of("trace")["contents"]["records"][2]["text"], "the last one");
    let limited = json(&host.path, &["inspect", "--json", "--limit", "1", host.file(Segment::Trace).to_str().unwrap()]);
    assert_eq!(limited[0]["contents"]["records"].as_array().unwrap().len(), 1);
    assert_eq!(limited[0]["contents"]["records"][0]["kind"], 5, "the newest is kept");

    std::fs::remove_file(host.file(Segment::Log)).unwrap();
    assert!(!said(&host.path, &["inspect"]).contains("log.v1"), "a host need not keep logs");
}

#[test]
fn inspect_knows_a_segment_by_its_magic_and_shows_what_damage_leaves() {
    let host = Host::new();
    let copy = host.path.join("saved.bin");
    std::fs::copy(host.file(Segment::Stat), &copy).unwrap();
    assert_says(&said(&host.path, &["inspect", copy.to_str().unwrap()]), &["saved.bin: stat", "hung"]);

    let bytes = std::fs::read(host.file(Segment::Control)).unwrap();
    let inspect = |bytes: &[u8]| {
        std::fs::write(&copy, bytes).unwrap();
        complained(&host.path, &["inspect", copy.to_str().unwrap()])
    };
    let damaged = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0xFF;
        inspect(&bytes)
    };
    assert_says(&damaged(0), &["no known segment", "segment_bad_magic"]);
    assert_says(&damaged(12), &["segment_other_major", "expected 0x1"]);
    assert_says(&damaged(16), &["segment_bad_checksum", "WRONG"]);
    assert_says(&damaged(48), &["segment_bad_checksum", "kill      off", "as if the header were right"]);
    assert_says(&damaged(64), &["not in use", "kill      off"]);
    assert_says(&inspect(&bytes[..8_000]), &["segment_bad_length", "but the header says"]);
    assert_says(&inspect(&bytes[..100]), &["segment_too_short"]);
    assert_says(&inspect(&[]), &["segment_bad_magic"]);
    assert_says(&complained(&host.path, &["inspect", "/dev/zero"]), &["no regular file"]);
    assert_says(&complained(&host.path, &["inspect", "/nonexistent"]), &["cannot be opened", "No such file"]);
}

#[test]
fn no_damage_makes_inspect_or_top_crash() {
    let host = Host::new();
    let mut random = 1u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 16
    };
    for round in 0..6 {
        for segment in Segment::ALL {
            let path = host.file(segment);
            let mut bytes = std::fs::read(&path).unwrap();
            // The header stays whole in every other round, so that what is behind it is read.
            let from = if round % 2 == 0 { 72 } else { 0 };
            for _ in 0..bytes.len() / 16 {
                let at = from + next() as usize % (bytes.len() - from);
                bytes[at] = next() as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
        }
        for arguments in [&["inspect"][..], &["inspect", "--json"], &["top", "--once", "--interval", "100ms"]] {
            let output = mcrpc(&host.path, arguments);
            assert!(matches!(output.status.code(), Some(0 | 1)), "{arguments:?}: {output:?}");
            assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
        }
    }
}

#[test]
fn top_shows_everything_once_as_text_and_as_json() {
    let host = Host::new();
    said(&host.path, &["shield", SHIELDED, "--for", "10m"]);
    said(&host.path, &["skip", "7", "5%"]);
    let done = AtomicBool::new(false);
    let (text, sight) = std::thread::scope(|scope| {
        // 10 000 requests admitted per second.
        scope.spawn(|| {
            let started = clock::monotonic();
            while !done.load(Ordering::Relaxed) {
                let now = clock::monotonic();
                host.report(100 + now.since(started) / 100_000, now);
                sleep(Duration::from_millis(10));
            }
        });
        let text = mcrpc(&host.path, &["top", "--once", "--interval", "300ms"]);
        let sight = mcrpc(&host.path, &["top", "--json", "--interval", "300ms"]);
        done.store(true, Ordering::Relaxed);
        (text, sight)
    });
    let text = String::from_utf8(text.stdout).unwrap();
    let sight: Value = serde_json::from_slice(&sight.stdout).unwrap();
    assert_says(
        &text,
        &["kill switch off", "agent alive", "1 alive, 1 hung, 1 dead", "below_cursor", "enforce, sheds"],
    );
    assert_says(
        &text,
        &[
            "Strategies",
            SHIELDED,
            "Endpoints",
            FAILING,
            "shielded",
            "failure-rate",
            "42/35",
            "Shields",
            "Skips",
            "the last one",
        ],
    );
    let state = |seat: usize| sight["stat"]["processes"][seat]["state"].as_str().unwrap().to_owned();
    assert_eq!([state(0), state(1), state(2)], ["alive", "dead", "hung"]);
    assert_eq!(sight["stat"]["processes"][0]["queue"]["queued"], 7);
    let rates = &sight["rates"]["processes"][0];
    let admitted_per_s = rates["admitted_per_s"].as_f64().unwrap();
    assert!((9_000.0..11_000.0).contains(&admitted_per_s), "{rates}");
    let refused_per_s = rates["refused_per_s"]["below_cursor"].as_f64().unwrap();
    assert!((1.9..2.1).contains(&(refused_per_s / admitted_per_s)), "{rates}");
    assert_eq!(sight["control"]["skips"][0]["ratio"], "5%");
    let failing = &sight["endpoints"]["unwell"][0];
    assert_eq!(
        (&failing["endpoint"], &failing["state"]),
        (&serde_json::json!(FAILING), &serde_json::json!("shielded")),
        "{failing}"
    );
    assert_eq!(
        (&failing["requests"], &failing["failures"]),
        (&serde_json::json!(80), &serde_json::json!(20)),
        "{failing}"
    );
    assert_eq!(
        (&failing["why"], &failing["success_percent"]),
        (&serde_json::json!("failure-rate"), &serde_json::json!(75.0)),
        "{failing}"
    );
    assert_eq!(sight["strategies"]["writer"]["state"], "alive");
}

#[test]
fn top_works_with_what_is_there() {
    let host = Host::new();
    std::fs::remove_file(host.file(Segment::Fail)).unwrap();
    std::fs::write(host.file(Segment::Trace), vec![0; 8_192]).unwrap();
    let text = said(&host.path, &["top", "--once", "--interval", "100ms"]);
    assert_says(&text, &["fail: ", "No such file", "trace: segment_bad_magic", "Processes", "Strategies"]);
    let sight = json(&host.path, &["top", "--json", "--interval", "100ms"]);
    assert_eq!((&sight["endpoints"], &sight["trace"]), (&Value::Null, &Value::Null));

    let (_temp, missing) = empty_dir();
    assert_says(
        &complained(&missing, &["top", "--once", "--interval", "100ms"]),
        &["mcrpc agent", "kill switch unknown"],
    );
}
