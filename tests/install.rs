//! The library as somebody installs and uses it: make, pkg-config, CMake, plain compilers; gcc and clang, C and C++.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{need, root, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where all tests of this file find an installed library.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("a prefix");
        let _ = std::fs::remove_dir_all(&prefix);
        run(&mut make("install-library", &prefix));
        prefix
    })
}

fn make(target: &str, prefix: &Path) -> Command {
    need("make", "make");
    let mut make = Command::new("make");
    make.args(["--silent", "-C"]).arg(root()).arg(target).arg(format!("PREFIX={}", prefix.display()));
    // Not among what the build script has built, which other tests use at this moment.
    make.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("install"));
    for variable in ["MAKEFLAGS", "MAKELEVEL", "DESTDIR", "LIBDIR", "INCLUDEDIR"] {
        make.env_remove(variable);
    }
    make
}

fn files_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                pending.push(path);
            } else {
                found.insert(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found
}

fn shared_objects() -> [String; 2] {
    ["libmcrpc", "libmcrpc_wire"].map(|name| format!("{name}.so.{VERSION}"))
}

#[test]
fn everything_is_installed_below_the_prefix() {
    let mut expected: BTreeSet<String> = [
        "include/mcrpc.h",
        "include/mcrpc.hpp",
        "include/mcrpc_generate.h",
        "lib/cmake/mcrpc/mcrpcConfig.cmake",
        "lib/cmake/mcrpc/mcrpcConfigVersion.cmake",
        "lib/libmcrpc.a",
        "lib/libmcrpc.so",
        "lib/libmcrpc.so.0",
        "lib/libmcrpc_wire.so.0",
        "lib/pkgconfig/mcrpc.pc",
    ]
    .map(str::to_owned)
    .into();
    expected.extend(shared_objects().map(|name| format!("lib/{name}")));
    assert_eq!(files_below(prefix()), expected);
}

/// What is built into a package is put elsewhere than where it will lie.
#[test]
fn a_staged_installation_speaks_of_the_final_place() {
    prefix();
    let stage = tempfile::tempdir().unwrap();
    let mut make = make("install-library", Path::new("/opt/mcrpc"));
    run(make.arg(format!("DESTDIR={}", stage.path().display())));
    let lib = stage.path().join("opt/mcrpc/lib");
    let pc = std::fs::read_to_string(lib.join("pkgconfig/mcrpc.pc")).unwrap();
    assert!(pc.contains("prefix=/opt/mcrpc\n") && pc.contains(&format!("Version: {VERSION}\n")), "{pc}");
    assert_eq!(std::fs::read_link(lib.join("libmcrpc.so.0")).unwrap(), Path::new(&shared_objects()[0]));
}

#[test]
fn the_agents_unit_starts_the_command_that_is_installed_beside_it() {
    let prefix = tempfile::tempdir().unwrap();
    run(&mut make("install-units", prefix.path()));
    let unit = std::fs::read_to_string(prefix.path().join("lib/systemd/system/mcrpc-agent.service")).unwrap();
    assert!(unit.contains(&format!("ExecStart={}/bin/mcrpc agent ", prefix.path().display())), "{unit}");
    let group = std::fs::read_to_string(prefix.path().join("lib/sysusers.d/mcrpc.conf")).unwrap();
    assert!(unit.contains("\nGroup=mcrpc\n") && group.contains("\ng mcrpc -\n"), "{group}");
}

/// As with `make && sudo make install`: root seldom has cargo.
#[test]
fn given_no_cargo_when_it_is_installed_then_what_was_built_is_taken_or_its_lack_is_told() {
    prefix();
    let other = tempfile::tempdir().unwrap();
    run(make("install-library", other.path()).arg("CARGO=no-such-cargo"));
    assert_eq!(files_below(other.path()), files_below(prefix()));

    let mut unbuilt = make("install-library", other.path());
    let output = unbuilt.arg("CARGO=no-such-cargo").env("CARGO_TARGET_DIR", other.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && text.contains("no no-such-cargo in PATH"), "{text}");
}

/// How a program is linked.
#[derive(Clone, Copy, PartialEq, Debug)]
enum By {
    PkgConfig,
    NameAlone,
    Archive,
}

fn link_arguments(by: By) -> Vec<String> {
    let (include, lib) = (prefix().join("include"), prefix().join("lib"));
    let rpath = format!("-Wl,-rpath,{}", lib.display());
    match by {
        By::PkgConfig => {
            need("pkg-config", "pkg-config");
            let mut query = Command::new("pkg-config");
            let answer = run(query.args(["--cflags", "--libs", "mcrpc"]).env("PKG_CONFIG_PATH", lib.join("pkgconfig")));
            // It writes a space in a path as a shell wants it.
            let answer = answer.replace("\\ ", "\0");
            answer.split_whitespace().map(|word| word.replace('\0', " ")).chain([rpath]).collect()
        }
        By::NameAlone => {
            vec![format!("-I{}", include.display()), format!("-L{}", lib.display()), "-lmcrpc".into(), rpath]
        }
        By::Archive => vec![format!("-I{}", include.display()), lib.join("libmcrpc.a").display().to_string()],
    }
}

fn compile_and_run(compiler: &str, sources: [&str; 2], flags: &[&str], by: By) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    let mut command = Command::new(compiler);
    command.args(["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).args(flags);
    command.args(sources.map(|source| root().join("tests/consumer").join(source)));
    run(command.args(link_arguments(by)).arg("-o").arg(&program));
    assert_eq!(run(&mut Command::new(&program)), format!("{VERSION} works\n"), "{compiler} {flags:?} {by:?}");
}

#[test]
fn c_and_cpp_programs_of_either_compiler_link_in_every_way() {
    for (package, c, cpp) in [("gcc g++", "gcc", "g++"), ("clang", "clang", "clang++")] {
        need(c, package);
        need(cpp, package);
        for by in [By::PkgConfig, By::NameAlone, By::Archive] {
            for standard in ["-std=c11", "-std=c17"] {
                compile_and_run(c, ["main.c", "second.c"], &[standard], by);
            }
            compile_and_run(cpp, ["main.cpp", "second.cpp"], &["-std=c++11"], by);
            let wrapper = ["-std=c++17", "-DMCRPC_WRAPPER"];
            compile_and_run(cpp, ["main.cpp", "second.cpp"], &wrapper, by);
            let plain = ["-std=c++17", "-DMCRPC_WRAPPER", "-fno-exceptions", "-fno-rtti"];
            compile_and_run(cpp, ["main.cpp", "second.cpp"], &plain, by);
        }
    }
}

/// The names under which a program asks for shared objects.
fn needed_by(program: &Path) -> BTreeSet<String> {
    need("readelf", "binutils");
    let dynamic = run(Command::new("readelf").arg("-d").arg(program));
    let names = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    names.filter_map(|line| Some(line.split('[').nth(1)?.trim_end_matches(']').to_owned())).collect()
}

#[test]
fn a_program_loads_the_shared_objects_that_it_calls() {
    let directory = tempfile::tempdir().unwrap();
    for (source, expected) in [
        ("c-examples/admit.c", vec!["libmcrpc.so.0"]),
        ("tests/c/vectors.c", vec!["libmcrpc.so.0", "libmcrpc_wire.so.0"]),
    ] {
        let program = directory.path().join("program");
        let mut compile = Command::new("gcc");
        compile.arg(root().join(source)).args(link_arguments(By::NameAlone)).arg("-o").arg(&program);
        run(&mut compile);
        let ours: Vec<_> = needed_by(&program).into_iter().filter(|name| name.starts_with("libmcrpc")).collect();
        assert_eq!(ours, expected, "{source}");
    }
}

/// Bytes that the archive adds to programs: to the one that asks for admission, and to the one that chooses endpoints.
#[test]
fn a_static_link_adds_at_most_64_kib() {
    let directory = tempfile::tempdir().unwrap();
    let stripped_len = |source: &Path| {
        let program = directory.path().join("program");
        let mut compile = Command::new("gcc");
        compile.args(["-O2", "-s"]).arg(source).args(link_arguments(By::Archive)).arg("-o").arg(&program);
        run(&mut compile);
        std::fs::metadata(&program).unwrap().len()
    };
    let empty = directory.path().join("empty.c");
    std::fs::write(&empty, "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n").unwrap();
    let empty = stripped_len(&empty);
    for example in ["admit.c", "host.c", "select.c"] {
        let added = stripped_len(&root().join("c-examples").join(example)) - empty;
        println!("{example}: {added} bytes");
        assert!(added <= 64 << 10, "{example}: {added} bytes");
    }
}

fn build_by_cmake(define: &str) {
    need("cmake", "cmake");
    let directory = tempfile::tempdir().unwrap();
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root().join("tests/consumer")).arg("-B").arg(directory.path()).arg(define);
    run(&mut configure);
    run(Command::new("cmake").arg("--build").arg(directory.path()));
    for program in ["c_static", "c_shared", "cpp_static", "cpp_shared"] {
        assert_eq!(run(&mut Command::new(directory.path().join(program))), format!("{VERSION} works\n"), "{program}");
    }
}

#[test]
fn cmake_finds_the_installed_package() {
    build_by_cmake(&format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
}

#[test]
fn cmake_takes_the_source_as_a_subdirectory() {
    build_by_cmake(&format!("-DMCRPC_SOURCE={}", root().display()));
}
