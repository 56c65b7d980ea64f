//! A server under load, in whole numbers: the controller in front of FIFO queues, callers that try again, and a clock that is
//! stepped from event to event.

use alloc::collections::{BinaryHeap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;

use mcrpc_core::admission::{Admission, Config, Cursor, Key, Line, Request};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use crate::trace::{Random, Trace};

const SALT: Salt = Salt(0x5eed);
const DEADLINE_NS: u64 = 500 * NANOS_PER_MILLI;
const CALLS_PER_TASK: u32 = 3;
const ATTEMPTS: u32 = 3;
/// A caller that was refused waits so long before it tries again.
const BACKOFF_NS: u64 = 5 * NANOS_PER_MILLI;
/// How often all that the controller knows is hashed.
const LOOK_EACH_NS: u64 = 50 * NANOS_PER_MILLI;

/// One server and what happens to it.
pub struct Scenario {
    pub config: Config,
    pub workers_per_queue: usize,
    pub service_us: u64,
    /// From so many milliseconds on, so many per cent of the capacity are offered. The last one is the end.
    pub steps: &'static [(u64, u64)],
    /// Between these milliseconds everything takes so many times longer.
    pub brownout: (u64, u64, u64),
    /// Callers do not send what the last cursor they heard refuses, and report how much that was.
    pub callers_heed: bool,
}

/// One call of a task, and how often it was tried.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    key: Key,
    deadline: Nanos,
    calls_done: u32,
    attempts: u32,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    Attempt(Call),
    Finished { queue: usize, started: Nanos, call: Call },
    Look,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Call, Nanos)>,
    running: usize,
}

/// What the callers have heard, and what they kept to themselves.
struct Callers {
    cursor: Cursor,
    withheld: u32,
    /// One key of those that were withheld, any of them with equal chance.
    sample: Key,
}

struct Run<'a> {
    scenario: &'a Scenario,
    admission: Admission<'a>,
    queues: Vec<Queue>,
    callers: Callers,
    random: Random,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    scheduled: u64,
    now: Nanos,
    trace: Trace,
}

/// Every decision of a scenario.
pub fn run(scenario: &Scenario) -> Trace {
    let line_count = Admission::memory_size(&scenario.config).unwrap() / size_of::<Line>();
    let mut lines: Vec<Line> = (0..line_count).map(|_| Line::zeroed()).collect();
    let mut run = Run {
        scenario,
        admission: Admission::new(&mut lines, &scenario.config, Nanos(0)).unwrap(),
        queues: (0..scenario.config.queue_count).map(|_| Queue::default()).collect(),
        callers: Callers { cursor: Cursor::OPEN, withheld: 0, sample: Key(0) },
        random: Random(u64::from(scenario.config.queue_count)),
        events: BinaryHeap::new(),
        scheduled: 0,
        now: Nanos(0),
        trace: Trace::new(),
    };
    run.schedule(0, Event::Arrival);
    run.schedule(LOOK_EACH_NS, Event::Look);
    while let Some(Reverse((now, _, event))) = run.events.pop() {
        run.now = now;
        match event {
            Event::Arrival => run.task_arrives(),
            Event::Attempt(call) => run.attempt(call),
            Event::Finished { queue, started, call } => run.finish(queue, started, call),
            Event::Look => run.look(),
        }
    }
    run.trace
}

