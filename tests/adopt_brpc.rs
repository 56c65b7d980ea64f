//! The extensions for brpc of `cpp-examples/adopt/brpc`, compiled against declarations of brpc, and called in brpc's order by a
//! stand-in.

mod support;

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use support::{compile, linkages, root, run};

/// Some count on most of the machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SOURCES: &str = "cpp-examples/adopt/brpc";
const STUBS: &str = "tests/stubs/brpc";

fn check(driver: &str, source: &str, cases: &[&str]) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (stubs, sources) = (root().join(STUBS), root().join(SOURCES));
    let flags = ["-std=c++17", "-I", stubs.to_str().unwrap(), "-I", sources.to_str().unwrap()];
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        let program = compile(directory.path(), &[driver, &format!("{SOURCES}/{source}")], &flags, linkage);
        for case in cases {
            print!("{case}: {}", run(Command::new(&program).arg(case)));
        }
    }
}

#[test]
fn given_a_server_then_it_refuses_as_it_should() {
    let cases = ["overload-before-brpc-looks", "overload-behind-handlers", "observe", "codes", "balance", "origin"];
    check("tests/cpp/brpc_server.cpp", "mcrpc_server.cpp", &cases);
}

#[test]
fn given_a_channel_then_it_chooses_and_learns_as_it_should() {
    let cases = ["users", "shield", "refusal", "budget", "unavailable", "lists", "outcomes"];
    check("tests/cpp/brpc_balancer.cpp", "mcrpc_load_balancer.cpp", &cases);
}

#[test]
fn given_the_programs_then_they_compile_and_the_page_shows_their_lines() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let compiler = std::env::var("CXX").unwrap_or("c++".into());
    let mut lines = Vec::new();
    for program in ["server.cpp", "client.cpp"] {
        let path = root().join(SOURCES).join(program);
        let mut command = Command::new(&compiler);
        command.args(["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"]);
        run(command.arg(root().join("include")).arg("-I").arg(root().join(STUBS)).arg(&path));
        let text = std::fs::read_to_string(path).unwrap();
        lines.extend(text.lines().map(|line| line.split("// +").next().unwrap().trim().to_owned()));
    }
    let page = std::fs::read_to_string(root().join("docs/adopt/brpc.md")).unwrap();
    let blocks = page.split("```cpp\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let quoted: Vec<_> = blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).collect();
    assert!(quoted.len() > 15, "{quoted:?}");
    for line in quoted {
        assert!(lines.iter().any(|known| known == line), "docs/adopt/brpc.md has a line that no program has: {line}");
    }
}
