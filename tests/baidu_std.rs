//! baidu_std for C: the golden vectors, and brpc's own messages by protobuf for C++.

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::{command, compile, linkages, root, run};

fn vectors() -> Vec<PathBuf> {
    let directory = root().join("tests/vectors/baidu_std");
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_golden_vectors_are_read_in_c_as_they_say() {
    let vectors = vectors();
    assert!(vectors.len() >= 20);
    for linkage in linkages() {
        for standard in ["-std=c11", "-std=c17"] {
            let directory = tempfile::tempdir().unwrap();
            let program = compile(directory.path(), &["tests/c/baidu_std.c"], &[standard], linkage);
            let output = run(command(&program).args(&vectors));
            assert_eq!(output, format!("{} vectors\n", vectors.len()));
        }
    }
}

/// Given a machine with protobuf for C++ (apt: protobuf-compiler libprotobuf-dev), when it and the library write random messages, then
/// each reads what the other has written.
#[test]
fn protobuf_for_cpp_and_the_library_read_each_other() {
    if Command::new("protoc").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no protoc (apt: protobuf-compiler libprotobuf-dev)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run(Command::new("protoc")
        .arg("--cpp_out")
        .arg(directory.path())
        .arg("-I")
        .arg(root().join("peers/proto"))
        .arg("baidu_rpc_meta.proto"));
    let generated = directory.path().join("baidu_rpc_meta.pb.cc");
    let include = format!("-isystem{}", directory.path().display());
    for linkage in linkages() {
        let sources = ["tests/cpp/rpc_meta.cpp", generated.to_str().unwrap()];
        let flags = ["-std=c++17", &include, "-Wno-unused-parameter", "-Wl,--no-as-needed", "-lprotobuf"];
        let program = compile(directory.path(), &sources, &flags, linkage);
        let output = run(&mut command(&program));
        assert!(output.contains("messages, each read alike"), "{output}");
    }
}
