//! What it costs to write and to read the head of one call, beside those who carry the same in protobuf.
//!
//! `cargo bench --bench wire` prints nanoseconds (medians, and the span from the 10th to the 90th percentile), bytes on the
//! wire over the payload, allocations and, if valgrind is installed, instructions. All contestants carry the same call
//! ([`reference`]) and run in turn, in short batches, so that what else the machine does hits them alike.

mod baidu;
#[path = "../common/callgrind.rs"]
mod callgrind;
mod grpc;
mod heap;
#[path = "../common/library.rs"]
mod library;
#[path = "../common/measure.rs"]
mod measure;
mod native;
mod reference;

use callgrind::instructions;
use measure::{Series, Spread, Wanted, report};

const ROUNDS: usize = 9;
const BATCHES: usize = 8;
const BATCH: u64 = 8_192;

/// One way to write or to read the reference call, so many times.
struct Contestant<'a> {
    /// Names it on the command line.
    id: &'static str,
    name: &'static str,
    wanted: Wanted,
    run: Box<dyn FnMut(u64) + 'a>,
    series: Series,
}

impl<'a> Contestant<'a> {
    fn new(id: &'static str, name: &'static str, wanted: Wanted, run: impl FnMut(u64) + 'a) -> Self {
        Contestant { id, name, wanted, run: Box::new(run), series: Series::default() }
    }
}

fn main() {
    let library = library::open("mcrpc_wire");
    let mut all = Vec::new();
    all.extend(native::contestants(&library));
    all.extend(baidu::contestants());
    all.extend(grpc::contestants());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let ["once", id, count] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let contestant = all.iter_mut().find(|contestant| contestant.id == id).expect("a known contestant");
        return (contestant.run)(count.parse().unwrap());
    }
    for _ in 0..ROUNDS {
        for contestant in &mut all {
            (contestant.run)(BATCH);
            contestant.series.measure(BATCHES, BATCH, &mut contestant.run);
        }
    }
    println!("the head of the reference call");
    for Contestant { id, name, wanted, run, series } in &mut all {
        let allocations = heap::allocations(|| run(1_000)) as f64 / 1_000.0;
        let counted = instructions(&[id]).map_or(String::new(), |count| format!("{count:.0} instructions, "));
        report(&format!("{name}: {counted}{allocations} allocations"), series.spread(), " ns", *wanted);
    }
    let find = |wanted: &str| &all.iter().find(|contestant| contestant.id == wanted).unwrap().series;
    for (direction, rivals) in [("write", ["prost-write", "grpc-write"]), ("read", ["prost-read", "grpc-read"])] {
        for rival in rivals {
            let ratio: Spread = find(rival).ratio(find(&format!("native-{direction}")));
            report(&format!("{rival} takes, times native-{direction}"), ratio, "", Wanted::Nothing);
        }
    }
}
