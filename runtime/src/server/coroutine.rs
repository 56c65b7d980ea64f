//! A coroutine of a worker: it runs the handler of one request at a time, which may wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::connection::Slot;
use super::job::{Job, Parcel};
use super::served::Progress;
use super::worker::Worker;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::methods::Method;
use crate::request::{Reply, Request};

/// What a coroutine keeps from one request to the next.
pub(super) struct Coroutine {
    /// The request whose handler waits; none between requests.
    parcel: Option<Parcel>,
    progress: Progress,
    frame: Frame,
}

/// What a handler runs in.
struct Frame {
    future: ReusableBoxFuture<'static, Reply>,
    sleep: Pin<Box<Sleep>>,
    slot: Arc<Slot>,
    /// That of the request before: its memory is used again. None while the handler runs, and when it has panicked.
    context: Option<Context>,
    /// Since when the handler runs.
    resumed_at: Nanos,
    /// What it has answered; none if its caller has given the call up.
    reply: Option<Reply>,
}

/// What a handler does.
enum Step {
    Waits,
    Ended(Nanos),
}

impl Coroutine {
    pub(super) fn new() -> Coroutine {
        let frame = Frame {
            future: ReusableBoxFuture::new(std::future::pending()),
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
            slot: Arc::default(),
            context: None,
            resumed_at: Nanos::default(),
            reply: None,
        };
        Coroutine { parcel: None, progress: Progress::new(Nanos::default(), 0), frame }
    }

    /// Runs the handler that waits, or that of the next request, until it answers, its deadline comes, or nobody waits for it any more.
    pub(super) fn poll_next(&mut self, worker: &Worker, cx: &mut task::Context<'_>) -> Poll<()> {
        let is_new = self.parcel.is_none();
        let Some(mut parcel) = self.parcel.take().or_else(|| worker.next()) else { return Poll::Ready(()) };
        if let Some(job) = &mut *parcel
            && self.goes_on(job, is_new, worker, cx)
        {
            self.parcel = Some(parcel);
            return Poll::Pending;
        }
        worker.give_back(parcel);
        Poll::Ready(())
    }

    /// Whether the handler of a request waits, and the request is not over.
    #[inline(always)]
    fn goes_on(&mut self, job: &mut Job, is_new: bool, worker: &Worker, cx: &mut task::Context<'_>) -> bool {
        let Coroutine { progress, frame, .. } = self;
        let method = if is_new { worker.begin(job, progress) } else { worker.method_of(job) };
        let Some(method) = method else { return false };
        let request = is_new.then(|| frame.request_of(job));
        match frame.step(worker, (method, job), progress, request, cx) {
            Step::Waits => true,
            Step::Ended(at) => {
                if progress.is_wait_counted {
                    job.connection.stop_waiting(&frame.slot);
                    worker.stop_waiting();
                }
                progress.busy_ns += at.since(frame.resumed_at);
                worker.end(method, job, progress, at, frame.reply.as_ref());
                frame.reply = None;
                false
            }
        }
    }
}

impl Frame {
    /// What the handler is given.
    #[inline]
    fn request_of(&mut self, job: &mut Job) -> Request {
        let context = self.context.get_or_insert_with(Context::new);
        context.renew(job.deadline, &job.to.header, job.body.metadata(), job.arrival);
        Request::new(context.clone(), job.body.take_payload(), job.connection.clone())
    }

    /// Runs a handler until it ends or waits; one that is not begun is given its request.
    #[inline]
    fn step(
        &mut self,
        worker: &Worker,
        (method, job): (&Method, &Job),
        progress: &mut Progress,
        request: Option<Request>,
        cx: &mut task::Context<'_>,
    ) -> Step {
        self.resumed_at = if request.is_some() { progress.began } else { worker.resume(job.method) };
        let polled = {
            let Frame { future, context, reply: place, .. } = self;
            let _entered = progress.span().enter();
            let poll = || {
                if let Some(request) = request {
                    method.begin(request, future);
                }
                future.poll(cx).map(|reply| *place = Some(reply))
            };
            // What a handler shares with others has to bear its panic, as with a thread that panics.
            catch_unwind(AssertUnwindSafe(|| Context::lend(context, poll)))
        };
        match polled {
            Ok(Poll::Ready(())) => Step::Ended(clock::now()),
            Ok(Poll::Pending) => self.wait(worker, (method, job), progress, cx),
            Err(_) => self.give_up(method, progress, Some(lost(method))),
        }
    }

    /// The handler has nothing to do before it is woken: by what it waits for, by a cancel, or by its deadline.
    fn wait(
        &mut self,
        worker: &Worker,
        (method, job): (&Method, &Job),
        progress: &mut Progress,
        cx: &mut task::Context<'_>,
    ) -> Step {
        let Job { connection, to, deadline, .. } = job;
        let now = clock::now();
        progress.busy_ns += now.since(self.resumed_at);
        self.resumed_at = now;
        let begins_to_wait = !std::mem::replace(&mut progress.is_wait_counted, true);
        if begins_to_wait {
            method.stats.queue_wait.record_ns(progress.waited_ns);
            worker.begin_to_wait();
            connection.wait(to.header.call_id, &self.slot);
            if *deadline != Nanos::NEVER {
                let left = Duration::from_nanos(deadline.since(now));
                self.sleep.as_mut().reset(Instant::now() + left);
            }
        }
        self.slot.register(cx.waker());
        let is_late = *deadline != Nanos::NEVER && self.sleep.as_mut().poll(cx).is_ready();
        if self.slot.is_cancelled() {
            return self.give_up(method, progress, None);
        }
        if is_late {
            let failure = Failure::of_system(Status::TIMED_OUT);
            let failure = failure.with_text("the deadline came while the handler waited");
            return self.give_up(method, progress, Some(failure));
        }
        if begins_to_wait {
            worker.let_next_run();
        }
        Step::Waits
    }

    /// Ends a handler that has not answered. What it waited for and what it owns is dropped as part of its request, like all that
    /// it does, and may panic like that.
    #[cold]
    fn give_up(&mut self, method: &Method, progress: &Progress, failure: Option<Failure>) -> Step {
        let at = clock::now();
        let Frame { future, context, .. } = self;
        let _entered = progress.span().enter();
        let drop_handler = || Context::lend(context, || future.set(std::future::pending()));
        if catch_unwind(AssertUnwindSafe(drop_handler)).is_err() {
            tracing::error!(method = method.name, "the handler panicked while it was dropped");
        }
        self.reply = failure.map(Err);
        Step::Ended(at)
    }
}

/// A handler that panics is a worker that dies (SPEC S14): the call is refused, and may be tried elsewhere.
pub(super) fn lost(method: &Method) -> Failure {
    tracing::error!(method = method.name, "the handler panicked");
    Failure::of_system(Status::WORKER_LOST).with_text("the handler panicked")
}
