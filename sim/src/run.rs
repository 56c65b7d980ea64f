//! A run of a world under a policy.

use bumpalo::Bump;
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::Call;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::Nanos;

use crate::events::Events;
use crate::policy::{Answer, BlindRetries, CallView, ClientPolicy, Policy, Request, Sending, ServerPolicy};
use crate::random::Streams;
use crate::record::{Ended, Record};
use crate::server::Server;
use crate::slab::{Id, Slab};
use crate::world::{Importance, Service, World};

/// The fleet's secret.
const SALT: Salt = Salt(0x5eed);
/// Business priority of those who have none.
const USUAL_PRIORITY: u8 = 10;
/// Sizes of the twelve businesses, in hundredths, the most important first.
const BUSINESSES: [f64; 12] = [2.0, 5.0, 10.0, 30.0, 20.0, 15.0, 8.0, 4.0, 3.0, 1.0, 1.0, 1.0];
/// The share of all tasks that are the hot user's.
const HOT_SHARE: f64 = 0.35;
const HOT_USER: u64 = 77;

/// Runs a world under a policy.
pub fn run(world: &World, policy: &dyn Policy) -> Record {
    let memory = Bump::new();
    Run::new(world, policy, &memory).run()
}

enum Event {
    Arrival,
    /// The load changes.
    Phase,
    /// A user comes again.
    ComesAgain(User),
    /// An attempt reaches its server.
    Reaches(Id),
    /// A worker is finished with an attempt.
    Finished(Id),
    /// An answer reaches the caller.
    Answered {
        attempt: Id,
        answer: Answer,
    },
    /// A task's deadline.
    Deadline(Id),
}

/// A user with something to do.
#[derive(Clone, Copy)]
struct User {
    uin: u64,
    task_id: u64,
    priority: u8,
    process: usize,
    kind: usize,
    /// How often the same was tried before.
    came: u32,
}

struct Task {
    user: User,
    key: Key,
    arrived: Nanos,
    deadline: Nanos,
    calls_done: usize,
    /// Bit per service that has served a call of this task.
    served_by: u64,
    call: Call,
    attempts: u32,
    last_server: Option<usize>,
    /// The attempt on its way.
    pending: Option<(Id, Nanos, Sending)>,
}

struct Attempt {
    task: Id,
    service: usize,
    server: usize,
    request: Request,
    started: Nanos,
}

struct Run<'m> {
    world: World,
    deadline_ns: u64,
    network_ns: u64,
    events: Events<Event>,
    random: Streams,
    servers: Vec<Vec<Server>>,
    server_policies: Vec<Vec<Box<dyn ServerPolicy + 'm>>>,
    clients: Box<dyn ClientPolicy + 'm>,
    old_clients: BlindRetries,
    tasks: Slab<Task>,
    attempts: Slab<Attempt>,
    made: u64,
    record: Record,
}

