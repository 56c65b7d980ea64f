//! `mcrpc doctor`: is this host as programs need it? Each finding has a severity, and says what to do.
//!
//! [`directory`] looks at the files, [`processes`] at those who use them, [`kernel`] at the limits that the system sets, [`routes`]
//! at client and route files. Everything is only read.

mod directory;
mod finding;
mod kernel;
mod processes;
mod routes;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::host::output::{print, print_json};
use crate::host::place::{Moment, Place};
use finding::{Examined, Severity};

/// The options of `mcrpc doctor`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// Check the client and route files below this directory too
    #[arg(long, value_name = "DIR")]
    routes: Option<PathBuf>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Examines. Ends with 0 if there is nothing to do, with 1 if there are warnings, with 2 if there are errors.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let now = Moment::now();
    let mut examined = Examined::default();
    if let Some(directory) = directory::examine(&options.place, &now, &mut examined) {
        processes::examine(&directory, &now, &mut examined);
    }
    kernel::examine(&options.place.dir, &mut examined);
    if let Some(root) = &options.routes {
        routes::examine(root, &mut examined);
    }
    if options.json {
        print_json(&examined)?
    } else {
        print(&examined)?
    }
    Ok(match examined.worst() {
        Severity::Ok | Severity::Note => ExitCode::SUCCESS,
        Severity::Warning => ExitCode::from(1),
        Severity::Error => ExitCode::from(2),
    })
}
