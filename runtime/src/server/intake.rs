//! From a whole request, of whatever protocol, to a job, an answer, or a refusal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mcrpc_core::admission::{Key, Request as AdmissionRequest, Turn as AdmissionTurn};
use mcrpc_core::context::Context as Decisive;
use mcrpc_core::select::call::Withheld;
use mcrpc_core::status::Status;
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::{Header, Kind, Limits, Metadata};

use super::connection::Connection;
use super::coroutine::lost;
use super::job::{Job, Jobs};
use super::limits::{Gate, Permit, Refusal};
use super::noted::Noted;
use super::pool::Pool;
use super::rates::Caller;
use super::reply::{self, Load, ReplyTo};
use super::shared::Shared;
use crate::clock;
use crate::methods::{InlineFn, Method, Run};
use crate::request::Inline;
use crate::spans;
use crate::stats::Handled;
use crate::stats::handled::Batch;

/// So many bytes of answers are written before more is taken.
pub(super) const MAX_ANSWERS: usize = 128 << 10;

/// What an IO thread works with while it takes what was read.
pub(crate) struct Turn<'t> {
    pub(crate) shared: &'t Shared,
    connection: &'t Connection,
    /// Answers to the connection that is read.
    pub(crate) out: &'t mut Vec<u8>,
    jobs: &'t mut Jobs,
    /// Requests among them, and bytes of their bodies, that are not counted yet where other threads see it.
    opened: u32,
    opened_len: usize,
    /// Requests that inline handlers have handled: counted together.
    handled: &'t mut Batch,
    /// That of inline handlers, once there is one.
    inline: Option<AdmissionTurn<'t>>,
    /// The method that was called last: mostly the next one's too.
    found: Option<(u32, &'t Arc<Method>, &'t Pool)>,
    /// Refusals that are not counted yet: of one method, for one reason.
    refused: Option<(&'t Method, Status, u64)>,
    /// What the refusals of a pool say, once there is one.
    load: Option<(&'t Pool, Load)>,
    now: Nanos,
}

impl<'t> Turn<'t> {
    pub(crate) fn new(
        shared: &'t Shared,
        connection: &'t Connection,
        out: &'t mut Vec<u8>,
        jobs: &'t mut Jobs,
        handled: &'t mut Batch,
    ) -> Turn<'t> {
        let (inline, found, refused, load, now) = (None, None, None, None, clock::now());
        Turn { shared, connection, out, jobs, opened: 0, opened_len: 0, handled, inline, found, refused, load, now }
    }

    /// Whether one more request may wait.
    #[inline]
    fn room_for(&self, body_len: usize) -> Result<(), Status> {
        let most = self.shared.config.limits.max_open_calls;
        if most > 0 && self.connection.open_calls() + self.opened >= most {
            return Err(Status::TOO_MANY_OPEN_CALLS);
        }
        if self.shared.memory.has_room(self.opened_len + body_len) { Ok(()) } else { Err(Status::QUEUE_FULL) }
    }

    /// Counts what was refused, whose callers have not heard of it yet, and what was taken for the workers, who have nothing of it yet.
    pub(crate) fn settle(&mut self) {
        if let Some((method, status, count)) = self.refused.take() {
            method.stats.count(self.connection.caller_number(), status, count);
        }
        if self.opened > 0 {
            self.connection.opened(std::mem::take(&mut self.opened));
            self.shared.memory.take(std::mem::take(&mut self.opened_len));
        }
    }

    #[inline(never)]
    fn find(&mut self, method_id: u32) -> Result<(&'t Arc<Method>, &'t Pool), Status> {
        let Some((method, pool)) = self.shared.find(method_id) else {
            self.shared.observed.unknown_methods.fetch_add(1, Relaxed);
            return Err(Status::NO_METHOD);
        };
        self.found = Some((method_id, method, pool));
        Ok((method, pool))
    }

    /// Counts a refusal: those that come one after another are mostly alike.
    #[inline]
    fn count_refused(&mut self, method: &'t Method, status: Status) {
        match &mut self.refused {
            Some((of, why, count)) if std::ptr::eq(*of, method) && *why == status => *count += 1,
            _ => self.begin_refusals(method, status),
        }
    }

    #[inline(never)]
    fn begin_refusals(&mut self, method: &'t Method, status: Status) {
        self.settle();
        self.refused = Some((method, status, 1));
    }

    /// What a refusal says of the pool: the same in all of the turn.
    #[inline]
    fn load_of(&mut self, pool: &'t Pool) -> Load {
        match self.load {
            Some((of, load)) if std::ptr::eq(of, pool) => load,
            _ => self.look_at(pool),
        }
    }

    #[inline(never)]
    fn look_at(&mut self, pool: &'t Pool) -> Load {
        self.load.insert((pool, pool.load())).1
    }

    /// Whether answers have to be written before more is taken.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= MAX_ANSWERS
    }

    /// The time at which what is taken was read; later, when an inline handler has taken some.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Takes the requests of one connection.
