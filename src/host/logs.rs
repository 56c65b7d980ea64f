//! The rings of log lines: what waits in them for the agent, and what had no room.

use mcrpc_core::host::header::Mismatch;
use mcrpc_core::host::log;
use mcrpc_core::host::region::View;
use serde::Serialize;

/// What the rings hold.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct LogRings {
    pub seats: u32,
    /// Cells written so far, in all rings.
    pub written: u64,
    /// Cells that the agent has not taken yet, in all rings.
    pub waiting: u64,
    /// Those of the ring that has the most.
    pub most_waiting: u64,
    /// Lines dropped so far, in all rings.
    pub dropped: u64,
}

/// Looks at all rings.
pub(crate) fn read(view: View<'_>, len: u64) -> Result<LogRings, Mismatch> {
    let logs = log::Logs::attach(view, len)?;
    let mut rings = LogRings { seats: logs.seat_count(), ..LogRings::default() };
    for fill in (0..=logs.seat_count()).map(|seat| logs.fill(seat)) {
        // The process may have gone on between the two loads.
        let waiting = fill.taken.saturating_sub(fill.emptied);
        rings.written = rings.written.wrapping_add(fill.taken);
        rings.waiting = rings.waiting.saturating_add(waiting);
        rings.most_waiting = rings.most_waiting.max(waiting);
        rings.dropped = rings.dropped.wrapping_add(fill.dropped);
    }
    Ok(rings)
}
