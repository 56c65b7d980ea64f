//! Builds the library for C, and the C++ example programs against it, as a C++ user would.
//!
//! The demos and the tests run them, linked statically and shared. Their paths reach the code as
//! environment variables at compile time.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The example programs, and what each is made of.
const PROGRAMS: [(&str, &str); 8] = [
    ("overload_server", "cpp-examples/overload_server.cpp"),
    ("io_worker_server", "cpp-examples/io_worker_server.cpp"),
    ("resilient_client", "cpp-examples/resilient_client.cpp"),
    ("fleet_front", "cpp-examples/fleet_front.cpp"),
    ("fleet_back", "cpp-examples/fleet_back.cpp"),
    ("bridge_server", "cpp-examples/bridge_server.cpp"),
    ("bridge_client", "cpp-examples/bridge_client.cpp"),
    ("feed_timeline", "examples/feed/timeline/timeline.cpp"),
];

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for input in [
        "core/src",
        "core/Cargo.toml",
        "ffi/src",
        "ffi/Cargo.toml",
        "ffi/artefact/src",
        "ffi/artefact/build",
        "ffi/artefact/exports.txt",
        "ffi/artefact/Cargo.toml",
        "ffi/artefact/Cargo.lock",
        "include",
        "cpp-examples",
        "examples/feed/timeline",
    ] {
        println!("cargo:rerun-if-changed={input}");
    }
    println!("cargo:rerun-if-env-changed=CC");
    println!("cargo:rerun-if-env-changed=CXX");
    // What the example's own build has generated.
    let feed = PathBuf::from(env::var_os("DEP_MCRPC_EXAMPLE_FEED_CPP").expect("examples/feed says where its code is"));
    let messages = root.join("examples/feed/timeline/messages");
    println!("cargo:rustc-env=MCRPC_FEED_GENERATED={}", feed.display());
    let includes = [root.join("include"), feed, messages];
    // `cc` finds the compiler (CXX is honoured).
    let compiler = cc::Build::new().cpp(true).cargo_metadata(false).opt_level(2).get_compiler();
    let object = |name: &str| out.join(format!("{name}.o"));
    let library_dir = std::thread::scope(|scope| {
        for (name, source) in PROGRAMS {
            let (source, object) = (root.join(source), object(name));
            let (compiler, includes) = (&compiler, &includes);
            scope.spawn(move || compile(compiler, includes, &source, &object));
        }
        build_library(&root, &out)
    });
    println!("cargo:rustc-env=MCRPC_LIBRARY_DIR={}", library_dir.display());
    for (name, _) in PROGRAMS {
        for linkage in [Linkage::Static, Linkage::Shared] {
            let program = out.join(format!("{name}-{}", linkage.name()));
            link(&compiler, linkage, &object(name), &library_dir, &program);
            let variable = format!("MCRPC_{}_{}", name.to_uppercase(), linkage.name().to_uppercase());
            println!("cargo:rustc-env={variable}={}", program.display());
        }
    }
}

/// Builds the library as it is installed.
fn build_library(root: &Path, out: &Path) -> PathBuf {
    let library_dir = out.join("library");
    let script = root.join("ffi/artefact/build");
    let status = Command::new(&script).arg(&library_dir).status();
    let status = status.unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
    assert!(status.success(), "building the library failed");
    library_dir
}

#[derive(Clone, Copy)]
enum Linkage {
    Static,
    Shared,
}

impl Linkage {
    fn name(self) -> &'static str {
        match self {
            Linkage::Static => "static",
            Linkage::Shared => "shared",
        }
    }
}

fn compile(compiler: &cc::Tool, includes: &[PathBuf], source: &Path, object: &Path) {
    let mut command = compiler.to_command();
    // As in the examples' head comments, and stricter.
    command.args(["-std=c++17", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-pthread"]);
    // What a newer compiler warns of is no reason not to build a release.
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        command.arg("-Werror");
    }
    includes.iter().for_each(|directory| _ = command.arg("-I").arg(directory));
    run(command.arg("-c").arg(source).arg("-o").arg(object));
}

fn link(compiler: &cc::Tool, linkage: Linkage, object: &Path, library_dir: &Path, program: &Path) {
    let mut command = compiler.to_command();
    command.arg("-pthread").arg(object).arg("-o").arg(program);
    run(match linkage {
        Linkage::Static => command.arg(library_dir.join("libmcrpc.a")),
        Linkage::Shared => {
            command.arg("-L").arg(library_dir).arg("-lmcrpc").arg(format!("-Wl,-rpath,{}", library_dir.display()))
        }
    });
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(status.success(), "{command:?} failed");
}
