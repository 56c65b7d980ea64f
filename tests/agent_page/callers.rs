//! Who calls whom, and how long that takes.

use mcrpc_core::host::calls::{CallCounters, Calls};
use mcrpc_core::shield::health::Totals;
use mcrpc_core::strategy::endpoint::Endpoint;

use crate::host::{Host, endpoint, seat_a_server};

#[test]
fn who_calls_whom_is_told_by_program_and_service() {
    let host = Host::start(&["127.0.0.1:0"]);
    // A Rust program says which of these are its own; a C program does not.
    host.with_health(&endpoint(1), |health| health.add(&Totals { calls: [20 + 4, 1, 3 + 1, 2], time_us: 9 }));
    let other = Endpoint { service_id: 8, ..endpoint(1) };
    host.with_health(&other, |health| health.add(&Totals { calls: [1, 0, 0, 0], time_us: 9 }));
    host.with_stat(seat_a_server);
    let edge = |caller: &str, service: &str, calls, failures| (caller.to_owned(), service.to_owned(), calls, failures);
    let expected = [edge("", "7", 5, 1), edge("", "8", 1, 0), edge("crawld", "7", 26, 3)];
    host.until("/api/graph", |graph| {
        let edges = graph["edges"].as_array().unwrap().iter().map(|edge| {
            let text = |key: &str| edge[key].as_str().unwrap().to_owned();
            (text("caller"), text("service"), edge["calls"].as_u64().unwrap(), edge["failures"].as_u64().unwrap())
        });
        edges.eq(expected.iter().cloned())
    });
}

#[test]
fn how_long_calls_take_is_told_by_program_and_service() {
    let host = Host::start(&["127.0.0.1:0"]);
    let seat = host.with_stat(seat_a_server);
    host.metrics(|all| !all.series("mcrpc_process_calls_total").is_empty());
    // From now on it is seen as new: 98 calls of about 5 ms, and two of about 300.
    let mut durations = [0; 13];
    (durations[4], durations[8]) = (98, 2);
    let calls = Calls { totals: Totals { calls: [100, 0, 0, 0], time_us: 1_090_000 }, durations };
    host.with_stat(|stat| CallCounters::open(stat, 7).add(stat, seat, &calls));
    let graph = host.until("/api/graph", |graph| graph["edges"][0]["p99_ms"].is_f64());
    let ms = |key: &str| graph["edges"][0][key].as_f64().unwrap();
    assert!((3.1..8.4).contains(&ms("p50_ms")) && (201.0..537.0).contains(&ms("p99_ms")), "{graph}");
}
