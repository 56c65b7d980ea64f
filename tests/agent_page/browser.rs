//! The page in a browser.

use std::fs;
use std::path::Path;
use std::process::Command;

use mcrpc_agent::clock;
use mcrpc_core::shield::breaker::Reason;
use mcrpc_core::shield::health::Totals;
use serde_json::{Value, json};

use crate::host::{Host, LONG, endpoint, seat_a_server};
use crate::support;

#[test]
fn a_browser_finds_no_fault_with_a_page_of_a_thousand_endpoints() {
    let host = Host::start(&["127.0.0.1:0"]);
    for number in 0..1_000 {
        host.with_health(&endpoint(number), |health| {
            health.add(&Totals { calls: [5_000 + u64::from(number), 0, u64::from(number % 7), 0], time_us: 90_000 });
            if number % 50 == 7 {
                health.trip(Reason::Rate, &LONG, clock::monotonic());
            }
        });
    }
    host.with_stat(seat_a_server);
    host.metrics(|all| all.series("mcrpc_host_calls_total").len() == 4_000);
    let parts = ["/", "/page.css", "/page.js"].map(|path| host.get(path, "").body.len());
    assert!(parts.iter().sum::<usize>() <= 100 << 10, "{parts:?} bytes");
    let seen = look("look.mjs", &[&format!("http://{}/", host.address), "1000"]);
    assert_eq!(seen["console"], json!([]));
    assert_eq!(seen["violations"], json!({ "light": [], "dark": [] }));
    assert_eq!((seen["rows"].as_u64(), seen["updates"].as_u64()), (Some(1_000), Some(2)));
    assert!(seen["first"].as_str().unwrap().contains("■ shielded"), "{seen}");
    assert_eq!((seen["found"].as_u64(), seen["focused"].as_str()), (Some(1), Some("endpoints-title")));
    println!("all rows were to be seen after {} ms, once in each colour scheme", seen["shown_ms"]);
    // A machine that is busy with other tests is slower; docs/testing.md has what an idle one needs.
    assert!(seen["shown_ms"].as_array().unwrap().iter().all(|ms| ms.as_u64().unwrap() < 10_000), "{seen}");
}

/// What a headless browser sees, by a script of this directory.
pub fn look(script: &str, arguments: &[&str]) -> Value {
    support::need("node", "nodejs");
    support::need("npm", "npm");
    support::need("chromium", "chromium");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("agent_page");
    fs::create_dir_all(&place).unwrap();
    for name in ["package.json", "package-lock.json", script] {
        fs::copy(support::root().join("tests/agent_page").join(name), place.join(name)).unwrap();
    }
    let installed =
        Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&place).output();
    let installed = installed.unwrap();
    assert!(installed.status.success(), "npm ci: {}", String::from_utf8_lossy(&installed.stderr));
    let mut node = Command::new("node");
    node.arg(script).args(arguments).current_dir(&place);
    let output = node.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
