//! A call that is being made: its attempts, and which of them are worth making.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcrpc_core::context::{Carried, Context as Concern};
use mcrpc_core::host::control::Target;
use mcrpc_core::host::trace::Ring;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call as Attempts, Choice};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::Nanos;

use super::Inner;
use super::call::{Callee, Options, Order};
use super::connection::Answer;
use crate::clock;
use crate::context::Context;
use crate::failure::{Failure, Reject};
use crate::host::Known;
use crate::spans::TraceId;
use crate::stats::codes::name_of;
use crate::trail;

/// What a call says that is made on behalf of no request.
const NOBODYS: Concern = Concern {
    uin: Uin(0),
    priority: 0,
    business_id: 0,
    task_id: 0,
    attempt: 0,
    continues_task: false,
    deadline: Nanos::NEVER,
};

/// A call that is being made: what all its attempts share.
pub(super) struct Making<'c> {
    pub(super) order: &'c Order,
    pub(super) callee: &'c Callee,
    began: Nanos,
    pub(super) deadline: Nanos,
    /// The service has served an earlier call of the same task.
    continues_task: bool,
    is_over: bool,
}

/// How a call ended, and when.
pub(super) struct Made {
    pub(super) answer: Result<Bytes, Failure>,
    pub(super) ended: Nanos,
}

impl<'c> Making<'c> {
    pub(super) fn new(order: &'c Order, callee: &'c Callee, began: Nanos) -> Making<'c> {
        let context = order.context.as_ref();
        let timeout = order.options.timeout.unwrap_or(callee.service.timeout);
        let until = began.plus(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        let deadline = context.map_or(until, |context| until.min(context.deadline()));
        let continues_task = context.is_some_and(|context| context.was_served_by(callee.service.id));
        Making { order, callee, began, deadline, continues_task, is_over: false }
    }

