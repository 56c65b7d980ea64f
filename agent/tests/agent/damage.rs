//! A process of the group writes whatever it likes into the cells.

use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_agent::endpoints::Endpoints;
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::region::Shared;
use mcrpc_core::strategy::endpoint::{Endpoint, hash};
use mcrpc_core::time::Nanos;

/// The first word of the first cell, and of the endpoint in it.
const CELL: usize = 512;
const KEY: usize = CELL + 5;

#[test]
fn the_agent_remembers_no_more_endpoints_than_there_are_cells() {
    let words: Vec<AtomicU64> = (0..fail::segment_len(100) / 8).map(|_| AtomicU64::new(0)).collect();
    fail::create(Shared::new(&words), 100, 1, 2).unwrap();
    let cells = FailBuckets::attach(Shared::new(&words), (words.len() * 8) as u64).unwrap();
    let mut endpoints = Endpoints::new(None);
    let numbered = |number: u64| Endpoint { address: number.into(), port: 80, service_id: 1 };
    let mut gone = 0;
    for number in 1..=1_000 {
        let key = numbered(number).to_words();
        words[CELL].store(hash(key, 1), Ordering::Relaxed);
        key.iter().zip(KEY..).for_each(|(word, index)| words[index].store(*word, Ordering::Relaxed));
        gone += endpoints.look(&cells, Nanos(number)).gone.len();
    }
    let known = (1..=1_000).filter(|&number| endpoints.contains(&numbered(number)));
    assert_eq!((known.count(), gone), (1, 999));
}
