//! A blocking worker: a thread that runs one handler at a time, which may block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use mcrpc_core::status::Status;
use mcrpc_core::wire::Kind;

use super::held::{Held, status_of};
use super::job::Job;
use super::noted::Noted;
use super::queue::Taken;
use super::shared::Shared;
use crate::clock;
use crate::failure::Failure;
use crate::methods::{Method, Run};
use crate::request::{Reply, Request};
use crate::spans;
use crate::stats::Handled;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a worker until its queue is closed and empty.
pub(crate) fn run(number: usize, shared: &Shared) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut taken, mut held) = (VecDeque::new(), Held::default());
    loop {
        match shared.blocking.take(number, &waker, 1, &mut taken) {
            Taken::Some => taken.drain(..).for_each(|job| answer(shared, job, &mut held)),
            Taken::Nothing => thread::park(),
            Taken::Closed => return,
        }
    }
}

fn answer(shared: &Shared, job: Job, held: &mut Held) {
    let (pool, began) = (&shared.blocking, clock::now());
    let context = job.context();
    let Job { method: number, to, deadline, mut body, connection, admitted_at, permit, mut noted, .. } = job;
    let method = match shared.methods.get(number) {
        Some(method) if !connection.is_closed() && !connection.take_cancel(to.header.call_id) => method,
        _ => {
            let _ = pool.admission.abandoned(pool.number);
            noted.iter_mut().for_each(|noted| noted.leaves(Status::OUT_OF_TIME, began));
            connection.ended(1);
            return;
        }
    };
    let waited_ns = began.since(admitted_at);
    method.stats.queue_wait.record_ns(waited_ns);
    let span = spans::of_request(&method.name, &connection, || context.clone());
    let logged = method.stats.is_logged().then(|| Box::new(context.clone()));
    let admitted = Noted::dequeue(&mut noted, pool, waited_ns, began, || {
        pool.admission.dequeued(pool.number, admitted_at, deadline, began)
    });
    let (mut ended, mut service_ns, mut busy_ns) = (began, None, 0);
    let reply = match admitted {
        Err(status) => {
            method.stats.count_dropped();
            Err(Failure::of_system(status))
        }
        Ok(()) => {
            let request = Request::new(context.clone(), body.take_payload(), connection.clone());
            let used_before = clock::used_by_thread();
            let reply = span.in_scope(|| context.scope_blocking(|| handle(method, request)));
            busy_ns = clock::used_by_thread().since(used_before);
            ended = clock::now();
            let _ = pool.admission.done(pool.number, began, ended);
            service_ns = Some(ended.since(began));
            reply
        }
    };
    let status = status_of(Some(&reply));
    spans::ended(&span, status);
    noted.iter_mut().for_each(|noted| noted.ends(status, service_ns, ended));
    if let Some(context) = logged {
        let took_ns = [waited_ns, ended.since(began)];
        spans::log(&method.name, &connection.caller_of(&context), &context, status, took_ns);
    }
    connection.take_cancel(to.header.call_id);
    // Whoever has the answer may send the next one.
    drop(permit);
    let (caller, is_answered) = (connection.caller_number(), to.header.kind == Kind::Request);
    let handled = Handled { method: number, caller, waited_ns: None, service_ns, busy_ns, ended, status, is_answered };
    let answer = is_answered.then(|| (&to, pool.load(), reply));
    held.push(&connection, answer, handled, began);
    noted.into_iter().for_each(|noted| held.note(*noted));
    held.flush(&shared.methods);
}

fn handle(method: &Method, request: Request) -> Reply {
    let Run::Blocking(handler) = &method.run else { return Err(Failure::of_system(Status::NO_METHOD)) };
    catch_unwind(AssertUnwindSafe(|| handler(request))).unwrap_or_else(|_| Err(super::coroutine::lost(method)))
}