    pub(super) fn client(&self) -> &'c Arc<Inner> {
        self.order.client.inner()
    }

    pub(super) fn context(&self) -> Option<&'c Context> {
        self.order.context.as_ref()
    }

    pub(super) fn options(&self) -> &'c Options {
        &self.order.options
    }

    /// It ended so.
    pub(super) fn end(&mut self, status: Status, ended: Nanos) {
        self.is_over = true;
        self.callee.stats.ended(status, ended.since(self.began));
    }

    /// What decisions need to know of it.
    fn concern(&self) -> Concern {
        let requests = self.context().map_or(NOBODYS, Context::concern);
        Concern {
            uin: self.options().uin.map_or(requests.uin, Uin),
            business_id: self.options().business_id.unwrap_or(requests.business_id),
            priority: self.options().priority.unwrap_or(requests.priority),
            deadline: self.deadline,
            ..requests
        }
    }

    /// What the frame of an attempt says of it; `number` counts from 1.
    pub(super) fn carried(&self, number: u8) -> Carried<'_> {
        let mut carried = match self.context() {
            Some(context) => context.carried().onward(fastrand::u64(..).to_le_bytes()),
            None => Carried::new(NOBODYS),
        };
        carried.context = self.concern();
        #[cfg(feature = "opentelemetry")]
        crate::spans::opentelemetry::name_span(&mut carried);
        carried.context.attempt = number - 1;
        carried.context.continues_task = self.continues_task;
        if let (Some(relay), Some(context)) = (&self.options().relay, self.context()) {
            relay.mark(&mut carried, context.header(), number);
        }
        carried
    }

    /// A call of which no attempt was made.
    fn attempts(&self) -> Attempts {
        let concern = self.concern();
        let key = concern.key(self.client().services.salt());
        let target = Target { service_id: self.callee.service.id, method_id: self.callee.method_id };
        let attempts = Attempts::new(concern.uin, fastrand::u64(..), key, target, self.deadline);
        if self.continues_task { attempts.continuing() } else { attempts }
    }

    /// Tries until it is answered, or until it is not worth another attempt. `made`: how many attempts there were.
    pub(super) async fn run(&self, made: &mut u8) -> Made {
        let mut attempts = self.attempts();
        let mut chosen = self.select(&self.client().known(), &mut attempts, Attempt::Next, self.began);
        let (mut now, mut last) = (self.began, None);
        loop {
            let choice = match &chosen {
                Ok(choice) => choice,
                &Err(status) => {
                    // What the servers said explains more than that there is no other.
                    let failure = last.map_or_else(|| self.refused(status), |last: Box<Failure>| *last);
                    return Made { answer: Err(failure), ended: now };
                }
            };
            let (answer, ended) = match self.options().backup_after {
                Some(delay) if attempts.attempts == 1 => Box::pin(self.hedged(choice, delay, &mut attempts, now)).await,
                _ => self.attempt(choice, attempts.attempts, now).await,
            };
            *made = attempts.attempts;
            if answer.status.is_ok() {
                return Made { answer: Ok(answer.payload), ended };
            }
            let Answer { status, text, cursor, hold_ms, .. } = answer;
            let is_relayed = self.options().relay.as_ref().is_some_and(|relay| relay.is_whole);
            let failure = Failure::of_answer(status, text.into(), Reject { cursor, hold_ms, is_relayed });
            if !self.may_try_again(status) {
                return Made { answer: Err(failure), ended };
            }
            (now, last) = (ended, Some(Box::new(failure)));
            chosen = self.select(&self.client().known(), &mut attempts, Attempt::Next, now);
        }
    }

    fn select(&self, known: &Known, attempts: &mut Attempts, attempt: Attempt, now: Nanos) -> Result<Choice, Status> {
        let chosen = self.callee.service.with_set(known, |set, host| set.select(attempts, attempt, host, now));
        if let Some(ring) = self.ring(known, now) {
            self.tell_choice(&ring, &chosen, attempts.attempts, now);
        }
        chosen
    }

    /// Where it is recorded, if its user is dyed.
    #[inline]
    pub(super) fn ring<'k>(&self, known: &'k Known, now: Nanos) -> Option<Ring<'k>> {
        if known.has_dyes() { known.ring_of_dyed(self.concern().uin, now) } else { None }
    }

    /// Records where an attempt is made, or why none is.
    #[cold]
    fn tell_choice(&self, ring: &Ring<'_>, chosen: &Result<Choice, Status>, number: u8, now: Nanos) {
        match chosen {
            Ok(choice) => {
                let to = self.callee.service.endpoint(choice.user_data, &choice.endpoint);
                let to = to.map_or_else(String::new, |endpoint| endpoint.address.to_string());
                self.tell(ring, "calls", format_args!("attempt={number} to={to}"), now);
            }
            Err(status) => self.tell(ring, "gives up", format_args!("status={}", name_of(*status)), now),
        }
    }

    /// A line of the user's trail.
    #[cold]
    pub(super) fn tell(&self, ring: &Ring<'_>, what: &str, more: fmt::Arguments<'_>, now: Nanos) {
        let (Callee { service, stats, .. }, uin) = (self.callee, self.concern().uin.0);
        let trace = TraceId(self.context().and_then(Context::trace_id));
        let text = format_args!("{what} {} {} uin={uin} {more} trace={trace}", service.name, stats.name);
        trail::write(ring, trail::CLIENT_KIND, now, text);
    }

    /// Another server may do better, and nothing is done twice that must not be.
    fn may_try_again(&self, status: Status) -> bool {
        let was_surely_not_run = match status {
            Status::CONNECT_FAILED => true,
            // Perhaps with the work half done.
            Status::WORKER_LOST => false,
            status => status.class() == Class::Overload,
        };
        Outcome::of(status).is_retriable()
            && status.class() != Class::Deadline
            && (was_surely_not_run || self.options().may_run_twice())
    }

    pub(super) fn is_for_a_proxy(&self) -> bool {
        self.options().relay.as_ref().is_some_and(|relay| relay.service.is_some())
    }

    fn refused(&self, status: Status) -> Failure {
        Failure::of_system(status).with_text(format!("no call to {}: {status}", self.callee.service.name))
    }

    /// One attempt, and if it takes too long a second one beside it: the first good answer counts.
    async fn hedged(&self, choice: &Choice, delay: Duration, attempts: &mut Attempts, began: Nanos) -> (Answer, Nanos) {
        let mut first = pin!(self.attempt(choice, 1, began));
        let too_long = {
            let _runtime = self.client().dialer.handle.enter();
            tokio::time::sleep(delay)
        };
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = too_long => {}
        }
        let now = clock::now();
        let chosen = self.select(&self.client().known(), attempts, Attempt::Backup, now);
        let Ok(choice) = chosen else { return first.await };
        let mut second = pin!(self.attempt(&choice, attempts.attempts, now));
        let (answer, is_first) = tokio::select! {
            biased;
            answer = &mut first => (answer, true),
            answer = &mut second => (answer, false),
        };
        match (answer.0.status.is_ok(), is_first) {
            (true, _) => answer,
            (false, true) => second.await,
            (false, false) => first.await,
        }
    }
}

/// Whoever waited for it may have left because it was late.
impl Drop for Making<'_> {
    fn drop(&mut self) {
        let now = if self.is_over { return } else { clock::now() };
        if now >= self.deadline {
            self.end(Status::TIMED_OUT, now);
        }
    }
}
