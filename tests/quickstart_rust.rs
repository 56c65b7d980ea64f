//! Given an empty directory, when somebody follows `docs/quickstart-rust.md` to the letter, then a service is built and answers.

mod page;
mod support;

use std::process::Command;

use page::{blocks, fits, page, write_file};
use support::root;

/// What a user writes, at most: files without their names and empty lines.
const MAX_LINES: usize = 40;

#[test]
fn the_page_leads_to_a_service_that_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (mut lines, mut printed) = (0, String::new());
    for block in blocks(&page("quickstart-rust.md")) {
        match block.language.as_str() {
            "sh" => {
                let mut command = Command::new("sh");
                command.args(["-ec", &block.text]).current_dir(directory.path());
                // Its dependencies are those that are built already, of the same versions.
                command.env("MCRPC", root()).env("CARGO_TARGET_DIR", target_dir()).env_remove("RUSTFLAGS");
                printed = support::run(&mut command);
                let _ = std::fs::copy(root().join("Cargo.lock"), directory.path().join("Cargo.lock"));
            }
            "text" => assert!(fits(&printed, &block.text), "the page shows\n{}\nand it prints\n{printed}", block.text),
            "proto" | "rust" => {
                write_file(directory.path(), &block.text);
                lines += block.text.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
            }
            other => panic!("a block is sh, proto, rust or text, not {other:?}"),
        }
    }
    assert!(lines <= MAX_LINES, "the service takes {lines} lines");
}

/// Where this test was built.
fn target_dir() -> std::path::PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).expect("target/debug/deps/test").to_owned()
}
