//! The error index: every status has a usual cause, something to do about it, and a call that a C program makes to get it.
//!
//! `MCRPC_UPDATE=1 cargo test --test error_index` writes `docs/status.md` anew.

mod causes;
mod document;
mod provoke;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use mcrpc_core::status::Status;

use provoke::provoked;
use support::{linkages, root};

/// The names on the list, in its order.
fn names() -> Vec<&'static str> {
    Status::ALL.iter().map(|entry| entry.name.get().to_str().expect("names are ASCII")).collect()
}

#[test]
fn every_status_is_provoked_through_the_c_abi() {
    for linkage in linkages() {
        let provoked = provoked(linkage);
        let lacking: Vec<_> = names().into_iter().filter(|name| !provoked.contains_key(*name)).collect();
        assert!(lacking.is_empty(), "{linkage:?}: provoke {lacking:?} in tests/c/errors_*.c");
        let unlisted: Vec<_> = provoked.keys().filter(|name| !names().contains(&name.as_str())).collect();
        assert!(unlisted.is_empty(), "{linkage:?}: {unlisted:?} are not in core/src/status.rs");
    }
}

#[test]
fn every_status_has_a_usual_cause() {
    let described: Vec<Status> = causes::CAUSES.iter().map(|(status, _)| *status).collect();
    let listed: Vec<Status> = Status::ALL.iter().map(|entry| entry.status).collect();
    assert_eq!(described, listed, "tests/error_index/causes.rs has the list of core/src/status.rs, in its order");
}

#[test]
fn the_document_is_the_generated_one() {
    let provoked: BTreeMap<String, String> = provoked(support::Linkage::Static);
    let (file, generated) = (root().join("docs/status.md"), document::generate(&provoked));
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap_or_default() == generated,
        "docs/status.md is stale: run `MCRPC_UPDATE=1 cargo test --test error_index` and review the diff"
    );
}
