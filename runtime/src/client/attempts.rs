//! The attempts of a call: which of them are made, and when.

use std::pin::Pin;
use std::task::{Context as Poller, Poll, ready};

use bytes::Bytes;
use mcrpc_core::select::call::{Attempt, Call as Attempts};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use tokio::time::Sleep;
use tracing::Span;

use super::attempt::Underway;
use super::call::{Callee, Order};
use super::connection::Answer;
use super::making::Making;
use crate::clock;
use crate::failure::{Failure, Reject};
use crate::spans;

/// A call from its first attempt to its end. Thousands wait at a time: what few calls have lies elsewhere.
pub(super) struct Course {
    making: Making,
    /// The attempt that was made last, but for the backup.
    current: Option<Underway>,
    stage: Stage,
    span: Option<Box<Span>>,
    /// Which attempts there were, of a call that may make more than one.
    attempts: Option<Box<Attempts>>,
    /// The attempt beside the first one, of a call that may have one.
    backup: Option<Box<Backup>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nobody has polled it.
    New,
    Underway,
    Over,
}

/// An attempt that is made when the first one takes too long.
enum Backup {
    /// It is too early.
    Due(Pin<Box<Sleep>>),
    /// It was made; or not, if it may not be made or has failed.
    Made(Option<Underway>),
}

impl Course {
    #[inline]
    pub(super) fn new(callee: Callee, order: Order) -> Course {
        let method = &callee.service.methods.at(callee.method).name;
        let span = spans::of_call(&callee.service.name, method, order.context.as_ref());
        let span = if span.is_disabled() { None } else { Some(Box::new(span)) };
        let making = Making::new(callee, order);
        Course { making, current: None, stage: Stage::New, span, attempts: None, backup: None }
    }

