//! Frees the cells of the common trace ring in which a process died while it wrote. The ring of a seat is freed by the
//! seat's next owner; the common one has none.
//!
//! A cell that has been *being written* for a minute belongs to a process that is dead or stopped. One that is stopped and
//! goes on would write into a cell that may be another's by then: a record may be mixed, in exchange for a ring that works.

use std::collections::HashMap;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::seat::COMMON;
use mcrpc_core::host::trace::Trace;

use crate::directory::{Directory, Error};
use crate::mapping::WritableMapping;

const PATIENCE_MS: u64 = 60_000;

/// The traces, and the cells that were seen being written.
#[derive(Debug, Default)]
pub(crate) struct Sweeper {
    trace: Option<WritableMapping>,
    /// By cell: its word, and when it was first seen.
    seen: HashMap<u64, (u64, u64)>,
}

impl Sweeper {
    pub(crate) fn new(directory: &Directory) -> Result<Sweeper, Error> {
        Ok(Sweeper { trace: Some(directory.map_writable(Segment::Trace)?), seen: HashMap::new() })
    }

    /// Looks at the common ring. O(cells); reads one word of each.
    pub(crate) fn sweep(&mut self, now_ms: u64) {
        let Some(trace) = self.trace.as_ref().and_then(|mapping| Trace::attach(mapping.shared(), mapping.len()).ok())
        else {
            return;
        };
        let ring = trace.ring(COMMON);
        let busy: HashMap<u64, u64> = ring.busy_cells().collect();
        self.seen.retain(|cell, (word, _)| busy.get(cell) == Some(word));
        for (cell, word) in busy {
            let (_, since_ms) = *self.seen.entry(cell).or_insert((word, now_ms));
            if now_ms.saturating_sub(since_ms) >= PATIENCE_MS {
                ring.free(cell, word);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mcrpc_core::host::trace;

    use super::*;
    use crate::directory::SharedMode;

    /// The word of a cell that position `position` is being written to.
    fn busy(position: u64) -> u64 {
        (position + 1) << 16 | 1 << 6
    }

    #[test]
    fn a_cell_is_freed_when_it_has_been_busy_with_the_same_record_for_a_minute() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open_or_create(&root.path().join("mcrpc")).unwrap();
        let create = |words: mcrpc_core::host::region::Shared<'_>| trace::create(words, 1, 16, 1, 1);
        let mapping = directory.replace(Segment::Trace, trace::segment_len(1, 16), SharedMode::GROUP, create).unwrap();
        // The first cell of the common ring, behind the header's page and the head of the ring.
        let (words, first) = (mapping.shared(), 512 + 16);
        let mut sweeper = Sweeper::new(&directory).unwrap();
        words.set(first, busy(0));
        sweeper.sweep(1_000);
        words.set(first, busy(16));
        sweeper.sweep(50_000);
        sweeper.sweep(109_999);
        assert_eq!(words.load(first), busy(16), "it was seen at 50 s for the first time");
        sweeper.sweep(110_000);
        assert_eq!(words.load(first), 0);
        assert!(sweeper.seen.len() <= 1);
    }
}
