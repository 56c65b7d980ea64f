//! A connection, as the workers see it: where answers go, and who is no longer waited for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

use atomic_waker::AtomicWaker;
use mcrpc_core::time::Nanos;
use mcrpc_core::wire::Protocol;
use parking_lot::Mutex;

use super::reply::{self, Load, ReplyTo};
use crate::clock;
use crate::context::Context;
use crate::net::outbox::{Flushed, Outbox};
use crate::net::stream::WriteHalf;
use crate::request::Reply;
use crate::stats::callers::{CallerNumber, Callers};

#[cfg(feature = "grpc")]
use super::grpc::Http2;

/// A connection of a caller.
pub(crate) struct Connection {
    pub(crate) write: WriteHalf,
    pub(crate) outbox: Outbox,
    /// The task that reads: it is told when the socket is full, broken, or to be closed.
    pub(crate) reader: AtomicWaker,
    is_closed: AtomicBool,
    /// Requests that were taken and are not answered.
    open: AtomicU32,
    has_peer_ended: AtomicBool,
    calls: Mutex<Calls>,
    /// Who calls, as its hello said.
    caller: Mutex<Arc<str>>,
    caller_number: AtomicU8,
    /// What it speaks, as soon as that is known.
    spoken: AtomicU8,
    /// When something was read last.
    active: AtomicU64,
    /// Whether `calls` knows of calls that were given up, and do not wait for anything.
    has_given_up: AtomicBool,
    /// What HTTP/2 has to do with it, if that is what it speaks.
    #[cfg(feature = "grpc")]
    pub(super) http2: std::sync::OnceLock<Arc<Http2>>,
}

/// What a cancel has to find.
#[derive(Default)]
struct Calls {
    /// Handlers that wait.
    running: Vec<(u32, Arc<Slot>)>,
    given_up: VecDeque<u32>,
}

/// By which a waiting handler is told that nobody waits for it.
#[derive(Default)]
pub(crate) struct Slot {
    is_cancelled: AtomicBool,
    waker: AtomicWaker,
}

impl Slot {
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Relaxed)
    }

    fn cancel(&self) {
        self.is_cancelled.store(true, Relaxed);
        self.waker.wake();
    }
}

impl Connection {
    pub(crate) fn new(write: WriteHalf) -> Connection {
        Connection {
            write,
            outbox: Outbox::default(),
            reader: AtomicWaker::new(),
            is_closed: AtomicBool::new(false),
            open: AtomicU32::new(0),
            has_peer_ended: AtomicBool::new(false),
            caller: Mutex::default(),
            caller_number: AtomicU8::new(CallerNumber::UNKNOWN.get()),
            spoken: AtomicU8::new(0),
            active: AtomicU64::new(clock::now().0),
            calls: Mutex::default(),
            has_given_up: AtomicBool::new(false),
            #[cfg(feature = "grpc")]
            http2: std::sync::OnceLock::new(),
        }
    }

    /// Binds the caller's name.
    pub(crate) fn set_caller(&self, name: &str, callers: &Callers) {
        *self.caller.lock() = name.into();
        self.caller_number.store(callers.number_of(name).get(), Relaxed);
    }

    /// Who calls, for its counts.
    #[inline]
    pub(crate) fn caller_number(&self) -> CallerNumber {
        CallerNumber::from_number(self.caller_number.load(Relaxed))
    }

    pub(crate) fn set_spoken(&self, spoken: Protocol) {
        self.spoken.store(spoken as u8, Relaxed);
    }

    /// What it speaks; `None` if it has not said anything.
    pub(crate) fn spoken(&self) -> Option<Protocol> {
        let spoken = self.spoken.load(Relaxed);
        [Protocol::Native, Protocol::BaiduStd, Protocol::Http1, Protocol::Http2]
            .into_iter()
            .find(|&known| known as u8 == spoken)
    }

    /// Something was read.
    pub(crate) fn read_at(&self, now: Nanos) {
        self.active.store(now.0, Relaxed);
    }

    /// When something was read last.
    pub(crate) fn active(&self) -> Nanos {
        Nanos(self.active.load(Relaxed))
    }

    /// Who calls; empty if it has not said.
    pub(crate) fn caller(&self) -> Arc<str> {
        self.caller.lock().clone()
    }

    /// Who calls, as the request or its connection says.
    pub(crate) fn caller_of(&self, context: &Context) -> Arc<str> {
        match context.caller() {
            "" => self.caller(),
            name => name.into(),
        }
    }

    /// So many requests are about to be handed to workers.
    pub(crate) fn opened(&self, count: u32) {
        self.open.fetch_add(count, Relaxed);
    }

