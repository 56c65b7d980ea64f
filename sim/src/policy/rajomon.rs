//! Rajomon (Xing et al., "Rajomon: Decentralized and Coordinated Overload Control for Latency-Sensitive Microservices", NSDI 2025;
//! pennsail/rajomon, `overloadDetection.go`, `tokenAndPrice.go`, `rajomon.go`): requests carry tokens, a server has a price, and
//! who has fewer tokens than it costs is refused.
//!
//! Every 10 ms the price moves by (delay - threshold) in µs · step / 10 000, where the delay is the longest that a request which
//! began to run in that time had waited; after two increases in a row the third and later ones are 0.8 to the power of their number
//! as large ("expdecay"). The price goes with replies, and callers do not send what it would refuse (`RateLimiting`). Prices of
//! services that a service calls itself ("maximal") do not arise here.
//!
//! Charitable: all calls of a task carry the same tokens, evenly drawn from 0 to 10 000, as if budgets were minted so; threshold and
//! step, which the authors search for each application, are 20 ms and 3, of a few that were tried (smaller steps are a little better
//! under steady load and slower to get there); callers forget a price after 1 s, where there it could shut them out for ever; a
//! refused call may go to servers that are cheaper.

use bumpalo::Bump;
use mcrpc_core::admission::Key;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

use super::cursor_clients::CursorClients;
use super::per_process::PerProcess;
use super::{ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const MAX_TOKENS: u32 = 10_000;
const UPDATE_NS: u64 = 10 * NANOS_PER_MILLI;
const THRESHOLD_US: i64 = 20_000;
const STEP: i64 = 3;
const STEP_DIVISOR: i64 = 10_000;
const DECAY: f64 = 0.8;
const FREE_INCREASES: i32 = 2;
const PRICE_TTL_NS: u64 = NANOS_PER_SECOND;

/// The policy.
pub struct Rajomon;

impl Policy for Rajomon {
    fn name(&self) -> &'static str {
        "rajomon"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, Server::default))
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        _memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        Box::new(CursorClients::new(services, processes_of_hosts, tokens_short_of_all, PRICE_TTL_NS))
    }
}

/// What a task lacks of the most tokens that there are: a hash of user and task.
fn tokens_short_of_all(key: Key) -> u32 {
    const HASH_BITS: u32 = 23;
    let hash = u64::from(key.0) & ((1 << HASH_BITS) - 1);
    ((hash * u64::from(MAX_TOKENS)) >> HASH_BITS) as u32
}

#[derive(Default)]
struct Server {
    price: i64,
    increases: i32,
    updated: Nanos,
    longest_wait_ns: u64,
}

impl Server {
    fn update(&mut self, now: Nanos) {
        while now.since(self.updated) >= UPDATE_NS {
            let delay_us = (self.longest_wait_ns / NANOS_PER_MICRO) as i64;
            self.longest_wait_ns = 0;
            self.updated = self.updated.plus(UPDATE_NS);
            self.reprice(delay_us);
        }
    }

    fn reprice(&mut self, delay_us: i64) {
        let mut adjustment = (delay_us - THRESHOLD_US) * STEP / STEP_DIVISOR;
        if adjustment > 0 {
            if self.increases >= FREE_INCREASES {
                adjustment = (adjustment as f64 * DECAY.powi(self.increases)) as i64;
            }
            self.increases += 1;
        } else if adjustment < 0 {
            self.increases = 0;
        }
        self.price = (self.price + adjustment).max(0);
    }

    /// Who lacks fewer tokens than this can pay.
    fn cursor(&self) -> u32 {
        (i64::from(MAX_TOKENS) + 1 - self.price).max(0) as u32
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, request: &Request, _: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        self.update(now);
        if tokens_short_of_all(request.key) < self.cursor() { Ok(()) } else { Err(Status::BELOW_CURSOR) }
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        self.update(now);
        self.longest_wait_ns = self.longest_wait_ns.max(now.since(request.received));
        if now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }

    fn level(&mut self, _: &Request, _: QueueView, now: Nanos) -> u32 {
        self.update(now);
        self.cursor()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_one_delay_above_the_threshold_when_prices_are_updated_then_later_increases_decay() {
        let mut server = Server::default();
        let prices: Vec<i64> = (0..5)
            .map(|_| {
                server.reprice(THRESHOLD_US + 400_000);
                server.price
            })
            .collect();
        assert_eq!(prices, [120, 240, 316, 377, 426]);
        server.reprice(THRESHOLD_US - 20_000);
        assert_eq!(server.price, 420);
        server.reprice(THRESHOLD_US + 400_000);
        assert_eq!(server.price, 540);
    }
}
