//! What all attempts of a call have in common, and what is told of each.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use mcrpc_core::admission::Cursor;
use mcrpc_core::context::{Carried, Context as Concern};
use mcrpc_core::host::control::Target;
use mcrpc_core::host::trace::Ring;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call as Attempts, Choice};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::{NANOS_PER_MICRO, Nanos};
use mcrpc_core::wire::Kind;

use super::attempt::Underway;
use super::call::{Callee, Order};
use super::connection::{Answer, Connection, Exchange, GOING_AWAY_HOLD};
use super::stats::MethodStats;
use crate::clock;
use crate::context::Context;
use crate::failure::{Failure, Reject};
use crate::host::Known;
use crate::spans::TraceId;
use crate::stats::codes::name_of;
use crate::trail;

/// For how long a cursor holds whose server did not say.
const CURSOR_HOLD_MS: u32 = 300;

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
pub(super) struct Making {
    pub(super) callee: Callee,
    pub(super) order: Order,
    began: Nanos,
    pub(super) deadline: Nanos,
    /// Tells the calls of a user apart.
    call_id: u64,
    /// The service has served an earlier call of the same task.
    continues_task: bool,
}

impl Making {
    /// A call that nobody has begun.
    pub(super) fn new(callee: Callee, order: Order) -> Making {
        Making { callee, order, began: Nanos::NEVER, deadline: Nanos::NEVER, call_id: 0, continues_task: false }
    }

    /// Begins the call.
    #[inline]
    pub(super) fn begin(&mut self, now: Nanos) {
        let Callee { service, .. } = &self.callee;
        let timeout = self.order.options.timeout.unwrap_or(service.timeout);
        let until = now.plus(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        (self.began, self.deadline, self.call_id) = (now, until, fastrand::u64(..));
        if let Some(context) = &self.order.context {
            self.deadline = until.min(context.deadline());
            self.continues_task = context.was_served_by(service.id);
        }
    }

    /// The same call of which no attempt was made.
    #[inline]
    pub(super) fn attempts(&self) -> Attempts {
        let Callee { service, method_id, .. } = &self.callee;
        let concern = self.concern();
        let target = Target { service_id: service.id, method_id: *method_id };
        let key = concern.key(service.common.salt());
        let attempts = Attempts::new(concern.uin, self.call_id, key, target, self.deadline);
        if self.continues_task { attempts.continuing() } else { attempts }
    }

    pub(super) fn context(&self) -> Option<&Context> {
        self.order.context.as_ref()
    }

    pub(super) fn stats(&self) -> &MethodStats {
        self.callee.service.methods.at(self.callee.method)
    }

    /// What decisions need to know of it.
    fn concern(&self) -> Concern {
        let (requests, options) = (self.context().map_or(NOBODYS, Context::concern), &self.order.options);
        Concern {
            uin: options.uin.map_or(requests.uin, Uin),
            business_id: options.business_id.unwrap_or(requests.business_id),
            priority: options.priority.unwrap_or(requests.priority),
            deadline: self.deadline,
            ..requests
        }
    }

    /// What the frame of an attempt says of it; `number` counts from 1.
    fn carried(&self, number: u8) -> Carried<'_> {
        let mut carried = match self.context() {
            Some(context) => context.carried().onward(fastrand::u64(..).to_le_bytes()),
            None => Carried::new(NOBODYS),
        };
        carried.context = self.concern();
        #[cfg(feature = "opentelemetry")]
        crate::spans::opentelemetry::name_span(&mut carried);
        carried.context.attempt = number - 1;
        carried.context.continues_task = self.continues_task;
        if let (Some(relay), Some(context)) = (&self.order.options.relay, self.context()) {
            relay.mark(&mut carried, context.header(), number);
        }
        carried
    }

    /// Chooses a server, and puts the attempt at it into its place.
    ///
    /// # Errors
    ///
    /// Why there is none.
    #[inline]
    pub(super) fn select(
        &self,
        attempts: &mut Attempts,
        attempt: Attempt,
        now: Nanos,
        place: &mut Option<Underway>,
    ) -> Result<(), Status> {
        let (service, number) = (&self.callee.service, attempts.attempts + 1);
        let known = &service.common.known();
        let chosen = service.with_set(known, |set, host| {
            let mut chosen = |choice: &Choice| *place = Some(Underway::new(choice, number, now));
            set.select_to(attempts, attempt, host, now, &mut chosen)
        });
        if let Some(ring) = self.ring(known, now) {
            self.tell_choice(&ring, chosen, place.as_ref(), now);
        }
        chosen
    }

