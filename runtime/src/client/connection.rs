//! A connection to a server, for any number of calls at a time.
//!
//! A caller writes its request itself if no other call is open, and else leaves that to the connection's task: so one call alone
//! waits for nobody, and many share a system call. The task reads answers and wakes their callers.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context as Poller, Poll, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{Frame, HEADER_LEN, Header, Hello, Kind, Limits, Writer};
use parking_lot::Mutex;
use slab::Slab;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep};

use crate::clock;
use crate::net::outbox::{Flushed, Outbox};
use crate::net::stream::{ReadHalf, WriteHalf};

/// Bytes read at once.
const READ_BUFFER: usize = 64 << 10;
/// Room for the head of a request; more is made for longer ones.
const USUAL_HEAD: usize = 192;
/// The low bits of a call's id are its place among the open calls, the others tell those apart that had the place before.
const PLACE_BITS: u32 = 20;
const MAX_OPEN: usize = 1 << PLACE_BITS;

/// So long a server is left alone that goes away.
pub(crate) const GOING_AWAY_HOLD: Duration = Duration::from_secs(1);

thread_local! {
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into());
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    pub(crate) cursor: Cursor,
    /// For how long the cursor holds.
    pub(crate) hold_ms: u16,
    pub(crate) text: String,
    pub(crate) payload: Bytes,
}

impl Answer {
    /// What is said of a call that no server answers.
    pub(crate) fn none(status: Status) -> Answer {
        Answer { status, cursor: Cursor::OPEN, hold_ms: 0, text: String::new(), payload: Bytes::new() }
    }
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Connection {
    write: WriteHalf,
    outbox: Outbox,
    task: AtomicWaker,
    open: Mutex<OpenCalls>,
    /// The next deadline of an open call, or an earlier moment.
    earliest: AtomicU64,
    /// The server takes no new calls, or the connection is broken.
    is_leaving: AtomicBool,
    /// When the server said that it goes away; 0 if it has not.
    sent_away_at: AtomicU64,
    /// Nobody will call any more.
    is_dropped: AtomicBool,
}

#[derive(Debug)]
struct OpenCalls {
    calls: Slab<OpenCall>,
    /// Counts calls, to tell them apart.
    sequence: u32,
    /// The connection is over.
    end: Option<Status>,
}

#[derive(Debug)]
struct OpenCall {
    id: u32,
    deadline: Nanos,
    waker: Option<Waker>,
    answer: Option<Answer>,
}

impl Connection {
    /// Serves a connection by a task of `handle`, and says who calls.
    pub(crate) fn start(
        read: ReadHalf,
        write: WriteHalf,
        caller: &str,
        limits: Limits,
        handle: &Handle,
    ) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            write,
            outbox: Outbox::default(),
            task: AtomicWaker::new(),
            open: Mutex::new(OpenCalls { calls: Slab::new(), sequence: 0, end: None }),
            earliest: AtomicU64::new(Nanos::NEVER.0),
            is_leaving: AtomicBool::new(false),
            sent_away_at: AtomicU64::new(0),
            is_dropped: AtomicBool::new(false),
        });
        connection.outbox.push(|out| {
            put(out, &Header::new(Kind::Hello, 0), &[], |writer| Hello::from_caller(caller).write(writer))
                .expect("a caller's name was checked when the client was made");
        });
        let mut task =
            Task { connection: connection.clone(), read, limits, rest: Vec::new(), woken: Vec::new(), alarm: None };
        handle.spawn(async move { poll_fn(|cx| task.poll(cx)).await });
        connection
    }

    /// Whether it takes new calls.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_leaving.load(Relaxed)
    }

    /// Whether the server has said lately that it goes away: what listens at its address may still be the same.
    pub(crate) fn was_sent_away(&self, now: Nanos) -> bool {
        let at = self.sent_away_at.load(Relaxed);
        at != 0 && now.since(Nanos(at)) < GOING_AWAY_HOLD.as_nanos() as u64
    }

    /// Sends a request, whose id is filled in.
    ///
    /// # Errors
    ///
    /// Why it was not sent: nobody has seen it.
    pub(crate) fn send(
        self: &Arc<Self>,
        mut header: Header,
        deadline: Nanos,
        payload: &[u8],
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Result<Exchange, Status> {
        let (place, is_alone) = {
            let mut open = self.open.lock();
            if let Some(status) = open.end {
                return Err(status);
            }
            if open.calls.len() >= MAX_OPEN {
                return Err(Status::TOO_MANY_OPEN_CALLS);
            }
            open.sequence = open.sequence.wrapping_add(1);
            let place = open.calls.vacant_key();
            header.call_id = open.sequence << PLACE_BITS | place as u32;
            open.calls.insert(OpenCall { id: header.call_id, deadline, waker: None, answer: None });
            (place, open.calls.len() == 1)
        };
        let exchange = Exchange { connection: self.clone(), place, id: header.call_id, is_over: false };
        let mut written = Ok(());
        let is_first = self.outbox.push(|out| written = put(out, &header, payload, write));
        if let Err(status) = written {
            exchange.forget();
            return Err(status);
        }
        if deadline.0 < self.earliest.load(Relaxed) {
            self.earliest.fetch_min(deadline.0, Relaxed);
            self.task.wake();
        }
        if is_alone {
            self.flush();
        } else if is_first {
            self.task.wake();
        }
        Ok(exchange)
    }

    fn flush(&self) {
        match self.outbox.flush(&self.write) {
            Flushed::Done => {}
            Flushed::Blocked => self.task.wake(),
            Flushed::Broken => self.end(Status::WRITE_FAILED),
        }
    }

    /// The connection is over: so are its calls.
    fn end(&self, status: Status) {
        self.is_leaving.store(true, Relaxed);
        let wakers: Vec<Waker> = {
            let mut open = self.open.lock();
            open.end.get_or_insert(Status::CONNECT_FAILED);
            let unanswered = open.calls.iter_mut().filter(|(_, call)| call.answer.is_none());
            unanswered.filter_map(|(_, call)| call.end(Answer::none(status))).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
        self.task.wake();
    }

    /// No new calls come; when the open ones are over, so is the connection.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
        self.is_dropped.store(true, Relaxed);
        self.task.wake();
    }
}

