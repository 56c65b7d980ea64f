//! Dry run and enforcement agree: of a million decisions, each is asked twice in the same state, once only observed and once
//! enforced. What the one counts as *would refuse* is what the other refuses, for the same reason.

use mcrpc_core::admission::{Admission, Config, Key, Line, Mode, Request};
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::Nanos;

const DECISIONS: u64 = 1_000_000;
const MS: u64 = 1_000_000;
const WORKERS: u32 = 8;
const SERVICE_NS: u64 = 4 * MS;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }
}

/// A server with its queue, whose every decision is asked twice.
struct Server<'m> {
    admission: Admission<'m>,
    waiting: std::collections::VecDeque<(Nanos, Nanos)>,
    /// When those that run began.
    running: std::collections::VecDeque<Nanos>,
    refused: [u64; Refusal::COUNT],
    asked: u64,
}

impl Server<'_> {
    /// Asks twice. What was observed must be what is enforced.
    fn ask(&mut self, question: impl Fn(&Admission<'_>) -> Result<(), Status>, undo: impl Fn(&Admission<'_>)) -> bool {
        self.asked += 1;
        let counts = |admission: &Admission<'_>| admission.queue_snapshot(0).unwrap().would_refuse;
        let before = counts(&self.admission);
        self.admission.set_mode(Mode::Observe);
        assert_eq!(question(&self.admission), Ok(()), "what is only observed is let pass");
        let after = counts(&self.admission);
        let would = Refusal::ALL.into_iter().find(|reason| after[*reason as usize] != before[*reason as usize]);
        undo(&self.admission);
        self.admission.set_mode(Mode::Enforce);
        let does = question(&self.admission);
        assert_eq!(does.err(), would.map(Refusal::status), "decision {}", self.asked);
        if let Some(reason) = would {
            self.refused[reason as usize] += 1;
        }
        does.is_ok()
    }

    fn arrives(&mut self, request: &Request, now: Nanos) {
        // The observed one left the queue again.
        if self.ask(|admission| admission.admit(0, request, now), |admission| admission.abandoned(0).unwrap()) {
            self.waiting.push_back((now, request.deadline));
        }
    }

    /// Workers that are finished take what waits.
    fn work(&mut self, now: Nanos) {
        while self.running.front().is_some_and(|began| now.since(*began) >= SERVICE_NS) {
            let began = self.running.pop_front().unwrap();
            self.admission.done(0, began, began.plus(SERVICE_NS)).unwrap();
        }
        while self.running.len() < WORKERS as usize {
            let Some((arrived, deadline)) = self.waiting.pop_front() else { break };
            // The observed one would run: it is queued again.
            let requeue = |admission: &Admission<'_>| {
                admission.done(0, now, now.plus(SERVICE_NS)).unwrap();
                admission.set_mode(Mode::Off);
                let free =
                    Request { key: Key(0), deadline: Nanos::NEVER, is_retry: false, continues_task: true, tenant: 0 };
                admission.admit(0, &free, now).unwrap();
            };
            if self.ask(|admission| admission.dequeued(0, arrived, deadline, now), requeue) {
                self.running.push_back(now);
            }
        }
    }
}

#[test]
fn given_a_million_decisions_when_each_is_observed_and_enforced_then_they_agree() {
    let config = Config { workers_per_queue: WORKERS, ..Config::DEFAULT };
    let mut all = [0; Refusal::COUNT];
    let mut asked = 0;
    for seed in 0.. {
        let len = Admission::memory_size(&config).unwrap() / size_of::<Line>();
        let mut lines: Vec<Line> = (0..len).map(|_| Line::zeroed()).collect();
        let admission = Admission::new(&mut lines, &config, Nanos(MS)).unwrap();
        let mut random = Random(seed);
        let (waiting, running) = Default::default();
        let mut server = Server { admission, waiting, running, refused: [0; Refusal::COUNT], asked: 0 };
        let mut now = Nanos(MS);
        while server.asked < DECISIONS / 20 {
            // 2 000 per second can be served: a second of half of that, a second of three times it.
            let mean_gap_ns = if (now.0 / 1_000 / MS).is_multiple_of(2) { 1_000_000 } else { 167_000 };
            now = now.plus(random.below(2 * mean_gap_ns));
            server.work(now);
            let deadline = match random.below(10) {
                0 => now.plus(random.below(20) * MS),
                1..=5 => now.plus(random.below(500) * MS),
                _ => Nanos::NEVER,
            };
            let key = Key((random.next() as u32) % (64 << 23));
            let (is_retry, continues_task) = (random.below(10) == 0, random.below(5) == 0);
            server.arrives(&Request { key, deadline, is_retry, continues_task, tenant: 0 }, now);
        }
        all.iter_mut().zip(server.refused).for_each(|(sum, count)| *sum += count);
        asked += server.asked;
        if asked >= DECISIONS {
            break;
        }
    }
    // A queue of 32 000 is no matter of load: `tests/why` poses one.
    for reason in Refusal::ALL.into_iter().filter(|reason| *reason != Refusal::QueueFull) {
        assert!(all[reason as usize] > 100, "{reason:?} was hardly met: {all:?}");
    }
}
