//! Breakwater (Cho et al., "Overload Control for µs-scale RPCs with Breakwater", OSDI 2020; the authors' code: `bw_config.h`,
//! `srpc_update_credit`, `incr_credit_pool`, `decr_credit_pool`): servers issue credits to callers, and a call is sent only
//! with one.
//!
//! Each round trip a server compares how long its oldest request has waited with a target d: below it the pool of credits grows
//! by max(a · callers, 1), a = 0.001; from there on it shrinks to max(1 - b · (delay - d) / d, 0.5) of itself, b = 0.02, but by
//! one at least. It is never below the number of workers nor above 64 for each caller. Replies carry the caller's credits: what
//! it has pending and demands, and max(unused / callers, 1) more, as far as the pool goes; one less than before if the pool is
//! overdrawn. Requests tell what their caller holds back. A request that comes while the delay is 2 d or more is refused.
//!
//! The artifact's times are for calls of 10 µs on a network of 10 µs: d = 80 µs. Charitable: d = 20 ms, so that four calls fit
//! into the usual deadline, and a round trip is 3.2 ms, as much longer as the calls are than the artifact's 100 µs ones. There
//! calls wait for a credit at their caller for one round trip; here they are held back at once, after all servers were looked
//! at, so that the credit of a reply falls to the next call of the same task. Callers keep one credit at least: there is no
//! message that could give it back.

use std::collections::VecDeque;

use bumpalo::Bump;
use mcrpc_core::select::call::Withheld;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, Nanos};

use super::per_process::PerProcess;
use super::{ATTEMPTS, Answer, CallView, ClientPolicy, Policy, QueueView, Request, Sending, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const TARGET_NS: u64 = 20 * NANOS_PER_MILLI;
const DROP_NS: u64 = 2 * TARGET_NS;
const ROUND_TRIP_NS: u64 = 3_200 * NANOS_PER_MICRO;
const INCREASE: f64 = 0.001;
const DECREASE: f64 = 0.02;
const MAX_CREDITS: i64 = 64;

/// The policy.
pub struct Breakwater;

impl Policy for Breakwater {
    fn name(&self) -> &'static str {
        "breakwater"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server::new(service.workers_per_queue)))
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        _memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        let credits = || services.iter().map(|service| vec![Credits::default(); service.servers]).collect();
        let processes: usize = processes_of_hosts.iter().sum();
        Box::new(Clients { processes: (0..processes).map(|_| credits()).collect() })
    }
}

/// A caller, as a server knows it.
#[derive(Clone, Copy, Default)]
struct Caller {
    is_known: bool,
    credits: i64,
    pending: i64,
    demand: i64,
}

struct Server {
    workers: i64,
    pool: i64,
    issued: i64,
    callers: Vec<Caller>,
    known: i64,
    updated: Nanos,
    waiting: VecDeque<Nanos>,
}

impl Server {
    fn new(workers: usize) -> Server {
        let workers = workers as i64;
        Server {
            workers,
            pool: workers,
            issued: 0,
            callers: Vec::new(),
            known: 0,
            updated: Nanos(0),
            waiting: VecDeque::new(),
        }
    }

    fn delay_ns(&self, now: Nanos) -> u64 {
        self.waiting.front().map_or(0, |received| now.since(*received))
    }

    fn update_pool(&mut self, now: Nanos) {
        if now.since(self.updated) < ROUND_TRIP_NS {
            return;
        }
        self.updated = now;
        let delay_ns = self.delay_ns(now);
        self.pool = if delay_ns < TARGET_NS {
            self.pool + ((self.known as f64 * INCREASE) as i64).max(1)
        } else {
            let above = (delay_ns - TARGET_NS) as f64 / TARGET_NS as f64;
            ((self.pool as f64 * (1.0 - DECREASE * above).max(0.5)) as i64).min(self.pool - 1)
        };
        self.pool = self.pool.min(self.known * MAX_CREDITS).max(self.workers);
    }

    fn caller(&mut self, number: usize) -> &mut Caller {
        if self.callers.len() <= number {
            self.callers.resize(number + 1, Caller::default());
        }
        let caller = &mut self.callers[number];
        if !caller.is_known {
            caller.is_known = true;
            self.known += 1;
        }
        caller
    }

    /// The caller's credits after one more reply.
    fn issue(&mut self, number: usize) -> i64 {
        let unused = self.pool - self.issued;
        let more = (unused / self.known.max(1)).max(1);
        let caller = self.caller(number);
        caller.pending -= 1;
        let before = caller.credits;
        let wanted = caller.pending + caller.demand + more;
        if unused > 0 {
            caller.credits = wanted.min(before + unused);
        } else if unused < 0 {
            caller.credits -= 1;
        }
        caller.credits = caller.credits.max(1).max(caller.pending).min(MAX_CREDITS - 1).min(wanted);
        let credits = caller.credits;
        self.issued += credits - before;
        credits
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, request: &Request, _: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        let demand = i64::from(request.withheld.count).min(MAX_CREDITS);
        let caller = self.caller(request.caller);
        caller.demand = demand;
        caller.pending += 1;
        let excess = (caller.credits - caller.pending - demand).max(0);
        caller.credits -= excess;
        self.issued -= excess;
        if self.delay_ns(now) >= DROP_NS {
            self.update_pool(now);
            return Err(Status::WAIT_ABOVE_HARD_LIMIT);
        }
        self.waiting.push_back(now);
        Ok(())
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        self.waiting.pop_front();
        if now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }

    fn done(&mut self, _: &Request, _: Nanos, _: QueueView, now: Nanos) {
        self.update_pool(now);
    }

    fn level(&mut self, request: &Request, _: QueueView, _: Nanos) -> u32 {
        self.issue(request.caller) as u32
    }
}

/// What a process may send to a server.
#[derive(Clone, Copy)]
struct Credits {
    granted: u32,
    used: u32,
    held_back: u32,
}

impl Default for Credits {
    fn default() -> Credits {
        Credits { granted: 1, used: 0, held_back: 0 }
    }
}

struct Clients {
    /// By process, service and server.
    processes: Vec<Vec<Vec<Credits>>>,
}

impl ClientPolicy for Clients {
    fn send(&mut self, call: &mut CallView<'_>, random: &mut Stream, _: Nanos) -> Option<Sending> {
        if call.attempts >= ATTEMPTS {
            return None;
        }
        let servers = &mut self.processes[call.process][call.service];
        let first = call.last_server.map_or_else(|| random.below(call.servers), |last| (last + 1) % call.servers);
        let found = (0..call.servers)
            .map(|step| (first + step) % call.servers)
            .find(|server| servers[*server].used < servers[*server].granted);
        let Some(server) = found else {
            servers[first].held_back += 1;
            return None;
        };
        let credits = &mut servers[server];
        credits.used += 1;
        let count = std::mem::take(&mut credits.held_back);
        Some(Sending { server, withheld: Withheld { count, ..Withheld::default() }, choice: None })
    }

    fn answered(&mut self, call: &CallView<'_>, sent: &Sending, answer: &Answer, _: Nanos) {
        let credits = &mut self.processes[call.process][call.service][sent.server];
        credits.used -= 1;
        if let Some(level) = answer.level {
            credits.granted = level;
        }
    }
}
