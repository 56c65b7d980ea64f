//! `mcrpc kill`: turns every mechanism of every program on the host off, and back to what it was.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::session::{Session, look};
use super::{print_nothing_said, refuse_json};
use crate::host::control::AuthorOf;
use crate::host::output::{print, print_json};
use crate::host::place::Place;

/// The options of `mcrpc kill`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// on: every mechanism is off. off: each is what it was
    action: Action,
    #[command(flatten)]
    place: Place,
    /// Write the status as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    On,
    Off,
    Status,
}

#[derive(Serialize)]
struct Status {
    killed: bool,
    /// Who turned it last.
    author: Option<AuthorOf>,
    /// Whether there is a control segment at all.
    segment: bool,
    changes: u64,
}

/// Turns the switch, or shows it.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if options.action == Action::Status {
        status(options)?;
        return Ok(ExitCode::SUCCESS);
    }
    refuse_json(options.json)?;
    let on = options.action == Action::On;
    let session = match on {
        true => Some(Session::open(&options.place)?),
        false => Session::open_existing(&options.place)?,
    };
    let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
    let changed = session.operator().set_killed(on, session.author());
    session.say(match (on, changed) {
        (true, true) => "Kill switch: off -> ON. Every mechanism is off, whatever else was said.",
        (true, false) => "Kill switch: it was ON already. Every mechanism is off.",
        (false, true) => "Kill switch: ON -> off. Every mechanism is again what it was.",
        (false, false) => "Kill switch: it was off already.",
    })?;
    print(super::SERVERS_FOLLOW)?;
    Ok(ExitCode::SUCCESS)
}

fn status(options: &Options) -> Result<()> {
    let said = look(&options.place)?;
    let status = Status {
        killed: said.as_ref().is_some_and(|orders| orders.killed),
        author: said.as_ref().and_then(|orders| orders.kill_author.clone()),
        segment: said.is_some(),
        changes: said.as_ref().map_or(0, |orders| orders.changes),
    };
    if options.json {
        return print_json(&status);
    }
    let state = if status.killed { "ON. Every mechanism is off" } else { "off" };
    let since =
        status.author.map_or(String::new(), |AuthorOf { by_uid, set_at }| format!(", since {set_at} by user {by_uid}"));
    print(format_args!("Kill switch: {state}{since}."))?;
    if status.segment { Ok(()) } else { print_nothing_said(&options.place) }
}
