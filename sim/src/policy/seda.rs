//! SEDA's adaptive admission control (Welsh and Culler, "Adaptive Overload Control for Busy Internet Servers", USITS 2003; Sandstorm's
//! `ResponseTimeControllerMulticlass.java` with one class): a token bucket whose rate follows the 90th percentile of the response
//! times.
//!
//! The controller runs after 100 responses or a second. The percentile is smoothed with 0.7; above the target the rate is divided
//! by 1.2; where err = (percentile - target) / target is below -0.5 the rate gains 2 · (-err - 0.1). It stays between 0.05 and 5000
//! a second. The bucket holds ten tokens (`ResponseTimeControllerDirect.java`).
//!
//! Charitable: the rate grows below -0.1 already, because with a target of 120 ms the usual response is hardly ever so short as half
//! of that, and it begins with what the server can do instead of 100 a second. Expired requests are no responses.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MILLI, NANOS_PER_SECOND, Nanos};

use super::per_process::PerProcess;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const TARGET_MS: f64 = 120.0;
const RESPONSES: usize = 100;
const TIMEOUT_NS: u64 = NANOS_PER_SECOND;
const PERCENTILE: f64 = 0.9;
const ALPHA: f64 = 0.7;
const ERR_INCREASE: f64 = -0.1;
const ERR_DECREASE: f64 = 0.0;
const ADJUST_INCREASE: f64 = 2.0;
const ADJUST_DECREASE: f64 = 1.2;
const INCREASE_WEIGHT: f64 = -0.1;
const MIN_RATE_PER_S: f64 = 0.05;
const MAX_RATE_PER_S: f64 = 5_000.0;
const MAX_TOKENS: f64 = 10.0;

/// The policy.
pub struct Seda;

impl Policy for Seda {
    fn name(&self) -> &'static str {
        "seda"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server::new(service)))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

struct Server {
    rate_per_s: f64,
    tokens: f64,
    filled: Nanos,
    controlled: Nanos,
    responses_ms: Vec<f64>,
    percentile_ms: f64,
}

impl Server {
    fn new(service: &Service) -> Server {
        Server {
            rate_per_s: service.workers_per_queue as f64 * 1e3 / service.service_ms,
            tokens: MAX_TOKENS,
            filled: Nanos(0),
            controlled: Nanos(0),
            responses_ms: Vec::with_capacity(RESPONSES),
            percentile_ms: 0.0,
        }
    }

    fn responded(&mut self, request: &Request, now: Nanos) {
        self.responses_ms.push(now.since(request.received) as f64 / NANOS_PER_MILLI as f64);
        if self.responses_ms.len() < RESPONSES && now.since(self.controlled) < TIMEOUT_NS {
            return;
        }
        self.responses_ms.sort_by(f64::total_cmp);
        let place = (self.responses_ms.len() as f64 * PERCENTILE) as usize;
        self.percentile_ms = ALPHA * self.percentile_ms + (1.0 - ALPHA) * self.responses_ms[place];
        let err = (self.percentile_ms - TARGET_MS) / TARGET_MS;
        if err > ERR_DECREASE {
            self.rate_per_s /= ADJUST_DECREASE;
        } else if err < ERR_INCREASE {
            self.rate_per_s -= (err - INCREASE_WEIGHT) * ADJUST_INCREASE;
        }
        self.rate_per_s = self.rate_per_s.clamp(MIN_RATE_PER_S, MAX_RATE_PER_S);
        self.controlled = now;
        self.responses_ms.clear();
    }
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, _: &mut Stream, now: Nanos) -> Result<(), Status> {
        let passed_s = now.since(self.filled) as f64 / NANOS_PER_SECOND as f64;
        self.tokens = (self.tokens + passed_s * self.rate_per_s).min(MAX_TOKENS);
        self.filled = now;
        if self.tokens < 1.0 {
            return Err(Status::BELOW_CURSOR);
        }
        self.tokens -= 1.0;
        Ok(())
    }

    fn done(&mut self, request: &Request, _: Nanos, _: QueueView, now: Nanos) {
        self.responded(request, now);
    }
}
