//! `mcrpc demo`: a C++ server under more load than it can carry, with and without admission control.
//!
//! There are three more: `mcrpc demo overload`, in [`overload`], sets a fleet of two tiers beside rival policies; in
//! `mcrpc demo shield`, in [`shield`], machines fail and clients shield them; and `mcrpc demo fleet`, in [`fleet`], plays what
//! befalls a fleet of Rust and C++.
//!
//! [`plan`] says what is measured; this file goes through it: first the capacity of each mode, then all runs, each
//! against a fresh server, then the steps. [`server`] and [`process`] hold the child process, [`client`] makes the calls, [`load`]
//! decides when, [`record`] counts what happens, [`figures`] makes figures of it, and [`report`], [`page`] and
//! [`plot`] show them.

mod client;
mod figures;
mod fleet;
mod load;
mod overload;
pub(crate) mod page;
mod plan;
pub(crate) mod plot;
mod port;
mod process;
mod progress;
mod record;
mod report;
mod server;
mod shield;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::{Builder, LocalOptions};

use figures::{Results, RunFigures, StepFigures};
use load::Rate;
use plan::{DEADLINE, Mode, OVERHEAD, Plan, QUICK, SEED, Scenario, Span, Step, WHOLE, on_off};
use progress::Progress;
use server::Server;

/// The options of `mcrpc demo`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    other: Option<Other>,
    /// Fewer and shorter runs: less than 40 seconds instead of two and a half minutes
    #[arg(long)]
    quick: bool,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page with table and plots here
    #[arg(long, value_name = "FILE", default_value = "demo-report.html")]
    html: PathBuf,
    /// Write the most telling plot here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The other demos.
#[derive(clap::Subcommand)]
enum Other {
    /// Overload a C++ fleet of two tiers, with this library and with rival policies, and show the difference
    Overload(overload::Options),
    /// Let machines fail and recover under C++ clients, without and with shields, and show the difference
    Shield(shield::Options),
    /// Play what befalls a fleet of three tiers in Rust and C++: overload, servers that are killed, slow down, are restarted
    Fleet(fleet::Options),
    /// A tier in Rust of the example in examples/feed, which the fleet's demo starts
    #[command(hide = true, subcommand)]
    Tier(Tier),
}

/// The tiers in Rust.
#[derive(clap::Subcommand)]
enum Tier {
    Front(mcrpc_example_feed::tier::Options),
    Store(mcrpc_example_feed::tier::Options),
}

/// As the shell reports an end by SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs the demo and writes its report.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match &options.other {
        Some(Other::Overload(options)) => return overload::run(options),
        Some(Other::Shield(options)) => return shield::run(options),
        Some(Other::Fleet(options)) => return fleet::run(options),
        Some(Other::Tier(tier)) => {
            match tier {
                Tier::Front(options) => mcrpc_example_feed::front::run(options)?,
                Tier::Store(options) => mcrpc_example_feed::store::run(options)?,
            }
            return Ok(ExitCode::SUCCESS);
        }
        None => {}
    }
    let plan = if options.quick { &QUICK } else { &WHOLE };
    run_unless_interrupted(measure(plan), |results| publish(options, &results))
}

/// Runs a demo's measurements and publishes their results.
fn run_unless_interrupted<T>(
    measurements: impl Future<Output = Result<T>>,
    publish: impl FnOnce(T) -> Result<()>,
) -> Result<ExitCode> {
    // One thread, this one: nothing to lock, little CPU taken from the server, and the kernel ends the server with it.
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let results = runtime.block_on(async {
        tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).context("cannot wait for Ctrl-C"),
            results = measurements => results.map(Some),
        }
    })?;
    let Some(results) = results else {
        eprintln!("Interrupted; all processes of the demo have been stopped.");
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    };
    publish(results)?;
    Ok(ExitCode::SUCCESS)
}

