//! The same input gives the same decisions on every machine: traces of the controller and of the choice of endpoints hash to
//! the values in `golden.txt`, whatever the width and the order of bytes of the machine (`.ci/cross` runs this on others).
//!
//! A change of a decision changes the values: `MCRPC_UPDATE=1 cargo test -p mcrpc-core --test trace_hash` writes them anew, and
//! the counts beside them say how much has moved. It uses nothing but the core, so that it builds fast for any target.

#![deny(clippy::float_arithmetic)]

extern crate alloc;

mod endpoints;
mod scenarios;
mod server;
mod trace;

use std::fmt::Write as _;
use std::path::Path;

#[test]
fn the_same_input_gives_the_same_decisions_on_every_machine() {
    let found = scenarios::traces().iter().fold(String::new(), |mut text, (name, trace)| {
        writeln!(text, "{name}: {trace}").unwrap();
        text
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace_hash/golden.txt");
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        golden, found,
        "{path:?} differs. If the decisions were meant to change: \
         MCRPC_UPDATE=1 cargo test -p mcrpc-core --test trace_hash, and review the counts"
    );
}
