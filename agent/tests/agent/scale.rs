//! What a second costs for as many endpoints as a host has room for:
//!
//! ```sh
//! cargo test --release -p mcrpc-agent --test agent -- --ignored --nocapture
//! ```

use std::time::Instant;

use mcrpc_agent::agent::{Agent, Sources};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::probe::Question;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::shield::health::Totals;
use mcrpc_core::shield::rate::RateRules;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

const ENDPOINTS: u32 = 16_384;

#[test]
#[ignore = "it measures"]
fn a_second_of_all_endpoints() {
    let root = tempfile::tempdir().unwrap();
    let (publisher, _) = Publisher::open(&root.path().join("mcrpc"), Settings::DEFAULT).unwrap();
    let directory = Directory::open(publisher.directory().path(), None).unwrap();
    let sources =
        Sources { rules: Some(RateRules::DEFAULT), probes: Some(Question::Ping), ..super::generating("default") };
    let mut agent = Agent::new(publisher, sources);
    let mapping = directory.map_writable(Segment::Fail).unwrap();
    let cells = FailBuckets::attach(mapping.shared(), mapping.len()).unwrap();
    let endpoints: Vec<_> = (0..ENDPOINTS)
        .map(|number| Endpoint::new((std::net::Ipv4Addr::from_bits(0x0A00_0000 + number), 80).into(), 7))
        .collect();
    let ids: Vec<_> = endpoints.iter().map(|endpoint| cells.bucket(endpoint).unwrap()).collect();
    for (name, calls) in [("idle", [0, 0, 0, 0]), ("well", [100, 0, 1, 0]), ("each with a pass rate", [90, 0, 10, 0])] {
        let mut took = Vec::new();
        for second in 1..=15 {
            for &id in &ids {
                cells.health(id).unwrap().add(&Totals { calls, time_us: 1 });
            }
            let start = Instant::now();
            agent.second(Nanos(second * NANOS_PER_SECOND));
            took.push(start.elapsed());
        }
        took.sort_unstable();
        println!("{ENDPOINTS} endpoints, {name}: median {:?}, most {:?}", took[took.len() / 2], took[took.len() - 1]);
    }
}
