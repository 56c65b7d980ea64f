//! The core where there is no operating system: the traces of `core/tests/trace_hash` have the golden hashes, frames are read as
//! they were written, and checksums are those of everybody else.
//!
//! `.ci/bare-metal` runs it on emulated machines. Nothing here is part of the library but what it calls.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../../core/tests/trace_hash/endpoints.rs"]
mod endpoints;
#[path = "../../../core/tests/trace_hash/scenarios.rs"]
mod scenarios;
#[path = "../../../core/tests/trace_hash/server.rs"]
mod server;
mod start;
#[path = "../../../core/tests/trace_hash/trace.rs"]
mod trace;

use linked_list_allocator::LockedHeap;
use mcrpc_core::wire::{Checksum, Header, Kind, Limits};
use semihosting::{println, process};

const GOLDEN: &str = include_str!("../../../core/tests/trace_hash/golden.txt");
const HEAP_LEN: usize = 8 << 20;

/// For the scenarios: the library allocates nothing.
#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();
static mut HEAP_MEMORY: [u8; HEAP_LEN] = [0; HEAP_LEN];

/// What the machine does.
pub extern "C" fn main() -> ! {
    // SAFETY: nothing else names this memory, and it is handed over once.
    unsafe { HEAP.lock().init((&raw mut HEAP_MEMORY).cast(), HEAP_LEN) };
    the_same_decisions_as_on_every_machine();
    a_header_is_read_as_it_was_written();
    println!("PASSED");
    process::exit(0)
}

fn the_same_decisions_as_on_every_machine() {
    let traces = scenarios::traces();
    assert_eq!(traces.len(), GOLDEN.lines().count());
    for ((name, trace), golden) in traces.iter().zip(GOLDEN.lines()) {
        println!("{name}: {trace}");
        assert_eq!(alloc::format!("{name}: {trace}"), golden);
    }
}

fn a_header_is_read_as_it_was_written() {
    let header = Header { uin: 0x0123_4567_89ab_cdef, budget_ms: 500, priority: 3, ..Header::new(Kind::Request, 42) };
    let bytes = header.emit();
    assert_eq!(bytes[0], 0xc7);
    assert_eq!(Header::parse(&bytes, &Limits::DEFAULT), Ok(header));
    // The check value of this CRC-32 in every catalogue.
    let mut sum = Checksum::new();
    sum.update(b"1234");
    sum.update(b"56789");
    assert_eq!(sum.value(), 0xcbf4_3926);
    println!("header and checksum: as everywhere");
}
