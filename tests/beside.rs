//! The library in one program with others: Rust libraries of this and other compilers, all of the archive at once, two copies.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{LIBRARY_DIR, root, run};

/// A Rust library as somebody else builds one.
struct Other {
    archive: PathBuf,
    /// What tells the program to call it.
    define: &'static str,
    libraries: &'static [&'static str],
    expected: u32,
}

/// The compiler of these tests, and every other one that is installed.
fn compilers() -> Vec<Vec<String>> {
    let mut found = vec![vec!["rustc".to_owned()]];
    let list = Command::new("rustup").args(["toolchain", "list"]).output();
    let list = list.map_or_else(|_| String::new(), |list| String::from_utf8_lossy(&list.stdout).into_owned());
    for line in list.lines().filter(|line| !line.contains("active")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        found.push(["rustup", "run", name, "rustc"].map(str::to_owned).to_vec());
    }
    found
}

fn build_others(compiler: &[String], directory: &Path) -> [Other; 2] {
    let build = |name: &str, flags: &[&str]| {
        let archive = directory.join(format!("lib{name}.a"));
        let mut rustc = Command::new(&compiler[0]);
        rustc.args(&compiler[1..]).args(["--edition=2024", "--crate-type=staticlib", "-Copt-level=2"]).args(flags);
        for variable in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTFLAGS"] {
            rustc.env_remove(variable);
        }
        run(rustc.arg(root().join(format!("tests/beside/{name}.rs"))).arg("-o").arg(&archive));
        archive
    };
    [
        Other {
            archive: build("with_std", &[]),
            define: "-DWITH_STD",
            libraries: &["-lpthread", "-ldl", "-lm"],
            expected: 1 + 77,
        },
        Other {
            archive: build("without_std", &["-Cpanic=abort"]),
            define: "-DWITHOUT_STD",
            libraries: &[],
            expected: 17,
        },
    ]
}

fn link_and_run(directory: &Path, others: &[&Other], ours_first: bool) {
    let program = directory.join("program");
    let ours = Path::new(LIBRARY_DIR).join("libmcrpc.a");
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wl,--gc-sections"]).args(others.iter().map(|other| other.define));
    command.arg("-I").arg(root().join("include")).arg(root().join("tests/beside/program.c"));
    let mut archives: Vec<&Path> = others.iter().map(|other| other.archive.as_path()).collect();
    archives.insert(if ours_first { 0 } else { archives.len() }, &ours);
    command.args(archives).args(others.iter().flat_map(|other| other.libraries)).arg("-o").arg(&program);
    run(&mut command);
    let expected: u32 = others.iter().map(|other| other.expected).sum();
    assert_eq!(run(&mut Command::new(&program)), format!("{expected}\n"), "ours first: {ours_first}");
}

#[test]
fn it_links_beside_other_rust_libraries_in_either_order() {
    let directory = tempfile::tempdir().unwrap();
    for compiler in compilers() {
        println!("{compiler:?}");
        let others = build_others(&compiler, directory.path());
        for ours_first in [true, false] {
            for other in &others {
                link_and_run(directory.path(), &[other], ours_first);
            }
        }
    }
}

/// Nothing but the functions of the header is global in the archive, so nothing can be defined twice.
#[test]
fn all_of_the_archive_links_at_once_beside_another_rust_library() {
    let directory = tempfile::tempdir().unwrap();
    let [with_std, _] = build_others(&compilers()[0], directory.path());
    let program = directory.path().join("program");
    let mut command = Command::new("cc");
    command.args([with_std.define, "-I"]).arg(root().join("include")).arg(root().join("tests/beside/program.c"));
    command.arg("-Wl,--whole-archive").arg(Path::new(LIBRARY_DIR).join("libmcrpc.a")).arg("-Wl,--no-whole-archive");
    run(command.arg(&with_std.archive).args(with_std.libraries).arg("-o").arg(&program));
    assert_eq!(run(&mut Command::new(&program)), format!("{}\n", with_std.expected));
}

#[test]
fn two_copies_are_loaded_into_one_program() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("twice");
    run(Command::new("cc").arg(root().join("tests/beside/twice.c")).args(["-ldl", "-o"]).arg(&program));
    for (name, function) in [("libmcrpc.so.0", "mcrpc_admit"), ("libmcrpc_wire.so.0", "mcrpc_frame_next")] {
        let first = Path::new(LIBRARY_DIR).join(name);
        let second = directory.path().join(name);
        std::fs::copy(&first, &second).unwrap();
        for (second, expected) in [(&first, "one\n"), (&second, "two\n")] {
            let mut twice = Command::new(&program);
            assert_eq!(run(twice.arg(&first).arg(second).arg(function)), expected, "{name}");
        }
    }
}
