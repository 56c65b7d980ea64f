//! `mcrpc demo fleet`: three tiers in Rust and C++ under load, overload, and servers that die, slow down and are restarted.
//!
//! [`plan`] says what is played; this file goes through it while the [`users`] call. [`cast`] are the processes, of the example in
//! `examples/feed`; [`screen`] shows the play while it goes on. [`figures`] makes figures of what the users met, and [`report`], [`page`] and [`plot`] show
//! them.

mod cast;
mod figures;
mod page;
mod plan;
mod plot;
mod report;
mod screen;
mod users;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::spawn_local;
use tokio::time::{interval, sleep};

use super::{Files, run_unless_interrupted};
use cast::{Cast, States};
use figures::{Played, Results};
use plan::{Plan, QUICK, Scene, Tier, WHOLE, capacity_per_s};
use screen::{Screen, Sight};
use users::Users;

/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(200);
/// The instance that is killed or slowed down.
const VICTIM: usize = 0;

/// The options of `mcrpc demo fleet`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Shorter scenes: less than a minute instead of two
    #[arg(long)]
    quick: bool,
    /// Write all figures here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page with table and plot here
    #[arg(long, value_name = "FILE", default_value = "fleet-report.html")]
    html: PathBuf,
    /// Write the plot here
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs the demo and writes its report.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let plan = if options.quick { &QUICK } else { &WHOLE };
    run_unless_interrupted(play(plan), |results| publish(options, &results))
}

async fn play(plan: &Plan) -> Result<Results> {
    let states = States::default();
    let mut cast = Cast::start(states.clone()).await?;
    let mut screen = Screen::new()?;
    let users = Users::new();
    let calling = spawn_local({
        let (users, routes) = (users.clone(), cast.routes().to_owned());
        async move { users.call(&routes).await }
    });
    let scenes = plan.scenes();
    let (mut played, mut done) = (Vec::new(), Vec::new());
    for (number, &(scene, length)) in scenes.iter().enumerate() {
        users.set_rate(scene.load() * capacity_per_s());
        let host = cast.host();
        let (from, not_sent) = (users.elapsed(), host.not_sent());
        {
            let action = act(scene, length, &mut cast);
            tokio::pin!(action);
            let mut frames = interval(FRAME);
            loop {
                tokio::select! {
                    acted = &mut action => break acted?,
                    _ = frames.tick() => screen.show(&Sight {
                        scene,
                        elapsed: users.elapsed(),
                        total: plan.total(),
                        states: &states,
                        record: &users.record(),
                        not_sent: host.not_sent(),
                        done: &done,
                    })?,
                }
            }
        }
        let last = Played { scene, from, to: users.elapsed(), not_sent: host.not_sent() - not_sent };
        played.push(last);
        done = Results::new(&played, &users.record()).scenes;
        if let Some(figures) = done.last() {
            screen.note(figures, number + 1, scenes.len());
        }
    }
    users.end();
    calling.await.context("the users")??;
    drop(screen);
    cast.stop().await?;
    Ok(Results::new(&played, &users.record()))
}

/// Does to the processes what the scene says.
async fn act(scene: Scene, length: Duration, cast: &mut Cast) -> Result<()> {
    match scene {
        Scene::Steady | Scene::Overload | Scene::Recovery => sleep(length).await,
        Scene::Kill(tier) => {
            sleep(length / 4).await;
            cast.kill(tier, VICTIM, length / 4).await?;
            sleep(length / 2).await;
        }
        Scene::Slow => {
            sleep(length / 8).await;
            cast.slow_down(Tier::Store, VICTIM, length / 2).await?;
            sleep(length / 4).await;
        }
        Scene::Restart(tier) => cast.restart(tier).await?,
    }
    Ok(())
}

fn publish(options: &Options, results: &Results) -> Result<()> {
    let (html, json) = (page::html(results)?, serde_json::to_string_pretty(results)? + "\n");
    let svg =
        options.svg.as_deref().map(|path| Ok::<_, anyhow::Error>((path, plot::over_time(results)?))).transpose()?;
    let files = Files { html: (&options.html, html), json: options.json.as_deref().map(|path| (path, json)), svg };
    files.publish(&report::table(&results.scenes), &report::sentences(results))
}
