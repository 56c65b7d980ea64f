//! The shared segments as their users see them: one module per segment.

mod calls;
mod control;
mod fail;
mod header;
mod log;
mod stat;
mod strategy;
mod trace;

use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

/// Zeroed memory for a segment of so many bytes.
fn memory(len: usize) -> Vec<AtomicU64> {
    (0..len / 8).map(|_| AtomicU64::new(0)).collect()
}

fn len_of(words: &[AtomicU64]) -> u64 {
    size_of_val(words) as u64
}

/// Writes a word behind the back of the segment's owner.
fn overwrite(words: &[AtomicU64], index: usize, value: u64) {
    words[index].store(value, Ordering::Relaxed);
}

fn endpoint(n: u64) -> Endpoint {
    Endpoint { address: 0xFFFF_0A00_0000 + u128::from(n), port: 80, service_id: 1 }
}

/// A point in time, in seconds.
fn at(seconds: f64) -> Nanos {
    Nanos((seconds * NANOS_PER_SECOND as f64) as u64)
}
