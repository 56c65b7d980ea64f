//! `mcrpc agent`: the options of the host's agent, which is [`mcrpc_agent`].
//!
//! Whenever it ends, however it ends, no call waits for it: after an orderly end all calls pass at once, after a crash a
//! few seconds later, and the next agent goes on where this one stopped.

mod discovery;
mod logs;
mod proxy;
mod web;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use mcrpc_agent::agent::{Agent, Sources};
use mcrpc_agent::cpu::sampler::{Places, Sampler};
use mcrpc_agent::directory::SharedMode;
use mcrpc_agent::event::Event;
use mcrpc_agent::file::StrategiesFile;
use mcrpc_agent::generator::{Choice, Generator};
use mcrpc_agent::probe::Question;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_agent::reports::socket::{Reports, socket_of};
use mcrpc_agent::run;
use mcrpc_core::host::files::DEFAULT_DIRECTORY;
use mcrpc_core::host::seat::MAX_SEATS;
use mcrpc_core::host::stat::MAX_COUNTERS;
use mcrpc_core::shield::rate::RateRules;
use mcrpc_core::strategy::table::MAX_CAPACITY;
use mcrpc_discovery::Discovery;
use mcrpc_proxy::Proxy;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::host::text::parse_percent;

const DEFAULT: Settings = Settings::DEFAULT;

/// The options of `mcrpc agent`.
#[derive(clap::Args)]
pub struct Options {
    /// The directory of the shared segments; it is made if it is missing
    #[arg(long, value_name = "DIR", env = "MCRPC_DIR", default_value = DEFAULT_DIRECTORY)]
    dir: PathBuf,
    /// Strategies, a line each: 10.0.0.1:8080 service=7 pass=35% level=2048 kind=normal|probe|shielded; read again when
    /// the file changes. It has the last word on the endpoints that it names
    #[arg(long, value_name = "FILE")]
    strategies: Option<PathBuf>,
    /// How pass rates follow from what calls met: none, default, table, table:FILE, wilson or plugin:FILE
    #[arg(long, value_name = "NAME", default_value = "default")]
    generator: Choice,
    /// Shield an endpoint that failed so many calls of all processes within ten seconds, and this share of them; or off
    #[arg(long, value_name = "N,RATE|off", default_value = "20,20%")]
    judge_failures: Judge,
    /// Ask shielded endpoints over the network whether they work again: by a ping of the wire format, or only whether they
    /// accept a connection
    #[arg(long, value_enum, default_value_t = Probe::Ping)]
    probe: Probe,
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
    #[command(flatten)]
    discovery: discovery::Options,
    #[command(flatten)]
    proxy: proxy::Options,
    #[command(flatten)]
    logs: logs::Options,
    #[command(flatten)]
    web: web::Options,
}

fn up_to(max: u32) -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(max))
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SharedWith {
    Group,
    World,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Probe {
    Ping,
    Tcp,
    Off,
}

/// When the agent shields; `None`: never.
#[derive(Clone, Copy)]
struct Judge(Option<RateRules>);

impl FromStr for Judge {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Judge> {
        if text == "off" {
            return Ok(Judge(None));
        }
        let Some((count, share)) = text.split_once(',') else {
            bail!("say how many failures and which share of the calls, as 20,20%, or off");
        };
        let min_failures = count.parse().ok().filter(|&count| count > 0);
        let min_failures = min_failures.with_context(|| format!("{count:?} is no number of failures above 0"))?;
        Ok(Judge(Some(RateRules { min_failures, rate: parse_percent(share)? })))
    }
}

/// Publishes until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<ExitCode> {
    let Options { capacity, seats, counters, judge_failures: Judge(rules), .. } = *options;
    let (shared_mode, socket_mode) = match options.shared_with {
        SharedWith::Group => (SharedMode::GROUP, 0o660),
        SharedWith::World => (SharedMode::WORLD, 0o666),
    };
    let discovery = options.discovery.settings(&options.dir, socket_mode)?;
    let proxy = options.proxy.settings(&options.dir, socket_mode)?;
    let probes = match options.probe {
        Probe::Ping => Some(Question::Ping),
        Probe::Tcp => Some(Question::Tcp),
        Probe::Off => None,
    };
    let log_cells = options.logs.cells();
    let settings = Settings { capacity, seats, counters, log_cells, shared_mode, ..DEFAULT };
    // Before anything is touched: a bad file should not cost the good entries of the agent before.
    let file = options.strategies.as_deref().map(StrategiesFile::open).transpose()?;
    let generator = match &options.generator {
        Choice::None => None,
        choice => Some(Generator::open(choice)?),
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Before the directory is locked: from then on an end is an orderly one.
        let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
        let (publisher, started) = Publisher::open(&options.dir, settings)?;
        println!("mcrpc agent in {}: {started}", options.dir.display());
        let end = async {
            tokio::select! {
                _ = terminated.recv() => {}
                _ = interrupted.recv() => {}
            }
        };
        let logs = options.logs.start(&options.dir)?;
        let reports = Reports::open(&options.dir, socket_mode)
            .with_context(|| format!("cannot take reports at {}", socket_of(&options.dir).display()))?;
        let discovery = Discovery::start(discovery)?;
        let proxy = proxy.map(|settings| Proxy::start(settings, tell_of_proxy)).transpose()?;
        options.web.start(&options.dir, discovery.names())?;
        let cpu = Some(Sampler::new(&Places::default()));
        let agent = Agent::new(publisher, Sources { file, generator, rules, probes, cpu });
        // Still the directory's writer: the next agent must not empty the rings while this one does.
        let end = async {
            end.await;
            drop(logs);
        };
        let agent = run::run(agent, reports, end, tell);
        tokio::select! {
            () = agent => {}
            () = discovery.run(tell_of_services) => {}
        }
        proxy.into_iter().for_each(Proxy::drain);
        Ok(ExitCode::SUCCESS)
    })
}

fn tell_of_services(event: &mcrpc_discovery::event::Event) {
    say(event.is_error(), event);
}

fn tell_of_proxy(event: &mcrpc_proxy::Event) {
    say(event.is_error(), event);
}

fn tell(event: &Event) {
    say(event.is_error(), event);
}

fn say(is_error: bool, event: &dyn std::fmt::Display) {
    // Whoever reads that may be gone, or the disk full: the agent goes on.
    let _ = if is_error {
        writeln!(io::stderr(), "mcrpc agent: {event}")
    } else {
        writeln!(io::stdout(), "mcrpc agent: {event}")
    };
}
