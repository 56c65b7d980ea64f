//! The workers of one kind: their queue, and the controller that says what goes into it.

use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use mcrpc_core::admission::Request;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use parking_lot::Mutex;

use super::controller::Controller;
use super::job::Job;
use super::queue::Queue;
use super::reply::Load;
use crate::failure::Failure;

/// A pool: threads, or the IO threads themselves.
pub(crate) struct Pool {
    pub(crate) admission: Controller,
    pub(crate) queue: Queue,
    /// Which of the controller's queues this is: the number of the process.
    pub(crate) number: u32,
    refused_per_10k: AtomicU16,
    /// What was refused and admitted when that was computed.
    observed: Mutex<[u64; 2]>,
}

impl Pool {
    pub(crate) fn new(admission: Controller, number: u32, queue_limit: usize) -> Pool {
        Pool {
            admission,
            queue: Queue::new(queue_limit),
            number,
            refused_per_10k: AtomicU16::new(0),
            observed: Mutex::default(),
        }
    }

    /// May this request be taken?
    #[inline]
    pub(crate) fn admit(&self, request: &Request, now: Nanos) -> Result<(), Status> {
        self.admission.admit(self.number, request, now)
    }

    /// Whether a request whose body is still on its way would be taken, as things are.
    pub(crate) fn would_admit(&self, request: &Request) -> bool {
        request.continues_task || self.admission.cursor(self.number).admits(request.key)
    }

    /// What a reply says of the server.
    #[inline]
    pub(crate) fn load(&self) -> Load {
        Load { cursor: self.admission.cursor(self.number), refused_per_10k: self.refused_per_10k.load(Relaxed) }
    }

    /// Computes which share of the requests is refused: since it was called last, about once a second.
    pub(crate) fn observe(&self) {
        let Ok(queue) = self.admission.queue_snapshot(self.number) else { return };
        let counts = [queue.refused.iter().sum(), queue.admitted];
        let before = std::mem::replace(&mut *self.observed.lock(), counts);
        let [refused, admitted] = [0, 1].map(|of: usize| counts[of].wrapping_sub(before[of]));
        let share = (refused * 10_000).checked_div(refused + admitted).unwrap_or(0);
        self.refused_per_10k.store(share as u16, Relaxed);
    }

    /// Hands requests to the workers, and answers those for which there is no room after all.
    pub(crate) fn put(&self, jobs: &mut Vec<Job>, displaced: &mut Vec<Job>) {
        self.queue.put(jobs, displaced);
        for job in displaced.drain(..) {
            self.give_up(&job, Status::QUEUE_FULL);
            job.connection.flush();
        }
    }

    /// Answers a request that leaves the queue without being run.
    pub(crate) fn give_up(&self, job: &Job, status: Status) {
        // Fails only for a queue that there is not.
        let _ = self.admission.abandoned(self.number);
        job.method.stats.count(job.connection.caller_number(), status);
        if job.wants_reply() {
            job.connection.answer(&job.reply_to(), self.load(), &Err(Failure::of_system(status)));
        }
        job.connection.ended();
    }
}
