//! The committed instruction counts, and whether today's are the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::support::{root, run};

/// How far a count may be from the committed one, in 1/100.
const TOLERANCE_PERCENT: f64 = 3.0;

fn path() -> PathBuf {
    root().join("benches/hot_calls.txt")
}

/// Writes the counts.
pub fn update(counted: &[(&str, f64)]) -> ExitCode {
    let mut text = format!(
        "# Instructions of one call, in its typical use. Built by {}.\n\
         # `cargo bench --bench hot_calls -- --gate` compares them; with `--gate --update` it writes them anew.\n",
        compiler()
    );
    for (name, instructions) in counted {
        text += &format!("{name} {instructions:.1}\n");
    }
    std::fs::write(path(), text).expect("the file can be written");
    ExitCode::SUCCESS
}

/// Compares the counts with the committed ones. Those of another compiler are shown, and are no failure.
pub fn compare(counted: &[(&str, f64)]) -> ExitCode {
    let text = std::fs::read_to_string(path()).expect("benches/hot_calls.txt is there");
    let mut committed: BTreeMap<&str, f64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .map(|(name, count)| (name, count.parse().expect("a count")))
        .collect();
    let mut differences = Vec::new();
    for (name, now) in counted {
        match committed.remove(name) {
            Some(then) if (now - then).abs() <= then * TOLERANCE_PERCENT / 100.0 => {}
            Some(then) => differences.push(format!("{name}: {then:.1} instructions, now {now:.1}")),
            None => differences.push(format!("{name}: not in the file, now {now:.1} instructions")),
        }
    }
    differences.extend(committed.keys().map(|name| format!("{name}: in the file, but no hot call")));
    if differences.is_empty() {
        println!("{} hot calls need as many instructions as ever", counted.len());
        return ExitCode::SUCCESS;
    }
    println!("{}", differences.join("\n"));
    if !text.contains(&format!("Built by {}.", compiler())) {
        println!("another compiler has built the library that the file is about: this is {}", compiler());
        return ExitCode::SUCCESS;
    }
    println!(
        "\nthese differ by more than {TOLERANCE_PERCENT} %: find out why; if that is as it should be, run\n\
         cargo bench --bench hot_calls -- --gate --update"
    );
    ExitCode::FAILURE
}

/// Its name and version, `rustc 1.88.0`.
fn compiler() -> String {
    let text = run(Command::new("rustc").arg("-V"));
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
