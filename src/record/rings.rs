//! The trace rings of this host: what their writers put into them while it lasts. They are only read.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use mcrpc_core::admission::record::{DecisionRecord, TRACE_KIND};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::trace::{Read, Record, Traces};

use crate::host::output::print;
use crate::host::place::{Place, advised};

/// How often the rings are read: a ring of 1 024 cells is overwritten by 100 000 decisions per second in 10 ms.
const LOOKED_AT_EACH: Duration = Duration::from_millis(2);

/// All decisions that are written while it lasts, of one seat or of all.
pub(super) fn record(place: &Place, seat: Option<u32>, length: Duration) -> Result<Vec<DecisionRecord>> {
    let directory = place.open().map_err(|error| advised(&error))?;
    let mapping = directory.map(Segment::Trace).map_err(|error| advised(&error))?;
    let traces = Traces::attach(mapping.view(), mapping.len()).context("the trace rings")?;
    let seats = match seat {
        Some(seat) if seat > traces.seat_count() => {
            bail!("there is no seat {seat}: the last is {}", traces.seat_count())
        }
        Some(seat) => seat..=seat,
        None => 0..=traces.seat_count(),
    };
    let mut rings: Vec<_> = seats.map(|seat| traces.ring(seat)).map(|ring| (ring.head(), ring)).collect();
    let (mut found, mut lost, mut record) = (Vec::new(), 0u64, Record::default());
    let end = Instant::now() + length;
    loop {
        let is_last = Instant::now() >= end;
        for (position, ring) in &mut rings {
            let head = ring.head();
            while *position < head {
                match ring.read(*position, &mut record) {
                    Read::Record { next } => {
                        *position = next;
                        found.extend(
                            (record.kind == TRACE_KIND).then(|| DecisionRecord::from_bytes(record.data())).flatten(),
                        );
                    }
                    Read::Lost { next } => {
                        lost += next.max(*position + 1) - *position;
                        *position = next.max(*position + 1);
                    }
                    Read::Pending if is_last => *position += 1,
                    Read::Pending | Read::End => break,
                }
            }
        }
        if is_last {
            break;
        }
        sleep(LOOKED_AT_EACH);
    }
    if lost > 0 {
        print(format_args!(
            "{lost} cells were overwritten before they were read, so the recording has gaps: with a processor of its own \
             `mcrpc record` comes to read them in time."
        ))?;
    }
    found.sort_by_key(|record| record.arrived);
    Ok(found)
}
