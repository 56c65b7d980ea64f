//! Shielding as callers of the core see it: the breaker's word, the cell that processes share, what the agent judges, and
//! the skip. The clock is stepped.

mod breaker;
mod cell;
mod clock;
mod leak;
mod rate;
mod skip;

use std::sync::atomic::AtomicU64;

use mcrpc_core::host::region::Shared;
use mcrpc_core::shield::health::{Health, LEN};
use mcrpc_core::time::Nanos;

/// The words of a cell of which nothing is known.
fn cell() -> [AtomicU64; LEN] {
    [const { AtomicU64::new(0) }; LEN]
}

fn health(words: &[AtomicU64]) -> Health<'_> {
    Health::new(Shared::new(words))
}

/// A point in time, in milliseconds.
fn at(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}
