//! `mcrpc agent`: the host's publisher of strategies, from a file.
//!
//! It owns the directory of shared segments, puts what the file says into the table once a second, and lets the table's
//! heartbeat move. Whenever it ends, however it ends, no call waits for it: after an orderly end all calls pass at
//! once, after a crash a few seconds later, and the next agent goes on where this one stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use mcrpc_agent::directory::SharedMode;
use mcrpc_agent::file::StrategiesFile;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::files::DEFAULT_DIRECTORY;
use mcrpc_core::host::seat::MAX_SEATS;
use mcrpc_core::host::stat::MAX_COUNTERS;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::table::MAX_CAPACITY;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

const DEFAULT: Settings = Settings::DEFAULT;
const REFRESHED_EACH: Duration = Duration::from_secs(1);

/// The options of `mcrpc agent`.
#[derive(clap::Args)]
pub struct Options {
    /// The directory of the shared segments; it is made if it is missing
    #[arg(long, value_name = "DIR", env = "MCRPC_DIR", default_value = DEFAULT_DIRECTORY)]
    dir: PathBuf,
    /// Strategies, a line each: 10.0.0.1:8080 service=7 pass=35% level=2048 kind=normal|probe|shielded; read again when
    /// the file changes
    #[arg(long, value_name = "FILE")]
    strategies: Option<PathBuf>,
    /// Endpoints in the table of strategies; it grows when they are more
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT.capacity, value_parser = up_to(MAX_CAPACITY))]
    capacity: u32,
    /// Processes that have counters and a trace ring of their own
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT.seats, value_parser = up_to(MAX_SEATS))]
    seats: u32,
    /// Counters
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT.counters, value_parser = up_to(MAX_COUNTERS))]
    counters: u32,
    /// Who may write the segments that all processes write: the directory's group, or everybody on the host
    #[arg(long, value_enum, default_value_t = SharedWith::Group)]
    shared_with: SharedWith,
}

fn up_to(max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(max))
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SharedWith {
    Group,
    World,
}

/// Publishes until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<ExitCode> {
    let Options { capacity, seats, counters, .. } = *options;
    let shared_mode = match options.shared_with {
        SharedWith::Group => SharedMode::GROUP,
        SharedWith::World => SharedMode::WORLD,
    };
    let settings = Settings { capacity, seats, counters, shared_mode, ..DEFAULT };
    // Before anything is touched: a bad file should not cost the good entries of the agent before.
    let file = options.strategies.as_deref().map(StrategiesFile::open).transpose()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the directory is locked: from then on an end is an orderly one.
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let (publisher, started) = Publisher::open(&options.dir, settings)?;
        println!("mcrpc agent in {}: {started}", options.dir.display());
        let mut agent = Agent { publisher, file, is_new: true, last_error: String::new() };
        let mut ticks = interval(REFRESHED_EACH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = terminated.recv() => break,
                _ = interrupted.recv() => break,
                _ = ticks.tick() => agent.refresh(),
            }
        }
        agent.publisher.close();
        Ok(ExitCode::SUCCESS)
    })
}

struct Agent {
    publisher: Publisher,
    file: Option<StrategiesFile>,
    /// What the file says has not been compared with the table yet.
    is_new: bool,
    last_error: String,
}

impl Agent {
    fn refresh(&mut self) {
        if let Some(file) = &mut self.file {
            match file.poll() {
                Ok(changed) => self.is_new |= changed,
                Err(error) => eprintln!("mcrpc agent: {error}; what was read last stays in force"),
            }
            if std::mem::take(&mut self.is_new) {
                let wanted = file.strategies();
                let unwanted = |endpoint: &Endpoint| !wanted.contains_key(endpoint);
                let gone: Vec<_> =
                    self.publisher.entries().map(|(record, _)| record.endpoint).filter(unwanted).collect();
                for endpoint in gone {
                    self.publisher.remove(&endpoint);
                }
            }
            for (endpoint, entry) in file.strategies() {
                // One that is refused now gets its place in the new table that the refresh makes.
                let _ = self.publisher.set(endpoint, entry, Counts::default());
            }
        }
        let error = match self.publisher.refresh() {
            Ok(refreshed) => {
                if let Some(capacity) = refreshed.replaced {
                    println!("mcrpc agent: made a new table of strategies with room for {capacity}");
                }
                String::new()
            }
            Err(error) => format!("cannot make another table of strategies: {error}"),
        };
        // Once for as long as it lasts.
        if error != self.last_error && !error.is_empty() {
            eprintln!("mcrpc agent: {error}");
        }
        self.last_error = error;
    }
}
