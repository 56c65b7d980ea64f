//! What choosing an endpoint costs per call, and reporting what it did, beside what a Rust program would use instead.
//!
//! `cargo bench --bench select` prints nanoseconds (medians, and the span from the 10th to the 90th percentile), ratios
//! within one run, allocations and, if valgrind is installed, instructions and cache misses; `-- --quick` takes fewer
//! samples and leaves valgrind out. Everything is measured through the C ABI of the shared library, as a C program would call
//! it, and through Rust, in turn, in short batches. The other process is this program, started again on the same host.

mod allocations;
mod api;
mod callers;
#[path = "../common/callgrind.rs"]
mod callgrind;
mod calls;
mod counts;
#[path = "../common/library.rs"]
mod library;
#[path = "../common/measure.rs"]
mod measure;
mod neighbour;
mod reports;
mod rivals;
mod world;

use std::path::Path;

use crate::api::Api;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    rounds: usize,
    batches: usize,
    with_valgrind: bool,
}

const FULL: Size = Size { rounds: 21, batches: 10, with_valgrind: true };
const QUICK: Size = Size { rounds: 5, batches: 5, with_valgrind: false };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["neighbour", directory, behaviour] => neighbour::run(Path::new(directory), behaviour),
        ["once", what, directory, count] => counts::once(what, Path::new(directory), count.parse().unwrap()),
        _ => {
            let size = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
            let api = Api::load();
            calls::all(&api, size);
            rivals::all(&api, size);
            reports::all(&api, size);
            allocations::all();
            counts::all(size);
        }
    }
}
