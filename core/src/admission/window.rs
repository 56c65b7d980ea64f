//! When is a window over, and who closes it?
//!
//! Every caller looks; the first to notice wins a compare-and-swap on the window's start and closes it. There is
//! no lock to leave behind: the winner has the length of one window to finish, and shows before it writes that no
//! later winner exists. If it dies, or sleeps for longer, before it has written, the next window's winner
//! closes both, because all counters are cumulative; if it dies while it writes, part of that window's counts is lost. A
//! leader that dies costs one window.

use crate::sync::{AtomicU64, Ordering};

/// How far a clock may lag behind another before it is believed over it, in ns. A start further ahead than this
/// was written by a process whose clock is wrong.
pub(super) const MAX_SKEW_NS: u64 = 1_000_000_000;

/// The right to close one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// When the window began, on the clock of whoever began it.
    pub(super) started_ns: u64,
    /// When it ended, on the clock of the caller that was elected.
    pub(super) now_ns: u64,
}

/// The start of the running window.
#[repr(transparent)]
pub(super) struct Election(AtomicU64);

impl Election {
    /// An election whose first window starts at `start_ns`.
    #[cfg(test)]
    #[allow(dead_code, reason = "for the model checker, which compiles this file by itself")]
    pub(super) fn new(start_ns: u64) -> Election {
        Election(AtomicU64::new(start_ns))
    }

    /// Whether the window is over.
    #[inline]
    pub(super) fn is_over(&self, now_ns: u64, window_ns: u64) -> bool {
        let elapsed_ns = now_ns.wrapping_sub(self.0.load(Ordering::Relaxed));
        // A clock that lags a little gives a huge difference.
        elapsed_ns >= window_ns && elapsed_ns <= MAX_SKEW_NS.wrapping_neg()
    }

    /// The caller's turn to close the window, if it is over and nobody else has taken it.
    pub(super) fn take_turn(&self, now_ns: u64, window_ns: u64) -> Option<Turn> {
        let started_ns = self.0.load(Ordering::Relaxed);
        if !self.is_over(now_ns, window_ns) {
            return None;
        }
        self.0
            // Acquire: pairs with `finish`, so that the winner sees all that the last leader wrote.
            .compare_exchange(started_ns, now_ns, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then_some(Turn { started_ns, now_ns })
    }

    /// Whether nobody has been elected since: asked before a leader writes.
    pub(super) fn is_current(&self, turn: Turn) -> bool {
        self.0.load(Ordering::Relaxed) == turn.now_ns
    }

    /// Hands everything that the leader wrote to the next one. Says whether the turn was still current.
    pub(super) fn finish(&self, turn: Turn) -> bool {
        self.0.compare_exchange(turn.now_ns, turn.now_ns, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    pub(super) fn word(&self) -> &AtomicU64 {
        &self.0
    }
}
