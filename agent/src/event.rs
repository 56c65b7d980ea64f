//! What the agent has to tell a person: a line each, once for each change.

use std::fmt;

use mcrpc_core::strategy::endpoint::Endpoint;

use crate::reports::desk::Refused;
use crate::segments::{Done, Outcome};
use crate::watched::FileError;

/// Endpoints that are named in a line.
const NAMED: usize = 3;

/// Something that has happened.
#[derive(Debug)]
pub enum Event {
    /// A file has changed for the worse.
    FileRefused(FileError),
    /// The table of strategies was replaced by one for so many endpoints.
    TableReplaced(u32),
    /// It could not be replaced.
    TableNotReplaced(String),
    /// A segment of all processes was made anew.
    SegmentMade(Outcome),
    /// The outcomes of the processes cannot be read.
    NoOutcomes(String),
    /// Endpoints were judged bad by count and rate of their failures, and are shielded.
    Judged(Vec<Endpoint>),
    /// Lines of reports were not taken in this second.
    ReportsRefused(Refused),
}

impl Event {
    /// Whether a person should do something about it.
    pub fn is_error(&self) -> bool {
        matches!(
            self,
            Event::FileRefused(_) | Event::TableNotReplaced(_) | Event::NoOutcomes(_) | Event::ReportsRefused(_)
        )
    }

    /// Something done to a segment, if it was something.
    pub(crate) fn of_outcome(outcome: Outcome) -> Option<Event> {
        (!matches!(outcome.done, Done::Kept { .. })).then_some(Event::SegmentMade(outcome))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::FileRefused(error) => write!(f, "{error}; what was read last stays in force"),
            Event::TableReplaced(capacity) => write!(f, "made a new table of strategies with room for {capacity}"),
            Event::TableNotReplaced(why) => write!(f, "cannot make another table of strategies: {why}"),
            Event::SegmentMade(Outcome { segment, done: Done::Remade(because) }) => {
                write!(f, "made {} anew ({because})", segment.name())
            }
            Event::SegmentMade(outcome) => write!(f, "made {}", outcome.segment.name()),
            Event::NoOutcomes(why) => write!(f, "cannot see what calls meet: {why}"),
            Event::ReportsRefused(Refused { lines, first }) => {
                write!(f, "refused {lines} lines of reports, the first for this: {first}")
            }
            Event::Judged(endpoints) => {
                f.write_str("shielded, since too many and too large a share of their calls failed: ")?;
                for (index, endpoint) in endpoints.iter().take(NAMED).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{} service={}", endpoint.socket(), endpoint.service_id)?;
                }
                match endpoints.len().saturating_sub(NAMED) {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
        }
    }
}
