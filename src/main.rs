//! The `mcrpc` command: libmcrpc shown and measured.
//!
//! This file reads the command line and hands over to one module per subcommand.

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "mcrpc", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Overload a C++ server with and without admission control, and show the difference
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
    };
    result.unwrap_or_else(|error| {
        eprintln!("mcrpc: {error:#}");
        ExitCode::FAILURE
    })
}
