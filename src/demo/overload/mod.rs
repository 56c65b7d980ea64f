//! `mcrpc demo overload`: a service behind another one has more to do than it can, under this library and its rivals.
//!
//! [`plan`] says what is measured; this file goes through it, several runs at a time. [`mod@run`] is one of them: [`fleet`] has its
//! processes, [`users`] ask, [`record`] and [`series`] count what users and servers met, [`figures`] makes figures of it, and
//! [`report`], [`page`] and [`plot`] show them.

mod figures;
mod fleet;
mod page;
mod plan;
mod plot;
mod record;
mod report;
mod run;
mod series;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use tokio::task::JoinSet;

use super::client::pass_on_panic;
use super::progress::Progress;
use super::{Files, run_unless_interrupted};
use figures::{Results, RunFigures};
use plan::{CAPACITY_PER_S, Plan, QUICK, Run, Scenario, WHOLE};

/// The options of `mcrpc demo overload`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Each run once, and shorter: less than a minute instead of three
    #[arg(long)]
    quick: bool,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page with table and plots here
    #[arg(long, value_name = "FILE", default_value = "overload-report.html")]
    html: PathBuf,
    /// Write a plot of the retry storm here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the demo and writes its report.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = if options.quick { &QUICK } else { &WHOLE };
    run_unless_interrupted(measure(plan), |results| publish(options, &results))
}

async fn measure(plan: &Plan) -> Result<Results> {
    let batches = plan.batches();
    let total = batches.iter().map(|batch| plan.batch_time(batch)).sum();
    let progress = Progress::new(total, batches.len());
    let mut runs = Vec::new();
    for batch in &batches {
        let figures = progress.watch(label(batch), plan.batch_time(batch), at_once(plan, batch)).await?;
        progress.note("done");
        runs.extend(figures);
    }
    progress.finish();
    Ok(Results { capacity_per_s: CAPACITY_PER_S, cells: figures::cells(&runs) })
}

fn label(batch: &[Run]) -> String {
    let scenario = batch.first().map_or("", |run| run.scenario.name());
    let policies: Vec<_> = batch.iter().map(|run| run.policy.name()).collect();
    format!("{scenario}: {}", policies.join(", "))
}

async fn at_once(plan: &Plan, batch: &[Run]) -> Result<Vec<RunFigures>> {
    let mut tasks = JoinSet::new();
    for &run in batch {
        tasks.spawn_local(run::measure(run, plan.timing(run.scenario)));
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
    let svg = match &options.svg {
        Some(path) => Some((path.as_path(), plot::policies(results, Scenario::RetryStorm)?)),
        None => None,
    };
    let files = Files { html: (&options.html, html), json: options.json.as_deref().map(|path| (path, json)), svg };
    files.publish(&report::table(&results.cells), &report::sentences(results))
}
