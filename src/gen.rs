//! `mcrpc gen`: code out of `.proto` files, for builds that have no build script of Rust. See [`mcrpc_build`].

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use mcrpc_build::{Config, OPTIONS_PROTO};

/// The options of `mcrpc gen`.
#[derive(clap::Args)]
pub struct Options {
    /// What to write: client stubs for C++17; messages, services and clients for Rust; or, for protoc, mcrpc/options.proto,
    /// which mcrpc itself has built in
    #[arg(long, value_enum)]
    lang: Language,
    /// The .proto files, below one of the include paths
    #[arg(value_name = "FILE", required_if_eq_any = [("lang", "cpp"), ("lang", "rust")])]
    files: Vec<PathBuf>,
    /// Where imports are looked for; may be given several times
    #[arg(short = 'I', long = "include", value_name = "DIR", default_value = ".")]
    includes: Vec<PathBuf>,
    /// Where the code goes: FILE.mcrpc.hpp, mcrpc_stub.hpp and mcrpc_channel.hpp, or PACKAGE.rs; made if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Language {
    Cpp,
    Rust,
    Proto,
}

/// Writes the code.
pub fn run(options: &Options) -> Result<ExitCode> {
    let Options { lang, files, includes, out } = options;
    let config = Config::new().out_dir(out);
    match lang {
        Language::Cpp => config.compile_cpp(files, includes)?,
        Language::Rust => config.compile(files, includes)?,
        Language::Proto => {
            let path = out.join("mcrpc/options.proto");
            let made = std::fs::create_dir_all(out.join("mcrpc"));
            made.and_then(|()| std::fs::write(&path, OPTIONS_PROTO))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
