//! What a simulated world is: services, the programs that call them, and the users behind those.
//!
//! The numbers that are defaults here are those of the evaluation that most papers on the subject share (DAGOR, SoCC 2018, section 5):
//! three servers that do 250 calls a second each, a deadline of 500 ms, three more attempts for a call that was refused.

use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND};

/// How long a call runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Duration {
    /// Always the same.
    Fixed,
    /// Erlang of order four: the sum of four exponential steps.
    Erlang4,
    /// Exponential.
    Exponential,
    /// Erlang of order four, but one call in a hundred takes ten times as long.
    SlowOneInHundred,
    /// Pareto with index 1.5, cut at fifty times the mean: a heavy tail.
    HeavyTailed,
}

/// Servers that do the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// How many servers.
    pub servers: usize,
    /// Input queues of a server: processes that each have a queue of their own.
    pub queues: usize,
    /// Workers behind each queue.
    pub workers_per_queue: usize,
    /// Processes that share each queue and decide who enters it. More than one: the queue is in memory that they share.
    pub processes_per_queue: usize,
    /// Mean time of a call, in ms.
    pub service_ms: f64,
    /// How it is distributed.
    pub duration: Duration,
    /// What refusing a request costs, as a part of the mean time of a call.
    pub refusal_cost: f64,
    /// Places in a queue.
    pub queue_len: usize,
    /// From, to (in seconds), and how many times the usual capacity there is; of all servers, or of one.
    pub capacity: Vec<Change>,
    /// The clock of the first process of each server is ahead by this much.
    pub wrong_clock_ns: u64,
    /// Callers are held to a fair share, if the policy can.
    pub fair_share: bool,
}

/// A change of capacity for some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When it begins, in s.
    pub from_s: f64,
    /// When it ends, in s.
    pub to_s: f64,
    /// The capacity, as a multiple of the usual one.
    pub factor: f64,
    /// Of this server only.
    pub server: Option<usize>,
}

impl Service {
    /// Three servers of eight workers and 32 ms.
    pub fn usual() -> Service {
        Service {
            servers: 3,
            queues: 1,
            workers_per_queue: 8,
            processes_per_queue: 1,
            service_ms: 32.0,
            duration: Duration::Erlang4,
            refusal_cost: 0.01,
            queue_len: 10_000,
            capacity: Vec::new(),
            wrong_clock_ns: 0,
            fair_share: false,
        }
    }

    /// Calls per second that all its servers complete together, at a time.
    pub fn capacity_per_s(&self, at_s: f64) -> f64 {
        let per_server = (self.queues * self.workers_per_queue) as f64 * 1e3 / self.service_ms;
        (0..self.servers).map(|server| per_server * self.speed(server, at_s)).sum()
    }

    /// How fast a server is at a time, as a multiple of its usual speed.
    pub fn speed(&self, server: usize, at_s: f64) -> f64 {
        let holds = |change: &&Change| {
            (change.from_s..change.to_s).contains(&at_s) && change.server.is_none_or(|only| only == server)
        };
        self.capacity.iter().filter(holds).map(|change| change.factor).product()
    }
}

/// How important tasks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// One business; each task is another user's.
    Uniform,
    /// Twelve businesses of very different size.
    Businesses,
    /// A third of all tasks are one user's.
    HotUser,
    /// Neither business nor user: tasks are told apart by their id alone.
    Anonymous,
}

/// Programs that call the services.
#[derive(Clone, Debug, PartialEq)]
pub struct Callers {
    /// Hosts they run on; the processes of a host share what they learn, if their policy can.
    pub hosts: usize,
    /// Processes on each host.
    pub processes_per_host: usize,
    /// Of ten processes, so many are old programs: they try a refused call again up to three times, whatever they are told.
    pub old_in_ten: usize,
    /// The first process marks all its tasks as the most important.
    pub forger: bool,
    /// The share of all tasks that the first process sends; the others share the rest evenly. `None`: as much as any other.
    pub first_share: Option<f64>,
}

impl Callers {
    /// All processes.
    pub fn processes(&self) -> usize {
        self.hosts * self.processes_per_host
    }

    /// Whether a process is an old program.
    pub fn is_old(&self, process: usize) -> bool {
        process % 10 < self.old_in_ten
    }
}

