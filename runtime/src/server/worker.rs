//! A worker: a thread whose coroutines take requests from the queue and run their handlers.
//!
//! A coroutine takes one request at a time. As long as its handlers never wait, one coroutine per thread does all the work; when one
//! waits, the next takes over. What handlers answer is written when there is nothing else to do, or after a few answers.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Kind;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;
use tracing::Span;

use super::connection::{Connection, Slot};
use super::job::Job;
use super::pool::Pool;
use super::queue::Taken;
use super::reply::ReplyTo;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::methods::{Method, Run};
use crate::request::{Reply, Request};
use crate::spans;

/// So many answers wait for each other at most.
const MAX_BATCH: usize = 32;
/// So long they wait at most for the next handler to begin.
const MAX_HELD_NS: u64 = 50_000;
/// So many requests are handled before timers and sockets of handlers are looked at.
const TURN: u32 = 64;

/// What the coroutines of a thread share.
struct Worker {
    number: usize,
    pool: Arc<Pool>,
    /// Coroutines that wait for a request, by their number.
    parked: RefCell<Vec<Option<Waker>>>,
    /// Connections whose answers wait to be written.
    unflushed: RefCell<Vec<Arc<Connection>>>,
    held_since: Cell<Nanos>,
    /// Methods that were answered and whose answers wait to be written, and when they were.
    answered: RefCell<Vec<(Arc<Method>, Nanos)>>,
}

/// Runs a worker until its queue is closed and empty.
pub(crate) async fn run(number: usize, coroutines: usize, pool: Arc<Pool>) {
    let worker = Rc::new(Worker {
        number,
        pool,
        parked: RefCell::new(vec![None; coroutines]),
        unflushed: RefCell::default(),
        held_since: Cell::new(Nanos(0)),
        answered: RefCell::default(),
    });
    let all: Vec<_> = (0..coroutines).map(|me| tokio::task::spawn_local(coroutine(worker.clone(), me))).collect();
    for one in all {
        // A coroutine catches what its handlers panic with.
        let _ = one.await;
    }
}

