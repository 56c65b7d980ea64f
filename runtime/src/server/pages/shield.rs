//! The servers that are called: in which state each is, and why.

use std::fmt::Write as _;

use mcrpc_core::admission::Cursor;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::shield::breaker::State;

use crate::client::overview::{self, Overview};
use crate::server::shared::Shared;

pub(super) fn text(shared: &Shared) -> String {
    let clients = &shared.observed.clients;
    if clients.is_empty() {
        return "This server shows no client: give them to show_client() before it starts.\n".to_owned();
    }
    let mut text = String::new();
    let all = clients.iter().flat_map(|client| client.services().into_iter().map(move |service| (client, service)));
    for (client, service) in all {
        let _ = writeln!(
            text,
            "{}\n  {:<40} {:<22} {:<14} {:>8} {:>8} {:>12} {:>9} {:>9} {:>10}  cursor",
            service.name,
            "server",
            "state",
            "last reason",
            "shields",
            "probes",
            "ok",
            "own fail",
            "failed",
            "overloaded"
        );
        overview::endpoints(&service, &client.known()).iter().for_each(|endpoint| text.push_str(&line(endpoint)));
        let decided: Vec<String> = Decision::ALL
            .into_iter()
            .zip(service.decisions())
            .filter(|(_, count)| *count > 0)
            .map(|(decision, count)| format!("{} {count}", overview::name_of_decision(decision)))
            .collect();
        let _ = writeln!(
            text,
            "  decisions: {}\n",
            if decided.is_empty() { "none".to_owned() } else { decided.join(", ") }
        );
    }
    text
}

fn line(endpoint: &Overview) -> String {
    let state = match endpoint.state {
        State::Shielded { left_ms } => format!("shielded for {left_ms} ms"),
        State::Recovering { share } => {
            format!("recovering at {} %", u64::from(share) * 100 / u64::from(mcrpc_core::shield::breaker::FULL_SHARE))
        }
        _ if !endpoint.is_connected => format!("{}, no connection", endpoint.state_name()),
        _ => endpoint.state_name().to_owned(),
    };
    let reason = if endpoint.shields == 0 { "-" } else { endpoint.reason };
    let [ok, own, failed, overloaded] = endpoint.totals.calls;
    let cursor =
        if endpoint.cursor == Cursor::OPEN { "open".to_owned() } else { format!("{:#010x}", endpoint.cursor.0) };
    format!(
        "  {:<40} {state:<22} {reason:<14} {:>8} {:>8} {ok:>12} {own:>9} {failed:>9} {overloaded:>10}  {cursor}\n",
        endpoint.address, endpoint.shields, endpoint.probes
    )
}
