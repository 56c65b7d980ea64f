//! `mcrpc mode`: lets a mechanism work, only count, or do nothing, on the whole host or for a share of the users.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use mcrpc_core::admission::Mode;
use mcrpc_core::host::control::{Mechanism, Setting};
use mcrpc_core::id::Per10k;

use super::session::Session;
use super::{refuse_json, show};
use crate::host::control::mode_name;
use crate::host::listings;
use crate::host::output::print;
use crate::host::place::Place;
use crate::host::text::{parse_percent, percent};

/// The options of `mcrpc mode`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// admission, shield, pass-rate, skip, fast-reject or retry-budget; without it all are listed
    #[arg(value_parser = mechanism)]
    mechanism: Option<Mechanism>,
    /// off, observe (decide and count, refuse nothing), enforce, or default: each program's own setting
    mode: Option<Wanted>,
    /// Enforce for this share of the users only; the others' calls are decided and counted
    #[arg(long, value_name = "5%", value_parser = parse_percent)]
    share: Option<Per10k>,
    #[command(flatten)]
    place: Place,
    /// Write the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    Off,
    Observe,
    Enforce,
    Default,
}

fn mechanism(text: &str) -> Result<Mechanism> {
    let names = || Mechanism::ALL.map(Mechanism::name).join(", ");
    let found = Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == text);
    found.with_context(|| format!("there is no mechanism {text:?}: say one of {}", names()))
}

/// Sets a mode, or lists them.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let (Some(mechanism), Some(wanted)) = (options.mechanism, options.mode) else {
        if options.share.is_some() {
            bail!("--share goes with enforce only: say which mechanism to enforce");
        }
        list(options)?;
        return Ok(ExitCode::SUCCESS);
    };
    refuse_json(options.json)?;
    if options.share.is_some() && wanted != Wanted::Enforce {
        bail!("--share goes with enforce only: every other mode holds for all users");
    }
    let share = options.share.unwrap_or(Per10k::ALL);
    let setting = match wanted {
        Wanted::Default => None,
        Wanted::Off => Some(Setting { mode: Mode::Off, share }),
        Wanted::Observe => Some(Setting { mode: Mode::Observe, share }),
        Wanted::Enforce => Some(Setting { mode: Mode::Enforce, share }),
    };
    let session = match setting {
        Some(_) => Some(Session::open(&options.place)?),
        None => Session::open_existing(&options.place)?,
    };
    let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
    let operator = session.operator();
    let before = operator.control().setting(mechanism);
    operator.set_mechanism(mechanism, setting, session.author());
    let change = format!("Mode of {}: {} -> {}.", mechanism.name(), in_words(before), in_words(setting));
    session.say_unless_killed(&change)?;
    if mechanism == Mechanism::Admission {
        print(super::SERVERS_FOLLOW)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(setting: Option<Setting>) -> String {
    match setting {
        None => "default".to_owned(),
        Some(Setting { mode, share: Per10k::ALL }) => mode_name(mode).to_owned(),
        Some(Setting { mode, share }) => format!("{} for {} of the users", mode_name(mode), percent(share)),
    }
}

fn list(options: &Options) -> Result<()> {
    let wanted = |name: &str| options.mechanism.is_none_or(|mechanism| mechanism.name() == name);
    show(
        &options.place,
        options.json,
        |orders| {
            let modes: Vec<_> = orders.modes.iter().filter(|order| wanted(order.mechanism)).cloned().collect();
            serde_json::json!({ "killed": orders.killed, "modes": modes })
        },
        |orders| {
            let mut listing = listings::modes(orders);
            listing.rows.retain(|row| wanted(&row[0]));
            listing
        },
    )
}
