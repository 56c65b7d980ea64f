//! A call: which server, with what deadline, and again where that makes sense.

use std::future::{Future, IntoFuture};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use mcrpc_core::admission::Cursor;
use mcrpc_core::host::control::Target;
use mcrpc_core::select::call::{Attempt, Call as Attempts, Choice};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::Kind;
use tokio::task::JoinHandle;
use tracing::{Instrument as _, Span};

use super::connection::{Answer, GOING_AWAY_HOLD};
use super::relay::Relay;
use super::service::Service;
use super::stats::MethodStats;
use super::{Client, Inner};
use crate::clock;
use crate::context::Context;
use crate::failure::{Failure, Reject};
use crate::request::Request;
use crate::spans;

/// For how long a cursor holds whose server did not say.
const CURSOR_HOLD_MS: u32 = 300;

/// A call that has not been made yet. Awaited it is asynchronous, [`Call::wait`] makes it synchronous, and [`Call::start`] joinable.
#[must_use = "a call is made when it is awaited, waited for, or started"]
pub struct Call<R = Bytes> {
    client: Client,
    callee: Result<Callee, Failure>,
    payload: Bytes,
    options: Options,
    decode: fn(Bytes) -> Result<R, Failure>,
}

/// What is called.
struct Callee {
    service: Arc<Service>,
    method_id: u32,
    stats: Arc<MethodStats>,
}

#[derive(Clone, Debug, Default)]
struct Options {
    context: Option<Context>,
    timeout: Option<Duration>,
    uin: Option<u64>,
    business_id: Option<u16>,
    priority: Option<u8>,
    is_idempotent: bool,
    backup_after: Option<Duration>,
    relay: Relay,
}

impl Call<Bytes> {
    pub(super) fn new(
        client: Client,
        service: Result<Arc<Service>, Failure>,
        full_method: &str,
        payload: Bytes,
    ) -> Call<Bytes> {
        let callee = service.map(|service| {
            let (method_id, stats) = service.methods.get(full_method);
            Callee { service, method_id, stats }
        });
        Call { client, callee, payload, options: Options::default(), decode: Ok }
    }

    /// Of a request that is passed on as it came.
    pub(super) fn of_request(client: Client, service: Result<Arc<Service>, Failure>, request: Request) -> Call<Bytes> {
        let context = request.context().clone();
        let callee = service.map(|service| {
            let (method_id, stats) = service.methods.get_by_id(request.method_id(), context.metadata().method());
            Callee { service, method_id, stats }
        });
        let is_bounded = context.header().budget_ms != Millis::UNLIMITED.0;
        let options = Options {
            timeout: context.remaining().filter(|_| is_bounded),
            relay: Relay { caller: Some(request.caller()), is_whole: true, ..Relay::default() },
            context: Some(context),
            ..Options::default()
        };
        Call { client, callee, payload: request.into_payload(), options, decode: Ok }
    }
}

impl<R> Call<R> {
    /// Turns the reply into something else.
    pub fn decode_with<T>(self, decode: fn(Bytes) -> Result<T, Failure>) -> Call<T> {
        let Call { client, callee, payload, options, .. } = self;
        Call { client, callee, payload, options, decode }
    }

    /// Made on behalf of this request. By default on behalf of the one that is being handled, if one is.
    pub fn context(mut self, context: Context) -> Call<R> {
        self.options.context = Some(context);
        self
    }

    /// Waits so long at most, all attempts together; less if the context's deadline comes first.
    pub fn timeout(mut self, timeout: Duration) -> Call<R> {
        self.options.timeout = Some(timeout);
        self
    }

    /// For this user.
    pub fn uin(mut self, uin: u64) -> Call<R> {
        self.options.uin = Some(uin);
        self
    }

    /// For this business.
    pub fn business_id(mut self, business_id: u16) -> Call<R> {
        self.options.business_id = Some(business_id);
        self
    }

    /// Of this importance, 0 first.
    pub fn priority(mut self, priority: u8) -> Call<R> {
        self.options.priority = Some(priority);
        self
    }

    /// Whether it does no harm to run it twice. What was surely not run is tried on another server in any case; a call that may
    /// have been run, only if it is idempotent.
    pub fn idempotent(mut self, is_idempotent: bool) -> Call<R> {
        self.options.is_idempotent = is_idempotent;
        self
    }

    /// Asks a second server too when the first has not answered for so long, within the budget of backup requests. Implies that the
    /// call is idempotent.
    pub fn backup_after(mut self, delay: Duration) -> Call<R> {
        self.options.backup_after = Some(delay);
        self
    }