impl OpenCall {
    /// Whom to wake.
    fn end(&mut self, answer: Answer) -> Option<Waker> {
        self.answer = Some(answer);
        self.waker.take()
    }
}

/// A request that was sent: a future of its answer. Dropping it tells the server that the answer is not wanted any more.
#[derive(Debug)]
pub(crate) struct Exchange {
    connection: Arc<Connection>,
    place: usize,
    id: u32,
    is_over: bool,
}

impl Exchange {
    fn forget(mut self) {
        self.is_over = true;
        self.connection.open.lock().calls.try_remove(self.place);
    }
}

impl Future for Exchange {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Answer> {
        let mut open = self.connection.open.lock();
        let call = &mut open.calls[self.place];
        let Some(answer) = call.answer.take() else {
            match &mut call.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => call.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        };
        open.calls.remove(self.place);
        drop(open);
        self.is_over = true;
        Poll::Ready(answer)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let was_answered = {
            let mut open = self.connection.open.lock();
            open.calls.try_remove(self.place).is_none_or(|call| call.answer.is_some())
        };
        if !was_answered && self.connection.outbox.push(|out| out.extend(Header::new(Kind::Cancel, self.id).emit())) {
            self.connection.task.wake();
        }
    }
}

/// Appends a frame.
fn put(out: &mut Vec<u8>, header: &Header, payload: &[u8], write: impl FnOnce(&mut Writer<'_>)) -> Result<(), Status> {
    let begin = out.len();
    let payload_len = u32::try_from(payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
    out.resize(begin + USUAL_HEAD, 0);
    let mut writer = Writer::new(&mut out[begin..]);
    write(&mut writer);
    let head_len = match writer.finish(header, payload_len) {
        Ok(len) => len,
        Err(status) => {
            out.truncate(begin);
            return Err(status);
        }
    };
    out.truncate(begin + head_len);
    out.extend_from_slice(payload);
    Ok(())
}

/// The task of a connection.
struct Task {
    connection: Arc<Connection>,
    read: ReadHalf,
    limits: Limits,
    /// The front of a frame whose rest has not arrived.
    rest: Vec<u8>,
    /// Callers to wake, when the open calls are not locked any more.
    woken: Vec<Waker>,
    /// When the next call is too late, if that is known to the clock.
    alarm: Option<(Nanos, Pin<Box<Sleep>>)>,
}

impl Task {
    fn poll(&mut self, cx: &mut Poller<'_>) -> Poll<()> {
        let connection = self.connection.clone();
        connection.task.register(cx.waker());
        connection.flush();
        while connection.outbox.is_blocked() {
            match connection.write.poll_writable(cx) {
                Poll::Ready(Ok(())) => {
                    connection.outbox.unblock();
                    connection.flush();
                }
                Poll::Ready(Err(_)) => {
                    connection.end(Status::WRITE_FAILED);
                    break;
                }
                Poll::Pending => break,
            }
        }
        let end = INPUT.with_borrow_mut(|input| self.read_all(cx, input));
        self.watch_deadlines(cx);
        if let Some(status) = end {
            connection.end(status);
        }
        let is_done = connection.is_dropped.load(Relaxed) && connection.open.lock().calls.is_empty();
        let is_over = connection.open.lock().end.is_some();
        if is_over || is_done { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes what has arrived; says how the connection ended, if it has.
    fn read_all(&mut self, cx: &mut Poller<'_>, input: &mut [u8]) -> Option<Status> {
        loop {
            match self.read.poll_read(cx, input) {
                Poll::Pending => return None,
                Poll::Ready(Ok(0) | Err(_)) => return Some(Status::READ_FAILED),
                Poll::Ready(Ok(len)) => {
                    let taken = self.take(&input[..len]);
                    self.woken.drain(..).for_each(Waker::wake);
                    if let Err(status) = taken {
                        return Some(status);
                    }
                }
            }
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<(), Status> {
        if self.rest.is_empty() {
            let used = self.take_frames(input)?;
            self.rest.extend_from_slice(&input[used..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(input);
        let used = self.take_frames(&rest)?;
        if used < rest.len() {
            rest.drain(..used);
            self.rest = rest;
        }
        Ok(())
    }

    /// Takes the frames at the front; says how many bytes they had.
    fn take_frames(&mut self, input: &[u8]) -> Result<usize, Status> {
        let mut used = 0;
        let mut open = self.connection.open.lock();
        while used < input.len() {
            let rest = &input[used..];
            let frame = match Frame::new_checked(rest, &self.limits) {
                Ok(frame) => frame,
                Err(Status::INCOMPLETE) => break,
                Err(status) => {
                    // One frame alone is wrong if one can say where the next begins.
                    let len = Frame::wanted(rest, &self.limits).map_err(|_| status)?;
                    let header =
                        rest.first_chunk::<HEADER_LEN>().and_then(|head| Header::parse(head, &self.limits).ok());
                    if len > rest.len() || status == Status::BAD_CHECKSUM {
                        return Err(status);
                    }
                    if let Some(header) = header.filter(|header| header.kind == Kind::Response) {
                        self.woken.extend(open.answer(header.call_id, || Answer::none(status)));
                    }
                    used += len;
                    continue;
                }
            };
            used += frame.len;
            match frame.header.kind {
                Kind::Response => self.woken.extend(open.answer(frame.header.call_id, || Answer {
                    status: frame.header.status,
                    cursor: Cursor(frame.header.cursor),
                    hold_ms: frame.metadata.reject_state().hold_ms,
                    text: frame.metadata.error_text().to_owned(),
                    payload: Bytes::copy_from_slice(frame.payload),
                })),
                Kind::GoAway => {
                    self.connection.sent_away_at.store(clock::now().0, Relaxed);
                    self.connection.is_leaving.store(true, Relaxed);
                }
                Kind::Ping => {
                    let pong = Header::new(Kind::Pong, frame.header.call_id).emit();
                    if self.connection.outbox.push(|out| out.extend(pong)) {
                        self.connection.task.wake();
                    }
                }
                Kind::Request | Kind::OneWay | Kind::Hello | Kind::Pong | Kind::Cancel => {}
            }
        }
        Ok(used)
    }

    /// Ends the calls that are too late, and has the clock wake the task for the next one.
    fn watch_deadlines(&mut self, cx: &mut Poller<'_>) {
        let connection = &self.connection;
        loop {
            let earliest = Nanos(connection.earliest.load(Relaxed));
            if earliest == Nanos::NEVER {
                self.alarm = None;
                return;
            }
            let now = clock::now();
            if now >= earliest {
                connection.earliest.store(Nanos::NEVER.0, Relaxed);
                let (wakers, next) = connection.open.lock().end_late(now);
                connection.earliest.fetch_min(next.0, Relaxed);
                wakers.into_iter().for_each(Waker::wake);
                continue;
            }
            let wake_at = Instant::now() + Duration::from_nanos(earliest.since(now));
            match &mut self.alarm {
                Some((known, _)) if *known == earliest => {}
                Some((known, sleep)) => {
                    *known = earliest;
                    sleep.as_mut().reset(wake_at);
                }
                None => self.alarm = Some((earliest, Box::pin(tokio::time::sleep_until(wake_at)))),
            }
            let has_rung = self.alarm.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready());
            if !has_rung {
                return;
            }
            self.alarm = None;
        }
    }
}

impl OpenCalls {
    /// Whom to wake for an answer; nobody waits for one that comes too late.
    fn answer(&mut self, id: u32, answer: impl FnOnce() -> Answer) -> Option<Waker> {
        let call = self.calls.get_mut(id as usize & (MAX_OPEN - 1))?;
        if call.id == id && call.answer.is_none() { call.end(answer()) } else { None }
    }

    /// Whom to wake because they are too late, and when the next one is.
    fn end_late(&mut self, now: Nanos) -> (Vec<Waker>, Nanos) {
        let (mut wakers, mut next) = (Vec::new(), Nanos::NEVER);
        for (_, call) in self.calls.iter_mut().filter(|(_, call)| call.answer.is_none()) {
            if call.deadline <= now {
                wakers.extend(call.end(Answer::none(Status::TIMED_OUT)));
            } else {
                next = next.min(call.deadline);
            }
        }
        (wakers, next)
    }
}
