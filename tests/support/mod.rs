//! C and C++ programs for the tests: compiled by the system's compilers against the library, and run.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod frames;
pub mod hot_calls;
pub mod server;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The directory of libmcrpc.a and libmcrpc.so.
pub const LIBRARY_DIR: &str = env!("MCRPC_LIBRARY_DIR");

/// How a program finds the library.
#[derive(Clone, Copy, Debug)]
pub enum Linkage {
    Static,
    Shared,
}

pub const BOTH: [Linkage; 2] = [Linkage::Static, Linkage::Shared];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles sources below the repository into a program; warnings are errors.
pub fn compile(directory: &Path, sources: &[&str], flags: &[&str], linkage: Linkage) -> PathBuf {
    let cpp = sources[0].ends_with(".cpp");
    let compiler = std::env::var(if cpp { "CXX" } else { "CC" }).unwrap_or(if cpp { "c++" } else { "cc" }.into());
    let program = directory.join(format!("program-{linkage:?}"));
    let mut command = Command::new(compiler);
    command.args(["-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-I"]);
    command.arg(root().join("include")).args(flags).args(sources.iter().map(|source| root().join(source)));
    match linkage {
        Linkage::Static => command.arg(Path::new(LIBRARY_DIR).join("libmcrpc.a")),
        Linkage::Shared => command.args(["-L", LIBRARY_DIR, "-lmcrpc", &format!("-Wl,-rpath,{LIBRARY_DIR}")]),
    };
    run(command.arg("-o").arg(&program));
    program
}

/// Runs a command that must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Stops a test with the name of the Debian package when a program that it runs is not installed.
pub fn need(program: &str, package: &str) {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|path| path.join(program).is_file());
    assert!(found, "this test runs {program}: install it (Debian: apt install {package})");
}
