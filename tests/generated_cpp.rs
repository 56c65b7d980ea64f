//! Given a `.proto`, then what `mcrpc gen` makes of it for C++ and protoc's messages are a program that calls a generated server in Rust.

mod support;

use std::path::Path;
use std::process::Command;

use mcrpc::Address;
use mcrpc_build_sample::service::server;
use support::{linkages, need, root, run};

const PROTOS: [&str; 4] = ["crawl.proto", "common/page.proto", "odd/names.proto", "mcrpc/options.proto"];

/// Everything that C++ needs, below this directory; the flags with which a program includes and links it.
fn generate(out: &Path) -> Vec<String> {
    need("protoc", "protobuf-compiler");
    let sample = root().join("codegen/sample/proto");
    let mcrpc = || Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    run(mcrpc()
        .args(["gen", "--lang", "cpp", "crawl.proto", "odd/names.proto", "--out"])
        .arg(out)
        .current_dir(&sample));
    run(mcrpc().args(["gen", "--lang", "proto", "--out"]).arg(out));
    let mut protoc = Command::new("protoc");
    protoc.args([&"-I".as_ref(), sample.as_os_str(), "-I".as_ref(), out.as_os_str()]).arg("--cpp_out").arg(out);
    run(protoc.args(PROTOS));
    let flags = run(Command::new("pkg-config").args(["--cflags", "--libs", "protobuf"]));
    // Warnings of protoc's code are not ours, nor is its speed.
    let includes = ["-std=c++17".into(), "-O0".into(), "-g0".into(), "-isystem".into(), out.display().to_string()];
    let sources = PROTOS.map(|name| out.join(name.replace(".proto", ".pb.cc")).display().to_string());
    includes.into_iter().chain(sources).chain(flags.split_whitespace().map(str::to_owned)).collect()
}

#[test]
fn a_generated_client_in_cpp_calls_a_generated_server_in_rust() {
    let out = tempfile::tempdir().unwrap();
    let flags = generate(out.path());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let server = server();
    let Address::Tcp(address) = &server.addresses()[0] else { panic!("it listens on TCP") };
    for linkage in linkages() {
        let program = support::compile(out.path(), &["tests/cpp/generated_client.cpp"], &flags, linkage);
        run(support::command(&program).arg(address.port().to_string()));
    }
}
