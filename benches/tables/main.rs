//! What the tables that all processes of a host share cost per call, beside what a program would use without them.
//!
//! `cargo bench --bench tables` prints nanoseconds (medians, and the span from the 10th to the 90th percentile) and, if
//! valgrind is installed, instructions. All contestants run in turn, in short batches, so that what else the machine does
//! hits them alike. The other process is this program, started again on the same mapped files.

#[path = "../common/callgrind.rs"]
mod callgrind;
mod calls;
mod keys;
mod lookup;
#[path = "../common/measure.rs"]
mod measure;
mod partner;
mod peers;
mod refresh;
mod segment;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["partner", directory] => partner::run(Path::new(directory)),
        ["once", call, count] => calls::once(call, count.parse().unwrap()),
        _ => {
            lookup::all(segment::directory().path());
            refresh::all(segment::directory().path());
            calls::all(segment::directory().path());
        }
    }
}
