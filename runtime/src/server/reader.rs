//! What an IO thread does with the bytes of one connection: frames, admission, and answers that need no worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use mcrpc_core::admission::Request as AdmissionRequest;
use mcrpc_core::context::Context as Decisive;
use mcrpc_core::status::Status;
use mcrpc_core::time::{Millis, Nanos};
use mcrpc_core::wire::checksum::TRAILER_LEN;
use mcrpc_core::wire::{Decoder, Event, Flags, Header, Hello, Kind, Metadata};

use super::connection::Connection;
use super::job::Job;
use super::memory::Lease;
use super::pool::Pool;
use super::reply;
use super::shared::Shared;
use super::worker;
use crate::clock;
use crate::context::Context;
use crate::failure::Failure;
use crate::methods::{InlineFn, Method, Run};
use crate::request::Inline;

/// The reading side of a connection.
pub(crate) struct Reader {
    decoder: Decoder,
    connection: Arc<Connection>,
    /// The frame that arrives in pieces.
    unfinished: Option<Unfinished>,
    said_go_away: bool,
}

struct Unfinished {
    header: Header,
    arrival: Nanos,
    /// Its metadata, and behind it its payload, as far as they have arrived. None if it was answered already.
    body: Option<(Vec<u8>, Lease)>,
}

/// What an IO thread works with while it takes what was read.
pub(crate) struct Turn<'t> {
    pub(crate) shared: &'t Shared,
    /// Answers to the connection that is read.
    pub(crate) out: &'t mut Vec<u8>,
    /// Requests for the workers, and for the blocking workers.
    pub(crate) jobs: &'t mut [Vec<Job>; 2],
    now: Nanos,
}

impl<'t> Turn<'t> {
    pub(crate) fn new(shared: &'t Shared, out: &'t mut Vec<u8>, jobs: &'t mut [Vec<Job>; 2]) -> Turn<'t> {
        Turn { shared, out, jobs, now: clock::now() }
    }

    /// The time at which what is taken was read; later, when an inline handler has taken some.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }
}

impl Reader {
    pub(crate) fn new(connection: Arc<Connection>, shared: &Shared) -> Reader {
        Reader { decoder: Decoder::new(shared.config.limits), connection, unfinished: None, said_go_away: false }
    }

    /// Since when the rest of a frame is waited for.
    pub(crate) fn waits_since(&self) -> Option<Nanos> {
        self.unfinished.as_ref().map(|unfinished| unfinished.arrival)
    }

    /// Says that no new requests are taken, once.
    pub(crate) fn say_go_away(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.said_go_away, true) {
            out.extend_from_slice(&Header::new(Kind::GoAway, 0).emit());
        }
    }

    /// Takes what was read.
    ///
    /// # Errors
    ///
    /// The peer broke the rules, so that nobody knows where the next frame begins: the connection has to be closed.
    pub(crate) fn read(&mut self, mut input: &[u8], turn: &mut Turn<'_>) -> Result<(), Status> {
        for _ in 0..self.connection.take_answered() {
            self.decoder.answered();
        }
        // The frame that lies in the input as a whole; another one is in `unfinished`.
        let mut whole: Option<Inline<'_>> = None;
        loop {
            let step = self.decoder.next(input)?;
            input = &input[step.used..];
            match step.event {
                None => return Ok(()),
                Some(Event::Header(header)) => {
                    let trailer_len = if header.flags.contains(Flags::CRC_TRAILER) { TRAILER_LEN } else { 0 };
                    if input.len() >= header.body_len as usize + trailer_len {
                        whole = Some(Inline { header, metadata: &[], payload: &[], arrival: turn.now });
                    } else {
                        self.unfinished = Some(self.begin(header, turn));
                    }
                }
                Some(Event::Refused(header, status)) => refuse(&header, status, turn)?,
                Some(Event::Metadata(piece)) => match &mut whole {
                    Some(frame) => frame.metadata = piece,
                    None => self.collect(piece, turn),
                },
                Some(Event::Payload(piece)) => match &mut whole {
                    Some(frame) => frame.payload = piece,
                    None => self.collect(piece, turn),
                },
                Some(Event::Checked | Event::Skipped) => {}
            }
            if !step.ends_frame {
                continue;
            }
            if let Some(frame) = whole.take() {
                self.take(&frame, turn)?;
            } else if let Some(Unfinished { header, arrival, body: Some((body, _lease)) }) = self.unfinished.take() {
                let (metadata, payload) = body.split_at(usize::from(header.metadata_len).min(body.len()));
                self.take(&Inline { header, metadata, payload, arrival }, turn)?;
            }
        }
    }

    /// Waits for the rest of a frame, unless it is a request that is refused now.
    fn begin(&mut self, header: Header, turn: &mut Turn<'_>) -> Unfinished {
        let arrival = turn.now;
        let verdict = self.judge_early(&header, turn);
        if let Err(status) = verdict {
            self.fail(&header, status, turn);
        }
        let body = verdict.is_ok().then(|| (Vec::new(), turn.shared.memory.lease()));
        Unfinished { header, arrival, body }
    }

    /// What the header alone is refused for, as things are: then its body need not be kept.
    fn judge_early(&self, header: &Header, turn: &Turn<'_>) -> Result<(), Status> {
        if header.kind != Kind::Request {
            return Ok(());
        }
        let (_, pool) = self.find(header, turn)?;
        let request = AdmissionRequest::from_context(&Decisive::from_header(header, turn.now), turn.shared.salt);
        if pool.would_admit(&request) { Ok(()) } else { Err(Status::BELOW_CURSOR) }
    }

