//! A process that serves its queues, one request in each step of the clock, until it is killed or told to leave.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcrpc_core::admission::{Admission, Key, Request};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::shared::{QUEUES_EACH, Shared, Slot};

/// While there is nothing to do: the processes are more than the machine has processors.
const PAUSE: Duration = Duration::from_micros(10);
const BUDGET_NS: u64 = 500 * NANOS_PER_MILLI;

/// Whoever ends a test leaves none of its processes behind.
fn die_with_parent() {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Nanos>,
    started: Option<Nanos>,
}

struct Worker<'a> {
    admission: Admission<'a>,
    slot: &'a Slot,
    first_queue: usize,
    queues: [Queue; QUEUES_EACH],
    random: SmallRng,
}

pub fn serve(shared: &Shared, process: usize) {
    die_with_parent();
    let (board, admission) = (shared.board(), shared.admission());
    let slot = &board.slots[process];
    let (queues, random) = ([(); QUEUES_EACH].map(|()| Queue::default()), rand::make_rng());
    let mut worker = Worker { admission, slot, first_queue: process * QUEUES_EACH, queues, random };
    let (mut last, mut credit) = (Nanos(0), 0);
    for round in 0.. {
        let now = loop {
            slot.beats.fetch_add(1, Ordering::Relaxed);
            if board.leave.load(Ordering::Relaxed) != 0 {
                return worker.drain(last);
            }
            match board.next_time(process, last) {
                Some(now) => break now,
                None => std::thread::sleep(PAUSE),
            }
        };
        let index = round % QUEUES_EACH;
        worker.finish(index, now);
        credit += board.load_percent.load(Ordering::Relaxed);
        for _ in 0..credit / 100 {
            worker.offer(index, now);
        }
        credit %= 100;
        worker.start(index, now);
        slot.rounds.fetch_add(1, Ordering::Relaxed);
        last = now;
    }
}

impl Worker<'_> {
    fn offer(&mut self, index: usize, now: Nanos) {
        let uin = Uin(self.random.random());
        let request = Request {
            key: Key::new(Salt(1), self.random.random_range(0..4), uin, 0),
            deadline: now.plus(BUDGET_NS),
            is_retry: false,
            continues_task: false,
            tenant: 0,
        };
        self.slot.closed_before.store(self.admission.snapshot().windows_closed, Ordering::Relaxed);
        self.slot.calling_at.store(now.0, Ordering::Release);
        let verdict = self.admission.admit((self.first_queue + index) as u32, &request, now);
        self.slot.calling_at.store(0, Ordering::Release);
        if verdict.is_ok() {
            self.queues[index].waiting.push_back(now);
        }
    }

    /// Takes the next request that is not too late.
    fn start(&mut self, index: usize, now: Nanos) {
        let queue = &mut self.queues[index];
        while queue.started.is_none()
            && let Some(admitted_at) = queue.waiting.pop_front()
        {
            let verdict = self.admission.dequeued(
                (self.first_queue + index) as u32,
                admitted_at,
                admitted_at.plus(BUDGET_NS),
                now,
            );
            queue.started = verdict.is_ok().then_some(now);
        }
    }

    fn finish(&mut self, index: usize, now: Nanos) {
        if let Some(started) = self.queues[index].started.take() {
            self.admission.done((self.first_queue + index) as u32, started, now).unwrap();
        }
    }

    fn drain(&mut self, now: Nanos) {
        for index in 0..QUEUES_EACH {
            while self.queues[index].started.is_some() || !self.queues[index].waiting.is_empty() {
                self.finish(index, now);
                self.start(index, now);
            }
        }
    }
}
