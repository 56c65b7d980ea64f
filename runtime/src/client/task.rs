//! The task of a connection: it writes what callers leave to it, reads answers, and ends calls that are too late.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context as Poller, Poll, Waker};
use std::time::Duration;

use mcrpc_core::admission::Cursor;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::{Frame, HEADER_LEN, Header, Kind, Limits};
use tokio::time::{Instant, Sleep};

use super::connection::{Answer, Connection, MAX_UNSENT_LEN};
use crate::clock;
use crate::failure::Reject;
use crate::net::blocks::Blocks;
use crate::net::stream::ReadHalf;

/// Bytes read at once.
const READ_BUFFER: usize = 64 << 10;

thread_local! {
    static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into());
}

/// The task of a connection.
pub(super) struct Task {
    connection: Arc<Connection>,
    read: ReadHalf,
    limits: Limits,
    /// The front of a frame whose rest has not arrived.
    rest: Vec<u8>,
    /// Of the payloads of answers.
    blocks: Blocks,
    /// Callers to wake, when the open calls are not locked any more.
    woken: Vec<Waker>,
    /// When the next call is too late, if that is known to the clock.
    alarm: Option<(Nanos, Pin<Box<Sleep>>)>,
}

impl Task {
    pub(super) fn new(connection: Arc<Connection>, read: ReadHalf, limits: Limits) -> Task {
        Task { connection, read, limits, rest: Vec::new(), blocks: Blocks::default(), woken: Vec::new(), alarm: None }
    }

    /// Serves the connection until it is over.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

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
        if connection.is_over() { Poll::Ready(()) } else { Poll::Pending }
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
        let (mut used, now) = (0, clock::now());
        let mut open = self.connection.open.lock();
        open.heard();
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
                        self.woken.extend(open.answer(header.call_id, || Answer::none(status, now)));
                    }
                    used += len;
                    continue;
                }
            };
            used += frame.len;
            match frame.header.kind {
                Kind::Response => self.woken.extend(open.answer(frame.header.call_id, || {
                    let status = frame.header.status;
                    let hold_ms = frame.metadata.reject_state().hold_ms;
                    let body = if status.is_ok() { frame.payload } else { frame.metadata.error_text().as_bytes() };
                    let reject = Reject { cursor: Cursor(frame.header.cursor), hold_ms, is_relayed: false };
                    Answer { status, reject, at: now, body: self.blocks.copy(&[], body) }
                })),
                Kind::GoAway => {
                    self.connection.sent_away_at.store(now.0, Relaxed);
                    self.connection.is_leaving.store(true, Relaxed);
                }
                Kind::Ping => {
                    let pong = Header::new(Kind::Pong, frame.header.call_id).emit();
                    if self.connection.outbox.push_below(MAX_UNSENT_LEN, |out| out.extend(pong)) == Some(true) {
                        self.connection.task.wake();
                    }
                }
                Kind::Request | Kind::OneWay | Kind::Hello | Kind::Pong | Kind::Cancel => {}
            }
        }
        open.count();
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
                let (wakers, next) = {
                    let mut open = connection.open.lock();
                    let late = open.end_late(now);
                    if !late.0.is_empty() && open.is_silent(now) {
                        connection.leave();
                    }
                    late
                };
                connection.earliest.fetch_min(next.0, Relaxed);
                wakers.into_iter().for_each(Waker::wake);
                continue;
            }
            // It was polled when it was set, by this same task.
            if self.alarm.as_ref().is_some_and(|(known, sleep)| *known == earliest && !sleep.is_elapsed()) {
                return;
            }
            let wake_at = Instant::now() + Duration::from_nanos(earliest.since(now));
            match &mut self.alarm {
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
