//! DAGOR (Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018, section 4, with the errata of arXiv
//! 1806.04075v3): requests are ordered by business and user, and a cursor in that order says who is admitted.
//!
//! A window of a second or 2000 requests is one of overload if they waited for more than 20 ms on average. Then the cursor moves
//! from where it is until α = 5 % less would have been admitted, by what was counted of each level; otherwise until β = 1 % of all
//! requests more would have been.
//!
//! | variant | |
//! |---|---|
//! | alone | the server's half as published, callers that try again blindly |
//! | collaborative | callers know the cursor of each server from its last reply, and do not send what it would refuse. As published: such requests are counted nowhere, so the cursor finds no one on its way up and opens at once |
//! | collaborative+ | charitable: a server takes levels that do not come for as frequent as when it last admitted them, and callers forget a cursor after 1 s |

use bumpalo::Bump;
use mcrpc_core::admission::Key;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use super::cursor_clients::CursorClients;
use super::per_process::PerProcess;
use super::waiting_window::{Closed, WaitingWindow};
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const ALPHA: f64 = 0.05;
const BETA: f64 = 0.01;
/// 64 businesses of 128 users.
const LEVELS: usize = 1 << 13;
const CURSOR_TTL_NS: u64 = NANOS_PER_SECOND;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    Alone,
    Collaborative,
    CollaborativePlus,
}

/// The policy.
pub struct Dagor(Variant);

impl Dagor {
    /// Servers only.
    pub fn alone() -> Dagor {
        Dagor(Variant::Alone)
    }

    /// As published.
    pub fn collaborative() -> Dagor {
        Dagor(Variant::Collaborative)
    }

    /// With a memory of what callers hold back.
    pub fn collaborative_plus() -> Dagor {
        Dagor(Variant::CollaborativePlus)
    }
}

impl Policy for Dagor {
    fn name(&self) -> &'static str {
        match self.0 {
            Variant::Alone => "dagor",
            Variant::Collaborative => "dagor collaborative",
            Variant::CollaborativePlus => "dagor collaborative+",
        }
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        let remembers = self.0 == Variant::CollaborativePlus;
        Box::new(PerProcess::new(service, || Server::new(remembers)))
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        _memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        let ttl_ns = match self.0 {
            Variant::Alone => return Box::new(BlindRetries),
            Variant::Collaborative => u64::MAX,
            Variant::CollaborativePlus => CURSOR_TTL_NS,
        };
        let order = |key| level(key) as u32;
        Box::new(CursorClients::new(services, processes_of_hosts, order, ttl_ns))
    }
}

/// Business and user; smaller is more important.
fn level(key: Key) -> usize {
    key.priority() << 7 | key.user_level()
}

struct Server {
    /// The first level that is refused.
    cursor: usize,
    window: WaitingWindow,
    counts: Vec<f64>,
    /// Requests per second of each level when it was last admitted, if that is remembered.
    rates: Option<Vec<f64>>,
}

impl Server {
    fn new(remembers: bool) -> Server {
        Server {
            cursor: LEVELS,
            window: WaitingWindow::default(),
            counts: vec![0.0; LEVELS],
            rates: remembers.then(|| vec![0.0; LEVELS]),
        }
    }

    fn close(&mut self, closed: Closed) {
        self.recall(closed.length_ns);
        let admitted = closed.admitted as f64;
        let all = match self.rates {
            Some(_) => self.counts.iter().sum(),
            None => closed.requests as f64,
        };
        let mut expected = admitted;
        if closed.overloaded {
            while expected > (1.0 - ALPHA) * admitted && self.cursor > 0 {
                self.cursor -= 1;
                expected -= self.counts[self.cursor];
            }
        } else {
            while expected < admitted + BETA * all && self.cursor < LEVELS {
                expected += self.counts[self.cursor];
                self.cursor += 1;
            }
        }
        self.counts.fill(0.0);
    }

    /// Puts what is remembered in the place of what callers hold back.
    fn recall(&mut self, length_ns: u64) {
        let Some(rates) = &mut self.rates else { return };
        let length_s = length_ns as f64 / NANOS_PER_SECOND as f64;
        let (admitted, refused) = rates.split_at_mut(self.cursor);
        for (rate, count) in admitted.iter_mut().zip(&self.counts) {
            *rate = count / length_s;
        }
        for (rate, count) in refused.iter().zip(&mut self.counts[self.cursor..]) {
            *count = count.max(rate * length_s);
        }
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, request: &Request, _: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        if let Some(closed) = self.window.close(now) {
            self.close(closed);
        }
        let level = level(request.key);
        self.counts[level] += 1.0;
        let admitted = level < self.cursor;
        self.window.judged(admitted);
        if admitted { Ok(()) } else { Err(Status::BELOW_CURSOR) }
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        self.window.waited(now.since(request.received));
        if now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }

    fn level(&mut self, _: &Request, _: QueueView, _: Nanos) -> u32 {
        self.cursor as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(requests: u64, admitted: u64, overloaded: bool) -> Closed {
        Closed { requests, admitted, length_ns: NANOS_PER_SECOND, overloaded }
    }

    /// A hundred levels of ten requests.
    fn counted(server: &mut Server, levels: usize) {
        server.counts[..levels].fill(10.0);
    }

    #[test]
    fn given_overload_when_a_window_closes_then_five_percent_fewer_are_admitted() {
        let mut server = Server::new(false);
        counted(&mut server, 100);
        server.close(closed(1_000, 1_000, true));
        assert_eq!(server.cursor, 95);
    }

    #[test]
    fn given_no_overload_when_a_window_closes_then_one_percent_of_all_is_admitted_more() {
        let mut server = Server { cursor: 50, ..Server::new(false) };
        counted(&mut server, 100);
        server.close(closed(1_000, 500, false));
        assert_eq!(server.cursor, 51);
    }

    #[test]
    fn given_callers_that_hold_back_when_a_window_is_quiet_then_the_published_cursor_opens_at_once_and_the_other_does_not()
     {
        for (remembers, cursor) in [(false, LEVELS), (true, 51)] {
            let mut server = Server::new(remembers);
            counted(&mut server, 100);
            server.close(closed(1_000, 1_000, false));
            server.cursor = 50;
            counted(&mut server, 50);
            server.close(closed(500, 500, false));
            assert_eq!(server.cursor, cursor);
        }
    }
}
