//! What a publisher found when it started, and what it did about it: one line for people.

use std::fmt;
use std::time::Duration;

use mcrpc_core::status::Status;

use crate::directory::Error;
use crate::segments::{Done, Outcome};
use crate::strategies::Adoption;

/// What a publisher found when it started, and what it did about it.
#[derive(Debug)]
pub struct Started {
    /// Where the table of strategies came from.
    pub table: Origin,
    /// The other segments.
    pub segments: Vec<Outcome>,
    /// How long all of it took.
    pub took: Duration,
}

/// Where a table came from.
#[derive(Debug)]
pub enum Origin {
    /// The last publisher's, taken over.
    Adopted {
        /// What was found.
        adoption: Adoption,
        /// It had another capacity than the settings ask for: what came of giving it that one.
        resized: Option<Result<(), Error>>,
    },
    /// A new one, empty.
    Made {
        /// Why the last publisher's was not taken over.
        because: Error,
    },
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            Origin::Adopted { adoption, resized } => {
                let Adoption { adopted, capacity, finished_replacement, took } = adoption;
                let millis = took.as_secs_f64() * 1e3;
                write!(f, "adopted {} of {capacity} strategies in {millis:.1} ms", adopted.entries)?;
                if adopted.records_dropped > 0 || adopted.words_dropped > 0 {
                    let (records, words) = (adopted.records_dropped, adopted.words_dropped);
                    write!(f, ", dropped {records} records and {words} entries that were half done")?;
                }
                if *finished_replacement {
                    write!(f, ", finished a replacement that was half done")?;
                }
                match resized {
                    Some(Ok(())) => write!(f, ", changed the capacity")?,
                    Some(Err(error)) => write!(f, ", could not change the capacity ({error})")?,
                    None => {}
                }
            }
            Origin::Made { because } if because.status() == Status::SEGMENT_MISSING => {
                write!(f, "made a table of strategies")?
            }
            Origin::Made { because } => write!(f, "made a new table of strategies ({because})")?,
        }
        let names = |wanted: fn(&Done) -> bool| {
            let names: Vec<_> =
                self.segments.iter().filter(|outcome| wanted(&outcome.done)).map(|it| it.segment.name()).collect();
            names.join(", ")
        };
        for (what, wanted) in [
            ("kept", (|done| matches!(done, Done::Kept { is_wanted_len: true })) as fn(&Done) -> bool),
            ("kept in another size than asked for", |done| matches!(done, Done::Kept { is_wanted_len: false })),
            ("made", |done| matches!(done, Done::Made)),
        ] {
            let names = names(wanted);
            if !names.is_empty() {
                write!(f, "; {what}: {names}")?;
            }
        }
        for outcome in &self.segments {
            if let Done::Remade(because) = &outcome.done {
                write!(f, "; made {} anew ({because})", outcome.segment.name())?;
            }
        }
        Ok(())
    }
}
