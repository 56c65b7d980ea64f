//! DAGOR's detector of overload (SoCC 2018, section 4.1): the mean time that requests waited in the queue, over windows of a
//! second or 2000 requests, whichever ends first; above 20 ms the server is overloaded.

use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

const LENGTH_NS: u64 = NANOS_PER_SECOND;
const REQUESTS: u64 = 2_000;
const THRESHOLD_NS: u64 = 20 * NANOS_PER_MILLI;

/// What a window has seen so far.
#[derive(Default)]
pub(super) struct WaitingWindow {
    start: Nanos,
    requests: u64,
    admitted: u64,
    waits: u64,
    waited_ns: u64,
}

/// A window that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    /// Requests, admitted or not.
    pub(super) requests: u64,
    /// Those that were admitted.
    pub(super) admitted: u64,
    /// How long it was.
    pub(super) length_ns: u64,
    /// Whether requests waited too long in it.
    pub(super) overloaded: bool,
}

impl WaitingWindow {
    /// A request comes: is the window over before it?
    pub(super) fn close(&mut self, now: Nanos) -> Option<Closed> {
        let length_ns = now.since(self.start);
        if length_ns < LENGTH_NS && self.requests < REQUESTS {
            return None;
        }
        let closed = Closed {
            requests: self.requests,
            admitted: self.admitted,
            length_ns,
            overloaded: self.waits > 0 && self.waited_ns / self.waits > THRESHOLD_NS,
        };
        *self = WaitingWindow { start: now, ..WaitingWindow::default() };
        Some(closed)
    }

    /// A request was admitted or not.
    pub(super) fn judged(&mut self, admitted: bool) {
        self.requests += 1;
        self.admitted += u64::from(admitted);
    }

    /// A request left the queue.
    pub(super) fn waited(&mut self, waited_ns: u64) {
        self.waits += 1;
        self.waited_ns += waited_ns;
    }
}
