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

/// A longer span was no window: nobody called, or a clock is wrong.
pub(super) const MAX_SPAN_NS: u64 = 2_000_000_000;
/// So many windows without a leader, and a clock that is far from the last leader's is believed.
const WINDOWS_TO_BELIEVE: u64 = 3;

/// The right to close one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// When the window began, on the clock of whoever began it.
    pub(super) started_ns: u64,
    /// When it ended, on the clock of the caller that was elected.
    pub(super) now_ns: u64,
}

/// The start of the running window, and since when somebody's clock has been far from it.
#[repr(C)]
pub(super) struct Election {
    started_ns: AtomicU64,
    /// On the clock of the first who differed since the last window was closed; 0 if nobody did.
    disputed_since_ns: AtomicU64,
}

impl Election {
    /// An election whose first window starts at `start_ns`.
    #[cfg(test)]
    #[allow(dead_code, reason = "for the model checker, which compiles this file by itself")]
    pub(super) fn new(start_ns: u64) -> Election {
        Election { started_ns: AtomicU64::new(start_ns), disputed_since_ns: AtomicU64::new(0) }
    }

    /// The first window starts.
    #[allow(dead_code, reason = "the model checker, which compiles this file by itself, makes a new one")]
    pub(super) fn begin(&self, now_ns: u64) {
        self.started_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Whether the window is over.
    #[inline]
    pub(super) fn is_over(&self, now_ns: u64, window_ns: u64) -> bool {
        let elapsed_ns = now_ns.wrapping_sub(self.started_ns.load(Ordering::Relaxed));
        // A clock that lags a little gives a huge difference.
        elapsed_ns >= window_ns && elapsed_ns <= MAX_SKEW_NS.wrapping_neg()
    }

    /// The caller's turn to close the window, if it is over and nobody else has taken it.
    pub(super) fn take_turn(&self, now_ns: u64, window_ns: u64) -> Option<Turn> {
        let started_ns = self.started_ns.load(Ordering::Relaxed);
        if !self.is_over(now_ns, window_ns) {
            return None;
        }
        if now_ns.wrapping_sub(started_ns) > MAX_SPAN_NS && !self.is_believed(now_ns, window_ns) {
            return None;
        }
        // Acquire: pairs with `finish`, so that the winner sees all that the last leader wrote.
        self.started_ns.compare_exchange(started_ns, now_ns, Ordering::Acquire, Ordering::Relaxed).ok()?;
        self.disputed_since_ns.store(0, Ordering::Relaxed);
        Some(Turn { started_ns, now_ns })
    }

    /// Whether a clock that is far from the last leader's is to be believed. Either nobody called for long: then the first to
    /// call is believed a few windows later. Or it is one process's clock that is wrong: then the others go on closing windows,
    /// and each ends the dispute. Any clock will do for windows, as long as it is one.
    fn is_believed(&self, now_ns: u64, window_ns: u64) -> bool {
        let since_ns = self.disputed_since_ns.load(Ordering::Relaxed);
        let disputed_ns = now_ns.wrapping_sub(since_ns);
        // A clock that is behind the one that differed first gives a huge difference, and begins anew.
        if since_ns == 0 || disputed_ns > u64::MAX / 2 {
            self.disputed_since_ns.store(now_ns, Ordering::Relaxed);
            return false;
        }
        disputed_ns >= WINDOWS_TO_BELIEVE * window_ns
    }

    /// Whether nobody has been elected since: asked before a leader writes.
    pub(super) fn is_current(&self, turn: Turn) -> bool {
        self.started_ns.load(Ordering::Relaxed) == turn.now_ns
    }

    /// Hands everything that the leader wrote to the next one. Says whether the turn was still current.
    pub(super) fn finish(&self, turn: Turn) -> bool {
        self.started_ns.compare_exchange(turn.now_ns, turn.now_ns, Ordering::Release, Ordering::Relaxed).is_ok()
    }
}
