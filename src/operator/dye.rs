//! `mcrpc dye`: has the call graph of one user recorded by all programs of the host.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mcrpc_core::id::Uin;

use super::session::Session;
use super::{refuse_json, show};
use crate::host::control::{Orders, orders};
use crate::host::listings;
use crate::host::place::Place;
use crate::host::text::parse_number;

/// The options of `mcrpc dye`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The user; without it the dyed users are listed
    #[arg(value_parser = parse_number)]
    uin: Option<u64>,
    /// How long, as 90s, 10m or 2h; until taken back if it is not said
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    term: Option<Duration>,
    /// Record it no longer
    #[arg(long, conflicts_with = "term")]
    off: bool,
    #[command(flatten)]
    place: Place,
    /// Write the list as JSON
    #[arg(long)]
    json: bool,
}

/// Dyes a user, ends it, or lists them.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Some(uin) = options.uin else {
        if options.off || options.term.is_some() {
            bail!("which user? Say the uin first");
        }
        show(&options.place, options.json, |orders| orders.dyes.clone(), listings::dyes)?;
        return Ok(ExitCode::SUCCESS);
    };
    refuse_json(options.json)?;
    if uin == 0 {
        bail!("uin 0 belongs to no user: say another");
    }
    let session = match options.off {
        false => Some(Session::open(&options.place)?),
        true => Session::open_existing(&options.place)?,
    };
    let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
    let (operator, now) = (session.operator(), session.now().monotonic());
    let in_words = || term(&orders(&operator.control(), session.now()), uin);
    let before = in_words();
    if options.off {
        operator.undye(Uin(uin));
    } else {
        let until = options.term.map(|term| now.plus(term.as_nanos().try_into().unwrap_or(u64::MAX)));
        let done = operator.dye(Uin(uin), until, now, session.author());
        done.with_context(|| format!("cannot dye user {uin}: `mcrpc dye` lists who is"))?;
    }
    session.say(&format!("Call graph of user {uin}: {before} -> {}.", in_words()))?;
    Ok(ExitCode::SUCCESS)
}

fn term(orders: &Orders, uin: u64) -> String {
    let found = orders.dyes.iter().find(|order| order.uin == uin && order.term.in_force);
    found.map_or_else(|| "not recorded".to_owned(), |order| format!("recorded {}", order.term))
}
