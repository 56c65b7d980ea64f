//! Allocations of this program, by thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::callers::{Rust, Users, Work as _};
use crate::measure::{Spread, Wanted, report};
use crate::world::{Plan, World};

const CALLS: u64 = 100_000;
/// Few enough that no endpoint is shielded.
const RETRIED_CALLS: u64 = 32;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; the counter allocates nothing and needs no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; the memory is from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// How often some work allocates.
pub fn of(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// Prints how often calls do.
pub fn all() {
    let world = World::create(Plan::healthy(100));
    let (rust, mut users) = (Rust::new(&world), Users(0));
    let count = of(|| {
        rust.calls(&mut users, CALLS);
        rust.retried_calls(&mut users, RETRIED_CALLS);
    });
    println!();
    let name = format!("allocations of {CALLS} calls and {RETRIED_CALLS} with a retry");
    report(&name, Spread::exact(count as f64), "", Wanted::AtMost(0.0));
}