impl<'m> Run<'m> {
    fn new(world: &World, policy: &dyn Policy, memory: &'m Bump) -> Run<'m> {
        let servers = |service: &Service| {
            let server = |_| Server::new(service.queues, service.workers_per_queue, service.queue_len);
            (0..service.servers).map(server).collect()
        };
        let policies = |service: &Service| (0..service.servers).map(|_| policy.server(service, memory)).collect();
        let hosts = vec![world.callers.processes_per_host; world.callers.hosts];
        Run {
            deadline_ns: world.deadline_ns(),
            network_ns: world.network_ns(),
            events: Events::new(),
            random: Streams::new(world.seed),
            servers: world.services.iter().map(servers).collect(),
            server_policies: world.services.iter().map(policies).collect(),
            clients: policy.clients(&world.services, &hosts, memory),
            old_clients: BlindRetries,
            tasks: Slab::new(),
            attempts: Slab::new(),
            made: 0,
            record: Record::new(world),
            world: world.clone(),
        }
    }

    fn run(mut self) -> Record {
        self.schedule_arrival();
        while let Some(event) = self.events.next() {
            match event {
                Event::Arrival => self.arrives(),
                Event::Phase => self.schedule_arrival(),
                Event::ComesAgain(user) => self.begin(user),
                Event::Reaches(attempt) => self.reaches(attempt),
                Event::Finished(attempt) => self.finished(attempt),
                Event::Answered { attempt, answer } => self.answered(attempt, &answer),
                Event::Deadline(task) => self.deadline(task),
            }
        }
        self.record
    }

    fn now_s(&self) -> f64 {
        self.events.now().0 as f64 / 1e9
    }

    // ---- Users and tasks ----

    fn schedule_arrival(&mut self) {
        let now_s = self.now_s();
        let gap_s = self.random.arrivals.exponential() / self.world.offered_tasks_per_s(now_s);
        // What a Poisson stream brings after a change of its rate does not depend on what it would have brought without.
        let (after_s, event) = match self.world.next_phase(now_s) {
            Some(next_s) if now_s + gap_s >= next_s => (next_s - now_s, Event::Phase),
            _ => (gap_s, Event::Arrival),
        };
        // Rounded up, so that a phase has begun when its event comes.
        self.events.after((after_s * 1e9).ceil().min(1e18) as u64, event);
    }

    fn arrives(&mut self) {
        if self.events.now().0 >= self.world.end_ns() {
            return;
        }
        let user = self.user();
        self.begin(user);
        self.schedule_arrival();
    }

    fn user(&mut self) -> User {
        self.made += 1;
        let made = self.made;
        let process = self.process();
        let kind = self.kind();
        let arrivals = &mut self.random.arrivals;
        let mut user = User { uin: arrivals.bits() | 1, task_id: 0, priority: USUAL_PRIORITY, process, kind, came: 0 };
        match self.world.importance {
            Importance::Uniform => {}
            Importance::Businesses => user.priority = weighted(&BUSINESSES, arrivals.unit()) as u8,
            Importance::HotUser if arrivals.unit() < HOT_SHARE => (user.uin, user.task_id) = (HOT_USER, made),
            Importance::HotUser => {}
            Importance::Anonymous => (user.uin, user.task_id) = (0, made),
        }
        if self.world.callers.forger && process == 0 {
            user.priority = 0;
        }
        user
    }

    fn process(&mut self) -> usize {
        let callers = &self.world.callers;
        let processes = callers.processes();
        match callers.first_share {
            Some(share) if self.random.arrivals.unit() < share => 0,
            Some(_) => 1 + self.random.arrivals.below(processes - 1),
            None => self.random.arrivals.below(processes),
        }
    }

    fn kind(&mut self) -> usize {
        let weights: Vec<f64> = self.world.kinds.iter().map(|kind| kind.weight).collect();
        if weights.len() == 1 { 0 } else { weighted(&weights, self.random.arrivals.unit()) }
    }

    fn begin(&mut self, user: User) {
        let now = self.events.now();
        self.record.bin(now).offered += 1;
        let key = Key::new(SALT, user.priority, Uin(user.uin), user.task_id);
        let deadline = now.plus(self.deadline_ns);
        let task = Task {
            user,
            key,
            arrived: now,
            deadline,
            calls_done: 0,
            served_by: 0,
            call: Call::new(Uin(0), 0, key, Target { service_id: 0, method_id: 0 }, deadline),
            attempts: 0,
            last_server: None,
            pending: None,
        };
        let task = self.tasks.insert(task);
        self.events.after(self.deadline_ns, Event::Deadline(task));
        self.call(task);
    }

    fn ends(&mut self, task: Id, good: bool) {
        let now = self.events.now();
        let Some(task) = self.tasks.remove(task) else { return };
        let latency_ns = good.then(|| now.since(task.arrived));
        let User { kind, process, .. } = task.user;
        self.record.tasks.push(Ended { arrived: task.arrived, key: task.key, kind, process, latency_ns });
        if good {
            self.record.bin(now).good += 1;
            self.record.bin(task.arrived).succeeded += 1;
        } else {
            self.comes_again(task.user);
        }
    }

    fn comes_again(&mut self, user: User) {
        let Some(retries) = self.world.user_retries else { return };
        let users = &mut self.random.users;
        if user.came < retries.times && users.unit() < retries.probability {
            let after_ns = (users.exponential() * retries.mean_s * 1e9) as u64;
            self.events.after(after_ns, Event::ComesAgain(User { came: user.came + 1, ..user }));
        }
    }

    fn deadline(&mut self, id: Id) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        if let Some((_, sent, sending)) = task.pending.take() {
            let elapsed_ns = self.events.now().since(sent);
            let answer = Answer { status: Status::TIMED_OUT, level: None, elapsed_ns };
            self.tell_client(id, &sending, &answer);
        }
        self.ends(id, false);
    }

