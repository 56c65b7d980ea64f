//! A connection to a server, for any number of calls at a time.
//!
//! A caller writes its request itself if no other call is open, and else leaves that to the connection's task: so one call alone
//! waits for nobody, and many share a system call. Where many are made at once and no server has anything to do, the first of them
//! are written before the last is made. The task reads answers and wakes their callers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::task::{Context as Poller, Poll, Waker};
use std::time::Duration;

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{HEADER_LEN, Header, Hello, Kind, Limits, Writer};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::open_calls::OpenCalls;
use super::task::Task;
use crate::clock;
use crate::failure::Reject;
use crate::net::outbox::{Flushed, Outbox};
use crate::net::stream::{ReadHalf, WriteHalf};

/// What a full turn of calls needs: a client has few connections, and each is busy.
const KEPT_OUTPUT: usize = 64 << 10;
/// Room for the head of a request; more is made for longer ones.
const USUAL_HEAD: usize = HEADER_LEN + 64;

/// So many bytes are worth a system call of their own where servers would wait for it.
const EARLY: usize = 2 << 10;

/// While so many bytes wait because the server takes none, it is sent no more.
pub(super) const MAX_UNSENT_LEN: usize = 16 << 20;

/// So long a server is left alone that goes away.
pub(crate) const GOING_AWAY_HOLD: Duration = Duration::from_secs(1);

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// What the server said of what it refuses.
    pub(crate) reject: Reject,
    /// When it came.
    pub(crate) at: Nanos,
    /// The payload; of a failure, its text.
    pub(crate) body: Bytes,
}

impl Answer {
    /// What is said of a call that no server answers.
    pub(crate) fn none(status: Status, at: Nanos) -> Answer {
        Answer { status, reject: Reject::NONE, at, body: Bytes::new() }
    }
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) write: WriteHalf,
    pub(super) outbox: Outbox,
    pub(super) task: AtomicWaker,
    pub(super) open: Mutex<OpenCalls>,
    /// The next deadline of an open call, or an earlier moment.
    pub(super) earliest: AtomicU64,
    /// The server takes no new calls, or the connection is broken.
    pub(super) is_leaving: AtomicBool,
    /// When the server said that it goes away; 0 if it has not.
    pub(super) sent_away_at: AtomicU64,
    /// Nobody will call any more.
    pub(super) is_dropped: AtomicBool,
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
            outbox: Outbox::keeping(KEPT_OUTPUT),
            task: AtomicWaker::new(),
            open: Mutex::new(OpenCalls::new()),
            earliest: AtomicU64::new(Nanos::NEVER.0),
            is_leaving: AtomicBool::new(false),
            sent_away_at: AtomicU64::new(0),
            is_dropped: AtomicBool::new(false),
        });
        connection.outbox.push(|out| {
            put(out, &Header::new(Kind::Hello, 0), &[], |writer| Hello::from_caller(caller).write(writer))
                .expect("a caller's name was checked when the client was made");
        });
        handle.spawn(Task::new(connection.clone(), read, limits).run());
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

    /// Sends a request, whose id is filled in. `waker` is that of the task which waits for the answer.
    ///
    /// # Errors
    ///
    /// Why it was not sent: nobody has seen it.
    pub(crate) fn send(
        self: Arc<Self>,
        mut header: Header,
        deadline: Nanos,
        now: Nanos,
        payload: &[u8],
        waker: Waker,
        write: impl Fn(&mut Writer<'_>),
    ) -> Result<Exchange, Status> {
        let (is_alone, keeps_servers_waiting) = {
            let mut open = self.open.lock();
            if let Some(status) = open.end {
                return Err(status);
            }
            let opened = open.open(deadline, waker, now);
            if !open.has_ids() {
                self.leave();
            }
            header.call_id = opened?;
            (open.len() == 1, open.keeps_servers_waiting())
        };
        let (mut written, mut unsent_len) = (Ok(()), 0);
        let pushed = self.outbox.push_below(MAX_UNSENT_LEN, |out| {
            written = put(out, &header, payload, &write);
            unsent_len = out.len();
        });
        let is_first = match written.and(pushed.ok_or(Status::TOO_MANY_OPEN_CALLS)) {
            Ok(is_first) => is_first,
            Err(status) => {
                let _given_up = self.open.lock().give_up(header.call_id);
                return Err(status);
            }
        };
        if deadline.0 < self.earliest.load(Relaxed) {
            self.earliest.fetch_min(deadline.0, Relaxed);
            self.task.wake();
        }
        if is_alone || (keeps_servers_waiting && unsent_len >= EARLY) {
            self.flush();
        } else if is_first {
            self.task.wake();
        }
        Ok(Exchange { connection: self, id: header.call_id, is_over: false })
    }

    pub(super) fn flush(&self) {
        self.open.lock().sent();
        match self.outbox.flush(&self.write) {
            Flushed::Done => {}
            Flushed::Blocked => self.task.wake(),
            Flushed::Broken => self.end(Status::WRITE_FAILED),
        }
    }

    /// The connection is over: so are its calls.
    pub(super) fn end(&self, status: Status) {
        self.is_leaving.store(true, Relaxed);
        let wakers: Vec<Waker> = {
            let mut open = self.open.lock();
            open.end.get_or_insert(Status::CONNECT_FAILED);
            open.end_all(status, clock::now())
        };
        wakers.into_iter().for_each(Waker::wake);
        self.task.wake();
    }

    /// Whether the connection is over. It is when nobody waits for an answer and no call may follow: a server that goes away waits
    /// for its callers to hang up, since only they know what they have sent.
    pub(super) fn is_over(&self) -> bool {
        let was_sent_away = self.sent_away_at.load(Relaxed) != 0;
        let mut open = self.open.lock();
        if open.end.is_some() {
            return true;
        }
        let takes_calls = !was_sent_away && !self.is_dropped.load(Relaxed);
        if takes_calls || open.is_awaited() {
            return false;
        }
        open.end = Some(if was_sent_away { Status::GOING_AWAY } else { Status::CONNECT_FAILED });
        drop(open);
        self.write.shut_down();
        true
    }

    /// No new calls come; when the open ones are over, so is the connection.
    pub(crate) fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
        self.is_dropped.store(true, Relaxed);
        self.task.wake();
    }
}

