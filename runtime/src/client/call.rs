//! A call as a program makes it: of what, with which options, and whether it is awaited, waited for or joined.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Poller, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use mcrpc_core::status::Status;
use mcrpc_core::time::Millis;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::attempts::Course;
use super::common::Common;
use super::relay::Relay;
use super::service::Service;
use crate::context::Context;
use crate::failure::Failure;
use crate::request::Request;

/// A call that has not been made yet. Awaited it is asynchronous, [`Call::wait`] makes it synchronous, and [`Call::start`] joinable.
#[must_use = "a call is made when it is awaited, waited for, or started"]
pub struct Call<R = Bytes> {
    callee: Result<Callee, Box<Uncallable>>,
    order: Order,
    decode: fn(Bytes) -> Result<R, Failure>,
}

/// What a call asks for.
pub(super) struct Order {
    pub(super) payload: Bytes,
    /// Of the request on whose behalf it is made.
    pub(super) context: Option<Context>,
    pub(super) options: Options,
}

/// What is called.
pub(super) struct Callee {
    pub(super) service: Arc<Service>,
    /// Its place in the service's table.
    pub(super) method: usize,
    pub(super) method_id: u32,
}

/// A service that cannot be called.
pub(super) struct Uncallable {
    pub(super) failure: Failure,
    pub(super) common: Arc<Common>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) timeout: Option<Duration>,
    pub(super) uin: Option<u64>,
    pub(super) business_id: Option<u16>,
    pub(super) priority: Option<u8>,
    is_idempotent: bool,
    pub(super) backup_after: Option<Duration>,
    /// What few calls have: those of proxies, and to them.
    pub(super) relay: Option<Box<Relay>>,
}

impl Options {
    /// Whether it does no harm to run the call twice.
    pub(super) fn may_run_twice(&self) -> bool {
        self.is_idempotent || self.backup_after.is_some()
    }
}

impl Call<Bytes> {
    #[inline]
    pub(super) fn new(
        service: Result<Arc<Service>, Box<Uncallable>>,
        full_method: &str,
        payload: Bytes,
    ) -> Call<Bytes> {
        let callee = service.map(|service| {
            let (method, method_id) = service.methods.find(full_method);
            Callee { service, method, method_id }
        });
        Call { callee, order: Order { payload, context: None, options: Options::default() }, decode: Ok }
    }

    /// Of a request that is passed on as it came.
    pub(super) fn of_request(service: Result<Arc<Service>, Box<Uncallable>>, request: Request) -> Call<Bytes> {
        let (context, method_id) = (request.context().clone(), request.method_id());
        let callee = service.map(|service| {
            let method = service.methods.find_by_id(method_id, context.metadata().method());
            Callee { service, method, method_id }
        });
        let is_bounded = context.header().budget_ms != Millis::UNLIMITED.0;
        let relay = Relay { caller: Some(request.caller()), is_whole: true, ..Relay::default() };
        let options = Options {
            timeout: context.remaining().filter(|_| is_bounded),
            relay: Some(Box::new(relay)),
            ..Options::default()
        };
        Call { callee, order: Order { payload: request.into_payload(), context: Some(context), options }, decode: Ok }
    }
}

impl<R> Call<R> {
    /// Turns the reply into something else.
    pub fn decode_with<T>(self, decode: fn(Bytes) -> Result<T, Failure>) -> Call<T> {
        Call { callee: self.callee, order: self.order, decode }
    }

    /// Made on behalf of this request. By default on behalf of the one that is being handled, if one is.
    pub fn context(mut self, context: Context) -> Call<R> {
        self.order.context = Some(context);
        self
    }

    /// Waits so long at most, all attempts together; less if the context's deadline comes first.
    pub fn timeout(mut self, timeout: Duration) -> Call<R> {
        self.order.options.timeout = Some(timeout);
        self
    }

    /// For this user.
    pub fn uin(mut self, uin: u64) -> Call<R> {
        self.order.options.uin = Some(uin);
        self
    }

