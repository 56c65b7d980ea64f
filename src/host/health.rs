//! Is a segment to be believed? One verdict for `inspect` and `top`, with what was found and what would be right.

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header::{self, Mismatch, State};
use mcrpc_core::host::region::View;
use mcrpc_core::status::Status;
use mcrpc_core::strategy::liveness::MAX_AGE_MS;
use mcrpc_core::strategy::table::Table;
use serde::Serialize;

use super::place::Moment;
use super::text::span_ms;

/// The verdict on a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub(crate) enum Health {
    /// It is in use.
    Ok,
    /// It is in use, but its writer has not refreshed it for too long.
    Stale {
        /// Since when.
        age_ms: u64,
    },
    /// It is whole, but being made, superseded or closed.
    NotReady {
        /// Which of these.
        state: &'static str,
    },
    /// It is not what it should be.
    Mismatch {
        /// The name of the status.
        status: String,
        /// The value found.
        found: u64,
        /// The value expected.
        expected: u64,
        /// What to do.
        text: String,
    },
    /// It could not be read at all.
    Unreadable {
        /// Why, and what to do.
        text: String,
    },
}

impl Health {
    /// The verdict on a segment of `len` bytes.
    pub(crate) fn of(segment: Segment, view: View<'_>, len: u64, now: &Moment) -> Health {
        if let Err(mismatch) = header::read(view, len, &segment.format()) {
            return mismatch.into();
        }
        match header::state(view) {
            Some(State::Ready) => {}
            state => return Health::NotReady { state: state_name(state) },
        }
        if segment == Segment::Strategy
            && let Ok(table) = Table::inspect(view, len)
        {
            let age_ms = now.boottime_ms.saturating_sub(table.refreshed_ms());
            if age_ms > MAX_AGE_MS.into() {
                return Health::Stale { age_ms };
            }
        }
        Health::Ok
    }
}

impl From<Mismatch> for Health {
    fn from(mismatch: Mismatch) -> Health {
        Health::Mismatch {
            status: status_name(mismatch.status),
            found: mismatch.found,
            expected: mismatch.expected,
            text: mismatch.status.to_string(),
        }
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Health::Ok => f.write_str("ok"),
            Health::Stale { age_ms } => {
                write!(f, "stale: last refreshed {} ago; look after the agent", span_ms(*age_ms))
            }
            Health::NotReady { state } => write!(f, "not in use: it is {state}"),
            Health::Mismatch { status, found, expected, text } => {
                write!(f, "{status}: {text} Found {found:#x} ({found}), expected {expected:#x} ({expected}).")
            }
            Health::Unreadable { text } => f.write_str(text),
        }
    }
}

/// The name of a status in the list, or its number.
pub(crate) fn status_name(status: Status) -> String {
    let name = status.description().and_then(|description| description.name.to_str().ok());
    name.map_or_else(|| status.0.to_string(), str::to_owned)
}

/// The state of a segment, for people.
pub(crate) const fn state_name(state: Option<State>) -> &'static str {
    match state {
        Some(State::Init) => "being made",
        Some(State::Ready) => "ready",
        Some(State::Superseded) => "superseded",
        Some(State::Closed) => "closed",
        None => "in a state that this version does not know",
    }
}
