//! Given files of which no code can be made, then the error says where, what is wrong, and what to do.

use std::path::Path;

use mcrpc_build::{Config, Error};

/// What is said about `broken.proto` with this text, in Rust and in C++ alike.
fn complaint(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("broken.proto"), text).unwrap();
    let out = dir.path().join("out");
    let files = [dir.path().join("broken.proto")];
    let config = || Config::new().out_dir(&out);
    let rust = config().compile(&files, &[dir.path()]).unwrap_err();
    let cpp = config().compile_cpp(&files, &[dir.path()]).unwrap_err();
    assert_eq!(rust.to_string(), cpp.to_string());
    assert_eq!(format!("{rust:?}"), rust.to_string(), "a build script prints errors so");
    assert!(!out.exists(), "nothing is written");
    rust.to_string()
}

/// A service of this name with these methods.
fn service(name: &str, methods: &str) -> String {
    format!(
        "syntax = \"proto3\";\npackage clash;\nimport \"mcrpc/options.proto\";\nmessage M {{}}\n\
         service {name} {{\n{methods}\n}}\n"
    )
}

/// One method whose options are these.
fn annotated(options: &str) -> String {
    service("S", &format!("  rpc Do(M) returns (M) {{ option (mcrpc.method) = {{ {options} }}; }}"))
}

#[test]
fn two_methods_of_one_id_are_both_named() {
    let text = service("Clash", "  rpc AddSmallDeals(M) returns (M);\n  rpc OpenLateUserNow(M) returns (M);");
    assert_eq!(
        complaint(&text),
        "broken.proto:7: the methods clash.Clash.AddSmallDeals and clash.Clash.OpenLateUserNow have the same id 0x2c4a9306 \
         on the wire: rename one of them"
    );
}

#[test]
fn an_annotation_that_cannot_hold_is_named_with_its_method_and_line() {
    for (options, problem) in [
        (
            "blocking: true inline: true",
            "it is both blocking and inline, and what blocks would stop the IO thread: leave out inline if it ever waits, \
             blocking if it never does",
        ),
        (
            "timeout_ms: 0",
            "timeout_ms is 0, so that every call would be too late: leave it out if callers have their own",
        ),
        ("priority: 256", "priority is 256: the most is 255"),
        ("business_id: 65536", "business_id is 65536: the most is 65535"),
    ] {
        assert_eq!(complaint(&annotated(options)), format!("broken.proto:6: method clash.S.Do: {problem}"));
    }
}

#[test]
fn a_service_without_a_name_for_discovery_does_not_say_that_it_has_one() {
    let text = service("S", "  option (mcrpc.service).discovery_name = \"\";");
    assert_eq!(
        complaint(&text),
        "broken.proto:5: service clash.S: its discovery_name is empty: leave it out if callers are to name the service"
    );
}

#[test]
fn an_unknown_annotation_is_an_error_with_its_line() {
    for text in [
        annotated("retries: 3"),
        annotated("timeout_ms: -1"),
        service("S", "  rpc Do(M) returns (M) { option (mcrpc.metod) = {}; }"),
    ] {
        let complaint = complaint(&text);
        assert!(complaint.starts_with("broken.proto:6:"), "{complaint}");
    }
}

#[test]
fn a_stream_is_refused() {
    for method in ["rpc Do(stream M) returns (M);", "rpc Do(M) returns (stream M);"] {
        assert_eq!(
            complaint(&service("S", method)),
            "broken.proto:6: method clash.S.Do: it streams, which the protocol cannot: use one message with a repeated \
             field, or pages"
        );
    }
}

#[test]
fn two_methods_of_one_function_are_both_named() {
    assert_eq!(
        complaint(&service("S", "  rpc DoIt(M) returns (M);\n  rpc do_it(M) returns (M);")),
        "broken.proto:7: method clash.S.do_it: as a function it has the name of DoIt: rename one of them"
    );
}

#[test]
fn a_missing_import_is_named_with_its_line() {
    assert_eq!(
        complaint("syntax = \"proto3\";\nimport \"nowhere.proto\";\n"),
        "broken.proto:2:1: import 'nowhere.proto' not found; correct the name, or add its directory to the include paths"
    );
}

#[test]
fn what_is_no_proto_is_an_error_with_its_line() {
    let complaint = complaint("syntax = \"proto3\";\nmessage M {\n  uint32 a 1;\n}\n");
    assert!(complaint.starts_with("broken.proto:3:12: expected"), "{complaint}");
}

#[test]
fn a_file_outside_the_include_paths_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = Config::new().out_dir(dir.path()).compile(&["/nowhere/x.proto"], &[dir.path()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "file '/nowhere/x.proto' is not in any include path; correct the name, or add its directory to the include paths"
    );
}

#[test]
fn code_that_cannot_be_written_is_an_error_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let occupied = dir.path().join("out");
    std::fs::write(&occupied, "a file").unwrap();
    let (files, includes) = ([Path::new("sample/proto/crawl.proto")], ["sample/proto"]);
    for result in [
        Config::new().out_dir(&occupied).compile(&files, &includes),
        Config::new().out_dir(&occupied).compile_cpp(&files, &includes),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Write { path, .. } if *path == occupied), "{error}");
    }
}

#[test]
fn without_a_build_script_somebody_must_say_where_the_code_goes() {
    let error = mcrpc_build::compile(&["sample/proto/crawl.proto"], &["sample/proto"]).unwrap_err();
    assert!(matches!(error, Error::NoOutDir), "{error}");
}
