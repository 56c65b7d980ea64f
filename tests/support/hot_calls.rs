//! The table of the hot calls (`tests/c/hot_calls.h`), and the host that its programs want: an agent has found out
//! something about an endpoint, an operator has said something, and the other endpoints are well.

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

/// Makes the host's directory. It is there, and its strategies are believed, for as long as the publisher is refreshed.
pub fn publish(directory: &Path) -> Publisher {
    let settings = Settings { capacity: 1_000, seats: 64, counters: 64, ..Settings::default() };
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
