//! The table of the hot calls (`tests/c/hot_calls.h`), and the host that its programs want: an agent has found out
//! something about an endpoint, an operator has said something, and the other endpoints are well.

use std::collections::BTreeSet;
use std::path::Path;

use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::control::{Author, Operator, Target};
use mcrpc_core::host::files::Segment;
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::time::Nanos;

/// What every program of the table is made of besides its own file.
pub const TABLE: [&str; 2] = ["tests/c/hot_calls.c", "tests/c/hot_world.c"];

/// The service in the programs.
const SERVICE_ID: u32 = 7;

/// The functions that `ffi/abi.toml` calls hot.
pub fn names() -> BTreeSet<String> {
    let contract: toml::Table = std::fs::read_to_string(super::root().join("ffi/abi.toml")).unwrap().parse().unwrap();
    let groups = contract["group"].as_array().unwrap().iter().filter(|group| group["hot"].as_bool().unwrap());
    groups
        .flat_map(|group| group["functions"].as_array().unwrap())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// Makes the host's directory. It is there, and its strategies are believed, for as long as the publisher is refreshed.
pub fn publish(directory: &Path) -> Publisher {
    let settings = Settings { capacity: 1_000, seats: 64, counters: 64, log_cells: Some(64), ..Settings::default() };
    let (mut publisher, _) = Publisher::open(directory, settings).unwrap();
    let entry = Entry { pass_rate: Per10k::new(5_000).unwrap(), kind: Kind::Normal, reject_level: RejectLevel::OPEN };
    publisher.set(&endpoint("10.0.0.1:1"), &entry, Counts::default()).unwrap();

    let mapping = publisher.directory().map_writable(Segment::Control).unwrap();
    let operator = Operator::attach(mapping.shared(), mapping.len()).unwrap();
    let (now, author) = (Nanos(0), Author { uid: 0, at_s: 1 });
    operator.set_salt(Salt(4711));
    operator.shield(&endpoint("10.0.3.1:1"), None, now, author).unwrap();
    operator.skip(Target { service_id: 9, method_id: 0 }, Per10k::ALL, now, author).unwrap();
    operator.dye(Uin(1), None, now, author).unwrap();
    publisher
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint::new(address.parse().unwrap(), SERVICE_ID)
}
