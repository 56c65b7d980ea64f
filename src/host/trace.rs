//! The last records of all rings, in the order of their times.
//!
//! A ring is read from a little before its end. Where the reading begins in the middle of a record, or a writer
//! overtakes it, the rings say so themselves; what a dead process left half-written is passed over.

use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::region::View;
use mcrpc_core::host::trace::{Read, Record, Records};
use serde::Serialize;

use super::place::Moment;
use super::text::{as_text, hex};

/// The most cells of a record.
const MAX_CELLS: u64 = 16;
/// More has not been written since the world began: the word is damaged.
const HIGHEST_HEAD: u64 = 1 << 47;

/// What the rings hold.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Traces {
    pub seats: u32,
    /// Cells written so far, in all rings.
    pub written: u64,
    /// Records dropped so far, in all rings.
    pub dropped: u64,
    /// Rings whose head no writer can have written.
    pub damaged: u32,
    /// The last ones, the newest last.
    pub records: Vec<TraceRecord>,
}

/// One record.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TraceRecord {
    /// Whose ring it is from; 0 is shared by those without a seat.
    pub seat: u32,
    pub position: u64,
    pub time_ns: u64,
    pub age_ms: u64,
    /// The writer's choice.
    pub kind: u8,
    pub len: usize,
    /// The bytes, if they are text.
    pub text: Option<String>,
    /// The bytes, if they are not.
    pub hex: Option<String>,
}

/// Reads the last `limit` records.
pub(crate) fn read(view: View<'_>, len: u64, limit: usize, now: &Moment) -> Result<Traces, Mismatch> {
    let rings = mcrpc_core::host::trace::Traces::attach(view, len)?;
    let mut traces = Traces { seats: rings.seat_count(), ..Traces::default() };
    for seat in 0..=rings.seat_count() {
        let ring = rings.ring(seat);
        let head = ring.head();
        if head > HIGHEST_HEAD {
            traces.damaged += 1;
            continue;
        }
        traces.written += head;
        traces.dropped = traces.dropped.saturating_add(ring.dropped());
        let mut last = last_records(&ring, head, limit);
        traces.records.extend(last.drain(..).map(|(position, record)| shown(seat, position, &record, now)));
    }
    traces.records.sort_by_key(|record| (record.time_ns, record.seat, record.position));
    let superfluous = traces.records.len().saturating_sub(limit);
    traces.records.drain(..superfluous);
    Ok(traces)
}

fn last_records(ring: &Records<'_>, head: u64, limit: usize) -> Vec<(u64, Record)> {
    let farthest = (limit as u64).saturating_mul(MAX_CELLS);
    let mut position = head.saturating_sub(farthest).max(ring.oldest());
    let (mut found, mut record) = (Vec::new(), Record::default());
    // What is written meanwhile is left for the next look, so that this one comes to an end.
    while position < head {
        position = match ring.read(position, &mut record) {
            Read::Record { next } => {
                found.push((position, record.clone()));
                next
            }
            Read::Lost { next } => next.max(position + 1),
            Read::Pending => position + 1,
            Read::End => break,
        };
    }
    let superfluous = found.len().saturating_sub(limit);
    found.drain(..superfluous);
    found
}

fn shown(seat: u32, position: u64, record: &Record, now: &Moment) -> TraceRecord {
    let text = as_text(record.data());
    TraceRecord {
        seat,
        position,
        time_ns: record.time.0,
        age_ms: now.age_ms(record.time.0),
        kind: record.kind,
        len: record.data().len(),
        hex: text.is_none().then(|| hex(record.data())),
        text,
    }
}
