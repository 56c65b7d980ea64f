//! A share of all requests, drawn by a coin for each: DAGOR's detector and steps (SoCC 2018, section 4.2.3) without its order of
//! importance, which is the paper's own comparison in its section 5.3.
//!
//! Overloaded, the share falls by 5 % of itself a window; otherwise it rises by 1 point.

use bumpalo::Bump;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::per_process::PerProcess;
use super::waiting_window::WaitingWindow;
use super::{BlindRetries, ClientPolicy, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

const ALPHA: f64 = 0.05;
const BETA: f64 = 0.01;

/// The policy.
pub struct RandomShare;

impl Policy for RandomShare {
    fn name(&self) -> &'static str {
        "random share"
    }

    fn server<'m>(&self, service: &Service, _memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        Box::new(PerProcess::new(service, || Server { share: 1.0, window: WaitingWindow::default() }))
    }

    fn clients<'m>(&self, _: &[Service], _: &[usize], _: &'m Bump) -> Box<dyn ClientPolicy + 'm> {
        Box::new(BlindRetries)
    }
}

struct Server {
    share: f64,
    window: WaitingWindow,
}

impl ServerPolicy for Server {
    fn admit(&mut self, _: &Request, _: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        if let Some(closed) = self.window.close(now) {
            self.share = if closed.overloaded { self.share * (1.0 - ALPHA) } else { (self.share + BETA).min(1.0) };
        }
        let admitted = random.unit() < self.share;
        self.window.judged(admitted);
        if admitted { Ok(()) } else { Err(Status::BELOW_CURSOR) }
    }

    fn dequeue(&mut self, request: &Request, _: QueueView, now: Nanos) -> Result<(), Status> {
        self.window.waited(now.since(request.received));
        if now < request.deadline { Ok(()) } else { Err(Status::DEADLINE_IN_QUEUE) }
    }
}
