//! `mcrpc route check`: a linter's output, one fault a line, and a last line that counts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use mcrpc_agent::route;

use crate::host::output::print;
use crate::host::text::count;

/// The options of `mcrpc route check`.
#[derive(clap::Args)]
pub(super) struct Options {
    /// The directory that has `client` and `route` in it
    #[arg(value_name = "DIR")]
    root: PathBuf,
}

/// Reads everything. Fails if there is a fault.
pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let route::Checked { files, services, idcs, faults } = route::check(&options.root);
    for fault in faults.iter().flat_map(|faults| faults.iter()) {
        print(fault)?;
    }
    let looked_at = format!(
        "{} of {} for {}",
        count(files, "file", "files"),
        count(services.len(), "service", "services"),
        count(idcs.len(), "IDC", "IDCs")
    );
    let found = faults.iter().map(|faults| faults.iter().count()).sum();
    print(format_args!(
        "{looked_at}: {}.",
        if found == 0 { "no fault".to_owned() } else { count(found, "fault", "faults") }
    ))?;
    Ok(if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