/// Users who come again when their task failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retries {
    /// With which probability.
    pub probability: f64,
    /// How often at most.
    pub times: u32,
    /// After how long, on average, in s.
    pub mean_s: f64,
}

/// From a time on, tasks arrive at this rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// When, in s.
    pub from_s: f64,
    /// The calls that the tasks need, as a multiple of the usual capacity of the service that is most loaded.
    pub load: f64,
}

/// A kind of task: which services it calls, one after the other, and its part of all tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskKind {
    /// Numbers of services.
    pub calls: Vec<usize>,
    /// Compared with other kinds.
    pub weight: f64,
}

/// A world.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// What is called.
    pub services: Vec<Service>,
    /// Who calls.
    pub callers: Callers,
    /// What for.
    pub kinds: Vec<TaskKind>,
    /// How important.
    pub importance: Importance,
    /// How many tasks, by time; the first phase begins at 0.
    pub phases: Vec<Phase>,
    /// Whether failed tasks come again.
    pub user_retries: Option<Retries>,
    /// A task is worth nothing later than this after its arrival.
    pub deadline_ms: f64,
    /// How long a message travels.
    pub network_ms: f64,
    /// When arrivals end, in s.
    pub length_s: f64,
    /// What is random follows from this.
    pub seed: u64,
}

impl World {
    /// One service, called `calls_per_task` times by each task, at a steady load.
    pub fn steady(calls_per_task: usize, load: f64, length_s: f64) -> World {
        World {
            services: vec![Service::usual()],
            callers: Callers { hosts: 3, processes_per_host: 1, old_in_ten: 0, forger: false, first_share: None },
            kinds: vec![TaskKind { calls: vec![0; calls_per_task], weight: 1.0 }],
            importance: Importance::Uniform,
            phases: vec![Phase { from_s: 0.0, load }],
            user_retries: None,
            deadline_ms: 500.0,
            network_ms: 0.25,
            length_s,
            seed: 1,
        }
    }

    /// The load at a time.
    pub fn load(&self, at_s: f64) -> f64 {
        self.phases.iter().rev().find(|phase| phase.from_s <= at_s).map_or(0.0, |phase| phase.load)
    }

    /// When the load changes next.
    pub fn next_phase(&self, at_s: f64) -> Option<f64> {
        self.phases.iter().map(|phase| phase.from_s).find(|&from_s| from_s > at_s)
    }

    /// Calls that a task makes to a service, on average over the kinds.
    pub fn calls_per_task(&self, service: usize) -> f64 {
        let total: f64 = self.kinds.iter().map(|kind| kind.weight).sum();
        let calls = |kind: &TaskKind| kind.calls.iter().filter(|&&called| called == service).count() as f64;
        self.kinds.iter().map(|kind| kind.weight * calls(kind)).sum::<f64>() / total
    }

    /// Tasks per second that could be served at a time: the service that allows the fewest decides.
    pub fn possible_tasks_per_s(&self, at_s: f64) -> f64 {
        self.tasks_per_s(|service| service.capacity_per_s(at_s))
    }

    /// Tasks per second that arrive at a time.
    pub fn offered_tasks_per_s(&self, at_s: f64) -> f64 {
        let usual = |service: &Service| Service { capacity: Vec::new(), ..service.clone() }.capacity_per_s(0.0);
        self.load(at_s) * self.tasks_per_s(usual)
    }

    fn tasks_per_s(&self, capacity_per_s: impl Fn(&Service) -> f64) -> f64 {
        let allowed = |(number, service)| capacity_per_s(service) / self.calls_per_task(number);
        self.services.iter().enumerate().map(allowed).fold(f64::INFINITY, f64::min)
    }

    /// The deadline in ns.
    pub fn deadline_ns(&self) -> u64 {
        (self.deadline_ms * NANOS_PER_MILLI as f64) as u64
    }

    /// The network's delay in ns.
    pub fn network_ns(&self) -> u64 {
        (self.network_ms * NANOS_PER_MILLI as f64) as u64
    }

    /// The end of the arrivals in ns.
    pub fn end_ns(&self) -> u64 {
        (self.length_s * NANOS_PER_SECOND as f64) as u64
    }
}
