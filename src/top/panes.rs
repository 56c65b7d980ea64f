//! What is shown: the lines at the top, and one table for each pane. The terminal and the plain text show the same.

use crate::host::listing::Listing;
use crate::host::listings;
use crate::host::liveness::Life;
use crate::host::text::{count, date, span_ms};

use super::Sight;

/// One pane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    Processes,
    Strategies,
    Endpoints,
    Counters,
    Refused,
    Orders,
    Trace,
}

impl Pane {
    pub(super) const ALL: [Pane; 7] =
        [Pane::Processes, Pane::Strategies, Pane::Endpoints, Pane::Counters, Pane::Refused, Pane::Orders, Pane::Trace];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Pane::Processes => "Processes",
            Pane::Strategies => "Strategies",
            Pane::Endpoints => "Endpoints",
            Pane::Counters => "Counters",
            Pane::Refused => "Refused",
            Pane::Orders => "Orders",
            Pane::Trace => "Trace",
        }
    }

    /// Its tables: none if its segment cannot be read.
    pub(super) fn listings(self, sight: &Sight) -> Vec<Listing> {
        let (snapshot, rates) = (&sight.snapshot, sight.rates.as_ref());
        let stat = snapshot.stat.as_ref();
        match self {
            Pane::Processes => stat.map(|stat| vec![listings::processes(stat, rates)]),
            Pane::Strategies => snapshot.strategies.as_ref().map(|table| vec![listings::strategies(table)]),
            Pane::Endpoints => snapshot.endpoints.as_ref().map(|endpoints| vec![listings::endpoints(endpoints)]),
            Pane::Counters => stat.map(|stat| vec![listings::counters(stat, rates)]),
            Pane::Refused => stat.map(|stat| vec![listings::reasons(stat, rates)]),
            Pane::Orders => snapshot.control.as_ref().map(|orders| {
                vec![
                    listings::shields(orders),
                    listings::skips(orders),
                    listings::modes(orders),
                    listings::dyes(orders),
                ]
            }),
            Pane::Trace => snapshot.trace.as_ref().map(|traces| {
                let mut listing = listings::traces(traces, stat);
                listing.title = "Last records, the newest first";
                listing.rows.reverse();
                vec![listing]
            }),
        }
        .unwrap_or_default()
    }
}

/// The kill switch: whether it is on, and how to say so.
pub(super) fn kill_switch(sight: &Sight) -> (bool, String) {
    match &sight.snapshot.control {
        Some(orders) if orders.killed => (true, "KILL SWITCH IS ON: every mechanism is off".to_owned()),
        Some(_) => (false, "kill switch off".to_owned()),
        None => (false, "kill switch unknown".to_owned()),
    }
}

/// Where and when.
pub(super) fn title(sight: &Sight) -> String {
    format!("mcrpc top   {}   {}", sight.snapshot.directory, date(sight.snapshot.taken.unix_s))
}

/// The agent, the processes, and what is wrong.
pub(super) fn facts(sight: &Sight) -> Vec<String> {
    let agent = match &sight.snapshot.strategies {
        None => "agent unknown".to_owned(),
        Some(table) => {
            let heartbeat = table
                .refreshed_age_ms
                .map_or_else(|| "none yet".to_owned(), |ms| format!("{} ago", span_ms(ms / 100 * 100)));
            let entries = count(table.used as usize, "strategy", "strategies");
            format!("agent {} (pid {}), heartbeat {heartbeat}, {entries}", table.writer.state, table.writer.pid)
        }
    };
    let processes = match &sight.snapshot.stat {
        None => "processes unknown".to_owned(),
        Some(stat) => {
            let states =
                [Life::Alive, Life::Hung, Life::Dead].map(|life| format!("{} {}", stat.count(life), life.name()));
            format!("processes: {}", states.join(", "))
        }
    };
    let mut facts = vec![format!("{agent}; {processes}")];
    facts.extend(sight.snapshot.complaints());
    facts
}

/// All of it, one below the other; what cannot be read is told of at the top.
pub(super) fn text(sight: &Sight) -> String {
    let (_, kill) = kill_switch(sight);
    let head = [vec![title(sight), kill], facts(sight)].concat().join("\n");
    let panes = Pane::ALL.into_iter().flat_map(|pane| pane.listings(sight)).map(|listing| listing.to_string());
    [head].into_iter().chain(panes).collect::<Vec<_>>().join("\n\n")
}