/// A request that was sent: a future of its answer. Dropping it tells the server that the answer is not wanted any more.
#[derive(Debug)]
pub(crate) struct Exchange {
    connection: Arc<Connection>,
    id: u32,
    is_over: bool,
}

impl Exchange {
    /// How it was answered, if it was and nobody has taken the answer.
    pub(crate) fn met(&self) -> Option<Status> {
        self.connection.open.lock().met(self.id)
    }
}

impl Future for Exchange {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Poller<'_>) -> Poll<Answer> {
        let answer = self.connection.open.lock().take_answer(self.id, cx.waker());
        self.is_over = answer.is_ok();
        answer.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let now = clock::now();
        // Its waker may do anything when it is dropped: not while the calls are locked.
        let (given_up, is_silent) = {
            let mut open = self.connection.open.lock();
            (open.give_up(self.id), open.is_silent(now))
        };
        let Some(call) = given_up else { return };
        if now >= call.deadline && is_silent {
            self.connection.leave();
        }
        let is_first = self.connection.outbox.push(|out| out.extend(Header::new(Kind::Cancel, self.id).emit()));
        // It may have been the last one of a connection that is about to end.
        if is_first || !self.connection.is_usable() {
            self.connection.task.wake();
        }
    }
}

/// Appends a frame.
fn put(out: &mut Vec<u8>, header: &Header, payload: &[u8], write: impl Fn(&mut Writer<'_>)) -> Result<(), Status> {
    let begin = out.len();
    let payload_len = u32::try_from(payload.len()).map_err(|_| Status::BODY_TOO_LONG)?;
    out.extend_from_slice(&[0; USUAL_HEAD]);
    loop {
        let mut writer = Writer::new(&mut out[begin..]);
        write(&mut writer);
        match writer.finish(header, payload_len) {
            Ok(head_len) => {
                out.truncate(begin + head_len);
                out.extend_from_slice(payload);
                return Ok(());
            }
            Err(Status::TOO_SMALL) => {
                let room = writer.wanted();
                out.resize(begin + room, 0);
            }
            Err(status) => {
                out.truncate(begin);
                return Err(status);
            }
        }
    }
}
