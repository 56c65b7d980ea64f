//! A request that a worker has taken, from its turn to its answer: what is the same whether its handler may wait or block.

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Kind;
use tracing::Span;

use super::held::{Held, status_of};
use super::job::Job;
use super::noted::Noted;
use super::pool::Pool;
use super::shared::Shared;
use crate::context::Context;
use crate::methods::Method;
use crate::request::Reply;
use crate::spans;
use crate::stats::Handled;

/// How far a request has come.
pub(super) struct Progress {
    span: Span,
    /// There if it is logged.
    logged: Option<Box<Context>>,
    /// T2.
    pub(super) began: Nanos,
    /// T2 - T1.
    pub(super) waited_ns: u64,
    /// How long its handler ran, without the time in which it waited.
    pub(super) busy_ns: u64,
    /// `waited_ns` is counted already, as its handler takes a while.
    pub(super) is_wait_counted: bool,
}

/// What a request is found to be whose turn has come.
pub(super) enum Begun<'s> {
    /// One whose handler is to run.
    Runs(&'s Method),
    /// One that is too late.
    Refused(&'s Method, Status),
    /// Nobody's any more.
    Unwanted,
}

/// How a request ended.
pub(super) struct End<'r> {
    pub(super) at: Nanos,
    /// None if its caller has given it up.
    pub(super) reply: Option<&'r Reply>,
    /// How long its handler took, if it was run.
    pub(super) service_ns: Option<u64>,
}

impl Progress {
    pub(super) fn new(began: Nanos, waited_ns: u64) -> Progress {
        Progress { span: Span::none(), logged: None, began, waited_ns, busy_ns: 0, is_wait_counted: false }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }
}

/// Begins a request.
#[inline(always)]
pub(super) fn begin<'s>(
    shared: &'s Shared,
    pool: &Pool,
    job: &mut Job,
    progress: &mut Progress,
    began: Nanos,
) -> Begun<'s> {
    let method = shared.methods.get(job.method);
    let method = method.filter(|_| !job.connection.is_closed() && !job.connection.take_cancel(job.to.header.call_id));
    let Some(method) = method else {
        let _ = pool.admission.abandoned(pool.number);
        job.noted.iter_mut().for_each(|noted| noted.leaves(Status::OUT_OF_TIME, began));
        job.connection.ended(1);
        return Begun::Unwanted;
    };
    *progress = Progress::new(began, began.since(job.admitted_at));
    progress.span = spans::of_request(&method.name, &job.connection, || job.context());
    if method.stats.is_logged() {
        progress.logged = Some(Box::new(job.context()));
    }
    let admitted = Noted::dequeue(&mut job.noted, pool, progress.waited_ns, began, || {
        pool.admission.dequeued(pool.number, job.admitted_at, job.deadline, began)
    });
    match admitted {
        Ok(()) => Begun::Runs(method),
        Err(status) => {
            method.stats.count_dropped();
            Begun::Refused(method, status)
        }
    }
}

/// Ends a request: its answer is held, and counted with it. Whether there is room for more.
#[inline(always)]
pub(super) fn end(
    (method, pool): (&Method, &Pool),
    job: &mut Job,
    progress: &mut Progress,
    End { at, reply, service_ns }: End<'_>,
    held: &mut Held,
) -> bool {
    let Job { to, connection, permit, noted, .. } = job;
    let &mut Progress { ref mut span, ref mut logged, waited_ns, busy_ns, is_wait_counted, .. } = progress;
    let status = status_of(reply);
    // It is closed now, and not when the next request comes.
    if !span.is_none() {
        spans::ended(&std::mem::replace(span, Span::none()), status);
    }
    noted.iter_mut().for_each(|noted| noted.ends(status, service_ns, at));
    if let Some(context) = logged.take() {
        let took_ns = [waited_ns, service_ns.unwrap_or(0)];
        spans::log(&method.name, &connection.caller_of(&context), &context, status, took_ns);
    }
    connection.take_cancel(to.header.call_id);
    // Whoever has the answer may send the next one.
    *permit = None;
    let answer = reply.filter(|_| to.header.kind == Kind::Request).map(|reply| (&*to, pool.load(), reply));
    let handled = Handled {
        method: method.number,
        caller: connection.caller_number(),
        waited_ns: (!is_wait_counted).then_some(waited_ns),
        service_ns,
        busy_ns,
        ended: at,
        status,
        is_answered: answer.is_some(),
    };
    let has_room = held.push(connection, answer, handled);
    noted.take().into_iter().for_each(|noted| held.note(*noted));
    has_room
}
