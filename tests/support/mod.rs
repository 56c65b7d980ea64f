//! C and C++ programs for the tests: compiled by the system's compilers against the library, and run.
//!
//! The environment may have the same programs built and run in another way, which is what `.ci/sanitize` and `.ci/coverage` do:
//!
//!     MCRPC_TEST_LIBRARY_DIR   the directory of another libmcrpc.a, and of a libmcrpc.so if that is to be tested too
//!     MCRPC_TEST_CFLAGS        flags for the compiler, behind the tests' own
//!     MCRPC_TEST_RUNNER        what starts the programs, for instance valgrind and its options
//!     MCRPC_TEST_LEAVE_OUT     the hot-path rules that cannot be checked in this way

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod frames;
pub mod hot_calls;
pub mod server;

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};

/// The directory of libmcrpc.a and libmcrpc.so as they are installed.
pub const LIBRARY_DIR: &str = env!("MCRPC_LIBRARY_DIR");

/// How a program finds the library.
#[derive(Clone, Copy, Debug)]
pub enum Linkage {
    Static,
    Shared,
}

/// Both, unless the environment names a library without a shared one.
pub fn linkages() -> Vec<Linkage> {
    let shared = library_dir().join("libmcrpc.so").exists();
    if shared { vec![Linkage::Static, Linkage::Shared] } else { vec![Linkage::Static] }
}

/// The rules of tests/c/rules.h.
pub fn hot_path_rules() -> Vec<&'static str> {
    let left_out = words("MCRPC_TEST_LEAVE_OUT");
    let rules = ["alloc", "seccomp", "stack", "signal"];
    rules.into_iter().filter(|rule| !left_out.iter().any(|name| name == rule)).collect()
}

fn library_dir() -> PathBuf {
    env::var_os("MCRPC_TEST_LIBRARY_DIR").unwrap_or(LIBRARY_DIR.into()).into()
}

fn words(variable: &str) -> Vec<String> {
    env::var(variable).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compiles sources below the repository into a program; warnings are errors. What was compiled with the same flags before is only
/// linked.
pub fn compile(directory: &Path, sources: &[&str], flags: &[&str], linkage: Linkage) -> PathBuf {
    let cpp = sources[0].ends_with(".cpp");
    let compiler = env::var(if cpp { "CXX" } else { "CC" }).unwrap_or(if cpp { "c++" } else { "cc" }.into());
    let is_for_linker = |flag: &&&str| ["-l", "-L", "-Wl,"].iter().any(|prefix| flag.starts_with(prefix));
    let (link_flags, flags): (Vec<&&str>, Vec<&&str>) = flags.iter().partition(is_for_linker);
    let program = directory.join(format!("program-{linkage:?}"));
    let mut command = Command::new(&compiler);
    command.args(["-g", "-pthread"]).args(&flags).args(objects(&compiler, sources, &flags));
    command.args(words("MCRPC_TEST_CFLAGS"));
    let library_dir = library_dir();
    match linkage {
        Linkage::Static => command.arg(library_dir.join("libmcrpc.a")),
        Linkage::Shared => {
            command.arg("-L").arg(&library_dir).arg("-lmcrpc").arg(format!("-Wl,-rpath,{}", library_dir.display()))
        }
    };
    run(command.args(link_flags).arg("-o").arg(&program));
    program
}

/// The objects of sources. Each is compiled once in a test program, whoever asks first.
fn objects(compiler: &str, sources: &[&str], flags: &[&&str]) -> Vec<PathBuf> {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    static COMPILED: Mutex<BTreeMap<String, Arc<OnceLock<PathBuf>>>> = Mutex::new(BTreeMap::new());
    let directory = DIRECTORY.get_or_init(|| {
        let name = env::current_exe().unwrap().file_name().unwrap().to_owned();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("objects").join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    });
    let object_of = |source: &&str| {
        let object = {
            let mut compiled = COMPILED.lock().unwrap();
            compiled.entry(format!("{source} {flags:?}")).or_default().clone()
        };
        object
            .get_or_init(|| {
                static NUMBER: AtomicUsize = AtomicUsize::new(0);
                let object = directory.join(format!("{}.o", NUMBER.fetch_add(1, Relaxed)));
                let mut command = Command::new(compiler);
                command.args(["-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread", "-I"]);
                command.arg(root().join("include")).args(flags).args(words("MCRPC_TEST_CFLAGS"));
                run(command.arg("-c").arg(root().join(source)).arg("-o").arg(&object));
                object
            })
            .clone()
    };
    sources.iter().map(object_of).collect()
}

/// A command that starts a compiled program.
pub fn command(program: &Path) -> Command {
    let mut words = words("MCRPC_TEST_RUNNER").into_iter();
    let Some(runner) = words.next() else { return Command::new(program) };
    let mut command = Command::new(runner);
    command.args(words).arg(program);
    command
}

/// Runs a command that must succeed, and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output: Output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Stops a test with the name of the Debian package when a program that it runs is not installed.
pub fn need(program: &str, package: &str) {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|path| path.join(program).is_file());
    assert!(found, "this test runs {program}: install it (Debian: apt install {package})");
}
