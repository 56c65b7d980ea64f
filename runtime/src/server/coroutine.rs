//! A coroutine of a worker: it runs the handler of one request at a time, which may wait.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;
use tracing::Span;

use super::connection::Slot;
use super::job::Job;
use super::worker::Worker;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::methods::{Method, Run};
use crate::request::{Reply, Request};

/// What a coroutine keeps from one request to the next.
pub(super) struct Coroutine {
    future: ReusableBoxFuture<'static, Reply>,
    sleep: Pin<Box<Sleep>>,
    slot: Arc<Slot>,
    /// That of the request before: its memory is used again.
    context: Context,
}

/// A request whose handler is run.
pub(super) struct Begun {
    pub(super) job: Job,
    pub(super) span: Span,
    /// T2.
    pub(super) began: Nanos,
    /// T2 - T1.
    pub(super) waited_ns: u64,
}

/// What came of it.
pub(super) struct Ended {
    /// `None` if its caller has given the call up.
    pub(super) reply: Option<Reply>,
    pub(super) at: Nanos,
    /// How long it ran, without the time in which it waited.
    pub(super) busy_ns: u64,
    pub(super) has_waited: bool,
}

impl Coroutine {
    pub(super) fn new() -> Coroutine {
        Coroutine {
            future: ReusableBoxFuture::new(std::future::pending()),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            slot: Arc::default(),
            context: Context::new(),
        }
    }

    /// Runs a handler until it answers, its deadline comes, or nobody waits for it any more.
    pub(super) async fn run(&mut self, worker: &Worker, method: &Method, begun: &mut Begun) -> Ended {
        let Begun { job: Job { to, arrival, deadline, body, connection, .. }, span, began, waited_ns } = begun;
        let (deadline, mut busy_ns, mut resumed_at, mut has_waited) = (*deadline, 0, *began, false);
        let Coroutine { future, sleep, slot, context } = self;
        let Run::Async(run) = &method.run else {
            return Ended { reply: Some(Err(Failure::of_system(Status::NO_METHOD))), at: *began, busy_ns, has_waited };
        };
        context.renew(deadline, &to.header, body.metadata(), *arrival);
        let mut request = Some(Request::new(context.clone(), body.take_payload(), connection.clone()));
        let run_it = poll_fn(|cx| {
            if has_waited {
                resumed_at = clock::now();
            }
            let _entered = span.enter();
            // What a handler shares with others has to bear its panic, as with a thread that panics.
            let polled = catch_unwind(AssertUnwindSafe(|| {
                if let Some(request) = request.take() {
                    run.begin(request, future);
                }
                future.poll(cx)
            }));
            match polled {
                Ok(Poll::Ready(reply)) => return Poll::Ready(Ok(reply)),
                Ok(Poll::Pending) => {}
                Err(_) => return Poll::Ready(Err(Some(lost(method)))),
            }
            let now = clock::now();
            busy_ns += now.since(resumed_at);
            resumed_at = now;
            let begins_to_wait = !std::mem::replace(&mut has_waited, true);
            if begins_to_wait {
                method.stats.queue_wait.record_ns(*waited_ns);
                connection.wait(to.header.call_id, slot);
                if deadline != Nanos::NEVER {
                    let left = Duration::from_nanos(deadline.since(now));
                    sleep.as_mut().reset(Instant::now() + left);
                }
            }
            slot.register(cx.waker());
            let is_late = deadline != Nanos::NEVER && sleep.as_mut().poll(cx).is_ready();
            match (slot.is_cancelled(), is_late) {
                (false, false) => {
                    if begins_to_wait {
                        worker.let_next_run();
                    }
                    Poll::Pending
                }
                (true, _) => Poll::Ready(Err(None)),
                (false, true) => {
                    let failure = Failure::of_system(Status::TIMED_OUT);
                    Poll::Ready(Err(Some(failure.with_text("the deadline came while the handler waited"))))
                }
            }
        });
        let outcome = pin!(context.clone().scope(run_it)).await;
        let at = clock::now();
        if has_waited {
            connection.stop_waiting(slot);
        }
        let reply = match outcome {
            Ok(reply) => Some(reply),
            Err(failure) => {
                // What it waited for is dropped now.
                future.set(std::future::pending());
                failure.map(Err)
            }
        };
        Ended { reply, at, busy_ns: busy_ns + at.since(resumed_at), has_waited }
    }
}

/// A handler that panics is a worker that dies (SPEC S14): the call is refused, and may be tried elsewhere.
pub(super) fn lost(method: &Method) -> Failure {
    tracing::error!(method = method.name, "the handler panicked");
    Failure::of_system(Status::WORKER_LOST).with_text("the handler panicked")
}
