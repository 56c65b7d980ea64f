//! The shared segments, compiled a second time over words that are watched.
//!
//! - `models`: every interleaving of their writers and readers, and every stale value that the memory model lets a
//!   reader see, is explored by loom. Each proof also shows that it could fail: it is repeated with one ordering, fence
//!   or compare-and-swap of the unchanged source weakened ([`sync::Mutant`]), and must not hold then.
//! - `killed`: every prefix of a writer's stores is replayed, which is what a SIGKILL there leaves to readers and to
//!   the next writer.

#![cfg(target_pointer_width = "64")]

mod killed;
mod models;
mod sync;

// The sources name each other by `super`, so they stand side by side here.
#[path = "../../src/shield/breaker.rs"]
#[allow(dead_code)]
mod breaker;
#[path = "../../src/host/bucket.rs"]
#[allow(dead_code)]
mod bucket;
#[path = "../../src/strategy/cold.rs"]
#[allow(dead_code)]
mod cold;
#[path = "../../src/host/control.rs"]
#[allow(dead_code)]
mod control;
#[path = "../../src/strategy/endpoint.rs"]
#[allow(dead_code, clippy::wrong_self_convention)]
mod endpoint;
#[path = "../../src/strategy/entry.rs"]
#[allow(dead_code, clippy::wrong_self_convention)]
mod entry;
#[path = "../../src/host/fail.rs"]
#[allow(dead_code)]
mod fail;
#[path = "../../src/host/header.rs"]
#[allow(dead_code)]
mod header;
#[path = "../../src/shield/health.rs"]
#[allow(dead_code)]
mod health;
#[path = "../../src/id.rs"]
#[allow(dead_code)]
mod id;
#[path = "../../src/shield/leak.rs"]
#[allow(dead_code)]
mod leak;
#[path = "../../src/host/log.rs"]
#[allow(dead_code)]
mod log;
#[path = "../../src/shield/outcome.rs"]
#[allow(dead_code)]
mod outcome;
#[path = "../../src/strategy/placement.rs"]
#[allow(dead_code)]
mod placement;
#[path = "../../src/host/region.rs"]
#[allow(dead_code)]
mod region;
#[path = "../../src/host/rings.rs"]
#[allow(dead_code)]
mod rings;
#[path = "../../src/host/seat.rs"]
#[allow(dead_code)]
mod seat;
#[path = "../../src/select/mod.rs"]
#[allow(dead_code)]
mod select;
#[path = "../../src/shield/skip.rs"]
#[allow(dead_code)]
mod skip;
#[path = "../../src/host/stat.rs"]
#[allow(dead_code)]
mod stat;
#[path = "../../src/strategy/table.rs"]
#[allow(dead_code)]
mod table;
#[path = "../../src/host/trace.rs"]
#[allow(dead_code)]
mod trace;
#[path = "../../src/strategy/writer.rs"]
#[allow(dead_code)]
mod writer;

use mcrpc_core::{admission, status, time};

mod host {
    pub(crate) use crate::{bucket, control, fail, header, region};
}

mod shield {
    pub(crate) use crate::{breaker, health, leak, outcome, skip};
}

mod strategy {
    pub(crate) use crate::{endpoint, entry, table};
}
