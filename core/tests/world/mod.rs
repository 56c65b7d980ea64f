//! A small world to try the controller in: clients, a server, and a clock that is stepped from event to event.
//!
//! Tasks arrive as a Poisson stream, make their calls one after the other, repeat a refused or timed-out attempt at
//! once, and are good if every call is answered before the task's deadline. The server is the real controller in
//! front of FIFO queues. Nothing sleeps, and the same seed gives the same run.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use mcrpc_core::admission::{Admission, Config, Key, Line, Mode, Request};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

/// Length of the bins in which a run is recorded.
pub const BIN_MS: u64 = 100;
const NETWORK_NS: u64 = 250_000;
const SALT: Salt = Salt(0x5eed);

/// How long a request runs.
#[derive(Clone, Copy, Debug)]
pub enum Service {
    /// Always the same.
    Fixed(f64),
    /// Exponentially distributed around a mean.
    Exponential(f64),
}

impl Service {
    fn mean_ms(self) -> f64 {
        match self {
            Service::Fixed(ms) | Service::Exponential(ms) => ms,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Users {
    /// Every task is another user's; one business.
    Uniform,
    /// Twelve businesses of very different size.
    Businesses,
    /// A third of all tasks are one user's.
    Hot,
    /// The same, and from this second on it is another one.
    HotMovesAt(u32),
    /// No priorities and no users at all: tasks are told apart by their id.
    Anonymous,
}

/// A world's settings.
#[derive(Clone)]
pub struct World {
    pub queues: u32,
    pub workers_per_queue: u32,
    /// What the controller is told; 0 for unknown.
    pub workers_told: u32,
    pub service: Service,
    pub deadline_ms: u64,
    pub attempts: u32,
    pub calls_per_task: u32,
    pub users: Users,
    /// From, to and how many times slower than usual the service is between these seconds.
    pub slow_spell: Option<(u64, u64, f64)>,
    /// Arrivals at the first queue, in hundredths of its fair part.
    pub first_queue_percent: u64,
    pub mode: Mode,
    pub seed: u64,
}

impl Default for World {
    fn default() -> World {
        World {
            queues: 1,
            workers_per_queue: 8,
            workers_told: 8,
            service: Service::Fixed(10.0),
            deadline_ms: 500,
            attempts: 3,
            calls_per_task: 1,
            users: Users::Uniform,
            slow_spell: None,
            first_queue_percent: 100,
            mode: Mode::Enforce,
            seed: 1,
        }
    }
}

/// What happened in one bin.
#[derive(Clone, Default, Debug)]
pub struct Bin {
    pub offered: u64,
    pub good: u64,
    pub refused: u64,
    pub executed: u64,
    pub good_latency_ms: Vec<f64>,
    /// Tasks that ended in this bin, by tenth of the order of importance: good and all.
    pub by_importance: [(u64, u64); 10],
    pub refused_while_idle: u64,
}

/// A run, bin by bin.
pub struct Record {
    pub bins: Vec<Bin>,
    pub capacity_per_s: f64,
    pub refused_by: HashMap<Status, u64>,
    /// What would have been refused in observe mode.
    pub would_refuse: u64,
    /// Hash over every decision in order.
    pub decisions: u64,
}

impl Record {
    fn span(&self, from_s: f64, to_s: f64) -> &[Bin] {
        let bin = |s: f64| ((s * 1e3) as u64 / BIN_MS) as usize;
        &self.bins[bin(from_s)..bin(to_s)]
    }

    fn sum(&self, from_s: f64, to_s: f64, value: impl Fn(&Bin) -> u64) -> u64 {
        self.span(from_s, to_s).iter().map(value).sum()
    }

    /// Good tasks, as a share of what could have been good.
    pub fn optimum_share(&self, from_s: f64, to_s: f64, calls_per_task: u32) -> f64 {
        let offered = self.sum(from_s, to_s, |bin| bin.offered) as f64;
        let possible = self.capacity_per_s / f64::from(calls_per_task) * (to_s - from_s);
        self.sum(from_s, to_s, |bin| bin.good) as f64 / offered.min(possible)
    }

    pub fn refused(&self, from_s: f64, to_s: f64) -> u64 {
        self.sum(from_s, to_s, |bin| bin.refused)
    }

    pub fn refused_while_idle(&self) -> u64 {
        self.bins.iter().map(|bin| bin.refused_while_idle).sum()
    }

    pub fn executed_per_s(&self, from_s: f64, to_s: f64) -> f64 {
        self.sum(from_s, to_s, |bin| bin.executed) as f64 / (to_s - from_s)
    }

    /// A quantile of the latency of good tasks.
    pub fn latency_ms(&self, from_s: f64, to_s: f64, quantile: f64) -> f64 {
        let mut all: Vec<f64> =
            self.span(from_s, to_s).iter().flat_map(|bin| bin.good_latency_ms.iter().copied()).collect();
        all.sort_by(f64::total_cmp);
        all[((all.len() - 1) as f64 * quantile) as usize]
    }

    /// Success of the most important `share` of all tasks (in tenths).
    pub fn important_success(&self, from_s: f64, to_s: f64, tenths: usize) -> f64 {
        let (good, all) = self
            .span(from_s, to_s)
            .iter()
            .flat_map(|bin| bin.by_importance[..tenths].iter())
            .fold((0, 0), |(good, all), tenth| (good + tenth.0, all + tenth.1));
        good as f64 / all as f64
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival,
    /// An attempt reaches the server.
    Request {
        attempt: u64,
    },
    /// A worker is finished.
    Finished {
        queue: usize,
        attempt: u64,
        started_ns: u64,
    },
    /// An answer reaches the client.
    Answer {
        attempt: u64,
        status: i32,
    },
    /// The client stops waiting for an attempt.
    Timeout {
        attempt: u64,
    },
}

struct Task {
    uin: u64,
    task_id: u64,
    priority: u8,
    arrived_ns: u64,
    calls_done: u32,
    attempts: u32,
}

struct Attempt {
    task: u64,
    number: u32,
    sent_ns: u64,
    budget_ns: u64,
    queue: usize,
    admitted_ns: u64,
}

/// One running world.
pub struct Run<'a> {
    world: World,
    pub admission: Admission<'a>,
    load: Box<dyn Fn(f64) -> f64 + 'a>,
    random: Random,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    now_ns: u64,
    end_ns: u64,
    tasks: HashMap<u64, Task>,
    attempts: HashMap<u64, Attempt>,
    queues: Vec<(VecDeque<u64>, u32)>,
    next_id: u64,
    record: Record,
}

/// Memory for a world's controller.
pub fn memory(queues: u32) -> Vec<Line> {
    let config = Config { queue_count: queues, ..Config::default() };
    let lines = Admission::memory_size(&config).unwrap() / size_of::<Line>();
    (0..lines).map(|_| Line::zeroed()).collect()
}

/// Runs a world for `seconds` under `load(second)`, a multiple of its capacity.
pub fn run(world: &World, seconds: f64, load: impl Fn(f64) -> f64) -> Record {
    let mut lines = memory(world.queues);
    let config = Config {
        queue_count: world.queues,
        workers_per_queue: world.workers_told,
        mode: world.mode,
        ..Config::default()
    };
    let admission = Admission::new(&mut lines, &config, Nanos(0)).unwrap();
    Run::new(world, admission, load).run(seconds)
}

impl<'a> Run<'a> {
    pub fn new(world: &World, admission: Admission<'a>, load: impl Fn(f64) -> f64 + 'a) -> Run<'a> {
        let workers = world.queues * world.workers_per_queue;
        Run {
            world: world.clone(),
            admission,
            load: Box::new(load),
            random: Random(world.seed),
            events: BinaryHeap::new(),
            sequence: 0,
            now_ns: 0,
            end_ns: 0,
            tasks: HashMap::new(),
            attempts: HashMap::new(),
            queues: (0..world.queues).map(|_| (VecDeque::new(), 0)).collect(),
            next_id: 0,
            record: Record {
                bins: Vec::new(),
                capacity_per_s: f64::from(workers) * 1e3 / world.service.mean_ms(),
                refused_by: HashMap::new(),
                would_refuse: 0,
                decisions: 0,
            },
        }
    }

    pub fn run(mut self, seconds: f64) -> Record {
        self.end_ns = (seconds * 1e9) as u64;
        let drain_ns = self.world.deadline_ms * NANOS_PER_MILLI;
        self.record.bins = vec![Bin::default(); ((self.end_ns + drain_ns) / NANOS_PER_MILLI / BIN_MS) as usize + 2];
        self.schedule(0, Event::Arrival);
        while let Some(Reverse((at_ns, _, event))) = self.events.pop() {
            if at_ns > self.end_ns + drain_ns {
                break;
            }
            self.now_ns = at_ns;
            match event {
                Event::Arrival => self.task_arrives(),
                Event::Request { attempt } => self.request_arrives(attempt),
                Event::Finished { queue, attempt, started_ns } => self.worker_finishes(queue, attempt, started_ns),
                Event::Answer { attempt, status } => self.attempt_ends(attempt, Status(status)),
                Event::Timeout { attempt } => self.attempt_ends(attempt, Status::READ_FAILED),
            }
        }
        for queue in 0..self.world.queues {
            for count in self.admission.queue_snapshot(queue).unwrap().would_refuse {
                // The counts of a controller that was started from random memory are random.
                self.record.would_refuse = self.record.would_refuse.wrapping_add(count);
            }
        }
        self.record
    }

    fn schedule(&mut self, after_ns: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((self.now_ns + after_ns, self.sequence, event)));
    }

    fn bin(&mut self) -> &mut Bin {
        let index = (self.now_ns / NANOS_PER_MILLI / BIN_MS) as usize;
        &mut self.record.bins[index]
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn task_arrives(&mut self) {
        if self.now_ns >= self.end_ns {
            return;
        }
        let load = (self.load)(self.now_ns as f64 / 1e9);
        let rate_per_s = load * self.record.capacity_per_s / f64::from(self.world.calls_per_task);
        if load <= 0.0 {
            return self.schedule(10 * NANOS_PER_MILLI, Event::Arrival);
        }
        let gap_ns = (self.random.exponential() / rate_per_s * 1e9) as u64;
        self.schedule(gap_ns, Event::Arrival);
        let id = self.id();
        let mut task = Task {
            uin: self.random.next() | 1,
            task_id: 0,
            priority: 10,
            arrived_ns: self.now_ns,
            calls_done: 0,
            attempts: 0,
        };
        match self.world.users {
            Users::Uniform => {}
            Users::Businesses => {
                const SHARES: [u64; 12] = [2, 5, 10, 30, 20, 15, 8, 4, 3, 1, 1, 1];
                let mut draw = self.random.next() % 100;
                for (business, share) in SHARES.iter().enumerate() {
                    if draw < *share {
                        task.priority = business as u8;
                        break;
                    }
                    draw -= share;
                }
            }
            Users::Hot | Users::HotMovesAt(_) if self.random.next() % 100 >= 35 => {}
            Users::Hot => (task.uin, task.task_id) = (77, id),
            Users::HotMovesAt(second) => {
                let moved = self.now_ns >= u64::from(second) * NANOS_PER_SECOND;
                (task.uin, task.task_id) = (if moved { 78 } else { 77 }, id);
            }
            Users::Anonymous => (task.uin, task.task_id) = (0, id),
        }
        self.bin().offered += 1;
        self.tasks.insert(id, task);
        self.send(id);
    }

    fn send(&mut self, task_id: u64) {
        let task = self.tasks.get_mut(&task_id).unwrap();
        let deadline_ns = self.world.deadline_ms * NANOS_PER_MILLI;
        let mut queue = self.random.next() % u64::from(self.world.queues);
        if queue == 0 && self.random.next() % 100 >= self.world.first_queue_percent {
            queue = self.random.next() % u64::from(self.world.queues);
        }
        let left_ns = (task.arrived_ns + deadline_ns).saturating_sub(self.now_ns);
        let budget_ns = left_ns.min(deadline_ns / u64::from(self.world.attempts));
        let attempt = Attempt {
            task: task_id,
            number: task.attempts,
            sent_ns: self.now_ns,
            budget_ns,
            queue: queue as usize,
            admitted_ns: 0,
        };
        task.attempts += 1;
        let id = self.id();
        self.attempts.insert(id, attempt);
        self.schedule(NETWORK_NS, Event::Request { attempt: id });
        self.schedule(budget_ns, Event::Timeout { attempt: id });
    }

    fn request_arrives(&mut self, id: u64) {
        let Some(attempt) = self.attempts.get_mut(&id) else { return };
        let task = &self.tasks[&attempt.task];
        let request = Request {
            key: Key::new(SALT, task.priority, Uin(task.uin), task.task_id),
            deadline: Nanos(self.now_ns + attempt.budget_ns),
            is_retry: attempt.number > 0,
            continues_task: task.calls_done > 0,
            tenant: 0,
        };
        attempt.admitted_ns = self.now_ns;
        let queue = attempt.queue;
        let verdict = self.admission.admit(queue as u32, &request, Nanos(self.now_ns));
        let code = verdict.map_or_else(|status| status.0, |()| 0);
        self.record.decisions =
            (self.record.decisions ^ u64::from(code.cast_unsigned())).wrapping_mul(0x0000_0100_0000_01b3);
        if let Err(status) = verdict {
            let idle = self.queues[queue].1 < self.world.workers_per_queue;
            let bin = self.bin();
            bin.refused += 1;
            bin.refused_while_idle += u64::from(idle);
            *self.record.refused_by.entry(status).or_default() += 1;
            return self.schedule(NETWORK_NS, Event::Answer { attempt: id, status: status.0 });
        }
        self.queues[queue].0.push_back(id);
        self.run_queue(queue);
    }

    fn run_queue(&mut self, queue: usize) {
        while self.queues[queue].1 < self.world.workers_per_queue {
            let Some(id) = self.queues[queue].0.pop_front() else { return };
            // An attempt that the client gave up is still in the queue, as it would be in a real one.
            let (admitted_ns, deadline_ns) = match self.attempts.get(&id) {
                Some(attempt) => (attempt.admitted_ns, attempt.admitted_ns + attempt.budget_ns),
                None => (self.now_ns.saturating_sub(NANOS_PER_SECOND), self.now_ns),
            };
            let now = Nanos(self.now_ns);
            if let Err(status) = self.admission.dequeued(queue as u32, Nanos(admitted_ns), Nanos(deadline_ns), now) {
                *self.record.refused_by.entry(status).or_default() += 1;
                self.schedule(NETWORK_NS, Event::Answer { attempt: id, status: status.0 });
                continue;
            }
            self.queues[queue].1 += 1;
            let service_ns = match self.world.service {
                Service::Fixed(ms) => ms * 1e6,
                Service::Exponential(ms) => ms * 1e6 * self.random.exponential(),
            };
            let slowness = match self.world.slow_spell {
                Some((from_s, to_s, slowness)) if (from_s..to_s).contains(&(self.now_ns / NANOS_PER_SECOND)) => {
                    slowness
                }
                _ => 1.0,
            };
            self.bin().executed += 1;
            let started_ns = self.now_ns;
            self.schedule((service_ns * slowness) as u64, Event::Finished { queue, attempt: id, started_ns });
        }
    }

    fn worker_finishes(&mut self, queue: usize, attempt: u64, started_ns: u64) {
        self.admission.done(queue as u32, Nanos(started_ns), Nanos(self.now_ns)).unwrap();
        self.queues[queue].1 -= 1;
        self.schedule(NETWORK_NS, Event::Answer { attempt, status: 0 });
        self.run_queue(queue);
    }

    fn attempt_ends(&mut self, id: u64, status: Status) {
        let Some(attempt) = self.attempts.remove(&id) else { return };
        let deadline_ns = self.world.deadline_ms * NANOS_PER_MILLI;
        let task = self.tasks.get_mut(&attempt.task).unwrap();
        let in_time = self.now_ns < task.arrived_ns + deadline_ns;
        debug_assert!(self.now_ns >= attempt.sent_ns);
        if status.is_ok() && in_time {
            task.calls_done += 1;
            task.attempts = 0;
            if task.calls_done < self.world.calls_per_task {
                return self.send(attempt.task);
            }
            return self.task_ends(attempt.task, true);
        }
        if in_time && task.attempts < self.world.attempts && status.class() != Class::Deadline {
            return self.send(attempt.task);
        }
        self.task_ends(attempt.task, false);
    }

    fn task_ends(&mut self, id: u64, good: bool) {
        let task = self.tasks.remove(&id).unwrap();
        let key = Key::new(SALT, task.priority, Uin(task.uin), task.task_id);
        let tenth = key.user_level() * 10 / 128;
        let latency_ms = (self.now_ns - task.arrived_ns) as f64 / 1e6;
        let bin = self.bin();
        bin.by_importance[tenth].0 += u64::from(good);
        bin.by_importance[tenth].1 += 1;
        if good {
            bin.good += 1;
            bin.good_latency_ms.push(latency_ms);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn exponential(&mut self) -> f64 {
        -((self.next() >> 11) as f64 / (1u64 << 53) as f64).max(1e-18).ln()
    }
}
