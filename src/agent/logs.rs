//! The options of `mcrpc agent` by which it keeps logs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mcrpc_agent::directory::Directory;
use mcrpc_core::host::log::MAX_RING_CELLS;
use mcrpc_logs::{Logs, Settings};

/// Lines of all processes, in files.
#[derive(clap::Args)]
#[command(next_help_heading = "Logs (docs/logs.md)")]
#[group(skip)]
pub(super) struct Options {
    /// Write the lines of all processes into files in this directory, one for each hour; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
    /// Remove files of logs after so many days
    #[arg(long, value_name = "NUMBER", default_value_t = 7, requires = "logs")]
    logs_keep_days: u32,
    /// Cells of 64 bytes in which the lines of a process wait for the agent: a power of two from 64 to 65536
    #[arg(long, value_name = "NUMBER", default_value_t = 4_096, value_parser = cells, requires = "logs")]
    log_cells: u32,
}

fn cells(text: &str) -> Result<u32, String> {
    let cells =
        text.parse().ok().filter(|cells: &u32| cells.is_power_of_two() && (64..=MAX_RING_CELLS).contains(cells));
    cells.ok_or_else(|| format!("a power of two from 64 to {MAX_RING_CELLS}"))
}

impl Options {
    /// The cells of each ring, if logs are kept.
    pub(super) fn cells(&self) -> Option<u32> {
        self.logs.as_ref().map(|_| self.log_cells)
    }

    /// Begins to keep logs, if that is wanted. The segments are there.
    pub(super) fn start(&self, directory: &Path) -> Result<Option<Logs>> {
        let Some(files) = &self.logs else { return Ok(None) };
        let settings = Settings { directory: files.clone(), keep_days: self.logs_keep_days };
        let tell = |event: &mcrpc_logs::Event| super::say(event.is_error(), event);
        Ok(Some(Logs::start(Directory::open(directory, None)?, &settings, tell)?))
    }
}
