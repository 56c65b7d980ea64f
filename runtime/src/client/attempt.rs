//! One attempt of a call: a request to one server, and its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Poller, Poll, ready};

use mcrpc_core::select::call::Choice;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::connection::{Answer, Connection, Exchange};
use super::making::Making;
use super::service::Way;
use crate::clock;

/// An attempt that is under way.
pub(super) struct Underway {
    pub(super) choice: Choice,
    /// Counts from 1.
    pub(super) number: u8,
    began: Nanos,
    stage: Stage,
}

/// How far it has come.
enum Stage {
    /// Nobody has polled it.
    New,
    /// A connection is being made.
    Dialing(Dialing),
    Sent(Exchange),
    Over,
}

type Dialing = Pin<Box<dyn Future<Output = Result<Arc<Connection>, Status>> + Send>>;

impl Underway {
    #[inline]
    pub(super) fn new(choice: &Choice, number: u8, began: Nanos) -> Underway {
        Underway { choice: *choice, number, began, stage: Stage::New }
    }

    /// Goes on as far as it can; the answer, when there is one and it has been told. Then it is over.
    #[inline]
    pub(super) fn poll(&mut self, of: &Making, cx: &mut Poller<'_>) -> Poll<Answer> {
        let answer = match &mut self.stage {
            Stage::Sent(exchange) => ready!(Pin::new(exchange).poll(cx)),
            Stage::New | Stage::Dialing(_) | Stage::Over => ready!(self.poll_send(of, cx)),
        };
        self.stage = Stage::Over;
        of.tell_answer(&self.choice, self.number, self.began, &answer);
        Poll::Ready(answer)
    }

    /// Sends the request as soon as there is a connection, when it is known whom the answer is to wake. Why it cannot be sent, if it
    /// cannot.
    fn poll_send(&mut self, of: &Making, cx: &mut Poller<'_>) -> Poll<Answer> {
        let (connection, now) = match &mut self.stage {
            Stage::New => match of.callee.service.way(self.choice.user_data, &self.choice.endpoint, self.began) {
                Way::Open(connection) => (connection, self.began),
                Way::Closed(status) => return Poll::Ready(Answer::none(status, self.began)),
                Way::Untrodden(endpoint) => {
                    let dialer = of.callee.service.common.dialer.clone();
                    self.stage = Stage::Dialing(Box::pin(endpoint.dial_until(dialer, of.deadline)));
                    return self.poll_send(of, cx);
                }
            },
            Stage::Dialing(dialing) => match ready!(dialing.as_mut().poll(cx)) {
                Ok(connection) => (connection, clock::now()),
                Err(status) => return Poll::Ready(Answer::none(status, clock::now())),
            },
            Stage::Sent(_) | Stage::Over => unreachable!("it was sent"),
        };
        match of.send(connection, &self.choice, self.number, now, cx.waker().clone()) {
            Ok(exchange) => {
                self.stage = Stage::Sent(exchange);
                Poll::Pending
            }
            Err(status) => Poll::Ready(Answer::none(status, now)),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Nobody waits for it any more. It tells what it has met, if that: whoever waited for it may have left because it was late.
    #[cold]
    pub(super) fn leave(&self, of: &Making, now: Nanos) {
        let met = match &self.stage {
            Stage::New | Stage::Over => return,
            Stage::Dialing(_) => None,
            Stage::Sent(exchange) => exchange.met(),
        };
        match met.or((now >= of.deadline).then_some(Status::TIMED_OUT)) {
            Some(status) => of.tell_met(&self.choice, status, self.began, now),
            None => _ = of.stats().cancelled.fetch_add(1, Relaxed),
        }
    }
}
