//! A simulated server: queues, workers, and what refusing costs.

use std::collections::VecDeque;

use crate::policy::QueueView;
use crate::slab::Id;

/// A server.
pub struct Server {
    queues: Vec<Queue>,
    workers_per_queue: usize,
    queue_len: usize,
    /// Time that refusals took, and that the next calls pay.
    debt_ns: u64,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Id>,
    running: usize,
}

impl Server {
    /// An idle one.
    pub fn new(queues: usize, workers_per_queue: usize, queue_len: usize) -> Server {
        let queues = (0..queues).map(|_| Queue::default()).collect();
        Server { queues, workers_per_queue, queue_len, debt_ns: 0 }
    }

    /// A queue, as policies see it.
    pub fn view(&self, queue: usize) -> QueueView {
        let Queue { waiting, running } = &self.queues[queue];
        QueueView { queued: waiting.len(), running: *running, workers: self.workers_per_queue }
    }

    /// Whether a queue has no place left.
    pub fn is_full(&self, queue: usize) -> bool {
        self.queues[queue].waiting.len() >= self.queue_len
    }

    /// A request waits.
    pub fn enter(&mut self, queue: usize, attempt: Id) {
        self.queues[queue].waiting.push_back(attempt);
    }

    /// A worker takes a request, if one is idle and one waits.
    pub fn take(&mut self, queue: usize, youngest: bool) -> Option<Id> {
        let Queue { waiting, running } = &mut self.queues[queue];
        if *running >= self.workers_per_queue {
            return None;
        }
        let taken = if youngest { waiting.pop_back() } else { waiting.pop_front() }?;
        *running += 1;
        Some(taken)
    }

    /// A worker is idle again.
    pub fn give_back(&mut self, queue: usize) {
        self.queues[queue].running -= 1;
    }

    /// Refusing took some time of the processor.
    pub fn owe(&mut self, cost_ns: u64) {
        self.debt_ns += cost_ns;
    }

    /// What the next call pays of that.
    pub fn pay(&mut self) -> u64 {
        std::mem::take(&mut self.debt_ns)
    }
}