    /// Requests that workers have, and that are not answered.
    pub(crate) fn open_calls(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Writes answers, behind those that wait, and empties them. So many requests are over with them.
    pub(crate) fn send(&self, answers: &mut Vec<u8>, ended: u32) {
        if answers.is_empty() || self.is_closed() {
            answers.clear();
            return self.ended(ended);
        }
        #[cfg(feature = "grpc")]
        if self.http2.get().is_some() {
            self.outbox.push(|out| {
                out.append(answers);
                self.ended(ended);
            });
            return self.reader.wake();
        }
        // They are over before the caller can send the next ones, and not before their answers are as good as sent.
        self.after(self.outbox.send(answers, &self.write, || self.ended(ended)));
    }

    /// Appends an answer. Whether it has to be flushed.
    pub(crate) fn answer(&self, to: &ReplyTo, load: Load, reply: &Reply) -> bool {
        if self.is_closed() {
            return false;
        }
        self.outbox.push(|out| {
            match reply {
                Ok(payload) => reply::put_reply(out, to, load, payload),
                Err(failure) => reply::put_failure(out, to, load, failure),
            };
        })
    }

    /// So many requests that workers had are over, answered or not.
    pub(crate) fn ended(&self, count: u32) {
        if self.open.fetch_sub(count, SeqCst) == count && self.has_peer_ended.load(SeqCst) {
            self.reader.wake();
        }
    }

    /// The peer sends nothing more: the reader goes on when all is answered.
    pub(crate) fn peer_ended(&self) {
        self.has_peer_ended.store(true, SeqCst);
    }

    /// Writes what waits. What the socket does not take, the reader writes when it does.
    pub(crate) fn flush(&self) {
        #[cfg(feature = "grpc")]
        if self.http2.get().is_some() {
            return self.reader.wake();
        }
        self.after(self.outbox.flush(&self.write));
    }

    fn after(&self, flushed: Flushed) {
        match flushed {
            // The reader may only be waiting for the last answer to be written.
            Flushed::Done if self.has_peer_ended.load(SeqCst) => self.reader.wake(),
            Flushed::Done => {}
            Flushed::Blocked => self.reader.wake(),
            Flushed::Broken => self.close(),
        }
    }

    /// Bytes of answers that wait to be written.
    pub(crate) fn unsent(&self) -> usize {
        #[cfg(feature = "grpc")]
        if let Some(http2) = self.http2.get() {
            return self.outbox.len() + http2.unsent();
        }
        self.outbox.len()
    }

    /// Whether all is answered, and written.
    pub(crate) fn is_done(&self) -> bool {
        #[cfg(feature = "grpc")]
        if self.http2.get().is_some_and(|http2| !http2.is_done()) {
            return false;
        }
        self.open_calls() == 0 && self.outbox.is_quiet()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Relaxed)
    }

    /// Nobody is there any more: what its handlers do is not wanted.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Relaxed);
        // Whoever begins to wait after this sees that it is closed; whoever has ended before is another request's by now.
        self.calls.lock().running.drain(..).for_each(|(_, slot)| slot.cancel());
        self.reader.wake();
    }

    /// The caller waits no longer for the answer to this call.
    pub(crate) fn cancel(&self, call_id: u32) {
        let mut calls = self.calls.lock();
        if let Some((_, slot)) = calls.running.iter().find(|(id, _)| *id == call_id) {
            return slot.cancel();
        }
        // No more than can be meant: some may have been answered meanwhile, the oldest most likely.
        let open = self.open_calls() as usize;
        while calls.given_up.len() >= open.max(1) {
            calls.given_up.pop_front();
        }
        if open > 0 {
            calls.given_up.push_back(call_id);
        }
        self.has_given_up.store(!calls.given_up.is_empty(), Relaxed);
    }

    /// Whether a call was given up that does not wait for anything; from now on that is forgotten. Asked when it comes, since its id may
    /// be used again, when a worker takes it, and when it is over.
    #[inline]
    pub(crate) fn take_cancel(&self, call_id: u32) -> bool {
        self.has_given_up.load(Relaxed) && self.take_known_cancel(call_id)
    }

    #[cold]
    fn take_known_cancel(&self, call_id: u32) -> bool {
        let mut calls = self.calls.lock();
        let found = calls.given_up.iter().position(|&id| id == call_id);
        if let Some(place) = found {
            calls.given_up.remove(place);
        }
        self.has_given_up.store(!calls.given_up.is_empty(), Relaxed);
        found.is_some()
    }

    /// A handler begins to wait: from now on a cancel reaches it.
    pub(crate) fn wait(&self, call_id: u32, slot: &Arc<Slot>) {
        let mut calls = self.calls.lock();
        if self.is_closed() {
            slot.cancel();
        } else if let Some(place) = calls.given_up.iter().position(|&id| id == call_id) {
            calls.given_up.remove(place);
            slot.cancel();
        } else {
            calls.running.push((call_id, slot.clone()));
        }
    }

    /// A handler that has waited is over: no cancel is meant for its slot any more.
    pub(crate) fn stop_waiting(&self, slot: &Arc<Slot>) {
        let mut calls = self.calls.lock();
        if let Some(place) = calls.running.iter().position(|(_, known)| Arc::ptr_eq(known, slot)) {
            calls.running.swap_remove(place);
        }
        slot.is_cancelled.store(false, Relaxed);
    }
}
