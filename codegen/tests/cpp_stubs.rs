//! Given the sample's C++ stubs, then they compile without a warning, in two units of one program, and do what they say.

use std::path::Path;
use std::process::Command;

use mcrpc_build::Config;

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error} (Debian: g++)"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The sample's header, compiled into a program with these flags, and run.
fn check(flags: &[&str]) {
    let out = tempfile::tempdir().unwrap();
    Config::new().out_dir(out.path()).compile_cpp(&["sample/proto/crawl.proto"], &["sample/proto"]).unwrap();
    let second_unit = out.path().join("second_unit.cpp");
    std::fs::write(&second_unit, "#include \"crawl.mcrpc.hpp\"\n").unwrap();
    let program = out.path().join("program");
    let compiler = std::env::var("CXX").unwrap_or("g++".into());
    run(Command::new(compiler)
        .args(["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "-pthread"])
        .args(flags)
        .args(["-I", "../include", "-I", "../tests/c", "-I", "tests/cpp", "-I"])
        .args([out.path(), Path::new("tests/cpp/stub.cpp"), &second_unit, Path::new("-o"), &program]));
    run(&mut Command::new(program));
}

#[test]
fn stubs_call_through_any_channel_with_any_messages() {
    check(&["-O1"]);
}

#[test]
fn stubs_need_neither_exceptions_nor_rtti() {
    check(&["-O0", "-fno-exceptions", "-fno-rtti"]);
}