pub(crate) struct Intake {
    pub(crate) connection: Arc<Connection>,
    /// Who calls, as its hello said.
    caller: Caller,
    is_closed: bool,
    /// What the next request that is recorded says of requests that were withheld.
    withheld: (u16, Key),
}

/// A request that admission is asked about, and who would run it.
struct Asked<'r, 't> {
    request: &'r Inline<'r>,
    method: &'t Arc<Method>,
    pool: &'t Pool,
    concern: AdmissionRequest,
}

impl Intake {
    pub(crate) fn new(connection: Arc<Connection>) -> Intake {
        Intake { connection, caller: Caller::of(""), is_closed: false, withheld: (0, Key(0)) }
    }

    /// Binds the caller's name.
    pub(crate) fn set_caller(&mut self, name: &str, turn: &mut Turn<'_>) {
        turn.settle();
        self.caller = Caller::of(name);
        self.connection.set_caller(name, &turn.shared.observed.callers);
    }

    /// Takes no requests from now on. Whether it did before.
    pub(crate) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.is_closed, true)
    }

    /// What a header alone is refused for, as things are: then its body need not be kept.
    pub(crate) fn judge_early(&mut self, header: &Header, turn: &mut Turn<'_>) -> Result<(), Status> {
        let (method, pool) = self.find(header, turn)?;
        let concern = AdmissionRequest::from_context(&Decisive::from_header(header, turn.now), turn.shared.salt());
        pool.judge_early(&concern).inspect_err(|&status| {
            let request = &Inline::new(ReplyTo::native(*header), turn.now);
            if let Some(mut noted) = self.note(&Asked { request, method, pool, concern }, turn) {
                noted.is_refused_early(status, turn.now);
            }
        })
    }

    /// Takes a request whose metadata are valid.
    #[inline]
    pub(crate) fn take<'t>(&mut self, request: &Inline<'_>, turn: &mut Turn<'t>) {
        let found = self.find(&request.to.header, turn);
        match found {
            Ok((method, pool)) if let Run::Inline(_) = method.run => self.take_here(request, method, pool, turn),
            Ok((method, pool)) => self.take_for_workers(request, method, pool, turn),
            Err(status) => refuse(&request.to, status, "", &turn.shared.workers, turn),
        }
    }

    /// Takes a request for a handler that runs here. Once for all protocols, so that what it calls is compiled into it.
    #[inline(never)]
    fn take_here<'t>(&mut self, request: &Inline<'_>, method: &'t Arc<Method>, pool: &'t Pool, turn: &mut Turn<'t>) {
        let Run::Inline(run) = &method.run else { return };
        let taken = self
            .ask(request, method, pool, turn)
            .and_then(|(asked, _permit)| Ok(self.run_here(run.as_ref(), &asked, turn)?));
        self.settle_one(taken, (request, method, pool), turn);
    }

    /// The same, for a handler of the workers.
    #[inline(never)]
    fn take_for_workers<'t>(
        &mut self,
        request: &Inline<'_>,
        method: &'t Arc<Method>,
        pool: &'t Pool,
        turn: &mut Turn<'t>,
    ) {
        let taken =
            self.ask(request, method, pool, turn).and_then(|(asked, permit)| Ok(self.enqueue(&asked, permit, turn)?));
        self.settle_one(taken, (request, method, pool), turn);
    }

    /// Counts and answers a request that was not taken.
    #[inline(always)]
    fn settle_one<'t>(
        &self,
        taken: Result<(), Refusal>,
        (request, method, pool): (&Inline<'_>, &'t Arc<Method>, &'t Pool),
        turn: &mut Turn<'t>,
    ) {
        if let Err(why) = taken {
            turn.count_refused(method, why.status);
            if method.stats.is_logged() {
                self.log(method, request, why.status, [turn.now.since(request.arrival), 0]);
            }
            refuse_here(&request.to, why.status, why.text, pool, turn);
        }
    }

    /// What admission is to be asked about a request that is within its limits.
    #[inline(always)]
    fn ask<'r, 't>(
        &mut self,
        request: &'r Inline<'r>,
        method: &'t Arc<Method>,
        pool: &'t Pool,
        turn: &mut Turn<'t>,
    ) -> Result<(Asked<'r, 't>, Option<Permit>), Refusal> {
        let permit =
            self.limit(request, method, turn).inspect_err(|why| self.note_limited(request, method, why, turn))?;
        let header = &request.to.header;
        let mut decisive = Decisive::from_header(header, request.arrival);
        if header.budget_ms == Millis::UNLIMITED.0 {
            decisive.deadline = request.arrival.deadline_after(turn.shared.default_timeout());
        }
        let concern = AdmissionRequest::from_context(&decisive, turn.shared.salt());
        Ok((Asked { request, method, pool, concern }, permit))
    }

    /// Runs the handler. There is no queue but the bytes that were read.
    #[inline(always)]
    fn run_here<'t>(&mut self, run: &InlineFn, asked: &Asked<'_, 't>, turn: &mut Turn<'t>) -> Result<(), Status> {
        let &Asked { request, method, pool, ref concern } = asked;
        let (arrival, began, mut noted) = (request.arrival, turn.now, self.note(asked, turn));
        if turn.inline.is_none() {
            turn.inline = pool.admission.turn(pool.number, began).ok();
        }
        // There is none only for a queue that there is not.
        let Some(admission) = &mut turn.inline else { return Err(Status::INVALID_ARGUMENT) };
        Noted::admit(&mut noted, pool, began, || admission.admit(concern, arrival, began))?;
        let span = spans::of_request(&method.name, &self.connection, || request.context());
        let status = span.in_scope(|| run_inline(run, request, method, pool, turn.out));
        spans::ended(&span, status);
        turn.now = clock::now();
        admission.done(began, turn.now);
        let [waited_ns, service_ns] = [began.since(arrival), turn.now.since(began)];
        if method.stats.is_logged() {
            self.log(method, request, status, [waited_ns, service_ns]);
        }
        turn.handled.push(Handled {
            method: method.number,
            caller: self.connection.caller_number(),
            waited_ns: Some(waited_ns),
            service_ns: Some(service_ns),
            busy_ns: service_ns,
            ended: turn.now,
            status,
            is_answered: request.to.header.kind == Kind::Request,
        });
        if let Some(mut noted) = noted {
            noted.begins(waited_ns, began);
            noted.ends(status, Some(service_ns), turn.now);
            turn.handled.note(*noted);
        }
        Ok(())
    }

    /// Takes a request, if it is admitted, for the workers or for the blocking ones.
    #[inline(always)]
    fn enqueue(&mut self, asked: &Asked<'_, '_>, permit: Option<Permit>, turn: &mut Turn<'_>) -> Result<(), Status> {
        let &Asked { pool, ref concern, .. } = asked;
        let mut noted = self.note(asked, turn);
        Noted::admit(&mut noted, pool, turn.now, || pool.admit(concern, turn.now))?;
        self.begin_job(asked, permit, noted, turn)
    }

    /// Makes a job of a request that is admitted: apart, so that a refusal needs few registers.
    #[inline(never)]
    fn begin_job(
        &self,
        asked: &Asked<'_, '_>,
        permit: Option<Permit>,
        mut noted: Option<Box<Noted>>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Status> {
        let &Asked { request, method, pool, ref concern } = asked;
        let body_len = request.metadata.len() + request.payload.len();
        if let Err(status) = turn.room_for(body_len) {
            let _ = pool.admission.abandoned(pool.number);
            noted.iter_mut().for_each(|noted| noted.leaves(status, turn.now));
            return Err(status);
        }
        self.connection.take_cancel(request.to.header.call_id);
        turn.opened += 1;
        turn.opened_len += body_len;
        let body = turn.jobs.copy_body(request);
        let job = Job {
            method: method.number,
            to: request.to,
            arrival: request.arrival,
            deadline: concern.deadline,
            body,
            connection: self.connection.clone(),
            admitted_at: turn.now,
            permit,
            noted,
        };
        turn.jobs.push(matches!(method.run, Run::Blocking(_)), job);
        Ok(())
    }

    /// The caller did not send so many requests, because the server's cursor would have refused them: they are demand too.
    #[inline]
    pub(crate) fn note_withheld(&mut self, header: &Header, withheld: Withheld, turn: &Turn<'_>) {
        if withheld.count > 0
            && let Some((_, pool)) = turn.shared.find(header.method_id)
        {
            // Fails only for a queue that there is not.
            let _ = pool.admission.withheld(pool.number, withheld.key, withheld.count);
            if turn.shared.is_recording() {
                self.withheld = (u16::try_from(withheld.count).unwrap_or(u16::MAX), withheld.key);
            }
        }
    }

    /// Answers and counts a request that is not looked at: it breaks a rule, or has not arrived as a whole.
    pub(crate) fn refuse(&self, to: &ReplyTo, status: Status, turn: &mut Turn<'_>) {
        let pool = match turn.shared.find(to.header.method_id) {
            Some((method, pool)) => {
                turn.count_refused(method, status);
                pool
            }
            None => &turn.shared.workers,
        };
        refuse(to, status, "", pool, turn);
    }

    /// Whether the caller's and the method's limits allow the request.
    #[inline(always)]
    fn limit(&self, request: &Inline<'_>, method: &Arc<Method>, turn: &Turn<'_>) -> Result<Option<Permit>, Refusal> {
        if turn.shared.limits_callers() {
            turn.shared.count_caller(self.caller_of(request.metadata), turn.now)?;
        }
        Gate::enter(method)
    }

    /// A request that admission is asked about, if it is recorded.
    #[inline]
    fn note(&mut self, asked: &Asked<'_, '_>, turn: &Turn<'_>) -> Option<Box<Noted>> {
        if turn.shared.is_recording() { self.note_it(asked, turn) } else { None }
    }

    #[cold]
    fn note_it(&mut self, asked: &Asked<'_, '_>, turn: &Turn<'_>) -> Option<Box<Noted>> {
        let &Asked { request, method, pool, ref concern } = asked;
        let withheld = std::mem::replace(&mut self.withheld, (0, Key(0)));
        let mut noted = Noted::begin(turn.shared, &self.connection, method, request)?;
        let arrived = if let Run::Inline(_) = method.run { request.arrival } else { turn.now };
        noted.asks(pool, concern, request.uin(), arrived, withheld);
        Some(noted)
    }

    /// A request that is refused without asking admission, if it is recorded.
    #[cold]
    fn note_limited(&self, request: &Inline<'_>, method: &Arc<Method>, why: &Refusal, turn: &Turn<'_>) {
        if turn.shared.is_recording()
            && let Some(mut noted) = Noted::begin(turn.shared, &self.connection, method, request)
        {
            noted.refused(why.status, turn.now);
        }
    }

    /// Who sends a request: as itself says, or its connection.
    #[inline(never)]
    fn caller_of(&self, metadata: &[u8]) -> Caller {
        match Metadata::new_checked(metadata, &Limits::WIDEST).map_or("", |metadata| metadata.caller()) {
            "" => self.caller,
            name => Caller::of(name),
        }
    }

    #[inline]
    fn find<'t>(&self, header: &Header, turn: &mut Turn<'t>) -> Result<(&'t Arc<Method>, &'t Pool), Status> {
        if self.is_closed {
            return Err(Status::GOING_AWAY);
        }
        match turn.found {
            Some((method_id, method, pool)) if method_id == header.method_id => Ok((method, pool)),
            _ => turn.find(header.method_id),
        }
    }

    #[cold]
    fn log(&self, method: &Method, request: &Inline<'_>, status: Status, took_ns: [u64; 2]) {
        let context = request.context();
        spans::log(&method.name, &self.connection.caller_of(&context), &context, status, took_ns);
    }
}

#[inline(never)]
fn refuse<'t>(to: &ReplyTo, status: Status, text: &'static str, pool: &'t Pool, turn: &mut Turn<'t>) {
    refuse_here(to, status, text, pool, turn);
}

#[inline(always)]
fn refuse_here<'t>(to: &ReplyTo, status: Status, text: &'static str, pool: &'t Pool, turn: &mut Turn<'t>) {
    if to.header.kind == Kind::Request {
        let load = turn.load_of(pool);
        reply::put_refusal(turn.out, to, load, status, text);
    }
}

#[inline]
fn run_inline(run: &InlineFn, request: &Inline<'_>, method: &Method, pool: &Pool, out: &mut Vec<u8>) -> Status {
    let handle =
        |out: &mut Vec<u8>| catch_unwind(AssertUnwindSafe(|| run(request, out))).unwrap_or_else(|_| Err(lost(method)));
    if request.to.header.kind == Kind::Request {
        return reply::put_written(out, &request.to, || pool.load(), handle);
    }
    let begin = out.len();
    let status = handle(out).map_or_else(|failure| failure.status(), |()| Status::OK);
    out.truncate(begin);
    status
}
