//! The program that makes the hot calls: how it is built, and what it is run for.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::measure::{Spread, spread};
use crate::profile::{self, Cost};
use crate::support::hot_calls::TABLE;
use crate::support::{LIBRARY_DIR, Linkage, compile, root, run};

/// How often each call is made for callgrind.
const TIMES: u64 = 50;

/// A compiler, its flags, and the library that it links.
pub struct Toolchain {
    name: &'static str,
    compiler: String,
    flags: Vec<String>,
    archive: PathBuf,
}

impl Toolchain {
    /// What a C program uses.
    pub fn system() -> Toolchain {
        let compiler = std::env::var("CC").unwrap_or("cc".to_owned());
        Toolchain { name: "system", compiler, flags: Vec::new(), archive: Path::new(LIBRARY_DIR).join("libmcrpc.a") }
    }

    /// Clang with the library as it is, and with one that is optimised together with the program; or why there is none.
    pub fn across_languages(scratch: &Path) -> Result<(Toolchain, Toolchain), String> {
        let version = llvm_version().ok_or("rustc does not say its LLVM version")?;
        let (clang, linker) = (format!("clang-{version}"), format!("ld.lld-{version}"));
        for program in [&clang, &linker] {
            let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
            if !found {
                return Err(format!("no {program}: install the packages clang-{version} and lld-{version}"));
            }
        }
        let linked = format!("-fuse-ld=lld-{version}");
        let apart = Toolchain {
            name: "apart",
            compiler: clang.clone(),
            flags: vec![linked.clone()],
            archive: Toolchain::system().archive,
        };
        let inlined = Toolchain {
            name: "inlined",
            compiler: clang,
            flags: vec![linked, "-flto=thin".to_owned()],
            archive: bitcode_library(scratch)?,
        };
        Ok((apart, inlined))
    }
}

fn llvm_version() -> Option<String> {
    let text = run(Command::new("rustc").arg("-vV"));
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next().map(str::to_owned)
}

/// The library in the form that lld can optimise together with a program.
fn bitcode_library(scratch: &Path) -> Result<PathBuf, String> {
    let target = scratch.join("bitcode");
    let status = Command::new(env!("CARGO"))
        .args(["rustc", "--release", "--locked", "--quiet", "--crate-type", "staticlib", "--manifest-path"])
        .arg(root().join("ffi/artefact/Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTFLAGS", "-Clinker-plugin-lto")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status();
    match status {
        Ok(status) if status.success() => Ok(target.join("release/libmcrpc.a")),
        failed => Err(format!("the library could not be built for it: {failed:?}")),
    }
}

/// The program, and the host that it opens.
pub struct Driver {
    program: PathBuf,
    directory: PathBuf,
}

impl Driver {
    pub fn build(scratch: &Path, tools: &Toolchain, directory: &Path) -> Driver {
        let program = scratch.join(format!("driver-{}", tools.name));
        let mut command = Command::new(&tools.compiler);
        // Names at the first call would be looked up by the dynamic linker, and valgrind cannot read every debug format.
        command.args(["-std=c11", "-O2", "-pthread", "-Wl,-z,now,--strip-debug", "-I"]).arg(root().join("include"));
        command.args(&tools.flags).arg(root().join("benches/hot_calls/driver.c"));
        command.args(TABLE.map(|source| root().join(source))).arg(&tools.archive).arg("-o").arg(&program);
        run(&mut command);
        Driver { program, directory: directory.to_owned() }
    }

    /// What each call costs on a simulated processor with 48 KiB of first-level cache.
    pub fn profile(&self) -> Vec<Cost> {
        let out = self.program.with_extension("callgrind");
        let mut command = Command::new("valgrind");
        command.args(["-q", "--tool=callgrind", "--cache-sim=yes", "--I1=32768,8,64", "--D1=49152,12,64"]);
        command.args(["--LL=2097152,16,64", &format!("--callgrind-out-file={}", out.display())]);
        command.arg(&self.program).arg("count").arg(&self.directory).arg(TIMES.to_string());
        assert!(
            Command::new("valgrind").arg("--version").output().is_ok(),
            "no valgrind: install the package valgrind"
        );
        let names: Vec<String> = run(&mut command).lines().map(str::to_owned).collect();
        profile::costs(&std::fs::read_to_string(out).expect("callgrind has written its file"), &names, TIMES)
    }

    /// Nanoseconds of each call, while `threads` threads make it.
    pub fn time(&self, threads: u32, batches: u32) -> Vec<Spread> {
        let mut command = Command::new(&self.program);
        command.arg("time").arg(&self.directory).arg(threads.to_string()).arg(batches.to_string());
        let figures = |line: &str| line.split(' ').skip(1).map(|ns| ns.parse().expect("a number")).collect();
        run(&mut command).lines().map(|line| spread(figures(line))).collect()
    }

    /// Bytes of stack of each call, from the program that holds them to their bound.
    pub fn stacks(&self, scratch: &Path) -> Vec<u64> {
        let sources = ["tests/c/hot_contract.c", TABLE[0], TABLE[1]];
        let program = compile(scratch, &sources, &["-std=c11"], Linkage::Static);
        let printed = run(Command::new(program).arg("stack").arg(&self.directory));
        printed.lines().filter_map(|line| line.split(' ').nth(1)?.parse().ok()).collect()
    }
}