    /// Keeps a piece of a frame, if there is memory for it.
    fn collect(&mut self, piece: &[u8], turn: &mut Turn<'_>) {
        let Some(unfinished) = &mut self.unfinished else { return };
        let Some((body, lease)) = &mut unfinished.body else { return };
        if lease.extend(piece.len()) {
            body.extend_from_slice(piece);
        } else {
            unfinished.body = None;
            let header = unfinished.header;
            self.fail(&header, Status::QUEUE_FULL, turn);
        }
    }

    /// Takes a frame that is whole, and whose metadata nobody has looked at.
    fn take(&mut self, frame: &Inline<'_>, turn: &mut Turn<'_>) -> Result<(), Status> {
        let metadata = match Metadata::new_checked(frame.metadata, &turn.shared.config.limits) {
            Ok(metadata) => metadata,
            Err(status) => {
                self.answered(&frame.header);
                return refuse(&frame.header, status, turn);
            }
        };
        match frame.header.kind {
            Kind::Request | Kind::OneWay => {
                if let Err(status) = self.request(frame, turn) {
                    self.fail(&frame.header, status, turn);
                }
            }
            Kind::Ping => turn.out.extend_from_slice(&Header::new(Kind::Pong, frame.header.call_id).emit()),
            Kind::Cancel => self.connection.cancel(frame.header.call_id),
            Kind::Hello => self.connection.set_caller(Hello::read(metadata).caller),
            Kind::Pong | Kind::GoAway | Kind::Response => {}
        }
        Ok(())
    }

    fn find<'t>(&self, header: &Header, turn: &Turn<'t>) -> Result<(&'t Arc<Method>, &'t Pool), Status> {
        if self.said_go_away {
            return Err(Status::GOING_AWAY);
        }
        turn.shared.find(header.method_id).ok_or(Status::NO_METHOD)
    }

    /// Takes a request, or says why not.
    #[inline]
    fn request(&mut self, frame: &Inline<'_>, turn: &mut Turn<'_>) -> Result<(), Status> {
        let Inline { header, metadata, payload, arrival } = *frame;
        let (method, pool) = self.find(&header, turn)?;
        let mut context = Decisive::from_header(&header, arrival);
        if header.budget_ms == Millis::UNLIMITED.0 {
            context.deadline = arrival.deadline_after(turn.shared.config.default_timeout);
        }
        let counted = |status| {
            method.stats.count(status);
            status
        };
        pool.admit(&AdmissionRequest::from_context(&context, turn.shared.salt), turn.now).map_err(counted)?;
        if let Run::Inline(run) = &method.run {
            let began = turn.now;
            // There is no queue but the bytes that were read.
            pool.admission.dequeued(pool.number, arrival, context.deadline, began).map_err(counted)?;
            let status = run_inline(run.as_ref(), frame, method, pool, turn.out);
            turn.now = clock::now();
            // Fails only for a queue that there is not.
            let _ = pool.admission.done(pool.number, began, turn.now);
            method.stats.queue_wait.record_ns(began.since(arrival));
            method.stats.service_time.record_ns(turn.now.since(began));
            method.stats.count(status);
            self.answered(&header);
            return Ok(());
        }
        let mut lease = turn.shared.memory.lease();
        if !lease.extend(payload.len()) {
            let _ = pool.admission.abandoned(pool.number);
            return Err(counted(Status::QUEUE_FULL));
        }
        self.connection.opened();
        turn.jobs[usize::from(matches!(method.run, Run::Blocking(_)))].push(Job {
            method: method.clone(),
            context: Context::from_parts(header, metadata, arrival).not_after(context.deadline),
            payload: Bytes::copy_from_slice(payload),
            connection: self.connection.clone(),
            admitted_at: turn.now,
            _lease: lease,
        });
        Ok(())
    }

    /// Answers a request that was counted as open.
    fn fail(&mut self, header: &Header, status: Status, turn: &mut Turn<'_>) {
        put_failure(header, status, turn);
        self.answered(header);
    }

    fn answered(&mut self, header: &Header) {
        if header.kind == Kind::Request {
            self.decoder.answered();
        }
    }
}

/// A frame that must not be acted on.
fn refuse(header: &Header, status: Status, turn: &mut Turn<'_>) -> Result<(), Status> {
    match header.kind {
        Kind::Request => {
            put_failure(header, status, turn);
            Ok(())
        }
        Kind::Response | Kind::OneWay | Kind::Cancel => Ok(()),
        Kind::Hello | Kind::Ping | Kind::Pong | Kind::GoAway => Err(status),
    }
}

fn put_failure(header: &Header, status: Status, turn: &mut Turn<'_>) {
    if header.kind == Kind::Request {
        let load = turn.shared.pool_of(header.method_id).load();
        reply::put_failure(turn.out, header, load, &Failure::of_system(status));
    }
}

#[inline]
fn run_inline(run: &InlineFn, request: &Inline<'_>, method: &Method, pool: &Pool, out: &mut Vec<u8>) -> Status {
    let handle = |out: &mut Vec<u8>| {
        catch_unwind(AssertUnwindSafe(|| run(request, out))).unwrap_or_else(|_| Err(worker::lost(method)))
    };
    if request.header.kind == Kind::Request {
        return reply::put_written(out, &request.header, || pool.load(), handle);
    }
    let begin = out.len();
    let status = handle(out).map_or_else(|failure| failure.status(), |()| Status::OK);
    out.truncate(begin);
    status
}
