//! What holds in every interleaving.
//!
//! Of the orderings that the source asks for some are not needed by anything: that a compare-and-swap releases, that it
//! acquires when it fails, and the release of stores to words that no reader orders anything by (heartbeat, count of
//! entries, records, what an operator says). Nothing here fails without them. And loom lets no load see a store that comes later: the
//! order between what the agent has read of a log ring and its word that the cells are empty is not proved here.

mod fail;
mod header;
mod health;
mod log;
mod seat;
mod set;
mod stat;
mod table;
mod trace;
mod writer;

use std::ops::Range;
use std::sync::Arc;

use crate::sync::{AtomicU64, explore};

/// Words that threads share.
type Words = Arc<[AtomicU64]>;

/// Zeroed words.
fn words(len: usize) -> Words {
    (0..len).map(|_| AtomicU64::default()).collect()
}

/// Loom explores these words of a segment; the others no longer change.
fn explore_parts(words: &Words, parts: &[Range<usize>]) {
    for part in parts {
        explore(&words[part.clone()]);
    }
}
