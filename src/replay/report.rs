//! What another policy changes: a matrix of decisions, and who is met.

use std::collections::BTreeMap;
use std::fmt;

use mcrpc_core::admission::record::DecisionRecord;
use mcrpc_core::status::Status;
use serde::Serialize;

use super::engine::{Decision, Replayed};
use crate::host::health::status_name;
use crate::host::listing::{Listing, number, text};

/// Users that are shown.
const USERS_SHOWN: usize = 10;

/// The difference.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) requests: usize,
    pub(super) seconds: f64,
    /// What differs between the settings.
    pub(super) changed: Vec<String>,
    /// Of the recorded decisions these come out the same with the recorded settings: how far the model is to be believed.
    pub(super) fidelity_percent: f64,
    pub(super) recorded: Side,
    pub(super) replayed: Side,
    /// Requests by what was decided, and what is.
    pub(super) matrix: Vec<Cell>,
    /// Let in then, refused now.
    pub(super) newly_refused: Met,
    /// Refused then, let in now.
    pub(super) newly_admitted: Met,
}

/// One of the two policies.
#[derive(Serialize)]
pub(super) struct Side {
    refused: usize,
    refused_percent: f64,
    run: u64,
    mean_wait_ms: f64,
}

/// A cell of the matrix.
#[derive(Serialize)]
pub(super) struct Cell {
    recorded: String,
    replayed: String,
    requests: usize,
}

/// Who is met.
#[derive(Serialize)]
pub(super) struct Met {
    requests: usize,
    by_priority: BTreeMap<usize, usize>,
    /// The users with the most, if users are recorded.
    users: Vec<(u64, usize)>,
}

impl Report {
    pub(super) fn of(records: &[DecisionRecord], changed: Vec<String>, base: &Replayed, new: &Replayed) -> Report {
        let recorded: Vec<Decision> = records
            .iter()
            .map(|record| Decision { status: record.decision, is_observed: record.is_observed })
            .collect();
        let mut cells: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (then, now) in recorded.iter().zip(&new.decisions) {
            *cells.entry((name(then), name(now))).or_default() += 1;
        }
        let same = recorded.iter().zip(&base.decisions).filter(|(then, now)| then.status == now.status).count();
        let pairs = || records.iter().zip(recorded.iter().zip(&new.decisions));
        let met = |is_met: fn(&Decision, &Decision) -> bool| {
            Met::of(pairs().filter(|(_, (then, now))| is_met(then, now)).map(|(record, _)| record))
        };
        let span_ns = match (records.first(), records.last()) {
            (Some(first), Some(last)) => last.arrived.since(first.arrived),
            _ => 0,
        };
        let ran = records.iter().filter(|record| record.service_us != 0);
        let wait_us: u64 = ran.clone().map(|record| u64::from(record.wait_us)).sum();
        let run = ran.count() as u64;
        Report {
            requests: records.len(),
            seconds: span_ns as f64 / 1e9,
            changed,
            fidelity_percent: percent(same, records.len()),
            recorded: Side::of(&recorded, run, wait_us as f64 / run.max(1) as f64 / 1e3),
            replayed: Side::of(&new.decisions, new.run, new.mean_wait_ms),
            matrix: cells
                .into_iter()
                .map(|((recorded, replayed), requests)| Cell { recorded, replayed, requests })
                .collect(),
            newly_refused: met(|then, now| !is_refused(then) && is_refused(now)),
            newly_admitted: met(|then, now| is_refused(then) && !is_refused(now)),
        }
    }
}

impl Side {
    fn of(decisions: &[Decision], run: u64, mean_wait_ms: f64) -> Side {
        let refused = decisions.iter().filter(|decision| is_refused(decision)).count();
        Side { refused, refused_percent: percent(refused, decisions.len()), run, mean_wait_ms }
    }
}

impl Met {
    fn of<'r>(records: impl Iterator<Item = &'r DecisionRecord>) -> Met {
        let (mut requests, mut by_priority, mut users) = (0, BTreeMap::new(), BTreeMap::new());
        for record in records {
            requests += 1;
            *by_priority.entry(record.request.key.priority()).or_default() += 1;
            if record.uin.0 != 0 {
                *users.entry(record.uin.0).or_default() += 1;
            }
        }
        let mut users: Vec<(u64, usize)> = users.into_iter().collect();
        users.sort_by_key(|&(uin, count)| (std::cmp::Reverse(count), uin));
        users.truncate(USERS_SHOWN);
        Met { requests, by_priority, users }
    }
}

fn is_refused(decision: &Decision) -> bool {
    decision.status != Status::OK
}

fn name(decision: &Decision) -> String {
    match (decision.status, decision.is_observed) {
        (Status::OK, _) => "admitted".to_owned(),
        (status, false) => status_name(status),
        (status, true) => format!("{} (observed)", status_name(status)),
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = if self.changed.is_empty() { "none".to_owned() } else { self.changed.join(", ") };
        writeln!(f, "Requests  {} in {:.1} s", self.requests, self.seconds)?;
        writeln!(f, "Changed   {settings}")?;
        for (name, side) in [("Recorded", &self.recorded), ("Replayed", &self.replayed)] {
            let Side { refused, refused_percent, run, mean_wait_ms } = side;
            writeln!(
                f,
                "{name}  {refused} refused ({refused_percent:.2} %), {run} run, mean wait {mean_wait_ms:.1} ms"
            )?;
        }
        writeln!(
            f,
            "Fidelity  {:.2} % of the recorded decisions come out the same with the recorded settings",
            self.fidelity_percent
        )?;
        let columns = [text("recorded"), text("replayed"), number("requests"), number("share")];
        let row = |cell: &Cell| {
            let share = format!("{:.2} %", percent(cell.requests, self.requests));
            vec![cell.recorded.clone(), cell.replayed.clone(), cell.requests.to_string(), share]
        };
        let matrix = Listing {
            title: "Decisions",
            columns: columns.to_vec(),
            rows: self.matrix.iter().map(row).collect(),
            empty: "none.".to_owned(),
            notes: Vec::new(),
        };
        write!(f, "\n{matrix}")?;
        for (what, met) in [("Newly refused", &self.newly_refused), ("Newly admitted", &self.newly_admitted)] {
            let list = |items: Vec<String>| if items.is_empty() { "–".to_owned() } else { items.join(", ") };
            let priorities = met.by_priority.iter().map(|(priority, count)| format!("{priority}: {count}")).collect();
            write!(f, "\n{what}: {}; by priority {}", met.requests, list(priorities))?;
            if !met.users.is_empty() {
                let users = met.users.iter().map(|(uin, count)| format!("{uin}: {count}")).collect();
                write!(f, "; users with the most {}", list(users))?;
            }
        }
        Ok(())
    }
}
