//! `mcrpc shield`: keeps all programs of the host from calling an endpoint, for a time or until taken back.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use mcrpc_core::strategy::endpoint::Endpoint;

use super::session::Session;
use super::{refuse_json, show};
use crate::host::control::{Orders, orders};
use crate::host::listings;
use crate::host::place::Place;
use crate::host::text::parse_id;

/// The options of `mcrpc shield`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The endpoint, as `10.1.2.3:80` or `[2001:db8::1]:80`; without it the shields are listed
    #[arg(value_name = "ADDRESS:PORT", value_parser = socket)]
    endpoint: Option<SocketAddr>,
    /// The service behind it, if the port does not say enough
    #[arg(long, value_name = "ID", value_parser = parse_id, default_value = "0")]
    service: u32,
    /// How long, as 90s, 10m or 2h; until taken back if it is not said
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    term: Option<Duration>,
    /// End the shield
    #[arg(long, conflicts_with = "term")]
    off: bool,
    #[command(flatten)]
    place: Place,
    /// Write the list as JSON
    #[arg(long)]
    json: bool,
}

fn socket(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| {
        let how = "write address and port as 10.1.2.3:80 or [2001:db8::1]:80; names are not looked up";
        format!("{text:?} is no endpoint: {how}")
    })
}

/// Sets, ends or lists shields.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Some(socket) = options.endpoint else {
        if options.off || options.term.is_some() || options.service != 0 {
            bail!("which endpoint? Say its address and port first, as 10.1.2.3:80");
        }
        show(&options.place, options.json, |orders| orders.shields.clone(), listings::shields)?;
        return Ok(ExitCode::SUCCESS);
    };
    refuse_json(options.json)?;
    let session = match options.off {
        false => Some(Session::open(&options.place)?),
        true => Session::open_existing(&options.place)?,
    };
    let Some(session) = session else { return Ok(ExitCode::SUCCESS) };
    let endpoint = Endpoint::new(socket, options.service);
    let (operator, now) = (session.operator(), session.now().monotonic());
    let in_words = || term(&orders(&operator.control(), session.now()), &endpoint);
    let before = in_words();
    if options.off {
        operator.unshield(&endpoint);
    } else {
        let until = options.term.map(|term| now.plus(term.as_nanos().try_into().unwrap_or(u64::MAX)));
        let done = operator.shield(&endpoint, until, now, session.author());
        done.with_context(|| format!("cannot shield {socket}: `mcrpc shield` lists what is shielded"))?;
    }
    let service = if options.service == 0 { String::new() } else { format!(", service {}", options.service) };
    session.say_unless_killed(&format!("Shield of {socket}{service}: {before} -> {}.", in_words()))?;
    Ok(ExitCode::SUCCESS)
}

fn term(orders: &Orders, endpoint: &Endpoint) -> String {
    let socket = endpoint.socket().to_string();
    let wanted = |order: &&crate::host::control::ShieldOrder| {
        order.endpoint == socket && order.service_id == endpoint.service_id && order.term.in_force
    };
    orders.shields.iter().find(wanted).map_or_else(|| "none".to_owned(), |order| order.term.to_string())
}
