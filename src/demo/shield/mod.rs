//! `mcrpc demo shield`: machines fail and recover under C++ clients, without and with shields.
//!
//! [`plan`] says what is measured; this file goes through it, several runs at a time. [`mod@run`] is one of them: [`fleet`] and
//! [`switchable`] are its machines, [`clock`] its time, [`shares`] says what is usual, [`series`] adds up what the clients print, [`figures`] makes figures
//! of it, and [`report`], [`page`] and [`plot`] show them.

pub(super) mod clock;
mod figures;
mod fleet;
mod page;
mod plan;
mod plot;
mod report;
mod run;
mod series;
mod shares;
mod switchable;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use tokio::task::JoinSet;

use super::client::pass_on_panic;
use super::progress::Progress;
use super::{Files, run_unless_interrupted};
use figures::{Results, RunFigures};
use plan::{Fault, OVERHEAD, Plan, Protection, QUICK, Scenario, WHOLE};

/// The options of `mcrpc demo shield`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Shorter runs, more of them at the same time: less than a minute instead of three
    #[arg(long)]
    quick: bool,
    /// Only these faults
    #[arg(long, value_name = "FAULT", value_delimiter = ',')]
    faults: Vec<Fault>,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page with table and plots here
    #[arg(long, value_name = "FILE", default_value = "shield-report.html")]
    html: PathBuf,
    /// Write a plot of the first fault here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the demo and writes its report.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = if options.quick { &QUICK } else { &WHOLE };
    let faults = if options.faults.is_empty() { &Fault::ALL } else { options.faults.as_slice() };
    run_unless_interrupted(measure(plan, faults), |results| publish(options, &results))
}

async fn measure(plan: &Plan, faults: &[Fault]) -> Result<Results> {
    let batches = plan.batches(faults);
    let total = batches.iter().map(|batch| plan.batch_time(batch) + OVERHEAD).sum();
    let progress = Progress::new(total, batches.len());
    let mut runs = Vec::new();
    for batch in &batches {
        let figures = progress.watch(label(batch), plan.batch_time(batch) + OVERHEAD, at_once(plan, batch)).await?;
        progress.note("done");
        runs.extend(figures);
    }
    progress.finish();
    let place = |run: &RunFigures| {
        let protection = Protection::ALL.iter().position(|&protection| protection == run.protection);
        (Fault::ALL.iter().position(|&fault| fault == run.fault), protection)
    };
    runs.sort_by_key(place);
    Ok(Results { runs })
}

fn label(batch: &[Scenario]) -> String {
    let protection = batch.first().map_or("", |scenario| scenario.protection.name());
    let faults: Vec<_> = batch.iter().map(|scenario| scenario.fault.name()).collect();
    format!("{protection}: {}", faults.join(", "))
}

async fn at_once(plan: &Plan, batch: &[Scenario]) -> Result<Vec<RunFigures>> {
    let mut tasks = JoinSet::new();
    for &scenario in batch {
        tasks.spawn_local(run::measure(scenario, plan.timing(scenario)));
    }
    let mut runs = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(figures) => runs.push(figures?),
            panicked => pass_on_panic(panicked.map(drop)),
        }
    }
    Ok(runs)
}

fn publish(options: &Options, results: &Results) -> Result<()> {
    let (html, json) = (page::html(results)?, serde_json::to_string_pretty(results)? + "\n");
    let svg = match (&options.svg, results.runs.first()) {
        (Some(path), Some(first)) => Some((path.as_path(), plot::protections(results, first.fault)?)),
        _ => None,
    };
    let files = Files { html: (&options.html, html), json: options.json.as_deref().map(|path| (path, json)), svg };
    files.publish(&report::table(&results.runs), &report::sentences(results))
}