    /// Made by this caller, if not by the client's own name.
    pub fn caller(mut self, name: &str) -> Call<R> {
        self.options.relay.caller = Some(name.into());
        self
    }

    /// To be passed on to this service, by a proxy that is called (`docs/proxy.md`).
    pub fn of_service(mut self, name: &str) -> Call<R> {
        self.options.relay.service = Some(name.into());
        self
    }

    /// Makes the call and blocks the thread until it is over.
    ///
    /// # Errors
    ///
    /// How the call failed.
    ///
    /// # Panics
    ///
    /// Within an asynchronous task, which would keep others from running: await the call there.
    pub fn wait(self) -> Result<R, Failure> {
        let handle = self.client.inner().dialer.handle.clone();
        handle.block_on(self.make())
    }

    /// Makes the call in the background.
    pub fn start(self) -> Started<R>
    where
        R: Send + 'static,
    {
        let handle = self.client.inner().dialer.handle.clone();
        Started { task: handle.spawn(self.make()), client: handle }
    }

    /// The call as a future, which belongs to the request that is handled now, wherever it is awaited.
    fn make(mut self) -> impl Future<Output = Result<R, Failure>> + Send {
        let mut context = self.options.context.take().or_else(Context::current).unwrap_or_default();
        context.begin_trace_if_sampled();
        let span = match &self.callee {
            Ok(Callee { service, stats, .. }) => spans::of_call(&service.name, &stats.name, &context),
            Err(_) => Span::none(),
        };
        async move {
            let Call { client, callee, payload, options, decode } = self;
            let callee = callee?;
            let began = clock::now();
            let maker = Maker::new(client.inner(), &callee, context, &payload, &options);
            let mut attempts = maker.attempts();
            let answer = maker.run(&mut attempts).instrument(span.clone()).await;
            let status = answer.as_ref().map_or_else(Failure::status, |_| Status::OK);
            callee.stats.ended(status, clock::now().since(began));
            span.record("attempts", attempts.attempts);
            spans::ended(&span, status);
            answer.and_then(decode)
        }
    }
}

impl<R: 'static> IntoFuture for Call<R> {
    type Output = Result<R, Failure>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<R, Failure>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.make())
    }
}

/// A call that is being made in the background. Dropping it does not end it.
#[derive(Debug)]
pub struct Started<R> {
    task: JoinHandle<Result<R, Failure>>,
    client: tokio::runtime::Handle,
}

impl<R> Started<R> {
    /// Blocks the thread until the call is over.
    ///
    /// # Errors
    ///
    /// How the call failed.
    ///
    /// # Panics
    ///
    /// Within an asynchronous task: await it there.
    pub fn join(self) -> Result<R, Failure> {
        let Started { task, client } = self;
        client.block_on(task).unwrap_or_else(|_| Err(abandoned()))
    }
}

impl<R> Future for Started<R> {
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx).map(|joined| joined.unwrap_or_else(|_| Err(abandoned())))
    }
}

fn abandoned() -> Failure {
    Failure::of_system(Status::OUT_OF_TIME).with_text("the client ended while the call was being made")
}

/// What all attempts of a call share.
struct Maker<'c> {
    client: &'c Inner,
    callee: &'c Callee,
    payload: &'c [u8],
    context: Context,
    is_idempotent: bool,
    backup_after: Option<Duration>,
    relay: &'c Relay,
}