    /// Goes on as far as it can.
    ///
    /// # Panics
    ///
    /// After its end.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Poller<'_>) -> Poll<Result<Bytes, Failure>> {
        match self.span.take() {
            None => self.poll_to_end(cx),
            Some(span) => self.poll_within(span, cx),
        }
    }

    #[cold]
    fn poll_within(&mut self, span: Box<Span>, cx: &mut Poller<'_>) -> Poll<Result<Bytes, Failure>> {
        let end = span.in_scope(|| self.poll_to_end(cx));
        match &end {
            Poll::Ready(answer) => {
                span.record("attempts", self.number());
                spans::ended(&span, answer.as_ref().map_or_else(Failure::status, |_| Status::OK));
            }
            Poll::Pending => self.span = Some(span),
        }
        end
    }

    /// Tries until it is answered, or until it is not worth another attempt.
    fn poll_to_end(&mut self, cx: &mut Poller<'_>) -> Poll<Result<Bytes, Failure>> {
        match self.stage {
            Stage::New => {
                let now = self.begin();
                let mut attempts = self.making.attempts();
                if let Err(status) = self.making.select(&mut attempts, Attempt::Next, now, &mut self.current) {
                    return Poll::Ready(self.end(Err(self.making.refused(status)), now));
                }
            }
            Stage::Underway => {}
            Stage::Over => panic!("a call was polled after its end"),
        }
        loop {
            let answer = ready!(self.poll_attempts(cx));
            let at = answer.at;
            if answer.status.is_ok() {
                return Poll::Ready(self.end(Ok(answer.body), at));
            }
            if let Err(failure) = self.try_again(answer) {
                return Poll::Ready(self.end(Err(failure), at));
            }
        }
    }

    #[inline]
    fn begin(&mut self) -> Nanos {
        let now = clock::now();
        self.stage = Stage::Underway;
        self.making.begin(now);
        if let Some(delay) = self.making.order.options.backup_after {
            let _runtime = self.making.callee.service.common.dialer.handle.enter();
            self.backup = Some(Box::new(Backup::Due(Box::pin(tokio::time::sleep(delay)))));
        }
        now
    }

    /// Begins one more attempt after this answer.
    ///
    /// # Errors
    ///
    /// How the call ends, if there is no other attempt.
    #[cold]
    fn try_again(&mut self, answer: Answer) -> Result<(), Failure> {
        let Answer { status, reject, body, .. } = answer;
        let is_relayed = self.making.order.options.relay.as_ref().is_some_and(|relay| relay.is_whole);
        let text = String::from_utf8_lossy(&body).into_owned();
        let failure = Failure::of_answer(status, text, Reject { is_relayed, ..reject });
        if !self.making.may_try_again(status) {
            return Err(failure);
        }
        self.note_attempts();
        let Some(attempts) = &mut self.attempts else { return Err(failure) };
        // What the servers said explains more than that there is no other.
        self.making.select(attempts, Attempt::Next, clock::now(), &mut self.current).map_err(|_| failure)
    }

    /// Keeps in mind which attempts there were: until now only the first.
    fn note_attempts(&mut self) {
        if let (None, Some(first)) = (&self.attempts, &self.current) {
            self.attempts = Some(Box::new(self.making.attempts().after_attempt_at(&first.choice.endpoint)));
        }
    }

    /// How many attempts there were.
    fn number(&self) -> u8 {
        self.attempts.as_ref().map_or(self.current.is_some().into(), |attempts| attempts.attempts)
    }

    #[inline]
    fn end(&mut self, answer: Result<Bytes, Failure>, ended: Nanos) -> Result<Bytes, Failure> {
        self.stage = Stage::Over;
        self.making.end(answer.as_ref().map_or_else(Failure::status, |_| Status::OK), ended);
        answer
    }

    /// The answer that counts: the first good one, or else the last one.
    #[inline]
    fn poll_attempts(&mut self, cx: &mut Poller<'_>) -> Poll<Answer> {
        if self.backup.is_some() {
            return self.poll_both(cx);
        }
        match &mut self.current {
            Some(current) => current.poll(&self.making, cx),
            None => unreachable!("an attempt was made"),
        }
    }

    #[cold]
    fn poll_both(&mut self, cx: &mut Poller<'_>) -> Poll<Answer> {
        if let Some(current) = self.current.as_mut().filter(|current| !current.is_over())
            && let Poll::Ready(answer) = current.poll(&self.making, cx)
        {
            let waits_for_other = matches!(self.backup.as_deref(), Some(Backup::Made(Some(_))));
            if answer.status.is_ok() || !waits_for_other {
                // Attempts after these have none beside them.
                self.leave(answer.at);
                return Poll::Ready(answer);
            }
        }
        if let Some(Backup::Due(too_long)) = self.backup.as_deref_mut() {
            ready!(too_long.as_mut().poll(cx));
            self.make_backup(clock::now());
        }
        if let Some(Backup::Made(made @ Some(_))) = self.backup.as_deref_mut()
            && let Some(second) = made
            && let Poll::Ready(answer) = second.poll(&self.making, cx)
        {
            *made = None;
            if answer.status.is_ok() || self.current.as_ref().is_none_or(Underway::is_over) {
                self.leave(answer.at);
                return Poll::Ready(answer);
            }
        }
        Poll::Pending
    }

    fn make_backup(&mut self, now: Nanos) {
        self.note_attempts();
        let mut made = None;
        if let Some(attempts) = &mut self.attempts {
            // If there may be none, the first one is waited for alone.
            let _ = self.making.select(attempts, Attempt::Backup, now, &mut made);
        }
        self.backup = Some(Box::new(Backup::Made(made)));
    }

    /// Nobody waits any more for what is not over.
    #[cold]
    fn leave(&mut self, now: Nanos) {
        let second = match self.backup.take().map(|backup| *backup) {
            Some(Backup::Made(second)) => second,
            Some(Backup::Due(_)) | None => None,
        };
        self.current.iter().chain(&second).for_each(|attempt| attempt.leave(&self.making, now));
        self.current.take_if(|attempt| !attempt.is_over());
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if self.stage == Stage::Underway {
            let now = clock::now();
            self.leave(now);
            if now >= self.making.deadline {
                self.making.end(Status::TIMED_OUT, now);
            }
        }
    }
}
