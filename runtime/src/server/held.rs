//! What a worker has answered, and not yet counted and written: the answers of a connection go out together, those of many requests are
//! counted together.

use std::sync::Arc;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::connection::Connection;
use super::noted::Noted;
use super::reply::{self, Load, ReplyTo};
use crate::clock;
use crate::methods::Methods;
use crate::request::Reply;
use crate::stats::Handled;
use crate::stats::handled::Batch;

/// So long answers wait at most for the next handler to begin.
pub(super) const MAX_HELD_NS: u64 = 50_000;
/// So many connections have answers that wait, and so many bytes one of them, at most.
const MAX_CONNECTIONS: usize = 32;
const MAX_BYTES: usize = 64 << 10;
/// A buffer that has grown beyond this is not kept.
const KEPT_CAPACITY: usize = 16 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    connections: Vec<Answers>,
    handled: Batch,
    /// When the handler of the first of them was begun; of one that has waited, so long before its end as it ran.
    since: Nanos,
    /// Empty buffers.
    spare: Vec<Vec<u8>>,
}

/// Those of one connection.
struct Answers {
    connection: Arc<Connection>,
    bytes: Vec<u8>,
    /// How many requests are over with them.
    ended: u32,
}

impl Held {
    /// Whether it is time to write.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        !self.handled.is_empty() && now.since(self.since) > MAX_HELD_NS
    }

    /// Keeps the answer of a request; without one its caller waits no longer. Whether there is room for more.
    pub(super) fn push(
        &mut self,
        connection: &Arc<Connection>,
        answer: Option<(&ReplyTo, Load, &Reply)>,
        handled: Handled,
    ) -> bool {
        if self.handled.is_empty() {
            self.since = Nanos(handled.ended.0.saturating_sub(handled.busy_ns));
        }
        self.handled.push(handled);
        // Requests of one connection come one after another.
        let known = self.connections.iter().rposition(|known| Arc::ptr_eq(&known.connection, connection));
        let place = known.unwrap_or_else(|| {
            let bytes = self.spare.pop().unwrap_or_default();
            self.connections.push(Answers { connection: connection.clone(), bytes, ended: 0 });
            self.connections.len() - 1
        });
        let answers = &mut self.connections[place];
        answers.ended += 1;
        match answer {
            Some((to, load, Ok(payload))) => _ = reply::put_reply(&mut answers.bytes, to, load, payload),
            Some((to, load, Err(failure))) => _ = reply::put_failure(&mut answers.bytes, to, load, failure),
            None => {}
        }
        answers.bytes.len() < MAX_BYTES && self.connections.len() < MAX_CONNECTIONS
    }

    /// The last one that was pushed is recorded.
    pub(super) fn note(&mut self, noted: Noted) {
        self.handled.note(noted);
    }

    /// Counts and writes all. When that was done; `None` if there was nothing.
    ///
    /// All of it counts as written when the last connection is: one look at the clock for a batch.
    pub(super) fn flush(&mut self, methods: &Methods) -> Option<Nanos> {
        if self.handled.is_empty() {
            return None;
        }
        self.handled.count_ended(methods);
        for Answers { connection, mut bytes, ended } in self.connections.drain(..) {
            connection.send(&mut bytes, ended);
            if bytes.capacity() <= KEPT_CAPACITY {
                self.spare.push(bytes);
            }
        }
        let now = clock::now();
        self.handled.count_written(methods, now);
        Some(now)
    }
}

/// The status that an answer is counted under; without one the caller has given the call up.
pub(super) fn status_of(reply: Option<&Reply>) -> Status {
    match reply {
        Some(Ok(_)) => Status::OK,
        Some(Err(failure)) => failure.status(),
        None => Status::OUT_OF_TIME,
    }
}
