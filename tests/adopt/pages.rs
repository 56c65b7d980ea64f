//! Given the pages for those who adopt the library, when a reader follows them, then the code they quote is that of the programs,
//! and their diffs apply and do what they say.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mcrpc_agent::publisher::{Publisher, Settings};

use crate::c_server::{self, AFTER};
use crate::program::Running;
use crate::support::{compile, linkages, root, run};

fn pages() -> Vec<(PathBuf, String)> {
    let folder = std::fs::read_dir(root().join("docs/adopt")).unwrap();
    let paths = folder.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs/adopt").join(name)).unwrap()
}

/// What stands between the next line that begins with `fence` and the one that ends the block.
fn block<'t>(text: &'t str, fence: &str) -> Option<&'t str> {
    let inside = text.split_once(&format!("{fence}\n"))?.1;
    Some(inside.split_once("```\n").expect("every block ends").0)
}

/// Lines without their indentation, so that a page may quote a part of a function.
fn unindented(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn quoted_code_is_that_of_the_programs() {
    let mut quotes = 0;
    for (path, text) in pages() {
        for rest in text.split("<!-- quoted: ").skip(1) {
            let (source, rest) = rest.split_once(" -->\n").unwrap();
            let quoted = block(rest, if source.ends_with(".c") { "```c" } else { "```cpp" }).unwrap();
            let program = unindented(&std::fs::read_to_string(root().join(source)).unwrap());
            let mut from = 0;
            for part in quoted.split("...\n") {
                let found = program[from..].find(&unindented(part));
                from += found.unwrap_or_else(|| panic!("{}: not, or not there, in {source}:\n{part}", path.display()));
            }
            quotes += 1;
        }
    }
    assert!(quotes > 10, "{quotes}");
}

#[test]
fn the_first_diff_of_the_c_server_is_that_of_the_two_programs() {
    assert_eq!(block(&page("c-server.md"), "```diff").unwrap(), c_server::difference("-U1"));
}

/// The server as the page has it after its second diff.
fn server_of_a_host(directory: &Path) -> PathBuf {
    let text = page("c-server.md");
    let diff = text.split("```diff\n").nth(2).and_then(|rest| rest.split_once("```\n")).expect("two diffs").0;
    let source = directory.join("server_host.c");
    std::fs::copy(root().join(AFTER), &source).unwrap();
    let mut patch = Command::new("patch");
    patch.arg("--quiet").arg(&source).stdin(Stdio::piped());
    let mut patch = patch.spawn().expect("patch is installed (Debian: patch)");
    patch.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
    assert!(patch.wait().unwrap().success(), "the page's second diff does not apply to {AFTER}");
    source
}

#[test]
fn with_the_second_diff_an_operator_sees_the_server_and_turns_it_off() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let host = directory.path().join("mcrpc");
        let settings = Settings { capacity: 100, seats: 8, counters: 64, ..Settings::default() };
        let (mut publisher, _) = Publisher::open(&host, settings).unwrap();
        let source = server_of_a_host(directory.path());
        let program = compile(directory.path(), &[source.to_str().unwrap()], &["-std=c11"], linkage);
        let mut server = Running::start(Command::new(program).args(["0", "/dev/null"]).env("MCRPC_DIR", &host));
        server.wait_for("listening ");

        let mcrpc =
            |arguments: &[&str]| run(Command::new(env!("CARGO_BIN_EXE_mcrpc")).args(arguments).arg("--dir").arg(&host));
        let pid = server.child.id().to_string();
        let mut wait_for_mode = |mode: &str| {
            let start = Instant::now();
            loop {
                publisher.refresh().unwrap();
                let top = mcrpc(&["top", "--once"]);
                let mut rows = top.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
                if rows.any(|row| row.contains(&pid.as_str()) && row.contains(&mode)) {
                    return;
                }
                assert!(start.elapsed() < Duration::from_secs(60), "wanted {mode}:\n{top}");
            }
        };
        wait_for_mode("observe");
        mcrpc(&["mode", "admission", "enforce"]);
        wait_for_mode("enforce");
        mcrpc(&["kill", "on"]);
        wait_for_mode("off");
    }
}
