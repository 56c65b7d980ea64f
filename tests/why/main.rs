//! `mcrpc why`: every reason for which a call can be refused is reached, named and given a remedy, and nothing of the host is
//! touched by asking.

mod host;

use std::collections::BTreeSet;

use mcrpc_agent::clock;
use mcrpc_core::admission::posed::Gate;
use mcrpc_core::admission::{Cursor, Mode};
use mcrpc_core::host::control::{Mechanism, Setting, Target};
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::id::Per10k;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::shield::breaker::{Reason, Settings};
use mcrpc_core::status::{Class, Refusal, Status};
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use serde_json::Value;

use host::{AUTHOR, ENDPOINTS, Host, SERVICE};

const WHOLE_SERVICE: Target = Target { service_id: SERVICE, method_id: 0 };

/// What only a server or a connection can find out when the call is there.
const NOT_FORETOLD: [Status; 3] = [Status::WORKER_LOST, Status::GOING_AWAY, Status::TOO_MANY_OPEN_CALLS];

/// Shields an endpoint for longer than a test takes.
fn trip(host: &Host, endpoint: &str) {
    let settings = Settings { backoff_min_ms: 4_000, ..Settings::DEFAULT };
    host.health(endpoint, |health| _ = health.trip(Reason::Rate, &settings, clock::monotonic()));
}

fn close(host: &Host) {
    for endpoint in ENDPOINTS {
        host.health(endpoint, |health| health.set_cursor(Cursor(1), 10_000, clock::monotonic()));
    }
}

fn shield(host: &Host) {
    host.operate(|operator| {
        for endpoint in ENDPOINTS {
            let endpoint = mcrpc_core::strategy::endpoint::Endpoint::new(endpoint.parse().unwrap(), SERVICE);
            operator.shield(&endpoint, None, clock::monotonic(), AUTHOR).unwrap();
        }
    });
}

fn skip(host: &Host) {
    host.operate(|operator| operator.skip(WHOLE_SERVICE, Per10k::ALL, clock::monotonic(), AUTHOR).unwrap());
}

/// A case: what has happened on the host, and the call.
type Case = (Status, fn(&Host), &'static [&'static str]);

const FIRST: &str = ENDPOINTS[0];
const SECOND: &str = ENDPOINTS[1];

const OF_CLIENTS: [Case; 8] = [
    (Status::SKIPPED, skip, &[]),
    (Status::SHIELDED, shield, &[]),
    (Status::BUCKET_FULL, |host| trip(host, SECOND), &["--tried", FIRST]),
    (Status::WITHHELD, close, &["--priority", "3"]),
    (Status::NO_ENDPOINT, |_| (), &["--tried", FIRST, "--tried", SECOND]),
    (Status::ATTEMPTS_EXHAUSTED, |_| (), &["--tried", FIRST, "--tried", FIRST, "--tried", FIRST, "--tried", FIRST]),
    (Status::BUDGET_EXHAUSTED, |_| (), &["--tried", FIRST, "--tokens", "0"]),
    (Status::OUT_OF_TIME, |_| (), &["--tried", FIRST, "--timeout", "0"]),
];

#[test]
fn every_reason_for_which_a_client_refuses_is_foretold() {
    for (status, happens, arguments) in OF_CLIENTS {
        let host = Host::new();
        assert_eq!(host.why(&[])["verdict"]["code"], 0, "all is well at first");
        happens(&host);
        let verdict = &host.why(arguments)["verdict"];
        assert_eq!(verdict["code"], status.0, "{status:?}: {verdict}");
        assert!(!verdict["remedy"].as_array().unwrap().is_empty(), "{status:?}");
    }
    let reached: BTreeSet<i32> = OF_CLIENTS.iter().map(|(status, ..)| status.0).collect();
    let all: BTreeSet<i32> = Decision::ALL.into_iter().filter_map(Decision::refusal).map(|status| status.0).collect();
    assert_eq!(reached, all, "a reason has no case here");
}

const GATE: Gate = Gate {
    marginal_cursor: Cursor::OPEN,
    ns_per_request: 4_000_000,
    service_floor_ns: 80_000_000,
    hard_wait_limit_us: 80_000,
    target_wait_ms: 15,
    soft_wait_limit_ms: 40,
    workers: 2,
    enforced: Per10k::ALL,
    is_cpu_bound: false,
};

/// A server that sheds: five wait, two run.
fn busy() -> QueueReport {
    let (queued, running, mode) = (5, 2, Mode::Enforce as u64);
    let cursor = Cursor::OPEN.0.into();
    QueueReport { queued, running, mode, cursor, shedding: 1, gate: Some(GATE), ..QueueReport::default() }
}

type ServerCase = (Refusal, fn() -> QueueReport, &'static [&'static str]);

