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
    run(Command::new("protoc").arg("-I").arg(&sample).arg("-I").arg(out).arg("--cpp_out").arg(out).args(PROTOS));
    let flags = run(Command::new("pkg-config").args(["--cflags", "--libs", "protobuf"]));
    let objects = PROTOS.map(|name| {
        let (source, object) = (out.join(name.replace(".proto", ".pb.cc")), out.join(name.replace(".proto", ".o")));
        let mut compiler = Command::new(std::env::var("CXX").unwrap_or("c++".into()));
        run(compiler.args(["-std=c++17", "-O0", "-c", "-I"]).args([out, &source]).arg("-o").arg(&object));
        object.display().to_string()
    });
    // Warnings about protoc's headers are not ours.
    let includes = ["-std=c++17".into(), "-isystem".into(), out.display().to_string()];
    includes.into_iter().chain(objects).chain(flags.split_whitespace().map(str::to_owned)).collect()
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
