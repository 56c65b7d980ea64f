//! A blocking worker: a thread that runs one handler at a time, which may block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::held::Held;
use super::job::Job;
use super::pool::Pool;
use super::queue::Taken;
use super::served::{self, Begun, End, Progress};
use super::shared::Shared;
use crate::clock;
use crate::failure::Failure;
use crate::methods::{Method, Run};
use crate::request::{Reply, Request};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a worker until its queue is closed and empty.
pub(crate) fn run(number: usize, shared: &Shared) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut taken, mut spare, mut held) = (VecDeque::new(), Vec::new(), Held::default());
    loop {
        match shared.blocking.take(number, &waker, 1, &mut taken, &mut spare) {
            Taken::Some => {
                for mut parcel in taken.drain(..) {
                    parcel.iter_mut().for_each(|job| answer(shared, job, &mut held));
                    *parcel = None;
                    spare.push(parcel);
                }
            }
            Taken::Nothing => thread::park(),
            Taken::Closed => return,
        }
    }
}

fn answer(shared: &Shared, job: &mut Job, held: &mut Held) {
    let (pool, began) = (&shared.blocking, clock::now());
    let mut progress = Progress::new(began, 0);
    let (method, reply, at, service_ns) = match served::begin(shared, pool, job, &mut progress, began) {
        Begun::Runs(method) => {
            let (reply, at) = run_handler(pool, method, job, &mut progress);
            (method, reply, at, Some(at.since(began)))
        }
        Begun::Refused(method, status) => (method, Err(Failure::of_system(status)), began, None),
        Begun::Unwanted => return,
    };
    served::end((method, pool), job, &mut progress, End { at, reply: Some(&reply), service_ns }, held);
    held.flush(&shared.methods);
}

/// What a handler answers, and when.
fn run_handler(pool: &Pool, method: &Method, job: &mut Job, progress: &mut Progress) -> (Reply, Nanos) {
    method.stats.queue_wait.record_ns(progress.waited_ns);
    progress.is_wait_counted = true;
    let context = job.context();
    let request = Request::new(context.clone(), job.body.take_payload(), job.connection.clone());
    let used_before = clock::used_by_thread();
    let reply = progress.span().in_scope(|| context.scope_blocking(|| handle(method, request)));
    progress.busy_ns = clock::used_by_thread().since(used_before);
    let at = clock::now();
    let _ = pool.admission.done(pool.number, progress.began, at);
    (reply, at)
}

fn handle(method: &Method, request: Request) -> Reply {
    let Run::Blocking(handler) = &method.run else { return Err(Failure::of_system(Status::NO_METHOD)) };
    catch_unwind(AssertUnwindSafe(|| handler(request))).unwrap_or_else(|_| Err(super::coroutine::lost(method)))
}
