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
    is_proven: bool,
}

impl Liveness {
    /// Begins with a heartbeat seen now.
    pub const fn new(beat: u64, now: Nanos) -> Liveness {
        Liveness { beat, moved_at: now, is_proven: true }
    }

    /// Begins with a heartbeat of which something says that it has stopped: its age is without bound until it moves.
    pub const fn unproven(beat: u64, now: Nanos) -> Liveness {
        Liveness { beat, moved_at: now, is_proven: false }
    }

    /// Looks at the heartbeat, about once a second; how long it has stood still.
    pub fn observe(&mut self, beat: u64, now: Nanos) -> u64 {
        if beat != self.beat {
            *self = Liveness::new(beat, now);
        } else if now < self.moved_at {
            self.moved_at = now;
        }
        if self.is_proven { now.since(self.moved_at) } else { u64::MAX }
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

    #[test]
    fn a_heartbeat_that_had_stopped_has_to_move_first() {
        let mut liveness = Liveness::unproven(5, Nanos(100));
        assert_eq!(liveness.observe(5, Nanos(100)), u64::MAX);
        assert_eq!(liveness.observe(5, Nanos(50)), u64::MAX);
        assert_eq!(liveness.observe(6, Nanos(200)), 0);
        assert_eq!(liveness.observe(6, Nanos(300)), 100);
    }
}
