//! What each controller knows, and whom it refuses.

use std::fmt::Write as _;

use mcrpc_core::admission::{Cursor, Mode};
use mcrpc_core::status::Refusal;

use crate::server::shared::Shared;
use crate::stats::codes::name_of;

pub(super) fn text(shared: &Shared) -> String {
    let mut text = String::new();
    for (name, pool) in shared.named_pools() {
        let all = pool.admission.snapshot();
        let Ok(queue) = pool.admission.queue_snapshot(pool.number) else { continue };
        let mode = match all.mode {
            Mode::Off => "off",
            Mode::Observe => "observe",
            Mode::Enforce => "enforce",
        };
        let state = if all.shedding { "sheds load" } else { "admits all" };
        let capacity = match all.capacity_mrps {
            0 => "not known yet".to_owned(),
            mrps => format!("{:.1}/s", mrps as f64 / 1e3),
        };
        let cursor = if all.cursor == Cursor::OPEN { "open".to_owned() } else { format!("{:#010x}", all.cursor.0) };
        let _ = writeln!(
            text,
            "{name}: {mode}, {state}\n  demand {:.1}/s, capacity {capacity}, cursor {cursor}\n  \
             queued {}, running {}, admitted {}, completed {}",
            all.demand_mrps as f64 / 1e3,
            queue.queued,
            queue.running,
            queue.admitted,
            queue.completed
        );
        let reasons = Refusal::ALL.iter().zip(queue.refused.iter().zip(queue.would_refuse));
        for (reason, (&refused, would_refuse)) in reasons.filter(|(_, (refused, would))| **refused + *would > 0) {
            let _ =
                writeln!(text, "  refused {}: {refused} ({would_refuse} more only observed)", name_of(reason.status()));
        }
    }
    text
}
