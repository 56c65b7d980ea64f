//! `mcrpc sim`: services under overload, simulated, with the real core and its rivals as what controls them.
//!
//! The scenarios, the campaign and the required figures are the simulator's own (`sim/`). [`choice`] picks from them by name, this
//! file runs them, [`report`] makes tables and lines of the results, [`page`] and [`plot`] a page.

mod choice;
mod page;
mod plot;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mcrpc_sim::campaign::{self, Results};
use mcrpc_sim::policy::Policy;
use mcrpc_sim::required::{self, Verdict};
use mcrpc_sim::scenario::{Extent, Scenario};
use serde::Serialize;

/// The options of `mcrpc sim`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these scenarios
    #[arg(long = "scenario", value_name = "NAME", value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Only these policies; a comma separates names
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
    /// Also ours with each of its parts left out
    #[arg(long)]
    ablation: bool,
    /// Runs of each case, from which the median is taken [default: 5; 2 if quick]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// Shorter runs, fewer of them
    #[arg(long)]
    quick: bool,
    /// Say which scenarios and policies there are
    #[arg(long)]
    list: bool,
    /// End with status 1 if a required figure is missed
    #[arg(long)]
    check: bool,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page with tables and plots here
    #[arg(long, value_name = "FILE", default_value = "sim-report.html")]
    html: PathBuf,
}

const SEEDS: u64 = 5;
const SEEDS_QUICK: u64 = 2;

/// Runs the simulations and writes their report.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let extent = if options.quick { Extent::Quick } else { Extent::Whole };
    let scenarios = choice::scenarios(&options.scenarios, extent)?;
    let policies = choice::policies(&options.policies, options.ablation)?;
    if options.list {
        print!("{}", choice::list(&scenarios, &policies));
        return Ok(ExitCode::SUCCESS);
    }
    let seeds = options.seeds.unwrap_or(if options.quick { SEEDS_QUICK } else { SEEDS });
    let results = simulate(&scenarios, &policies, seeds);
    let verdicts = required::judge(&results.cells);
    publish(options, &scenarios, &results, &verdicts)?;
    let is_met = |verdict: &Verdict<'_>| verdict.worst.is_none_or(|worst| worst.is_met());
    let is_failure = options.check && !verdicts.iter().all(is_met);
    Ok(if is_failure { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn simulate(scenarios: &[Scenario], policies: &[Box<dyn Policy>], seeds: u64) -> Results {
    let began = Instant::now();
    let runs = campaign::run_count(scenarios, policies.len(), seeds);
    let bar = ProgressBar::new(runs);
    let style = ProgressStyle::with_template("{pos} of {len} runs {bar:40.cyan/dim} {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
    let done = AtomicU64::new(0);
    let ran = || {
        bar.inc(1);
        let done = done.fetch_add(1, Relaxed) + 1;
        // Where there is no terminal, a line for each tenth.
        if bar.is_hidden() && done * 10 / runs > (done - 1) * 10 / runs {
            eprintln!("{done} of {runs} runs, {:.0} s", began.elapsed().as_secs_f64());
        }
    };
    let results = campaign::campaign(scenarios, policies, seeds, &ran);
    bar.finish_and_clear();
    eprintln!("{runs} runs in {:.0} s", began.elapsed().as_secs_f64());
    results
}

/// What the file of figures holds.
#[derive(Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    results: &'a Results,
    required: Vec<report::Judged>,
}

fn publish(options: &Options, scenarios: &[Scenario], results: &Results, verdicts: &[Verdict<'_>]) -> Result<()> {
    let judged: Vec<_> = verdicts.iter().map(report::Judged::new).collect();
    let beaten = report::beaten_lines(&results.cells);
    let tables = report::tables(scenarios, &results.cells);
    for table in &tables {
        println!("{}\n{}\n", table.title, table.for_terminal());
    }
    println!("{}\n", report::judgement(&judged));
    beaten.iter().for_each(|line| println!("{line}"));
    write(&options.html, page::html(scenarios, results, &tables, &judged, &beaten)?)?;
    println!("\nThe page with plots: {}", options.html.display());
    if let Some(path) = &options.json {
        write(path, serde_json::to_string_pretty(&Figures { results, required: judged })? + "\n")?;
        println!("All figures: {}", path.display());
    }
    Ok(())
}

fn write(path: &Path, text: String) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