    // ---- Calls and attempts, at the caller ----

    /// The next call of a task.
    fn call(&mut self, id: Id) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let target = Target { service_id: 1, method_id: 1 };
        // No uin: any server, as all policies have it. The call's own number stands for a user.
        let call_id = self.random.routing.bits() | 1;
        task.call = Call::new(Uin(0), call_id, task.key, target, task.deadline);
        task.attempts = 0;
        task.last_server = None;
        self.attempt(id);
    }

    fn attempt(&mut self, id: Id) {
        let now = self.events.now();
        let Some(task) = self.tasks.get_mut(id) else { return };
        let service = self.world.kinds[task.user.kind].calls[task.calls_done];
        let continues_task = task.served_by >> service & 1 == 1;
        if continues_task {
            task.call = task.call.continuing();
        }
        let mut view = view(task, service, self.world.services[service].servers);
        let client: &mut dyn ClientPolicy =
            if self.world.callers.is_old(view.process) { &mut self.old_clients } else { &mut *self.clients };
        let Some(sending) = client.send(&mut view, &mut self.random.policy, now) else { return self.ends(id, false) };
        let shape = &self.world.services[service];
        let request = Request {
            key: task.key,
            deadline: task.deadline,
            is_retry: task.attempts > 0,
            continues_task,
            caller: task.user.process,
            withheld: sending.withheld,
            queue: self.random.routing.below(shape.queues),
            process: self.random.routing.below(shape.processes_per_queue),
            received: now,
        };
        task.attempts += 1;
        task.last_server = Some(sending.server);
        let attempt =
            self.attempts.insert(Attempt { task: id, service, server: sending.server, request, started: now });
        task.pending = Some((attempt, now, sending));
        self.events.after(self.network_ns, Event::Reaches(attempt));
    }

    fn answered(&mut self, attempt: Id, answer: &Answer) {
        let Some(Attempt { task: id, service, .. }) = self.attempts.remove(attempt) else { return };
        let now = self.events.now();
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Some((_, sent, sending)) = task.pending.take_if(|(pending, _, _)| *pending == attempt) else { return };
        self.tell_client(id, &sending, &Answer { elapsed_ns: now.since(sent), ..*answer });
        let Some(task) = self.tasks.get_mut(id) else { return };
        if answer.status.is_ok() {
            task.calls_done += 1;
            task.served_by |= 1 << service;
            if task.calls_done < self.world.kinds[task.user.kind].calls.len() {
                self.call(id)
            } else {
                self.ends(id, true)
            }
        } else if answer.status.class() == Class::Deadline {
            self.ends(id, false);
        } else {
            self.attempt(id);
        }
    }

    fn tell_client(&mut self, id: Id, sending: &Sending, answer: &Answer) {
        let now = self.events.now();
        let Some(task) = self.tasks.get_mut(id) else { return };
        let service = self.world.kinds[task.user.kind].calls[task.calls_done];
        let view = view(task, service, self.world.services[service].servers);
        let is_old = self.world.callers.is_old(view.process);
        if !is_old {
            self.clients.answered(&view, sending, answer, now);
        }
    }

    // ---- At the server ----

    fn reaches(&mut self, id: Id) {
        let now = self.events.now();
        self.record.bin(now).requests += 1;
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        attempt.request.received = now;
        let (service, number, request) = (attempt.service, attempt.server, attempt.request);
        let server = &mut self.servers[service][number];
        let policy = &mut self.server_policies[service][number];
        let verdict = if server.is_full(request.queue) {
            Err(Status::QUEUE_FULL)
        } else {
            policy.admit(&request, server.view(request.queue), &mut self.random.policy, now)
        };
        self.record.decided(verdict.map_or_else(|status| status.0, |()| 0));
        match verdict {
            Ok(()) => {
                server.enter(request.queue, id);
                self.work(service, number, request.queue);
            }
            Err(status) => {
                let shape = &self.world.services[service];
                server.owe((shape.service_ms * 1e6 * shape.refusal_cost) as u64);
                self.reply(id, status);
            }
        }
    }

    /// Idle workers take what waits.
    fn work(&mut self, service: usize, number: usize, queue: usize) {
        let now = self.events.now();
        let shape = &self.world.services[service];
        let policy = &mut self.server_policies[service][number];
        let server = &mut self.servers[service][number];
        let mut refused = Vec::new();
        while let Some(id) = server.take(queue, policy.takes_youngest(queue)) {
            let Some(attempt) = self.attempts.get_mut(id) else { continue };
            if let Err(status) = policy.dequeue(&attempt.request, server.view(queue), now) {
                server.give_back(queue);
                server.owe((shape.service_ms * 1e6 * shape.refusal_cost) as u64);
                refused.push((id, status));
                continue;
            }
            attempt.started = now;
            let speed = shape.speed(number, now.0 as f64 / 1e9);
            let service_ns = self.random.service.duration(shape.duration) * shape.service_ms * 1e6 / speed.max(1e-3);
            self.events.after(service_ns as u64 + server.pay(), Event::Finished(id));
        }
        for (id, status) in refused {
            self.record.decided(status.0);
            self.reply(id, status);
        }
    }

    fn finished(&mut self, id: Id) {
        let now = self.events.now();
        self.record.bin(now).run += 1;
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let (service, number, request, started) = (attempt.service, attempt.server, attempt.request, attempt.started);
        let server = &mut self.servers[service][number];
        server.give_back(request.queue);
        self.server_policies[service][number].done(&request, started, server.view(request.queue), now);
        self.reply(id, Status::OK);
        self.work(service, number, request.queue);
    }

    fn reply(&mut self, id: Id, status: Status) {
        let now = self.events.now();
        let Some(attempt) = self.attempts.get_mut(id) else { return };
        let (service, number, queue) = (attempt.service, attempt.server, attempt.request.queue);
        let view = self.servers[service][number].view(queue);
        let level = self.server_policies[service][number].level(&attempt.request, view, now);
        let answer = Answer { status, level: Some(level), elapsed_ns: 0 };
        self.events.after(self.network_ns, Event::Answered { attempt: id, answer });
    }
}

fn view(task: &mut Task, service: usize, servers: usize) -> CallView<'_> {
    CallView {
        process: task.user.process,
        service,
        attempts: task.attempts,
        continues_task: task.served_by >> service & 1 == 1,
        last_server: task.last_server,
        call: &mut task.call,
        servers,
    }
}

/// The number of the weight that a draw from 0 up to 1 falls on.
fn weighted(weights: &[f64], draw: f64) -> usize {
    let total: f64 = weights.iter().sum();
    let mut left = draw * total;
    for (number, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return number;
        }
    }
    weights.len() - 1
}