    /// For this business.
    pub fn business_id(mut self, business_id: u16) -> Call<R> {
        self.order.options.business_id = Some(business_id);
        self
    }

    /// Of this importance, 0 first.
    pub fn priority(mut self, priority: u8) -> Call<R> {
        self.order.options.priority = Some(priority);
        self
    }

    /// Whether it does no harm to run it twice. What was surely not run is tried on another server in any case; a call that may
    /// have been run, only if it is idempotent.
    pub fn idempotent(mut self, is_idempotent: bool) -> Call<R> {
        self.order.options.is_idempotent = is_idempotent;
        self
    }

    /// Asks a second server too when the first has not answered for so long, within the budget of backup requests. Implies that the
    /// call is idempotent.
    pub fn backup_after(mut self, delay: Duration) -> Call<R> {
        self.order.options.backup_after = Some(delay);
        self
    }

    /// Made by this caller, if not by the client's own name.
    pub fn caller(mut self, name: &str) -> Call<R> {
        self.order.options.relay.get_or_insert_default().caller = Some(name.into());
        self
    }

    /// To be passed on to this service, by a proxy that is called (`docs/proxy.md`).
    pub fn of_service(mut self, name: &str) -> Call<R> {
        self.order.options.relay.get_or_insert_default().service = Some(name.into());
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
        self.handle().block_on(self.into_future())
    }

    /// Makes the call in the background.
    pub fn start(self) -> Started<R>
    where
        R: Send + 'static,
    {
        let client = self.handle();
        Started { task: client.spawn(self.into_future()), client }
    }

    /// The client's runtime.
    fn handle(&self) -> Handle {
        let common = self.callee.as_ref().map_or_else(|uncallable| &uncallable.common, |callee| &callee.service.common);
        common.dialer.handle.clone()
    }
}

impl<R> IntoFuture for Call<R> {
    type Output = Result<R, Failure>;
    type IntoFuture = Calling<R>;

    /// The call belongs to the request that is handled now, wherever it is awaited.
    #[inline]
    fn into_future(self) -> Calling<R> {
        let Call { callee, mut order, decode } = self;
        order.context = order.context.or_else(Context::current);
        if let Some(context) = &mut order.context {
            context.begin_trace_if_sampled();
        }
        let course = callee.map(|callee| Course::new(callee, order));
        Calling { course: course.map_err(|uncallable| Box::new(uncallable.failure)), decode }
    }
}

/// A call that is being made: the future of its answer. Dropped before, it is given up, and its server is told so.
///
/// # Panics
///
/// When it is polled after its end.
#[must_use = "a call is made when it is awaited"]
pub struct Calling<R> {
    course: Result<Course, Box<Failure>>,
    decode: fn(Bytes) -> Result<R, Failure>,
}

impl<R> Future for Calling<R> {
    type Output = Result<R, Failure>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Result<R, Failure>> {
        let answer = match &mut self.course {
            Ok(course) => ready!(course.poll(cx)),
            Err(failure) => Err(Failure::clone(failure)),
        };
        Poll::Ready(answer.and_then(self.decode))
    }
}

/// A call that is being made in the background. Dropping it does not end it.
#[derive(Debug)]
pub struct Started<R> {
    task: JoinHandle<Result<R, Failure>>,
    client: Handle,
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

    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx).map(|joined| joined.unwrap_or_else(|_| Err(abandoned())))
    }
}

fn abandoned() -> Failure {
    Failure::of_system(Status::OUT_OF_TIME).with_text("the client ended while the call was being made")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[test]
    fn a_call_that_waits_takes_six_cache_lines() {
        let client = Client::builder("test").service("Echo", ["127.0.0.1:1"]).build().unwrap();
        let size = size_of_val(&client.call("Echo", "echo.Echo.Say", "").into_future());
        // Thousands of them are to fit into the caches of a core.
        assert!(size <= 384, "{size} bytes");
    }
}