const OF_SERVERS: [ServerCase; 7] = [
    (Refusal::QueueFull, || QueueReport { queued: 31_999, ..busy() }, &[]),
    (Refusal::BelowCursor, || QueueReport { cursor: 1, ..busy() }, &["--priority", "3"]),
    (
        Refusal::WaitAboveSoftLimit,
        || QueueReport { queued: 12, gate: Some(Gate { marginal_cursor: Cursor(1), ..GATE }), ..busy() },
        &["--priority", "3"],
    ),
    (Refusal::WaitAboveHardLimit, || QueueReport { queued: 100, ..busy() }, &[]),
    (Refusal::DeadlineOnArrival, busy, &["--timeout", "100"]),
    (Refusal::DeadlineInQueue, busy, &["--timeout", "5", "--waited", "50"]),
    (Refusal::ExpiredOnArrival, busy, &["--timeout", "0"]),
];

#[test]
fn every_reason_for_which_a_server_refuses_is_foretold() {
    let host = Host::new();
    for (refusal, report, arguments) in OF_SERVERS {
        host.report(&QueueReport { queued: 0, running: 1, shedding: 0, ..busy() });
        assert_eq!(host.why(&[])["servers"][0]["verdict"], "admits", "a worker is idle");
        host.report(&report());
        let server = &host.why(arguments)["servers"][0];
        assert_eq!(
            (&server["verdict"], &server["reason"]["code"]),
            (&"refuses".into(), &refusal.status().0.into()),
            "{refusal:?}: {server}"
        );
        assert!(!server["remedy"].as_array().unwrap().is_empty(), "{refusal:?}");

        host.report(&QueueReport { mode: Mode::Observe as u64, ..report() });
        let server = &host.why(arguments)["servers"][0];
        assert_eq!(
            (&server["verdict"], &server["reason"]["code"]),
            (&"would_refuse".into(), &refusal.status().0.into()),
            "only observed: {server}"
        );
        host.report(&QueueReport { mode: Mode::Off as u64, ..report() });
        assert_eq!(host.why(arguments)["servers"][0]["verdict"], "admits", "{refusal:?} while it is off");
    }
    let reached: BTreeSet<i32> = OF_SERVERS.iter().map(|(refusal, ..)| refusal.status().0).collect();
    assert_eq!(reached, Refusal::ALL.map(|refusal| refusal.status().0).into(), "a reason has no case here");
}

#[test]
fn every_status_that_refuses_on_purpose_is_foretold_or_known_not_to_be() {
    let of_clients = OF_CLIENTS.iter().map(|(status, ..)| status.0);
    let foretold: BTreeSet<i32> = of_clients.chain(OF_SERVERS.iter().map(|(refusal, ..)| refusal.status().0)).collect();
    for entry in Status::ALL {
        let refuses = matches!(entry.class, Class::Overload | Class::Deadline | Class::Shielded | Class::Skipped);
        let is_known = foretold.contains(&entry.status.0) != NOT_FORETOLD.contains(&entry.status);
        assert_eq!(is_known, refuses, "{:?}: give it a case, or say that it cannot be foretold", entry.status);
    }
}

#[test]
fn what_is_only_observed_or_killed_is_sent_and_said() {
    for (mechanism, happens, arguments) in [
        (Mechanism::Skip, skip as fn(&Host), &[][..]),
        (Mechanism::Shield, shield, &[]),
        (Mechanism::FastReject, close, &["--priority", "3"]),
        (Mechanism::RetryBudget, |_| (), &["--tried", FIRST, "--tokens", "0"]),
    ] {
        let host = Host::new();
        happens(&host);
        assert_ne!(host.why(arguments)["verdict"]["code"], 0, "{mechanism:?}");
        let set = |mode| {
            host.operate(|operator| {
                operator.set_mechanism(mechanism, Some(Setting { mode, share: Per10k::ALL }), AUTHOR);
            });
        };
        set(Mode::Observe);
        let verdict = &host.why(arguments)["verdict"];
        assert_eq!((&verdict["code"], &verdict["would_refuse"]), (&0.into(), &serde_json::json!([mechanism.name()])));
        set(Mode::Off);
        let verdict = &host.why(arguments)["verdict"];
        assert_eq!((&verdict["code"], &verdict["would_refuse"]), (&0.into(), &serde_json::json!([])));
        set(Mode::Enforce);
        assert_ne!(host.why(arguments)["verdict"]["code"], 0, "{mechanism:?}, and back");
        host.operate(|operator| _ = operator.set_killed(true, AUTHOR));
        assert_eq!(host.why(arguments)["verdict"]["code"], 0, "{mechanism:?}, killed");
    }
}

