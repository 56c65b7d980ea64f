//! `mcrpc inspect`: what is in a segment, and whether it is to be believed.
//!
//! [`mod@file`] copies a file and finds out which kind it is; [`report`] judges and reads the copy, damaged or not;
//! this file prints the report. The copy is not made at one moment: a record that is written meanwhile may be shown
//! half old, half new. In return a file that is cut short meanwhile does no harm, and a saved one can be looked at
//! anywhere.

mod file;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use mcrpc_core::host::files::{DEFAULT_DIRECTORY, Segment};

use crate::host::output::{print, print_json};
use crate::host::place::Moment;
use report::Report;

/// The options of `mcrpc inspect`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A segment, or a directory of segments; the host's directory unless told otherwise
    #[arg(value_name = "FILE|DIR")]
    path: Option<PathBuf>,
    /// The directory of the host's shared segments
    #[arg(long, value_name = "DIR", env = "MCRPC_DIR", default_value = DEFAULT_DIRECTORY)]
    dir: PathBuf,
    /// At most so many rows of a table and records of a trace; all of them in JSON unless told otherwise
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Show the seeds too: who knows them can choose endpoints that collide
    #[arg(long)]
    show_seed: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// Rows of a table unless told otherwise.
const LIMIT: usize = 50;

/// Shows the segments. Fails if one of them is not to be believed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let now = Moment::now();
    let limit = options.limit.unwrap_or(if options.json { usize::MAX } else { LIMIT });
    let look = |path: PathBuf, expected| Report::of(&path, expected, limit, options.show_seed, &now);
    let path = options.path.as_ref().unwrap_or(&options.dir);
    let reports: Vec<Report> = if path.is_dir() {
        // A host need not keep logs.
        let is_wanted = |segment: &Segment| *segment != Segment::Log || file::in_dir(path, *segment).exists();
        let segments = Segment::ALL.into_iter().filter(is_wanted);
        segments.map(|segment| look(file::in_dir(path, segment), Some(segment))).collect()
    } else {
        vec![look(path.clone(), file::kind_by_name(path))]
    };
    if options.json {
        print_json(&reports)?;
    } else {
        let texts: Vec<String> = reports.iter().map(|report| report.to_text(limit)).collect();
        print(texts.join("\n\n"))?;
    }
    Ok(if reports.iter().all(Report::is_ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
