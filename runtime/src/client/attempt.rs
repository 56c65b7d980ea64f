//! One attempt of a call: a request to one server, and what is told of how it ended.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};

use mcrpc_core::admission::Cursor;
use mcrpc_core::select::call::Choice;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, Nanos};
use mcrpc_core::wire::Kind;

use super::attempts::Making;
use super::connection::{Answer, Connection, Exchange, GOING_AWAY_HOLD};
use super::service::Way;
use crate::clock;
use crate::context::Context;
use crate::stats::codes::name_of;

/// For how long a cursor holds whose server did not say.
const CURSOR_HOLD_MS: u32 = 300;

/// An attempt that is under way. Dropped before its end has been told, it tells by itself what it has met: whoever waited for it may
/// have left because it was late.
struct Underway<'m, 'c> {
    making: &'m Making<'c>,
    choice: &'m Choice,
    began: Nanos,
    exchange: Option<Exchange>,
    is_over: bool,
}

impl<'c> Making<'c> {
    /// One attempt, told to the set and to the task. `number` counts from 1. The answer, and when it came.
    pub(super) async fn attempt(&self, choice: &Choice, number: u8, began: Nanos) -> (Answer, Nanos) {
        let mut underway = Underway { making: self, choice, began, exchange: None, is_over: false };
        let answer = match self.reach(choice, began).await {
            Ok((connection, now)) => underway.answer(connection, number, now).await,
            Err(status) => Answer::none(status),
        };
        underway.is_over = true;
        let ended = clock::now();
        let outcome = Outcome::of(answer.status);
        self.callee.stats.attempted(outcome);
        if let Some(context) = self.context.filter(|_| matches!(outcome, Outcome::Ok | Outcome::Logic)) {
            context.serve(self.callee.service.id);
        }
        let known = self.client.known();
        if let Some(ring) = self.ring(&known, ended) {
            let (status, took_us) = (answer.status, ended.since(began) / NANOS_PER_MICRO);
            let more = format_args!("attempt={number} status={} code={} took_us={took_us}", name_of(status), status.0);
            self.tell(&ring, "hears", more, ended);
        }
        self.callee.service.with_set(&known, |set, host| {
            set.report(choice, outcome, ended.since(began), host, ended);
            if self.is_for_a_proxy() {
                // What one service says through it does not hold for the others.
            } else if answer.status == Status::GOING_AWAY {
                // Nobody is sent there for a while, which costs no retry.
                set.heard(choice, Cursor(0), GOING_AWAY_HOLD.as_millis() as u32, host, ended);
                self.look_for(*choice);
            } else if answer.cursor != Cursor::OPEN {
                let hold_ms = if answer.hold_ms == 0 { CURSOR_HOLD_MS } else { answer.hold_ms.into() };
                set.heard(choice, answer.cursor, hold_ms, host, ended);
            }
        });
        (answer, ended)
    }

    /// Calls are sent again to a server that goes away as soon as something listens at its address.
    fn look_for(&self, choice: Choice) {
        let (client, service) = (Arc::downgrade(self.client), self.callee.service.clone());
        self.client.dialer.handle.spawn(async move {
            let Some(endpoint) = service.endpoint(choice.user_data, &choice.endpoint) else { return };
            let Some(dialer) = client.upgrade().map(|client| client.dialer.clone()) else { return };
            if endpoint.comes_back(&dialer).await
                && let Some(client) = client.upgrade()
            {
                service.with_set(&client.known(), |set, host| {
                    set.heard(&choice, Cursor::OPEN, 0, host, clock::now());
                });
            }
        });
    }

    /// A connection to the server that was chosen, and when there is one.
    async fn reach(&self, choice: &Choice, began: Nanos) -> Result<(Arc<Connection>, Nanos), Status> {
        match self.callee.service.way(choice.user_data, &choice.endpoint, began) {
            Way::Open(connection) => Ok((connection, began)),
            Way::Closed(status) => Err(status),
            Way::Untrodden(endpoint) => {
                let connection = Box::pin(endpoint.dial_until(&self.client.dialer, self.deadline)).await?;
                Ok((connection, clock::now()))
            }
        }
    }

    fn send(
        &self,
        to: Arc<Connection>,
        choice: &Choice,
        number: u8,
        now: Nanos,
        waker: Waker,
    ) -> Result<Exchange, Status> {
        let carried = self.carried(number);
        let mut header = carried.header(Kind::Request, 0, self.callee.method_id, now);
        if header.budget_ms == 0 {
            return Err(Status::OUT_OF_TIME);
        }
        let Some(relay) = &self.options.relay else {
            return to.send(header, self.deadline, now, self.payload, waker, |writer| {
                carried.write(now, writer);
                writer.withheld(choice.withheld);
            });
        };
        let request = self.context.map(Context::metadata).unwrap_or_default();
        header.flags.0 |= self.context.map_or(0, |context| relay.payload_flags(context.header()));
        to.send(header, self.deadline, now, self.payload, waker, |writer| {
            relay.write(&carried, &request, choice.withheld, now, writer);
        })
    }
}

impl Underway<'_, '_> {
    /// Sends the request when it is polled first, as it is known then whom the answer is to wake.
    fn answer(&mut self, to: Arc<Connection>, number: u8, now: Nanos) -> impl Future<Output = Answer> {
        let mut to = Some(to);
        poll_fn(move |cx| match (&mut self.exchange, to.take()) {
            (Some(exchange), _) => Pin::new(exchange).poll(cx),
            (None, Some(to)) => match self.making.send(to, self.choice, number, now, cx.waker().clone()) {
                Ok(exchange) => {
                    self.exchange = Some(exchange);
                    Poll::Pending
                }
                Err(status) => Poll::Ready(Answer::none(status)),
            },
            (None, None) => unreachable!("it was over when it was not sent"),
        })
    }
}

impl Drop for Underway<'_, '_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (Making { client, callee, deadline, .. }, now) = (self.making, clock::now());
        let met = self.exchange.as_ref().and_then(Exchange::met);
        let Some(status) = met.or((now >= *deadline).then_some(Status::TIMED_OUT)) else {
            callee.stats.cancelled.fetch_add(1, Relaxed);
            return;
        };
        let outcome = Outcome::of(status);
        callee.stats.attempted(outcome);
        callee.service.with_set(&client.known(), |set, host| {
            set.report(self.choice, outcome, now.since(self.began), host, now);
        });
    }
}