#[test]
fn of_calls_that_draw_for_themselves_it_is_said_where_they_go() {
    let host = Host::new();
    let chosen = host.why(&[])["verdict"]["endpoint"].as_str().unwrap().to_owned();
    let entry = Entry { pass_rate: Per10k::new(1_000).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    host.strategies(&[(&chosen, entry)], 0);
    let stay = || {
        let of_calls = host.why(&[])["verdict"]["of_calls"].clone();
        let counts = of_calls.as_object().unwrap();
        (counts.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), of_calls[&chosen].as_u64().unwrap())
    };
    let set = |mode| {
        host.operate(|operator| {
            operator.set_mechanism(Mechanism::PassRate, Some(Setting { mode, share: Per10k::ALL }), AUTHOR);
        });
    };
    let (asked, at_first) = stay();
    assert!((1..asked / 2).contains(&at_first), "about a tenth of {asked}: {at_first}");
    set(Mode::Observe);
    assert_eq!(stay(), (asked, asked));
    set(Mode::Enforce);
    assert_eq!(stay(), (asked, at_first), "and back");
}

#[test]
fn each_step_says_what_was_measured_against_what_and_who_set_it() {
    let host = Host::new();
    skip(&host);
    let entry = Entry { pass_rate: Per10k::new(100).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    host.strategies(&ENDPOINTS.map(|endpoint| (endpoint, entry)), 0);
    let answer = host.why(&["--method", "demo.Echo.Get"]);
    let step = |answer: &Value, name: &str| {
        let steps = answer["steps"].as_array().unwrap();
        steps.iter().find(|step| step["mechanism"] == name).cloned().unwrap()
    };
    let skipped = step(&answer, "skip");
    assert_eq!((&skipped["says"], &skipped["threshold"]), (&"refuses".into(), &"100% of the users".into()));
    assert_eq!((&skipped["set_by"]["who"], &skipped["set_by"]["by_uid"]), (&"operator".into(), &42.into()));
    assert_eq!(step(&answer, "pass-rate")["says"], "not_asked");
    host.operate(|operator| operator.skip(WHOLE_SERVICE, Per10k::NONE, clock::monotonic(), AUTHOR).unwrap());

    let answer = host.why(&[]);
    let rates = step(&answer, "pass-rate");
    assert_eq!((&rates["threshold"], &rates["set_by"]["who"]), (&"1%".into(), &"agent".into()));
    assert!(rates["age_ms"].as_u64().is_some());
    let order: Vec<&str> =
        answer["steps"].as_array().unwrap().iter().map(|step| step["mechanism"].as_str().unwrap()).collect();
    assert_eq!(order, ["kill-switch", "skip", "routing", "global-shield", "shield", "pass-rate", "fast-reject"]);

    host.strategies(&ENDPOINTS.map(|endpoint| (endpoint, entry)), 60_000);
    let answer = host.why(&[]);
    assert_eq!(answer["verdict"]["code"], 0, "what is stale is not believed");
    assert!(answer["sources"].to_string().contains("Look after the agent"));
}

#[test]
fn asking_changes_nothing_of_the_host() {
    let host = Host::new();
    skip(&host);
    close(&host);
    trip(&host, FIRST);
    // A probe that is due would be taken by a call.
    let past = Settings { backoff_min_ms: 1, backoff_max_ms: 1, ..Settings::DEFAULT };
    let long_ago = mcrpc_core::time::Nanos(clock::monotonic().0.saturating_sub(5_000_000_000));
    host.health(SECOND, |health| _ = health.trip(Reason::Rate, &past, long_ago));
    host.report(&busy());
    let before = host.bytes();
    for arguments in [&[][..], &["--tried", FIRST], &["--timeout", "10"]] {
        host.why(arguments);
    }
    assert!(before == host.bytes());
}

#[test]
fn without_a_host_calls_pass_and_the_reason_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let answer = host::why(&temp.path().join("missing"), &[]);
    assert_eq!(answer["verdict"]["name"], "no_endpoint");
    assert!(answer["sources"][0]["why_not"].as_str().unwrap().contains("mcrpc agent"));
}

/// With files the endpoints, zones and limits are theirs, and the service has its name.
#[test]
fn with_routes_the_question_is_that_of_a_client_of_these_files() {
    let (host, root) = (Host::new(), tempfile::tempdir().unwrap());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/routes.md")).unwrap();
    let blocks = page.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for (path, text) in ["client/sz/demo_cli.conf", "route/global/demo_route.conf"].into_iter().zip(blocks) {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let routes = root.path().to_str().unwrap();
    let answer = host::ask(&host.path, &["--uin", "7", "--service", "demo", "--routes", routes, "--idc", "sz"]);
    let chosen = &answer["verdict"]["endpoint"];
    let candidates = answer["candidates"].as_array().unwrap();
    let taken: Vec<&Value> = candidates.iter().filter(|candidate| candidate["answer"] == "chosen").collect();
    assert!(taken.len() == 1 && taken[0]["endpoint"] == *chosen, "{answer}");
    assert!(answer["endpoints_from"].as_str().unwrap().ends_with("demo_route.conf"));
    let of_others = candidates.iter().filter(|candidate| candidate["group"] != taken[0]["group"]);
    assert!(of_others.clone().count() > 0 && of_others.clone().all(|other| other["answer"] == "not_looked_at"));
}
