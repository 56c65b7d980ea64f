//! Throttling in the client (Google's SRE book, chapter 21, "Handling Overload": client-side throttling, deciding to retry).
//!
//! A process counts, for each service and over a sliding window, the calls it wanted to make and those that were accepted; it
//! refuses a call itself with the probability (calls - K · accepted) / (calls + 1), with K = 2. What it refuses counts as a call.
//! At most three attempts, and no retry while retries are a tenth of all calls or more. Behind it is a short queue at the server.
//! Where many requests have been sent before, a refusal says "overloaded; don't retry" and ends the task: other servers are full
//! too. The book does not say how many are many; here it is the budget, a tenth of the requests of the last window.
//!
//! The book's window is two minutes. Charitable: 10 s, which is as good under steady load and forgets an overload ten times sooner.

use std::collections::VecDeque;

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{Answer, CallView, ClientPolicy, Policy, QueueView, Request, Sending, ServerPolicy, any_server, tail_drop};
use crate::random::Stream;
use crate::world::Service;

const K: f64 = 2.0;
const ATTEMPTS: u32 = 3;
const RETRY_BUDGET: f64 = 0.1;
const BUCKETS: u64 = 10;
const BOOK_WINDOW_S: u64 = 120;
const SHORT_WINDOW_S: u64 = 10;

/// The policy.
pub struct Google {
    window_s: u64,
}

impl Google {
    /// As the book has it.
    pub fn two_minutes() -> Google {
        Google { window_s: BOOK_WINDOW_S }
    }

    /// With a shorter memory.
    pub fn ten_seconds() -> Google {
        Google { window_s: SHORT_WINDOW_S }
    }
}

impl Policy for Google {
    fn name(&self) -> &'static str {
        if self.window_s == BOOK_WINDOW_S { "google, 2 min" } else { "google, 10 s" }
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server { received: History::new(SHORT_WINDOW_S) }))
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        _memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        let processes: usize = processes_of_hosts.iter().sum();
        let histories = || services.iter().map(|_| History::new(self.window_s)).collect();
        Box::new(Clients { processes: (0..processes).map(|_| histories()).collect() })
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    calls: u64,
    accepted: u64,
    retries: u64,
}

impl Counts {
    fn retry_share(self) -> f64 {
        self.retries as f64 / self.calls.max(1) as f64
    }

    fn refused_share(self) -> f64 {
        ((self.calls as f64 - K * self.accepted as f64) / (self.calls + 1) as f64).max(0.0)
    }
}

/// Counts over a sliding window.
struct History {
    bucket_ns: u64,
    buckets: VecDeque<(u64, Counts)>,
    sum: Counts,
}

impl History {
    fn new(window_s: u64) -> History {
        History { bucket_ns: window_s * NANOS_PER_SECOND / BUCKETS, buckets: VecDeque::new(), sum: Counts::default() }
    }

    fn at(&mut self, now: Nanos) -> Counts {
        let current = now.0 / self.bucket_ns;
        while let Some(&(_, old)) = self.buckets.front().filter(|(bucket, _)| *bucket + BUCKETS <= current) {
            self.buckets.pop_front();
            self.sum.calls -= old.calls;
            self.sum.accepted -= old.accepted;
            self.sum.retries -= old.retries;
        }
        self.sum
    }

    fn add(&mut self, more: Counts, now: Nanos) {
        let current = now.0 / self.bucket_ns;
        if self.buckets.back().is_none_or(|(bucket, _)| *bucket != current) {
            self.buckets.push_back((current, Counts::default()));
        }
        let newest = self.buckets.back_mut().map(|(_, counts)| counts);
        for counts in newest.into_iter().chain([&mut self.sum]) {
            counts.calls += more.calls;
            counts.accepted += more.accepted;
            counts.retries += more.retries;
        }
    }
}

struct Clients {
    processes: Vec<Vec<History>>,
}

impl ClientPolicy for Clients {
    fn send(&mut self, call: &mut CallView<'_>, random: &mut Stream, now: Nanos) -> Option<Sending> {
        let history = &mut self.processes[call.process][call.service];
        let counts = history.at(now);
        let is_retry = call.attempts > 0;
        if is_retry && (call.attempts >= ATTEMPTS || counts.retry_share() >= RETRY_BUDGET) {
            return None;
        }
        history.add(Counts { calls: 1, accepted: 0, retries: u64::from(is_retry) }, now);
        (random.unit() >= counts.refused_share()).then(|| any_server(call, random))
    }

    fn answered(&mut self, call: &CallView<'_>, _: &Sending, answer: &Answer, now: Nanos) {
        // Whatever the server ran it had accepted, also what came too late.
        if answer.status.is_ok() || answer.status == Status::TIMED_OUT {
            let accepted = Counts { accepted: 1, ..Counts::default() };
            self.processes[call.process][call.service].add(accepted, now);
        }
    }
}

/// The short queue, and the word not to try again.
struct Server {
    received: History,
}

/// "Overloaded; don't retry": a status that ends the task.
const DO_NOT_RETRY: Status = Status::DEADLINE_ON_ARRIVAL;

impl ServerPolicy for Server {
    fn admit(&mut self, request: &Request, queue: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        let received = self.received.at(now);
        self.received.add(Counts { calls: 1, accepted: 0, retries: u64::from(request.is_retry) }, now);
        let refusal = if received.retry_share() >= RETRY_BUDGET { DO_NOT_RETRY } else { Status::QUEUE_FULL };
        tail_drop::Server.admit(request, queue, random, now).map_err(|_| refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_fewer_accepted_than_half_of_the_calls_then_the_rest_is_refused_locally() {
        let refused = |calls, accepted| Counts { calls, accepted, retries: 0 }.refused_share();
        assert_eq!(refused(99, 50), 0.0);
        assert_eq!(refused(99, 0), 0.99);
        assert_eq!(refused(399, 100), 199.0 / 400.0);
    }

    #[test]
    fn given_a_window_of_ten_seconds_when_they_have_passed_then_it_is_forgotten() {
        let mut history = History::new(SHORT_WINDOW_S);
        history.add(Counts { calls: 7, ..Counts::default() }, Nanos::from_millis(500));
        assert_eq!(history.at(Nanos::from_millis(9_900)).calls, 7);
        assert_eq!(history.at(Nanos::from_millis(10_000)).calls, 0);
    }
}
