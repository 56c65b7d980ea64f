//! `mcrpc route show`: what a client of an IDC uses, found by the code that a client runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;

use anyhow::{Context as _, Result};
use mcrpc_agent::route::{Faults, Files, Route, Routes, load};

use super::view::View;
use crate::host::output::{print, print_json};

/// The options of `mcrpc route show`.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The directory that has `client` and `route` in it
    #[arg(value_name = "DIR")]
    root: PathBuf,
    /// The IDC of the client
    #[arg(value_name = "IDC")]
    idc: String,
    /// The service that it calls
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Write JSON; with --watch, a line for each change
    #[arg(long)]
    json: bool,
    /// Go on, and show what takes effect and what is refused whenever a file changes
    #[arg(long)]
    watch: bool,
}

/// Shows the route. Fails if there is none, or its files are not good.
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.watch {
        return watch(options);
    }
    match Files::new(&options.root, &options.idc, &options.service).and_then(|files| load(&files)) {
        Ok(route) => {
            let view = View::of(&route);
            if options.json {
                print_json(&view)?
            } else {
                print(view)?
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(faults) => Ok(refused(&faults)),
    }
}

fn watch(options: &Options) -> Result<ExitCode> {
    let routes = Arc::new(Routes::new(&options.root, &options.idc));
    let first = match routes.service(&options.service) {
        Ok(handle) => handle.get(),
        Err(faults) => return Ok(refused(&faults)),
    };
    print_change(&first, options.json)?;
    let (sender, changes) = channel();
    let _watch = routes
        .watch(move |change| {
            let _ = sender.send(change.result.clone());
        })
        .context("cannot start the thread that watches the files")?;
    for result in changes {
        match result {
            Ok(route) => print_change(&route, options.json)?,
            Err(faults) => eprintln!("{faults}\nWhat was good last stays in force."),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_change(route: &Route, json: bool) -> Result<()> {
    let view = View::of(route);
    if json { print(serde_json::to_string(&view)?) } else { print(format_args!("{view}\n")) }
}

fn refused(faults: &Faults) -> ExitCode {
    eprintln!("{faults}");
    ExitCode::FAILURE
}
