//! Given the sample, then its code is what is in `golden/`. `MCRPC_UPDATE=1` rewrites that.

use std::path::Path;

use mcrpc_build::Config;

const FILES: [&str; 2] = ["sample/proto/crawl.proto", "sample/proto/odd/names.proto"];
const INCLUDE: &str = "sample/proto";

fn is_golden(directory: &Path, name: &str) {
    let golden = Path::new("tests/golden").join(name);
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    if std::env::var_os("MCRPC_UPDATE").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(text == expected, "{name} is not as in {}; MCRPC_UPDATE=1 rewrites it. Now:\n{text}", golden.display());
}

#[test]
fn rust_is_as_in_the_golden_files() {
    let out = tempfile::tempdir().unwrap();
    Config::new().out_dir(out.path()).compile(&FILES, &[INCLUDE]).unwrap();
    is_golden(out.path(), "crawl.rs");
    is_golden(out.path(), "common.rs");
    is_golden(out.path(), "odd.names.v1.rs");
}

#[test]
fn cpp_is_as_in_the_golden_files_and_one_header_is_written_for_each_file_that_was_named() {
    let out = tempfile::tempdir().unwrap();
    Config::new().out_dir(out.path()).compile_cpp(&FILES, &[INCLUDE]).unwrap();
    is_golden(out.path(), "crawl.mcrpc.hpp");
    is_golden(out.path(), "odd/names.mcrpc.hpp");
    let mut names: Vec<_> = out.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["crawl.mcrpc.hpp", "mcrpc_channel.hpp", "mcrpc_stub.hpp", "odd"]);
}

#[test]
fn headers_of_files_with_names_that_are_alike_do_not_shut_each_other_out() {
    let (protos, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(protos.path().join("a")).unwrap();
    let guards = ["a/b", "a_b", "A_b", "a.b"].map(|name| {
        let path = protos.path().join(format!("{name}.proto"));
        std::fs::write(&path, "syntax = \"proto3\";").unwrap();
        Config::new().out_dir(out.path()).compile_cpp(&[&path], &[protos.path()]).unwrap();
        let header = std::fs::read_to_string(out.path().join(format!("{name}.mcrpc.hpp"))).unwrap();
        header.lines().find(|line| line.starts_with("#define")).unwrap().to_owned()
    });
    assert_eq!(guards.iter().collect::<std::collections::HashSet<_>>().len(), guards.len(), "{guards:?}");
}

#[test]
fn a_descriptor_set_has_the_services_with_their_annotations_and_all_that_they_import() {
    let out = tempfile::tempdir().unwrap();
    Config::new().out_dir(out.path()).descriptor_set("crawl.bin").compile(&FILES, &[INCLUDE]).unwrap();
    let set = std::fs::read(out.path().join("crawl.bin")).unwrap();
    let pool = prost_reflect::DescriptorPool::decode(&*set).unwrap();
    assert!(pool.services().any(|service| service.full_name() == "crawl.CrawlService"));
    assert!(pool.get_message_by_name("common.Page").is_some());
    assert!(pool.get_extension_by_name("mcrpc.method").is_some());
}
