//! `mcrpc gen`, run as a person runs it.

use std::path::Path;
use std::process::{Command, Output};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/codegen/sample/proto");
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/codegen/tests/golden");

/// Below the sample's directory.
fn mcrpc_gen(arguments: &[&str], out: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcrpc"));
    command.arg("gen").args(arguments).arg("--out").arg(out).current_dir(SAMPLE);
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn code_of_each_language_is_written_as_the_library_writes_it() {
    let out = tempfile::tempdir().unwrap();
    let new = out.path().join("new");
    assert_eq!(mcrpc_gen(&["--lang", "cpp", "crawl.proto"], &new), (Some(0), String::new()));
    let explicit = ["--lang", "rust", "-I", SAMPLE, &format!("{SAMPLE}/crawl.proto")];
    assert_eq!(mcrpc_gen(&explicit, &new), (Some(0), String::new()));
    for name in ["crawl.mcrpc.hpp", "crawl.rs", "common.rs"] {
        let read = |directory: &Path| std::fs::read_to_string(directory.join(name)).unwrap();
        assert!(read(&new) == read(Path::new(GOLDEN)), "{name}");
    }
    assert!(new.join("mcrpc_stub.hpp").exists() && new.join("mcrpc_channel.hpp").exists());
}

#[test]
fn the_annotations_are_written_for_protoc() {
    let out = tempfile::tempdir().unwrap();
    assert_eq!(mcrpc_gen(&["--lang", "proto"], out.path()), (Some(0), String::new()));
    assert!(std::fs::read_to_string(out.path().join("mcrpc/options.proto")).unwrap().contains("message MethodOptions"));
}

#[test]
fn what_is_wrong_is_said_with_file_and_line() {
    let out = tempfile::tempdir().unwrap();
    std::fs::write(out.path().join("bad.proto"), "syntax = \"proto3\";\nmessage M {\n  Nothing a = 1;\n}\n").unwrap();
    let directory = out.path().to_str().unwrap();
    let (code, text) = mcrpc_gen(&["--lang", "cpp", "-I", directory, "bad.proto"], out.path());
    assert_eq!(code, Some(1));
    assert!(text.starts_with("mcrpc: bad.proto:3:3: "), "{text}");

    let (code, text) = mcrpc_gen(&["--lang", "cpp", "nowhere.proto"], out.path());
    assert_eq!(code, Some(1));
    assert!(text.starts_with("mcrpc: file 'nowhere.proto' is not in any include path"), "{text}");

    let (code, text) = mcrpc_gen(&["--lang", "rust"], out.path());
    assert_eq!(code, Some(2));
    assert!(text.contains("<FILE>"), "{text}");
}
