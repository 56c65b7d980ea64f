//! `mcrpc replay`: recorded decisions under another policy, and the difference.
//!
//! [`mod@file`] is what `mcrpc record` writes, [`policy`] reads what is to be changed, [`engine`] puts the requests to the real
//! controller again, [`report`] compares.

pub(crate) mod engine;
pub(crate) mod file;
pub(crate) mod policy;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::host::output::{print, print_json};
use file::Recording;
use report::Report;

/// The options of `mcrpc replay`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What `mcrpc record` has written
    file: PathBuf,
    /// What to change: key=value with the keys of a server's [admission], or a TOML file that has them
    #[arg(long = "policy", value_name = "KEY=VALUE|FILE")]
    policies: Vec<String>,
    /// Workers behind each queue, if not as recorded
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Replays, and shows the difference.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Recording { config, records } = Recording::read(&options.file)?;
    let new = policy::changed(&config, &options.policies)?;
    let base = engine::replay(&records, &config, None)?;
    let replayed = engine::replay(&records, &new, options.workers)?;
    let mut changed = policy::differences(&config, &new);
    if replayed.workers != base.workers {
        changed.push(format!("workers: {} -> {}", base.workers, replayed.workers));
    }
    let report = Report::of(&records, changed, &base, &replayed);
    if options.json {
        print_json(&report)?
    } else {
        print(report)?
    }
    Ok(ExitCode::SUCCESS)
}
