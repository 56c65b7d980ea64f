//! `mcrpc record`: decisions of admission, from the trace rings of this host's servers or from a simulated one, into a file that
//! `mcrpc replay` reads.

mod rings;
mod simulated;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use mcrpc_core::admission::Config;

use crate::host::output::print;
use crate::host::place::Place;
use crate::replay::file::Recording;
use crate::replay::policy;

/// The options of `mcrpc record`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the recording goes
    file: PathBuf,
    /// How long
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration, default_value = "10s")]
    length: Duration,
    /// The settings that the servers have, as key=value or a TOML file: what differs from the defaults
    #[arg(long = "policy", value_name = "KEY=VALUE|FILE")]
    policies: Vec<String>,
    /// Of this seat only, as `mcrpc top` shows it: one controller's, if servers have several
    #[arg(long, value_name = "N", conflicts_with = "simulate")]
    seat: Option<u32>,
    /// Record a simulated server instead: a scenario of `mcrpc sim --list`, and which of its cases, from 0 on
    #[arg(long, value_name = "SCENARIO[:CASE]", conflicts_with = "policies")]
    simulate: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// Records.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let recording = match &options.simulate {
        Some(scenario) => simulated::record(scenario, options.length)?,
        None => {
            let config = policy::changed(&Config::DEFAULT, &options.policies)?;
            Recording { config, records: rings::record(&options.place, options.seat, options.length)? }
        }
    };
    if recording.records.is_empty() {
        bail!(
            "no decision was recorded: do the servers write them into their trace rings? docs/why.md says how; \
             --simulate records a simulated server"
        );
    }
    recording.write(&options.file)?;
    print(format_args!("{} decisions in {}.", recording.records.len(), options.file.display()))?;
    Ok(ExitCode::SUCCESS)
}
