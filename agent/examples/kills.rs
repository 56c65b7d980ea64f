//! Kills writers for as long as one likes, while readers check every answer, and measures how long an adoption takes:
//!
//! ```sh
//! cargo run --release -p mcrpc-agent --example kills -- --kills 10000
//! ```
//!
//! It prints its progress and a summary, and fails if any answer was wrong, any key missing, or anybody stuck. Each
//! writer is this program, started again. `--directory DIR` uses a directory of your choice instead of one in
//! `/dev/shm`; what is in it is used on.

#[path = "../tests/crash/keys.rs"]
mod keys;
#[path = "../tests/crash/killer.rs"]
mod killer;
#[path = "../tests/crash/reader.rs"]
mod reader;
#[path = "../tests/crash/writer.rs"]
mod writer;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use killer::Summary;

const USAGE: &str = "usage: soak [--kills NUMBER] [--directory DIR]";
const WRITER: &str = "--writer-in";

fn main() -> ExitCode {
    let (mut kills, mut directory) = (1_000, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            (WRITER, Some(dir)) => writer::run_for_ever(Path::new(&dir)),
            ("--kills", Some(number)) if number.parse::<u32>().is_ok() => kills = number.parse().unwrap_or(kills),
            ("--directory", Some(dir)) => directory = Some(PathBuf::from(dir)),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let temporary = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let directory = directory.unwrap_or_else(|| temporary.path().to_owned());
    writer::prepare(&directory);
    let start = Instant::now();
    let command = || {
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.arg(WRITER).arg(&directory);
        command
    };
    let goes_on = |summary: &Summary| {
        if summary.kills > 0 && summary.kills.is_multiple_of(500) {
            println!("{:.0} s\n{summary}", start.elapsed().as_secs_f64());
        }
        summary.kills < kills
    };
    let summary = killer::run(&directory, goes_on, command);
    println!("\nsummary, after {:.0} s\n{summary}", start.elapsed().as_secs_f64());
    if summary.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