impl<'c> Maker<'c> {
    fn new(
        client: &'c Inner,
        callee: &'c Callee,
        mut context: Context,
        payload: &'c [u8],
        options: &'c Options,
    ) -> Maker<'c> {
        if let Some(uin) = options.uin {
            context = context.with_uin(uin);
        }
        if let Some(business_id) = options.business_id {
            context = context.with_business_id(business_id);
        }
        if let Some(priority) = options.priority {
            context = context.with_priority(priority);
        }
        context = context.with_timeout(options.timeout.unwrap_or(callee.service.timeout));
        let backup_after = options.backup_after;
        let is_idempotent = options.is_idempotent || backup_after.is_some();
        Maker { client, callee, payload, context, is_idempotent, backup_after, relay: &options.relay }
    }

    /// A call of which no attempt was made.
    fn attempts(&self) -> Attempts {
        let carried = self.context.carried();
        let key = carried.context.key(self.client.known().salt());
        let target = Target { service_id: self.callee.service.id, method_id: self.callee.method_id };
        Attempts::new(carried.context.uin, fastrand::u64(..), key, target, self.deadline())
    }

    /// Tries until it is answered, or until it is not worth another attempt.
    async fn run(&self, attempts: &mut Attempts) -> Result<Bytes, Failure> {
        let mut last: Option<Failure> = None;
        loop {
            let choice = match self.select(attempts, Attempt::Next) {
                Ok(choice) => choice,
                // What the servers said explains more than that there is no other.
                Err(status) => return Err(last.unwrap_or_else(|| self.refused(status))),
            };
            let answer = match self.backup_after {
                Some(delay) if attempts.attempts == 1 => self.hedged(choice, delay, attempts).await,
                _ => self.attempt(choice, attempts.attempts).await,
            };
            if answer.status.is_ok() {
                return Ok(answer.payload);
            }
            let Answer { status, text, cursor, hold_ms, .. } = answer;
            let failure = Failure::of_answer(status, text, Reject { cursor, hold_ms, is_relayed: self.relay.is_whole });
            if !self.may_try_again(status) {
                return Err(failure);
            }
            last = Some(failure);
        }
    }

    fn deadline(&self) -> Nanos {
        self.context.deadline()
    }

    fn select(&self, attempts: &mut Attempts, attempt: Attempt) -> Result<Choice, Status> {
        let known = self.client.known();
        self.callee.service.with_set(&known, |set, host| set.select(attempts, attempt, host, clock::now()))
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
            && (was_surely_not_run || self.is_idempotent)
    }

    fn refused(&self, status: Status) -> Failure {
        Failure::of_system(status).with_text(format!("no call to {}: {status}", self.callee.service.name))
    }

    /// One attempt, and if it takes too long a second one beside it: the first good answer counts.
    async fn hedged(&self, choice: Choice, delay: Duration, attempts: &mut Attempts) -> Answer {
        let mut first = pin!(self.attempt(choice, 1));
        let too_long = {
            let _runtime = self.client.dialer.handle.enter();
            tokio::time::sleep(delay)
        };
        tokio::select! {
            biased;
            answer = &mut first => return answer,
            () = too_long => {}
        }
        let Ok(choice) = self.select(attempts, Attempt::Backup) else { return first.await };
        let mut second = pin!(self.attempt(choice, attempts.attempts));
        let (answer, is_first) = tokio::select! {
            biased;
            answer = &mut first => (answer, true),
            answer = &mut second => (answer, false),
        };
        match (answer.status.is_ok(), is_first) {
            (true, _) => answer,
            (false, true) => second.await,
            (false, false) => first.await,
        }
    }

    /// One attempt, told to the set. `number` counts from 1.
    async fn attempt(&self, choice: Choice, number: u8) -> Answer {
        let began = clock::now();
        let answer = self.exchange(&choice, number).await;
        let ended = clock::now();
        let outcome = Outcome::of(answer.status);
        self.callee.stats.attempted(outcome);
        self.callee.service.with_set(&self.client.known(), |set, host| {
            set.report(&choice, outcome, ended.since(began), host, ended);
            if answer.status == Status::GOING_AWAY {
                // Nobody is sent there for a while, which costs no retry.
                set.heard(&choice, Cursor(0), GOING_AWAY_HOLD.as_millis() as u32, host, ended);
            } else if answer.cursor != Cursor::OPEN && self.relay.service.is_none() {
                // That of a proxy is another one for each service.
                let hold_ms = if answer.hold_ms == 0 { CURSOR_HOLD_MS } else { answer.hold_ms.into() };
                set.heard(&choice, answer.cursor, hold_ms, host, ended);
            }
        });
        answer
    }

    async fn exchange(&self, choice: &Choice, number: u8) -> Answer {
        let Some(endpoint) = self.callee.service.endpoint(choice.user_data, &choice.endpoint) else {
            return Answer::none(Status::CONNECT_FAILED);
        };
        let connection = match endpoint.connection(&self.client.dialer, self.deadline()).await {
            Ok(connection) => connection,
            Err(status) => return Answer::none(status),
        };
        let mut carried = self.context.carried().onward(fastrand::u64(..).to_le_bytes());
        carried.context.attempt = number - 1;
        let (request, metadata) = (self.context.header(), self.context.metadata());
        self.relay.mark(&mut carried, request, number);
        let now = clock::now();
        let mut header = carried.header(Kind::Request, 0, self.callee.method_id, now);
        header.flags.0 |= self.relay.payload_flags(request);
        if header.budget_ms == 0 {
            return Answer::none(Status::OUT_OF_TIME);
        }
        let sent = connection.send(header, self.deadline(), self.payload, |writer| {
            self.relay.write(&carried, &metadata, choice.withheld, now, writer);
        });
        match sent {
            Ok(answer) => answer.await,
            Err(status) => Answer::none(status),
        }
    }
}
