//! A blocking worker: a thread that runs one handler at a time, which may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use mcrpc_core::status::Status;
use mcrpc_core::wire::Kind;

use super::job::Job;
use super::pool::Pool;
use super::queue::Taken;
use crate::clock;
use crate::failure::Failure;
use crate::methods::{Method, Run};
use crate::request::{Reply, Request};
use crate::spans;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a worker until its queue is closed and empty.
pub(crate) fn run(number: usize, pool: &Pool) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match pool.queue.take(number, &waker) {
            Taken::Job(job) => answer(pool, job),
            Taken::Nothing => thread::park(),
            Taken::Closed => return,
        }
    }
}

fn answer(pool: &Pool, job: Job) {
    let began = clock::now();
    let to = job.reply_to();
    let Job { method, context, payload, connection, admitted_at, permit, _lease, .. } = job;
    if connection.is_closed() || connection.was_given_up(to.header.call_id) {
        let _ = pool.admission.abandoned(pool.number);
        connection.ended();
        return;
    }
    let wait_ns = began.since(admitted_at);
    method.stats.queue_wait.record_ns(wait_ns);
    let mut ended = began;
    let span = spans::of_request(&method.name, &connection, || context.clone());
    let logged = method.stats.is_logged().then(|| Box::new(context.clone()));
    let reply = match pool.admission.dequeued(pool.number, admitted_at, context.deadline(), began) {
        Err(status) => {
            method.stats.count_dropped();
            Err(Failure::of_system(status))
        }
        Ok(()) => {
            let request = Request::new(context.clone(), payload, connection.clone());
            let used_before = clock::used_by_thread();
            let reply = span.in_scope(|| context.scope_blocking(|| handle(&method, request)));
            method.stats.add_busy_ns(clock::used_by_thread().since(used_before));
            ended = clock::now();
            let _ = pool.admission.done(pool.number, began, ended);
            method.stats.service_time.record_ns(ended.since(began));
            reply
        }
    };
    let status = reply.as_ref().map_or_else(Failure::status, |_| Status::OK);
    spans::ended(&span, status);
    method.stats.count(connection.caller_number(), status);
    if let Some(context) = logged {
        spans::log(&method.name, &connection.caller_of(&context), &context, status, [wait_ns, ended.since(began)]);
    }
    // Whoever has the answer may send the next one.
    drop(permit);
    if to.header.kind == Kind::Request {
        if connection.answer(&to, pool.load(), &reply) {
            connection.flush();
        }
        method.stats.reply_time.record_ns(clock::now().since(ended));
    }
    connection.ended();
}

fn handle(method: &Method, request: Request) -> Reply {
    let Run::Blocking(handler) = &method.run else { return Err(Failure::of_system(Status::NO_METHOD)) };
    catch_unwind(AssertUnwindSafe(|| handler(request))).unwrap_or_else(|_| Err(super::worker::lost(method)))
}
