//! Does the writer still live? Judged by each process for itself: a heartbeat that stands still on the process's own
//! clock. No clock is shared, so time namespaces do no harm, and nobody has to be told that the writer has died.

use crate::time::Nanos;

/// How long a heartbeat may stand still before the table is no longer believed.
pub const MAX_AGE_MS: u32 = 5_000;

/// The last heartbeat seen, and when it was seen to move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    beat: u64,
    moved_at: Nanos,
}

impl Liveness {
    /// Begins with a heartbeat seen now.
    pub const fn new(beat: u64, now: Nanos) -> Liveness {
        Liveness { beat, moved_at: now }
    }

    /// Looks at the heartbeat, about once a second; how long it has stood still.
    pub fn observe(&mut self, beat: u64, now: Nanos) -> u64 {
        if beat != self.beat || now < self.moved_at {
            *self = Liveness::new(beat, now);
        }
        now.since(self.moved_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_stands_still_grows_old_and_one_that_moves_does_not() {
        let mut liveness = Liveness::new(5, Nanos(100));
        assert_eq!(liveness.observe(5, Nanos(300)), 200);
        assert_eq!(liveness.observe(6, Nanos(400)), 0);
        assert_eq!(liveness.observe(6, Nanos(350)), 0, "a clock that went back proves nothing");
        assert_eq!(liveness.observe(6, Nanos(360)), 10);
    }
}
