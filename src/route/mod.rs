//! `mcrpc route`: the client and route files, before a program reads them and as one does.

mod check;
mod show;
mod view;

use std::process::ExitCode;

use anyhow::Result;

/// The options of `mcrpc route`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Read every client and route file below a directory, and say all that is wrong; fails if anything is
    Check(check::Options),
    /// Show what a client of an IDC uses for a service, and from which files
    Show(show::Options),
}

/// Runs the subcommand.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Command::Check(options) => check::run(options),
        Command::Show(options) => show::run(options),
    }
}
