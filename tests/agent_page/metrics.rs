//! What is read is what the segments hold.

use std::fs;

use mcrpc_agent::clock;
use mcrpc_core::admission::Cursor;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::breaker::Reason;
use mcrpc_core::shield::health::Totals;
use mcrpc_core::status::Refusal;
use serde_json::json;

use crate::host::{Host, LONG, endpoint, seat_a_server};
use crate::openmetrics::Exposition;
use crate::support;

#[test]
fn what_the_segments_hold_is_what_prometheus_reads() {
    let host = Host::start(&["127.0.0.1:0"]);
    host.with_health(&endpoint(1), |health| health.add(&Totals { calls: [5, 4, 3, 2], time_us: 2_500_000 }));
    host.with_health(&endpoint(2), |health| {
        assert!(health.trip(Reason::Rate, &LONG, clock::monotonic()));
        health.set_cursor(Cursor(0x123), 9_000, clock::monotonic());
    });
    let seat = host.with_stat(seat_a_server);
    let of = |name: &str, more: &str| format!("{name}{{endpoint=\"10.0.0.1:8000\",peer_service=\"7\"{more}}}");
    let shielded = r#"mcrpc_host_endpoint_state{endpoint="10.0.0.2:8000",peer_service="7",state="shielded"}"#;
    let server = |name: &str, more: &str| format!("{name}{{seat=\"{seat}\",process=\"crawld\"{more}}}");
    let within = |le: &str| {
        let labels = format!("le=\"{le}\",seat=\"{seat}\",process=\"crawld\",peer_service=\"7\"");
        format!("mcrpc_process_call_duration_seconds_bucket{{{labels}}}")
    };
    let all = host.metrics(|all| all.has(shielded) && all.has(&server("mcrpc_process_queued", "")));
    for (outcome, count) in [("ok", 5.0), ("logic", 4.0), ("failed", 3.0), ("overloaded", 2.0)] {
        assert_eq!(all.value(&of("mcrpc_host_calls_total", &format!(",outcome=\"{outcome}\""))), count);
    }
    let cases = [
        (of("mcrpc_host_call_duration_seconds_total", ""), 2.5),
        (shielded.to_owned(), 1.0),
        ("mcrpc_host_endpoints{state=\"shielded\"}".to_owned(), 1.0),
        (r#"mcrpc_host_endpoint_cursor{endpoint="10.0.0.2:8000",peer_service="7"}"#.to_owned(), 291.0),
        (r#"mcrpc_host_endpoint_shields_total{endpoint="10.0.0.2:8000",peer_service="7"}"#.to_owned(), 1.0),
        (server("mcrpc_process_queued", ""), 5.0),
        (server("mcrpc_process_running", ""), 2.0),
        (server("mcrpc_process_admitted_total", ""), 100.0),
        (server("mcrpc_process_completed_total", ""), 93.0),
        (server("mcrpc_process_demand_per_second", ""), 250.5),
        (server("mcrpc_process_capacity_per_second", ""), 100.0),
        (server("mcrpc_process_shedding", ""), 1.0),
        (server("mcrpc_process_cursor", ""), 1_048_576.0),
        (server("mcrpc_process_unanswered_total", ""), 3.0),
        (server("mcrpc_process_calls_total", ",peer_service=\"7\",outcome=\"failed\""), 3.0),
        (server("mcrpc_process_call_duration_seconds_sum", ",peer_service=\"7\""), 1.5),
        (server("mcrpc_process_call_duration_seconds_count", ",peer_service=\"7\""), 24.0),
        (within("0.000393216"), 0.0),
        (within("0.001048576"), 20.0),
        (within("0.536870912"), 23.0),
        (within("12.884901888"), 23.0),
        (within("+Inf"), 24.0),
        (r#"mcrpc_host_counter_total{id="4",key="9"}"#.to_owned(), 11.0),
        (r#"mcrpc_agent_segment_believed{segment="strategy"}"#.to_owned(), 1.0),
        ("mcrpc_host_killed".to_owned(), 0.0),
    ];
    for (series, value) in cases {
        assert_eq!(all.value(&series), value, "{series}");
    }
    let refused = all.series("mcrpc_process_refused_total");
    let sum: f64 = refused.iter().map(|series| all.value(series)).sum();
    assert_eq!((refused.len(), sum), (Refusal::COUNT, 40.0));
    assert!(!all.has(&of("mcrpc_host_endpoint_state", ",state=\"normal\"")), "what is normal is not said");
    assert_eq!(all.series("mcrpc_host_counter_total").len(), 1, "the reserved counters are shown as calls");

    let plain = host.get("/metrics", "");
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4"), "{}", plain.head);
    assert!(plain.body.contains("# TYPE mcrpc_host_calls_total counter\n") && !plain.body.contains("# EOF"));
    assert!(
        plain.body.contains("# HELP mcrpc_host_calls_total ") && plain.body.contains("# TYPE mcrpc_host_killed gauge")
    );
    assert!(plain.body.contains("# TYPE mcrpc_process_call_duration_seconds histogram\n"));
    every_metric_of_the_operators_files_exists(&all);
}

/// In the rules, the dashboard and the page of the documentation.
fn every_metric_of_the_operators_files_exists(all: &Exposition) {
    let known: Vec<String> = all
        .families
        .iter()
        .map(|(name, kind, _)| if kind == "counter" { format!("{name}_total") } else { name.clone() })
        .chain(["up", "mcrpc_agent_etcd_followed"].map(str::to_owned))
        .collect();
    for file in ["operations/alerts.yml", "operations/grafana.json", "dashboard.md"] {
        let text = fs::read_to_string(support::root().join("docs").join(file)).unwrap();
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words = text.split(|letter: char| !is_part(letter));
        let named: Vec<&str> = words
            .filter(|word| {
                ["mcrpc_host_", "mcrpc_process_", "mcrpc_agent_", "process_"].iter().any(|it| word.starts_with(it))
            })
            .collect();
        assert!(!named.is_empty(), "{file} names no metric");
        for name in named {
            let name = name.trim_end_matches("_bucket");
            assert!(known.iter().any(|known| known == name), "{file} names {name}, which there is not: {known:#?}");
        }
        for name in known.iter().filter(|name| file == "dashboard.md" && *name != "up") {
            assert!(text.contains(&format!("`{name}`")), "{file} does not tell of {name}");
        }
    }
}

/// Given strategies that nobody refreshes any more, then no program heeds them, and the agent does not show them as if one did.
#[test]
fn strategies_that_are_stale_are_not_shown_as_if_they_were_in_force() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "10.0.0.1:8000 service=7 pass=35%\n").unwrap();
    let host = Host::start(&["127.0.0.1:0", "--strategies", file.path().to_str().unwrap()]);
    host.with_health(&endpoint(1), |health| health.add(&Totals { calls: [5, 4, 3, 2], time_us: 2_500_000 }));
    let series = r#"mcrpc_host_endpoint_pass_ratio{endpoint="10.0.0.1:8000",peer_service="7"}"#;
    // What the agent looks at may change while it looks: its own count may be of a moment before the entry.
    let all = host.metrics(|all| all.has(series) && all.value("mcrpc_agent_strategies") > 0.0);
    assert_eq!((all.value(series), all.value("mcrpc_agent_strategies")), (0.35, 1.0));
    host.until("/api/state", |state| state["strategies"]["in_force"] == true && state["health"] == json!([]));

    // A copy takes the name of the table, as old as one gets in a minute in which nobody refreshes it.
    let table = host.root.path().join("run").join(Segment::Strategy.file_name().to_str().unwrap());
    let mut copy = fs::read(&table).unwrap();
    let refreshed_ms = u64::from_le_bytes(copy[88..96].try_into().unwrap());
    copy[88..96].copy_from_slice(&refreshed_ms.saturating_sub(60_000).to_le_bytes());
    let replacement = table.with_extension("new");
    fs::write(&replacement, copy).unwrap();
    fs::rename(&replacement, &table).unwrap();
    let all = host.metrics(|all| !all.has(series));
    assert_eq!(all.value("mcrpc_agent_strategies"), 0.0);
    assert_eq!(all.value(r#"mcrpc_agent_segment_believed{segment="strategy"}"#), 0.0);
    let state = host.until("/api/state", |state| state["strategies"]["in_force"] == false);
    assert_eq!((&state["strategies"]["active"], &state["endpoints"][0]["pass_percent"]), (&json!(0), &json!(100.0)));
    assert!(state["health"][0]["text"].as_str().unwrap().contains("stale"), "{state}");
}
