//! Requests that are run where they are read, one after another, by the thread that reads them: no queue holds them.
//!
//! ```text
//! turn ──► admit ──► your handler ──► done ──► admit ──► ...    and when all is handled that was read, the turn is dropped
//!             └ refused: answer so
//! ```
//!
//! A turn is one running request to everybody else, however many it is made of: what each of them would cost on its way through a queue,
//! three additions that all processors have to agree on, is paid once a turn.

use super::Admission;
use super::gate::Request;
use super::layout::Queue;
use crate::status::Status;
use crate::time::{NANOS_PER_MICRO, Nanos};

/// So long a turn keeps to itself what it has completed, and does not look whether a window is over.
const UNTOLD_NS: u64 = 1_000 * NANOS_PER_MICRO;

/// A thread's turn at what it has read. While it lasts it counts as one running request; what was completed is known when it is dropped, or after a
/// millisecond.
pub struct Turn<'a> {
    admission: &'a Admission<'a>,
    queue: &'a Queue,
    completed: u32,
    /// Since when these were completed.
    untold_since: Nanos,
}

impl<'a> Admission<'a> {
    /// Begins a turn of a thread that is one of the workers of `queue`.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    #[inline]
    pub fn turn(&'a self, queue: u32, now: Nanos) -> Result<Turn<'a>, Status> {
        let queue = self.queue(queue)?;
        self.watch_window(now);
        queue.busy.flow.begin_turn();
        Ok(Turn { admission: self, queue, completed: 0, untold_since: now })
    }
}

impl Turn<'_> {
    /// May I run this request now? It has waited since `arrival`. After `Ok` call [`done`](Self::done).
    ///
    /// # Errors
    ///
    /// As for [`Admission::admit`].
    #[inline]
    pub fn admit(&mut self, request: &Request, arrival: Nanos, now: Nanos) -> Result<(), Status> {
        self.admission.judge::<false>(self.queue, request, now, |_| true)?;
        self.admission.count_wait(self.queue, now.since(arrival));
        Ok(())
    }

    /// The request that was admitted last is finished, well or badly. `started_at` is the time that was passed to
    /// [`admit`](Self::admit).
    #[inline]
    pub fn done(&mut self, started_at: Nanos, now: Nanos) {
        self.admission.count_service(self.queue, now.since(started_at));
        self.completed += 1;
        if now.since(self.untold_since) >= UNTOLD_NS {
            self.queue.busy.flow.complete_in_turn(self.completed);
            (self.completed, self.untold_since) = (0, now);
            self.admission.watch_window(now);
        }
    }
}

impl Drop for Turn<'_> {
    #[inline]
    fn drop(&mut self) {
        self.queue.busy.flow.end_turn(self.completed);
    }
}
