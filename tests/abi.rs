//! Given programs and libraries of different versions, when they meet, then they work, or the library refuses what it does not know.
//!
//! `tests/abi/0.1` has the header of the first version. Until that is released, a change that no earlier program could bear is made
//! in its copy too: `cp include/mcrpc.h tests/c/layout.h tests/abi/0.1/ && .ci/abi --update`.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use support::{Linkage, compile, linkages, root, run};

#[test]
fn a_program_of_the_first_version_runs_on_this_library() {
    for linkage in linkages() {
        let directory = tempfile::tempdir().unwrap();
        run(&mut Command::new(compile(directory.path(), &["tests/abi/0.1/program.c"], &["-std=c11"], linkage)));
    }
}

/// What makes a later version of the sources: a config and a snapshot have one field more.
const LATER: [(&str, &str, &str); 6] = [
    ("admission.rs", "    pub fair_share: u32,\n}", "    pub fair_share: u32,\n    /// New.\n    pub made_up: u64,\n}"),
    ("admission.rs", "const _: () = assert!(size_of::<mcrpc_admission_config_t>() == 56);\n", ""),
    (
        "admission.rs",
        "    fn to_core(self) -> Result<Config, Status> {",
        "    fn to_core(self) -> Result<Config, Status> { if self.made_up != 0 { return Err(Status::INVALID_ARGUMENT); }",
    ),
    (
        "endpoints.rs",
        "    pub decisions: [u64; MCRPC_DECISION_ROOM],\n}",
        "    pub decisions: [u64; MCRPC_DECISION_ROOM],\n    /// New.\n    pub made_up: u64,\n}",
    ),
    ("endpoints.rs", "const _: () = assert!(size_of::<mcrpc_endpoints_snapshot_t>() == 264);\n", ""),
    ("endpoints.rs", "count: set.len() as u32, ..", "count: set.len() as u32, made_up: u64::MAX, .."),
];

#[test]
fn a_program_of_the_first_version_runs_on_a_later_library() {
    let later = Path::new(env!("CARGO_TARGET_TMPDIR")).join("later-version");
    let _ = std::fs::remove_dir_all(later.join("source"));
    std::fs::create_dir_all(later.join("source")).unwrap();
    run(Command::new("cp").args(["-r", "Cargo.toml", "core", "ffi"]).arg(later.join("source")).current_dir(root()));
    for (file, now, then) in LATER {
        let path = later.join("source/ffi/src").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            text.matches(now).count(),
            1,
            "{file} has changed: LATER says how to make a later version of it: {now}"
        );
        std::fs::write(path, text.replace(now, then)).unwrap();
    }
    let mut build = Command::new(later.join("source/ffi/artefact/build"));
    // It is no library for others.
    run(build.arg(later.join("library")).env_remove("MCRPC_ARTEFACT_CACHE"));

    let directory = tempfile::tempdir().unwrap();
    let flags = ["-std=c11", "-Wl,--enable-new-dtags"];
    let program = compile(directory.path(), &["tests/abi/0.1/program.c"], &flags, Linkage::Shared);
    let library = later.join("library");
    let loaded = run(Command::new("ldd").arg(&program).env("LD_LIBRARY_PATH", &library));
    for name in ["libmcrpc.so.0", "libmcrpc_wire.so.0"] {
        assert!(loaded.contains(library.join(name).to_str().unwrap()), "another library is loaded: {loaded}");
    }
    run(Command::new(program).env("LD_LIBRARY_PATH", library));
}

#[test]
fn a_program_of_a_later_version_is_refused_what_this_library_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("newer.h"), newer_header()).unwrap();
    let include = format!("-I{}", directory.path().display());
    for linkage in linkages() {
        let flags = ["-std=c11", "-Wno-missing-field-initializers", &include];
        run(&mut Command::new(compile(directory.path(), &["tests/abi/newer.c"], &flags, linkage)));
    }
}

/// The present header with one more field in each struct that begins with its size.
fn newer_header() -> String {
    let (mut header, mut is_sized) = (String::new(), false);
    for line in std::fs::read_to_string(root().join("include/mcrpc.h")).unwrap().lines() {
        if line == "typedef struct {" {
            is_sized = false;
        }
        is_sized |= line == "    uint32_t struct_size;";
        if is_sized && line.starts_with("} ") {
            header.push_str("    uint32_t made_up[2];\n");
        }
        header.extend([line, "\n"]);
    }
    header
}

#[test]
fn no_field_has_moved_since_the_first_version() {
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-x", "c", "-Werror", "-fsyntax-only", "-DLAYOUT_IS_OF_EARLIER_VERSION", "-I"]);
    run(command.arg(root().join("include")).arg(root().join("tests/abi/0.1/layout.h")));
}

/// Statuses, modes, kinds, flags: a program has them compiled in.
#[test]
fn no_number_has_changed_since_the_first_version() {
    let now = numbers(&root().join("include/mcrpc.h"));
    for (name, number) in numbers(&root().join("tests/abi/0.1/mcrpc.h")) {
        assert_eq!(now.get(&name), Some(&number), "{name}");
    }
}

/// What the header gives a name, but what a later version may count on: its own version, how many there are of something, and
/// defaults.
fn numbers(header: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(header).unwrap();
    let pairs = text.lines().filter_map(|line| match line.strip_prefix("#define ") {
        Some(define) => define.split_once(' '),
        None => line.strip_prefix("    ")?.strip_suffix(',')?.split_once(" = "),
    });
    let may_change =
        |name: &str| name.starts_with("MCRPC_VERSION_") || name.ends_with("_COUNT") || name.ends_with("_INIT");
    pairs
        .filter(|(name, _)| name.starts_with("MCRPC_") && !may_change(name))
        .map(|(name, number)| (name.to_owned(), number.to_owned()))
        .collect()
}