    /// Sends the request of an attempt; `waker` is to be woken by its answer.
    ///
    /// # Errors
    ///
    /// Why it was not sent: nobody has seen it.
    pub(super) fn send(
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
        let Some(relay) = &self.order.options.relay else {
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

    /// Tells the set and the task how an attempt was answered; `number` counts from 1.
    pub(super) fn tell_answer(&self, choice: &Choice, number: u8, began: Nanos, answer: &Answer) {
        let (service, outcome) = (&self.callee.service, Outcome::of(answer.status));
        // A failure that was polled late may be older than what is known of the server by now.
        let ended = if outcome == Outcome::Failed { clock::now() } else { answer.at };
        self.stats().attempted(outcome);
        if let Some(context) = self.context().filter(|_| matches!(outcome, Outcome::Ok | Outcome::Logic)) {
            context.serve(service.id);
        }
        let known = service.common.known();
        if let Some(ring) = self.ring(&known, ended) {
            let (status, took_us) = (answer.status, ended.since(began) / NANOS_PER_MICRO);
            let more = format_args!("attempt={number} status={} code={} took_us={took_us}", name_of(status), status.0);
            self.tell(&ring, "hears", more, ended);
        }
        service.with_set(&known, |set, host| {
            set.report(choice, outcome, ended.since(began), host, ended);
            if self.is_for_a_proxy() {
                // What one service says through it does not hold for the others.
            } else if answer.status == Status::GOING_AWAY {
                // Nobody is sent there for a while, which costs no retry.
                set.heard(choice, Cursor(0), GOING_AWAY_HOLD.as_millis() as u32, host, ended);
                self.look_for(*choice);
            } else if answer.reject.cursor != Cursor::OPEN {
                let Reject { cursor, hold_ms, .. } = answer.reject;
                let hold_ms = if hold_ms == 0 { CURSOR_HOLD_MS } else { hold_ms.into() };
                set.heard(choice, cursor, hold_ms, host, ended);
            }
        });
    }

    /// Tells the set what an attempt has met that nobody waits for any more.
    #[cold]
    pub(super) fn tell_met(&self, choice: &Choice, status: Status, began: Nanos, now: Nanos) {
        let (service, outcome) = (&self.callee.service, Outcome::of(status));
        self.stats().attempted(outcome);
        service.with_set(&service.common.known(), |set, host| {
            set.report(choice, outcome, now.since(began), host, now);
        });
    }

    /// Calls are sent again to a server that goes away as soon as something listens at its address.
    #[cold]
    fn look_for(&self, choice: Choice) {
        let service = self.callee.service.clone();
        self.callee.service.common.dialer.handle.spawn(async move {
            let Some(endpoint) = service.endpoint(choice.user_data, &choice.endpoint) else { return };
            if endpoint.comes_back(&service.common.dialer).await {
                service.with_set(&service.common.known(), |set, host| {
                    set.heard(&choice, Cursor::OPEN, 0, host, clock::now());
                });
            }
        });
    }

    /// The call ended so.
    pub(super) fn end(&self, status: Status, ended: Nanos) {
        self.stats().ended(status, ended.since(self.began));
    }

    /// Another server may do better, and nothing is done twice that must not be.
    pub(super) fn may_try_again(&self, status: Status) -> bool {
        let was_surely_not_run = match status {
            Status::CONNECT_FAILED => true,
            // Perhaps with the work half done.
            Status::WORKER_LOST => false,
            status => status.class() == Class::Overload,
        };
        Outcome::of(status).is_retriable()
            && status.class() != Class::Deadline
            && (was_surely_not_run || self.order.options.may_run_twice())
    }

    fn is_for_a_proxy(&self) -> bool {
        self.order.options.relay.as_ref().is_some_and(|relay| relay.service.is_some())
    }

    #[cold]
    pub(super) fn refused(&self, status: Status) -> Failure {
        Failure::of_system(status).with_text(format!("no call to {}: {status}", self.callee.service.name))
    }

    /// Where it is recorded, if its user is dyed.
    #[inline]
    fn ring<'k>(&self, known: &'k Known, now: Nanos) -> Option<Ring<'k>> {
        if known.has_dyes() { known.ring_of_dyed(self.concern().uin, now) } else { None }
    }

    /// Records where an attempt is made, or why none is.
    #[cold]
    fn tell_choice(&self, ring: &Ring<'_>, chosen: Result<(), Status>, made: Option<&Underway>, now: Nanos) {
        match (chosen, made) {
            (Ok(()), Some(Underway { choice, number, .. })) => {
                let to = self.callee.service.endpoint(choice.user_data, &choice.endpoint);
                let to = to.map_or_else(String::new, |endpoint| endpoint.address.to_string());
                self.tell(ring, "calls", format_args!("attempt={number} to={to}"), now);
            }
            (Ok(()), None) => {}
            (Err(status), _) => self.tell(ring, "gives up", format_args!("status={}", name_of(status)), now),
        }
    }

    /// A line of the user's trail.
    #[cold]
    fn tell(&self, ring: &Ring<'_>, what: &str, more: fmt::Arguments<'_>, now: Nanos) {
        let (service, method, uin) = (&self.callee.service.name, &self.stats().name, self.concern().uin.0);
        let trace = TraceId(self.context().and_then(Context::trace_id));
        let text = format_args!("{what} {service} {method} uin={uin} {more} trace={trace}");
        trail::write(ring, trail::CLIENT_KIND, now, text);
    }
}
