//! One attempt of a call: a request to one server, and what is told of how it ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Poller, Poll, Waker, ready};

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
pub(super) struct Underway<'m, 'c> {
    making: &'m Making<'c>,
    choice: &'m Choice,
    /// Counts from 1.
    number: u8,
    began: Nanos,
    stage: Stage<'c>,
}

/// How far it has come.
enum Stage<'c> {
    /// Nobody has polled it.
    New,
    /// A connection is being made.
    Dialing(Dialing<'c>),
    Sent(Exchange),
    Over,
}

type Dialing<'c> = Pin<Box<dyn Future<Output = Result<Arc<Connection>, Status>> + Send + 'c>>;

impl<'c> Making<'c> {
    /// One attempt, told to the set and to the task. `number` counts from 1. The answer, and when it came.
    pub(super) fn attempt<'m>(&'m self, choice: &'m Choice, number: u8, began: Nanos) -> Underway<'m, 'c> {
        Underway { making: self, choice, number, began, stage: Stage::New }
    }

    /// Tells the set and the task how an attempt was answered.
    fn tell_answer(&self, choice: &Choice, number: u8, began: Nanos, answer: &Answer, ended: Nanos) {
        let outcome = Outcome::of(answer.status);
        self.callee.stats.attempted(outcome);
        if let Some(context) = self.context().filter(|_| matches!(outcome, Outcome::Ok | Outcome::Logic)) {
            context.serve(self.callee.service.id);
        }
        let known = self.client().known();
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
    }

    /// Calls are sent again to a server that goes away as soon as something listens at its address.
    fn look_for(&self, choice: Choice) {
        let (client, service) = (Arc::downgrade(self.client()), self.callee.service.clone());
        self.client().dialer.handle.spawn(async move {
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
        let Some(relay) = &self.options().relay else {
            return to.send(header, self.deadline, now, &self.order.payload, waker, |writer| {
                carried.write(now, writer);
                writer.withheld(choice.withheld);
            });
        };
        let request = self.context().map(Context::metadata).unwrap_or_default();
        header.flags.0 |= self.context().map_or(0, |context| relay.payload_flags(context.header()));
        to.send(header, self.deadline, now, &self.order.payload, waker, |writer| {
            relay.write(&carried, &request, choice.withheld, now, writer);
        })
    }
}

impl Underway<'_, '_> {
    /// Goes on as far as it can; the answer, when there is one. The request is sent when it is known whom the answer is to wake.
    fn poll_answer(&mut self, cx: &mut Poller<'_>) -> Poll<Answer> {
        let (making, choice) = (self.making, self.choice);
        let (connection, now) = match &mut self.stage {
            Stage::New => match making.callee.service.way(choice.user_data, &choice.endpoint, self.began) {
                Way::Open(connection) => (connection, self.began),
                Way::Closed(status) => return Poll::Ready(Answer::none(status)),
                Way::Untrodden(endpoint) => {
                    self.stage =
                        Stage::Dialing(Box::pin(endpoint.dial_until(&making.client().dialer, making.deadline)));
                    return self.poll_answer(cx);
                }
            },
            Stage::Dialing(dialing) => match ready!(dialing.as_mut().poll(cx)) {
                Ok(connection) => (connection, clock::now()),
                Err(status) => return Poll::Ready(Answer::none(status)),
            },
            Stage::Sent(exchange) => return Pin::new(exchange).poll(cx),
            Stage::Over => unreachable!("nobody polls it again"),
        };
        match making.send(connection, choice, self.number, now, cx.waker().clone()) {
            Ok(exchange) => {
                self.stage = Stage::Sent(exchange);
                Poll::Pending
            }
            Err(status) => Poll::Ready(Answer::none(status)),
        }
    }
}

impl Future for Underway<'_, '_> {
    type Output = (Answer, Nanos);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<(Answer, Nanos)> {
        let answer = ready!(self.poll_answer(cx));
        self.stage = Stage::Over;
        let ended = clock::now();
        self.making.tell_answer(self.choice, self.number, self.began, &answer, ended);
        Poll::Ready((answer, ended))
    }
}

impl Drop for Underway<'_, '_> {
    fn drop(&mut self) {
        let met = match &self.stage {
            Stage::New | Stage::Over => return,
            Stage::Dialing(_) => None,
            Stage::Sent(exchange) => exchange.met(),
        };
        let (Making { callee, deadline, .. }, now) = (self.making, clock::now());
        let Some(status) = met.or((now >= *deadline).then_some(Status::TIMED_OUT)) else {
            callee.stats.cancelled.fetch_add(1, Relaxed);
            return;
        };
        let outcome = Outcome::of(status);
        callee.stats.attempted(outcome);
        callee.service.with_set(&self.making.client().known(), |set, host| {
            set.report(self.choice, outcome, now.since(self.began), host, now);
        });
    }
}
