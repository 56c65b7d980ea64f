//! `mcrpc top`: what the host does, again and again, on a terminal; or once, as text or JSON.
//!
//! [`snapshot`] gathers everything from the directory and [`crate::host::rates`] computes rates from two snapshots;
//! [`panes`] makes tables of them. [`screen`] runs the terminal and [`draw`] draws on it.
//! Nothing here writes to a segment or waits for a process.

mod draw;
mod panes;
mod screen;
mod snapshot;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::host::output::{print, print_json};
use crate::host::place::Place;
use crate::host::rates::Rates;
use snapshot::Snapshot;

/// The options of `mcrpc top`.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    place: Place,
    /// How long to wait between two looks; rates are taken over at least that long
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Print one snapshot as text and end, without a terminal
    #[arg(long)]
    once: bool,
    /// Print one snapshot as JSON and end
    #[arg(long)]
    json: bool,
}

/// Faster than a person reads, and still hardly any load.
const SHORTEST: Duration = Duration::from_millis(100);

fn interval(text: &str) -> Result<Duration> {
    let interval = humantime::parse_duration(text)?;
    if interval < SHORTEST {
        bail!("{text} is too short: say {} or more", humantime::format_duration(SHORTEST));
    }
    Ok(interval)
}

/// A snapshot, and what has changed since an older one.
#[derive(Serialize)]
struct Sight {
    #[serde(flatten)]
    snapshot: Snapshot,
    /// `None` without seats and counters.
    rates: Option<Rates>,
}

impl Sight {
    fn new(snapshot: Snapshot, older: Option<&Snapshot>) -> Sight {
        let rates = older.and_then(|older| rates(older, &snapshot));
        Sight { snapshot, rates }
    }
}

fn rates(older: &Snapshot, newer: &Snapshot) -> Option<Rates> {
    Some(Rates::between((&older.taken, older.stat.as_ref()?), (&newer.taken, newer.stat.as_ref()?)))
}

/// Shows the host until it is told to end.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.once || options.json {
        let older = Snapshot::take(&options.place);
        sleep(options.interval);
        let sight = Sight::new(Snapshot::take(&options.place), Some(&older));
        if options.json {
            print_json(&sight)?;
        } else {
            print(panes::text(&sight))?;
        }
        return Ok(if sight.snapshot.problem.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !std::io::stdout().is_terminal() {
        bail!("the output is no terminal: say --once for one snapshot as text, or --json");
    }
    screen::run(&options.place, options.interval)?;
    Ok(ExitCode::SUCCESS)
}