/// Everything in its order.
async fn measure(plan: &Plan) -> Result<Results> {
    let progress = Progress::new(plan.total(), plan.run_count());
    let mut capacities = Vec::new();
    for mode in Mode::ALL {
        let label = format!("{}, capacity", mode.name());
        let capacity =
            progress.watch(label, plan.capacity.total() + OVERHEAD, measure_capacity(mode, plan.capacity)).await?;
        progress.note(&format!("{capacity:.0} answers/s"));
        capacities.push((mode, capacity));
    }
    let mut runs = Vec::new();
    for scenario in plan.scenarios() {
        let capacity = capacity_of(&capacities, scenario.mode);
        let run = measure_run(scenario, plan.run, capacity);
        let figures = progress.watch(scenario.label(), plan.run.total() + OVERHEAD, run).await?;
        progress.note(&format!("{:.0} of {:.0} tasks/s good", figures.good_per_s, figures.offered_per_s));
        runs.push(figures);
    }
    let mut steps = Vec::new();
    for (mode, admission, step) in plan.step_runs() {
        let label = format!("{}, admission {}, step up and back", mode.name(), on_off(admission));
        let run = measure_step(mode, admission, step, capacity_of(&capacities, mode));
        let figures = progress.watch(label, step.total() + OVERHEAD, run).await?;
        progress.note(&format!("{:.0} % of the capacity good", 100.0 * figures.share_after_1s));
        steps.push(figures);
    }
    progress.finish();
    let capacity_per_s = capacity_of(&capacities, Mode::Threads);
    Ok(Results { capacity_per_s, deadline_ms: DEADLINE.as_millis() as u64, runs, steps })
}

fn capacity_of(capacities: &[(Mode, f64)], mode: Mode) -> f64 {
    capacities.iter().find(|(of, _)| *of == mode).map_or(0.0, |(_, capacity)| *capacity)
}

async fn measure_capacity(mode: Mode, span: Span) -> Result<f64> {
    let mut server = Server::start(mode, false).await?;
    let capacity = load::closed_loop(&mut server, span).await?;
    server.stop().await?;
    Ok(capacity)
}

async fn measure_run(scenario: Scenario, span: Span, capacity_per_s: f64) -> Result<RunFigures> {
    let tasks_per_s = scenario.load * capacity_per_s / f64::from(scenario.calls_per_task);
    let arrivals =
        load::poisson_arrivals(&[Rate { length: span.total(), tasks_per_s }], &mut StdRng::seed_from_u64(SEED));
    let mut server = Server::start(scenario.mode, scenario.admission).await?;
    let counts = load::open_loop(&mut server, span, arrivals, scenario.calls_per_task).await?;
    server.stop().await?;
    Ok(RunFigures::new(&scenario, span, capacity_per_s, &counts))
}

async fn measure_step(mode: Mode, admission: bool, step: Step, capacity_per_s: f64) -> Result<StepFigures> {
    let rates = step.phases().map(|phase| Rate { length: phase.length, tasks_per_s: phase.load * capacity_per_s });
    let arrivals = load::poisson_arrivals(&rates, &mut StdRng::seed_from_u64(SEED));
    let span = Span { warm_up: Duration::ZERO, measured: step.total() };
    let mut server = Server::start(mode, admission).await?;
    let counts = load::open_loop(&mut server, span, arrivals, 1).await?;
    server.stop().await?;
    Ok(StepFigures::new(mode, admission, step, capacity_per_s, &counts.buckets))
}

fn publish(options: &Options, results: &Results) -> Result<()> {
    let (html, json) = (page::html(results)?, serde_json::to_string_pretty(results)? + "\n");
    let svg =
        options.svg.as_deref().map(|path| Ok::<_, anyhow::Error>((path, plot::most_telling(results)?))).transpose()?;
    let files = Files { html: (&options.html, html), json: options.json.as_deref().map(|path| (path, json)), svg };
    files.publish(&report::table(&results.runs), &report::sentences(results))
}

/// What a demo writes, and where.
struct Files<'a> {
    html: (&'a Path, String),
    json: Option<(&'a Path, String)>,
    svg: Option<(&'a Path, String)>,
}

impl Files<'_> {
    /// Table and sentences to stdout, the files where they were asked for.
    fn publish(self, table: &comfy_table::Table, sentences: &[String]) -> Result<()> {
        println!("{table}\n");
        sentences.iter().for_each(|sentence| println!("{sentence}"));
        println!();
        let named = [("The page with plots", Some(self.html)), ("All figures", self.json), ("The plot", self.svg)];
        for (name, file) in named {
            if let Some((path, text)) = file {
                write(path, text)?;
                println!("{name}: {}", path.display());
            }
        }
        Ok(())
    }
}

fn write(path: &Path, text: String) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