impl Run<'_> {
    fn schedule(&mut self, after_ns: u64, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now.plus(after_ns), self.scheduled, event)));
    }

    fn now_ms(&self) -> u64 {
        self.now.0 / NANOS_PER_MILLI
    }

    fn is_over(&self) -> bool {
        self.scenario.steps.last().is_none_or(|&(end_ms, _)| self.now_ms() >= end_ms)
    }

    fn task_arrives(&mut self) {
        let Some(&(_, percent)) = self.scenario.steps.iter().rfind(|&&(from_ms, _)| from_ms <= self.now_ms()) else {
            return;
        };
        if self.is_over() {
            return;
        }
        let workers = (self.queues.len() * self.scenario.workers_per_queue) as u64;
        let mean_gap_ns = self.scenario.service_us * 1_000 * u64::from(CALLS_PER_TASK) * 100 / workers / percent;
        let gap_ns = self.random.exponential(mean_gap_ns);
        self.schedule(gap_ns, Event::Arrival);
        let priority = [1, 1, 3, 3, 3, 3, 10, 10, 10, 40][self.random.below(10) as usize];
        let (uin, task_id) = match self.random.below(3) {
            0 => (77, self.random.next()),
            1 => (0, self.random.next()),
            _ => (self.random.next(), 0),
        };
        let key = Key::new(SALT, priority, Uin(uin), task_id);
        self.attempt(Call { key, deadline: self.now.plus(DEADLINE_NS), calls_done: 0, attempts: 0 });
    }

    fn attempt(&mut self, call: Call) {
        let queue = self.random.below(self.queues.len() as u64) as u32;
        if call.calls_done == 0 && !self.callers.cursor.admits(call.key) {
            return self.withhold(call);
        }
        if self.callers.withheld > 0 {
            self.admission.withheld(queue, self.callers.sample, self.callers.withheld).unwrap();
            self.callers.withheld = 0;
        }
        let request = Request {
            key: call.key,
            deadline: call.deadline,
            is_retry: call.attempts > 0,
            continues_task: call.calls_done > 0,
            tenant: 0,
        };
        let verdict = self.admission.admit(queue, &request, self.now);
        self.trace.decision(&verdict, |()| 0);
        self.hear(queue);
        if verdict.is_err() {
            return self.try_again(call);
        }
        self.queues[queue as usize].waiting.push_back((call, self.now));
        self.run_queue(queue as usize);
    }

    fn withhold(&mut self, call: Call) {
        self.callers.withheld += 1;
        if self.random.below(self.callers.withheld.into()) == 0 {
            self.callers.sample = call.key;
        }
        self.try_again(call);
    }

    /// Each answer carries the cursor.
    fn hear(&mut self, queue: u32) {
        let cursor = self.admission.cursor(queue);
        self.trace.word(cursor.0.into());
        if self.scenario.callers_heed {
            self.callers.cursor = cursor;
        }
    }

    fn try_again(&mut self, call: Call) {
        if call.attempts + 1 < ATTEMPTS && self.now < call.deadline {
            self.schedule(BACKOFF_NS, Event::Attempt(Call { attempts: call.attempts + 1, ..call }));
        }
        // The callers hold their cursor for no longer than this: else nobody would ever learn that it has opened.
        if self.random.percent(2) {
            self.callers.cursor = Cursor::OPEN;
        }
    }

    fn run_queue(&mut self, queue: usize) {
        while self.queues[queue].running < self.scenario.workers_per_queue {
            let Some((call, admitted_at)) = self.queues[queue].waiting.pop_front() else { return };
            let verdict = self.admission.dequeued(queue as u32, admitted_at, call.deadline, self.now);
            self.trace.decision(&verdict, |()| 0);
            if verdict.is_err() {
                continue;
            }
            self.queues[queue].running += 1;
            let (from_ms, to_ms, slowness) = self.scenario.brownout;
            let slowness = if (from_ms..to_ms).contains(&self.now_ms()) { slowness } else { 1 };
            let service_ns = self.random.exponential(self.scenario.service_us * 1_000 * slowness);
            self.schedule(service_ns, Event::Finished { queue, started: self.now, call });
        }
    }

    fn finish(&mut self, queue: usize, started: Nanos, call: Call) {
        self.admission.done(queue as u32, started, self.now).unwrap();
        self.queues[queue].running -= 1;
        self.hear(queue as u32);
        let calls_done = call.calls_done + 1;
        if calls_done < CALLS_PER_TASK && self.now < call.deadline {
            self.schedule(NANOS_PER_MILLI, Event::Attempt(Call { calls_done, attempts: 0, ..call }));
        }
        self.run_queue(queue);
    }

    fn look(&mut self) {
        let known = self.admission.snapshot();
        for word in [
            u64::from(known.shedding),
            known.cursor.0.into(),
            known.marginal_cursor.0.into(),
            known.windows_closed,
            known.demand_mrps,
            known.capacity_mrps,
            known.service_floor_ns,
        ] {
            self.trace.word(word);
        }
        for queue in 0..known.queue_count {
            let known = self.admission.queue_snapshot(queue).unwrap();
            for word in [known.queued.into(), known.running.into(), known.admitted, known.completed, known.wait_sum_ns]
                .into_iter()
                .chain([known.wait_count, known.capacity_mrps])
                .chain(known.refused)
            {
                self.trace.word(word);
            }
        }
        if !self.is_over() {
            self.schedule(LOOK_EACH_NS, Event::Look);
        }
    }
}
