//! The workers of one kind: their queue, and the controller that says what goes into it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::task::Waker;

use mcrpc_core::admission::Request;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use parking_lot::Mutex;

use super::controller::Controller;
use super::job::{Job, Parcel};
use super::memory::Memory;
use super::queue::{Queue, Taken};
use super::reply::{CURSOR_HOLD_MS, Load};
use crate::clock;
use crate::failure::Failure;
use crate::methods::Methods;

/// A pool: threads, or the IO threads themselves.
pub(crate) struct Pool {
    pub(crate) admission: Controller,
    pub(crate) queue: Queue,
    /// Which of the controller's queues this is: the number of the process.
    pub(crate) number: u32,
    /// Which queue it is in a recording.
    pub(crate) recorded_as: u8,
    /// That of the bodies in the queue.
    memory: Memory,
    refused_per_10k: AtomicU16,
    /// What was refused and admitted when that was computed.
    observed: Mutex<[u64; 2]>,
}

impl Pool {
    pub(crate) fn new(admission: Controller, number: u32, queue_limit: usize, memory: Memory) -> Pool {
        Pool {
            admission,
            queue: Queue::new(queue_limit),
            number,
            recorded_as: 0,
            memory,
            refused_per_10k: AtomicU16::new(0),
            observed: Mutex::default(),
        }
    }

    /// May this request be taken?
    #[inline]
    pub(crate) fn admit(&self, request: &Request, now: Nanos) -> Result<(), Status> {
        self.admission.admit(self.number, request, now)
    }

    /// May this request be taken, whose body is still on its way?
    ///
    /// # Errors
    ///
    /// [`Status::BELOW_CURSOR`]: its body need not be kept.
    pub(crate) fn judge_early(&self, request: &Request) -> Result<(), Status> {
        self.admission.judge_early(self.number, request)
    }

    /// What a reply says of the server.
    #[inline]
    pub(crate) fn load(&self) -> Load {
        let (cursor, refused_per_10k) = (self.admission.cursor(self.number), self.refused_per_10k.load(Relaxed));
        Load { cursor, refused_per_10k, hold_ms: CURSOR_HOLD_MS }
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
    pub(crate) fn put(
        &self,
        jobs: &mut VecDeque<Parcel>,
        spare: &mut Vec<Parcel>,
        displaced: &mut Vec<Parcel>,
        methods: &Methods,
    ) {
        self.queue.put(jobs, spare, displaced);
        for mut job in displaced.drain(..).filter_map(|mut parcel| parcel.take()) {
            self.memory.give_back(job.body.len());
            self.give_up(&job, Status::QUEUE_FULL, methods);
            if let Some(noted) = &mut job.noted {
                noted.leaves(Status::QUEUE_FULL, clock::now());
            }
            job.connection.flush();
        }
    }

    /// Takes at most so many requests out of the queue, for a worker: see [`Queue::take`].
    pub(crate) fn take(
        &self,
        worker: usize,
        waker: &Waker,
        most: usize,
        jobs: &mut VecDeque<Parcel>,
        spare: &mut Vec<Parcel>,
    ) -> Taken {
        let taken = self.queue.take(worker, waker, most, jobs, spare);
        if taken == Taken::Some {
            self.memory.give_back(body_len_of(jobs));
        }
        taken
    }

    /// Puts back what a worker has taken and cannot run.
    pub(crate) fn put_back(&self, jobs: &mut VecDeque<Parcel>) {
        self.memory.take(body_len_of(jobs));
        self.queue.put_back(jobs);
    }

    /// Answers a request that leaves the queue without being run.
    fn give_up(&self, job: &Job, status: Status, methods: &Methods) {
        // Fails only for a queue that there is not.
        let _ = self.admission.abandoned(self.number);
        if let Some(method) = methods.get(job.method) {
            method.stats.count(job.connection.caller_number(), status, 1);
        }
        if job.wants_reply() {
            job.connection.answer(&job.to, self.load(), &Err(Failure::of_system(status)));
        }
        job.connection.ended(1);
    }
}

fn body_len_of(jobs: &VecDeque<Parcel>) -> usize {
    jobs.iter().flat_map(|parcel| parcel.iter()).map(|job| job.body.len()).sum()
}

#[cfg(test)]
mod tests {
    use mcrpc_core::admission::{Admission, Config, Key};
    use mcrpc_core::id::{Salt, Uin};
    use mcrpc_core::status::Refusal;
    use memmap2::{MmapOptions, MmapRaw};

    use super::*;

    const WORKERS: u32 = 4;
    const SERVICE_MS: u64 = 10;

    fn pool() -> Pool {
        let config = Config { workers_per_queue: WORKERS, ..Config::DEFAULT };
        let len = Admission::memory_size(&config).unwrap();
        let memory = MmapRaw::from(MmapOptions::new().len(len).map_anon().unwrap());
        Pool::new(Controller::lay_out(memory, &config).unwrap(), 0, 1_000, Memory::new(0))
    }

    fn request(uin: u64) -> Request {
        let key = Key::new(Salt::default(), 0, Uin(uin), 0);
        Request { key, deadline: Nanos::NEVER, is_retry: false, continues_task: false, tenant: 0 }
    }

    #[test]
    fn what_is_refused_before_its_body_has_come_is_demand_too() {
        let (pool, begin) = (pool(), crate::clock::now());
        let (mut waiting, mut running, mut early) = (VecDeque::new(), VecDeque::new(), 0u64);
        // Four workers do 400 a second, and are offered 2 000; in the end nine of ten with a long body.
        for ms in 0..4_000u64 {
            let now = begin.plus(ms * 1_000_000);
            for nth in 0..2 {
                let request = request(2 * ms + nth + 1);
                let has_long_body = ms > 2_000 && (2 * ms + nth) % 10 != 0;
                if has_long_body && pool.judge_early(&request).is_err() {
                    early += 1;
                } else if pool.admit(&request, now).is_ok() {
                    waiting.push_back(now);
                }
            }
            while running.front().is_some_and(|&started: &Nanos| now.since(started) >= SERVICE_MS * 1_000_000) {
                pool.admission.done(0, running.pop_front().unwrap(), now).unwrap();
            }
            while running.len() < WORKERS as usize
                && let Some(admitted) = waiting.pop_front()
            {
                if pool.admission.dequeued(0, admitted, Nanos::NEVER, now).is_ok() {
                    running.push_back(now);
                }
            }
        }
        let demand_per_s = pool.admission.snapshot().demand_mrps / 1_000;
        assert!(early > 1_000, "{early} were refused early");
        let refused = pool.admission.queue_snapshot(0).unwrap().refused;
        assert!(refused[Refusal::BelowCursor as usize] >= early, "{refused:?}");
        assert!(demand_per_s > 1_500, "of 2000 a second {demand_per_s} are known");
    }
}
