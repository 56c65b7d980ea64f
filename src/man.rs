//! Writes the manual pages: one for the command, one for each of its subcommands.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

#[derive(clap::Args)]
pub struct Options {
    /// Where the pages go, as mcrpc.1, mcrpc-agent.1 and so on; made if it is missing
    directory: PathBuf,
}

pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let directory = &options.directory;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    clap_mangen::generate_to(super::Arguments::command(), directory)
        .with_context(|| format!("cannot write the manual pages to {}", directory.display()))?;
    Ok(ExitCode::SUCCESS)
}
