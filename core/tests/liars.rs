//! What a caller gets who says what is not true, and what it costs the others: the figures of `docs/threat-model.md`.
//!
//! A server of eight workers of 10 ms has an honest caller, with four fifths of what it can do, and a second one that
//! sends three times as much as it can do and lies about it. The clock is stepped.

mod world;

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use mcrpc_core::admission::{Admission, Config, Key, Request};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use world::memory;

const MS: u64 = NANOS_PER_MILLI;
const WORKERS: usize = 8;
const SERVICE_NS: u64 = 10 * MS;
const HONEST: usize = 0;
const LIAR: usize = 1;
/// Of each caller, as a share of what the server can do.
const LOADS: [f64; 2] = [0.8, 3.0];
const STEP_NS: u64 = MS / 10;
const LIES_FROM_NS: u64 = 1_000 * MS;
const COUNTED_FROM_NS: u64 = 3_000 * MS;
const END_NS: u64 = 30_000 * MS;

/// What the liar says; everything else is as the honest caller has it.
#[derive(Clone, Copy, Default)]
struct Lies {
    /// All that it sends is of this priority.
    priority: Option<u8>,
    /// All that it sends continues a task that was served before.
    continues_task: bool,
    /// No lie: each of its requests that was served is followed by one more of the same task.
    has_tasks_of_two: bool,
    /// A hundred times a second it withheld as many of the most important requests as it can say.
    withheld: bool,
    /// All that it sends is the first user's.
    one_user: bool,
}

/// What became of it.
struct Outcome {
    /// Of what the server can do, by caller.
    served: [f64; 2],
    /// Of the tasks of two calls that were begun.
    finished: f64,
    /// The longest wait in the queue.
    longest_wait_ns: u64,
}

struct Job {
    caller: usize,
    request: Request,
    admitted: Nanos,
}

fn run(lies: Lies, fair_share: bool) -> Outcome {
    let config = Config { workers_per_queue: WORKERS as u32, fair_share, ..Config::DEFAULT };
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &config, Nanos(0)).unwrap();
    let mut queue: VecDeque<Job> = VecDeque::new();
    let mut workers: [Option<(Job, Nanos)>; WORKERS] = [const { None }; WORKERS];
    let (mut due, mut served, mut longest_wait_ns, mut sent) = ([0.0; 2], [0.0; 2], 0, 0u64);
    let (mut begun, mut finished) = (0.0, 0.0);
    let capacity = (END_NS - COUNTED_FROM_NS) as f64 * WORKERS as f64 / SERVICE_NS as f64;
    for now in (0..END_NS).step_by(STEP_NS as usize).map(Nanos) {
        for worker in &mut workers {
            if let Some((job, started)) = worker.take_if(|(_, started)| now.since(*started) >= SERVICE_NS) {
                admission.done(0, started, now).unwrap();
                let counted = if now.0 >= COUNTED_FROM_NS { 1.0 } else { 0.0 };
                served[job.caller] += counted;
                if lies.has_tasks_of_two && job.caller == LIAR && !job.request.continues_task {
                    begun += counted;
                    let request = Request { continues_task: true, ..job.request };
                    if admission.admit(0, &request, now).is_ok() {
                        finished += counted;
                        queue.push_back(Job { request, admitted: now, ..job });
                    }
                }
            }
        }
        let lies_now = now.0 >= LIES_FROM_NS;
        if lies.withheld && lies_now && now.0 % (10 * MS) == 0 {
            admission.withheld(0, Key(0), u32::MAX).unwrap();
        }
        for caller in if lies_now { 0..2 } else { 0..1 } {
            due[caller] += LOADS[caller] * WORKERS as f64 * STEP_NS as f64 / SERVICE_NS as f64;
            while due[caller] >= 1.0 {
                due[caller] -= 1.0;
                sent += 1;
                let request = request(caller, sent, lies);
                if admission.admit(0, &request, now).is_ok() {
                    queue.push_back(Job { caller, request, admitted: now });
                }
            }
        }
        for worker in workers.iter_mut().filter(|worker| worker.is_none()) {
            let Some(job) = queue.pop_front() else { break };
            if now.0 >= COUNTED_FROM_NS {
                longest_wait_ns = longest_wait_ns.max(now.since(job.admitted));
            }
            admission.dequeued(0, job.admitted, Nanos::NEVER, now).unwrap();
            *worker = Some((job, now));
        }
    }
    Outcome { served: served.map(|count| count / capacity), finished: finished / begun, longest_wait_ns }
}

fn request(caller: usize, number: u64, lies: Lies) -> Request {
    let lies = if caller == LIAR { lies } else { Lies::default() };
    let uin = if lies.one_user { 1 } else { number };
    Request {
        key: Key::new(Salt(42), lies.priority.unwrap_or(10), Uin(uin), 0),
        deadline: Nanos::NEVER,
        is_retry: false,
        continues_task: lies.continues_task,
        tenant: caller as u16 + 1,
    }
}

const TRUE: Lies =
    Lies { priority: None, continues_task: false, has_tasks_of_two: false, withheld: false, one_user: false };

/// What is not true, and which share of its requests the honest caller has served, without fair shares and with them.
const CASES: [(&str, Lies, [RangeInclusive<f64>; 2]); 7] = [
    ("nothing", TRUE, [0.22..=0.30, 0.54..=0.65]),
    ("its priority", Lies { priority: Some(0), ..TRUE }, [0.00..=0.02, 0.50..=0.62]),
    ("that it continues tasks", Lies { continues_task: true, ..TRUE }, [0.00..=0.05, 0.52..=0.65]),
    (
        "that it continues the least important tasks",
        Lies { priority: Some(63), continues_task: true, ..TRUE },
        [0.00..=0.05, 0.48..=0.60],
    ),
    ("what it withheld", Lies { withheld: true, ..TRUE }, [0.15..=0.30, 0.15..=0.30]),
    ("its users", Lies { one_user: true, ..TRUE }, [0.60..=1.00, 0.60..=1.00]),
    (
        "all but its users",
        Lies { priority: Some(0), continues_task: true, withheld: true, ..TRUE },
        [0.00..=0.02, 0.05..=0.20],
    ),
];

#[test]
fn lies_cost_others_their_place_and_neither_capacity_nor_a_short_queue() {
    for (what, lies, wanted) in CASES {
        for (fair_share, wanted) in [false, true].into_iter().zip(wanted) {
            let outcome = run(lies, fair_share);
            let (honest, liar) = (outcome.served[HONEST] / LOADS[HONEST], outcome.served[LIAR]);
            let wait_ms = outcome.longest_wait_ns / MS;
            let case = format!("{what}, fair share {fair_share}: {honest:.2}, liar {liar:.2}, waits {wait_ms} ms");
            println!("{case}");
            assert!(wanted.contains(&honest), "{case}");
            assert!(outcome.served[HONEST] + liar > 0.98, "capacity is lost: {case}");
            // Work in progress may wait for twice as long as other work.
            assert!(wait_ms <= if lies.continues_task { 160 } else { 80 }, "{case}");
        }
    }
}

#[test]
fn a_tenant_that_floods_with_tasks_of_two_calls_finishes_what_was_begun() {
    let outcome = run(Lies { has_tasks_of_two: true, ..TRUE }, true);
    let honest = outcome.served[HONEST] / LOADS[HONEST];
    assert!((0.54..=0.65).contains(&honest), "it is held to its share: {honest:.2}");
    assert!(outcome.finished > 0.98, "{:.3} of its tasks were finished", outcome.finished);
}