async fn coroutine(worker: Rc<Worker>, me: usize) {
    let mut handler = Handler {
        future: ReusableBoxFuture::new(std::future::pending()),
        sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        slot: Arc::default(),
    };
    let mut turn = 0;
    while let Some(job) = worker.take(me).await {
        worker.run(job, &mut handler).await;
        turn += 1;
        if turn % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// What a coroutine keeps from one request to the next.
struct Handler {
    future: ReusableBoxFuture<'static, Reply>,
    sleep: Pin<Box<Sleep>>,
    slot: Arc<Slot>,
}

/// A request whose handler is run.
struct Begun<'r> {
    method: &'r Method,
    connection: &'r Arc<Connection>,
    to: &'r ReplyTo,
    span: &'r Span,
    began: Nanos,
}

/// What came of it.
struct Handled {
    /// `None` if its caller has given the call up.
    reply: Option<Reply>,
    ended: Nanos,
    /// How long it ran, without the time in which it waited.
    busy_ns: u64,
}

impl Worker {
    /// The next request; `None` when there will be none.
    async fn take(&self, me: usize) -> Option<Job> {
        poll_fn(|cx| {
            self.parked.borrow_mut()[me] = None;
            match self.pool.queue.take(self.number, cx.waker()) {
                Taken::Job(job) => return Poll::Ready(Some(job)),
                Taken::Closed => {
                    self.flush();
                    self.unpark();
                    return Poll::Ready(None);
                }
                Taken::Nothing => {}
            }
            self.flush();
            self.parked.borrow_mut()[me] = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Runs the handler of a request, and answers it.
    async fn run(&self, job: Job, handler: &mut Handler) {
        let began = clock::now();
        if began.since(self.held_since.get()) > MAX_HELD_NS {
            self.flush();
        }
        let to = job.reply_to();
        let Job { method, context, payload, connection, admitted_at, permit, _lease, .. } = job;
        if connection.is_closed() || connection.was_given_up(to.header.call_id) {
            let _ = self.pool.admission.abandoned(self.pool.number);
            connection.ended();
            return;
        }
        let deadline = context.deadline();
        let wait_ns = began.since(admitted_at);
        method.stats.queue_wait.record_ns(wait_ns);
        let span = spans::of_request(&method.name, &connection, || context.clone());
        let logged = method.stats.is_logged().then(|| Box::new(context.clone()));
        let (reply, ended) = match self.pool.admission.dequeued(self.pool.number, admitted_at, deadline, began) {
            Err(status) => {
                method.stats.count_dropped();
                (Some(Err(Failure::of_system(status))), began)
            }
            Ok(()) => {
                let begun = Begun { method: &method, connection: &connection, to: &to, span: &span, began };
                let Handled { reply, ended, busy_ns } = self.handle(begun, context, payload, handler).await;
                let _ = self.pool.admission.done(self.pool.number, began, ended);
                method.stats.service_time.record_ns(ended.since(began));
                method.stats.add_busy_ns(busy_ns);
                (reply, ended)
            }
        };
        let status = match &reply {
            Some(Ok(_)) => Status::OK,
            Some(Err(failure)) => failure.status(),
            None => Status::OUT_OF_TIME,
        };
        spans::ended(&span, status);
        method.stats.count(connection.caller_number(), status);
        if let Some(context) = logged {
            spans::log(&method.name, &connection.caller_of(&context), &context, status, [wait_ns, ended.since(began)]);
        }
        // Whoever has the answer may send the next one.
        drop(permit);
        match reply.filter(|_| to.header.kind == Kind::Request) {
            Some(reply) => {
                let is_first = connection.answer(&to, self.pool.load(), &reply);
                connection.ended();
                self.hold(is_first.then_some(connection), method, began, ended);
            }
            None => connection.ended(),
        }
    }

    async fn handle(
        &self,
        begun: Begun<'_>,
        context: Context,
        payload: bytes::Bytes,
        handler: &mut Handler,
    ) -> Handled {
        let Begun { method, connection, to, span, began } = begun;
        let (deadline, call_id) = (context.deadline(), to.header.call_id);
        let (mut busy_ns, mut resumed_at) = (0, began);
        let request = Request::new(context.clone(), payload, connection.clone());
        let Handler { future, sleep, slot } = handler;
        let Run::Async(run) = &method.run else {
            return Handled { reply: Some(Err(Failure::of_system(Status::NO_METHOD))), ended: began, busy_ns };
        };
        let (mut request, mut has_waited) = (Some(request), false);
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
            if !has_waited {
                has_waited = true;
                self.flush();
                connection.wait(call_id, slot);
                if deadline != Nanos::NEVER {
                    let left = Duration::from_nanos(deadline.since(now));
                    sleep.as_mut().reset(Instant::now() + left);
                }
                self.let_next_run();
            }
            slot.register(cx.waker());
            let is_late = deadline != Nanos::NEVER && sleep.as_mut().poll(cx).is_ready();
            match (slot.is_cancelled(), is_late) {
                (false, false) => Poll::Pending,
                (true, _) => Poll::Ready(Err(None)),
                (false, true) => {
                    let failure = Failure::of_system(Status::TIMED_OUT);
                    Poll::Ready(Err(Some(failure.with_text("the deadline came while the handler waited"))))
                }
            }
        });
        let outcome = pin!(context.scope(run_it)).await;
        let ended = clock::now();
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
        Handled { reply, ended, busy_ns: busy_ns + ended.since(resumed_at) }
    }

    /// Keeps what was answered, and its connection unless somebody else is about to write it.
    fn hold(&self, connection: Option<Arc<Connection>>, method: Arc<Method>, began: Nanos, ended: Nanos) {
        let mut answered = self.answered.borrow_mut();
        if answered.is_empty() {
            self.held_since.set(began);
        }
        answered.push((method, ended));
        drop(answered);
        let Some(connection) = connection else { return };
        let mut unflushed = self.unflushed.borrow_mut();
        unflushed.push(connection);
        if unflushed.len() >= MAX_BATCH {
            drop(unflushed);
            self.flush();
        }
    }

    /// Writes what is held. All of it counts as written when the last connection is: one look at the clock for a batch.
    fn flush(&self) {
        self.held_since.set(Nanos::NEVER);
        for connection in self.unflushed.borrow_mut().drain(..) {
            connection.flush();
        }
        let mut answered = self.answered.borrow_mut();
        if answered.is_empty() {
            return;
        }
        let now = clock::now();
        for (method, ended) in answered.drain(..) {
            method.stats.reply_time.record_ns(now.since(ended));
        }
    }

    /// The coroutine that runs begins to wait: another takes its place.
    fn let_next_run(&self) {
        let next = self.parked.borrow().iter().flatten().next().cloned();
        if let Some(next) = next
            && self.pool.queue.offer(self.number, &next)
        {
            next.wake();
        }
    }

    fn unpark(&self) {
        let parked = std::mem::take(&mut *self.parked.borrow_mut());
        parked.iter().flatten().for_each(Waker::wake_by_ref);
        *self.parked.borrow_mut() = vec![None; parked.len()];
    }
}

/// A handler that panics is a worker that dies (SPEC S14): the call is refused, and may be tried elsewhere.
pub(super) fn lost(method: &Method) -> Failure {
    tracing::error!(method = method.name, "the handler panicked");
    Failure::of_system(Status::WORKER_LOST).with_text("the handler panicked")
}
