//! What a server tells its host of its admission, a few times a second: `mcrpc top`, `mcrpc why`, the agent's page and its metrics
//! show it, also when the server hangs (`docs/shared-memory.md`, *Seats*).
//!
//! A seat has room for one controller, and a server has three. Counts are those of all of them. What decisions depend on is that of
//! the one under the most pressure, since that is the one whose refusals somebody will ask about.

use mcrpc_core::admission::posed::Gate;
use mcrpc_core::admission::{QueueSnapshot, Snapshot};
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::status::Refusal;
use mcrpc_core::time::Nanos;

use super::pool::Pool;
use super::shared::Shared;

/// One controller, as this process sees it.
struct State {
    all: Snapshot,
    queue: QueueSnapshot,
    gate: Gate,
}

impl State {
    /// `None` only for a queue that there is not.
    fn of(pool: &Pool) -> Option<State> {
        let (admission, number) = (&pool.admission, pool.number);
        let (queue, gate) = (admission.queue_snapshot(number).ok()?, admission.gate(number).ok()?);
        Some(State { all: admission.snapshot(), queue, gate })
    }

    /// Sheds load; else has the longest queue; else the most to do.
    fn pressure(&self) -> (bool, u64, u64) {
        let wait_ns = u64::from(self.queue.queued).saturating_mul(self.gate.ns_per_request);
        (self.all.shedding, wait_ns, self.queue.admitted)
    }
}

/// What all controllers do together.
pub(super) fn of(shared: &Shared, now: Nanos) -> Option<QueueReport> {
    let states = || shared.pools().into_iter().filter_map(State::of);
    let State { all, queue, gate } = states().max_by_key(State::pressure)?;
    let mut report = QueueReport {
        reported_ns: now.0,
        queued: queue.queued.into(),
        running: queue.running.into(),
        mode: all.mode as u64,
        shedding: all.shedding.into(),
        cursor: all.cursor.0.into(),
        demand_mrps: all.demand_mrps,
        capacity_mrps: all.capacity_mrps,
        gate: Some(gate),
        ..QueueReport::default()
    };
    for State { queue, .. } in states() {
        report.admitted = report.admitted.wrapping_add(queue.admitted);
        report.completed = report.completed.wrapping_add(queue.completed);
        for reason in Refusal::ALL {
            let at = reason as usize;
            report.refused[at] = report.refused[at].wrapping_add(queue.refused[at]);
            report.would_refuse[at] = report.would_refuse[at].wrapping_add(queue.would_refuse[at]);
        }
    }
    Some(report)
}
