//! What each hot call of the C ABI costs: instructions, nanoseconds alone and beside a second thread, stack, lines of data.
//!
//! `cargo bench --bench hot_calls` prints the table; with `-- --update` it also writes it to `docs/hot-calls.md`, and the
//! instructions to `benches/hot_calls.txt`. With `-- --gate` the instructions alone are counted, in seconds, and compared
//! with that file: more than 3 % of difference is a failure, unless another compiler has built the library; `--gate --update`
//! writes the file. The calls are those of `tests/c/hot_calls.h`, made by the program `driver.c`, which is built and linked as
//! a C program would be; once more with optimisation across the languages, if clang and lld are of rustc's LLVM version.

mod driver;
mod gate;
mod profile;
mod report;

#[path = "../common/measure.rs"]
mod measure;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;

use driver::{Driver, Toolchain};
use report::Row;

/// Batches of 4000 calls that are timed.
const BATCHES: u32 = 101;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asked = |name: &str| arguments.iter().any(|argument| argument == name);
    let scratch = tempfile::tempdir().expect("there is room for temporary files");
    let directory = scratch.path().join("mcrpc");
    let _publisher = support::hot_calls::publish(&directory);
    let driver = Driver::build(scratch.path(), &Toolchain::system(), &directory);
    let counted = driver.profile();
    let instructions: Vec<_> = counted.iter().map(|cost| (cost.name.as_str(), cost.instructions)).collect();
    if asked("--gate") {
        return if asked("--update") { gate::update(&instructions) } else { gate::compare(&instructions) };
    }

    let across = Toolchain::across_languages(scratch.path());
    let [apart, inlined] = match &across {
        Ok((apart, inlined)) => {
            [apart, inlined].map(|tools| Driver::build(scratch.path(), tools, &directory).profile())
        }
        Err(reason) => {
            println!("nothing about optimisation across the languages: {reason}\n");
            [Vec::new(), Vec::new()]
        }
    };
    let (alone, beside, stacks) = (driver.time(1, BATCHES), driver.time(2, BATCHES), driver.stacks(scratch.path()));
    let rows: Vec<Row> = counted
        .iter()
        .enumerate()
        .map(|(n, cost)| Row {
            cost,
            alone_ns: alone[n],
            beside_ns: beside[n],
            stack_bytes: stacks[n],
            apart: apart.get(n).map(|cost| cost.with_caller),
            inlined: inlined.get(n).map(|cost| cost.with_caller),
        })
        .collect();
    let table = report::table(&rows);
    println!("{table}");
    if asked("--update") {
        report::write(&table);
        return gate::update(&instructions);
    }
    ExitCode::SUCCESS
}
