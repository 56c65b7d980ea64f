//! The open calls of a connection, by their ids.
//!
//! Ids are given in order and none twice: an answer that comes late, after its caller has left, never meets another call. A call lies
//! at the low bits of its id, in a table that is at most half full: an id whose place is taken is passed over, which happens once
//! per call on average, at worst.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::connection::Answer;

/// Calls that may be open on one connection.
const MAX_OPEN: usize = 1 << 20;
/// A connection is silent that has answered nothing for so long.
const SILENCE_NS: u64 = 500_000_000;
const FIRST_PLACES: usize = 16;

/// How many requests all servers together have of this process, as of the last batch that each connection wrote or read, or gave up.
static AT_SERVERS: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
pub(super) struct OpenCalls {
    /// A power of two of them.
    places: Vec<Place>,
    len: usize,
    /// Calls that are not answered.
    waiting: usize,
    /// Calls that were opened since the last flush, given up or not.
    unsent: usize,
    /// What is counted in [`AT_SERVERS`] of the others.
    at_server: usize,
    /// The id that is given next; `None` when all were given.
    next_id: Option<u32>,
    /// When the first call was sent after the connection was last heard.
    unheard_since: Nanos,
    /// The connection is over.
    pub(super) end: Option<Status>,
}

/// Where a call lies: a cache line, as there are thousands of them, and each is met three times.
#[derive(Debug)]
#[repr(align(64))]
struct Place {
    id: u32,
    state: State,
}

const _: () = assert!(size_of::<Place>() == 64);

#[derive(Debug)]
enum State {
    Free,
    Waits(Waiting),
    /// Nobody has taken it yet.
    Answered(Answer),
}

/// A call that is not answered.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Who is to be woken by the answer.
    waker: Waker,
    pub(super) deadline: Nanos,
}

impl Place {
    const FREE: Place = Place { id: 0, state: State::Free };

    fn holds(&self, id: u32) -> bool {
        self.id == id && !matches!(self.state, State::Free)
    }

    /// Whom to wake; nobody if it was answered before.
    #[inline]
    fn end(&mut self, answer: impl FnOnce() -> Answer) -> Option<Waker> {
        if !matches!(self.state, State::Waits(_)) {
            return None;
        }
        match std::mem::replace(&mut self.state, State::Answered(answer())) {
            State::Waits(Waiting { waker, .. }) => Some(waker),
            State::Answered(_) | State::Free => None,
        }
    }
}

impl OpenCalls {
    pub(super) fn new() -> OpenCalls {
        OpenCalls::from_id(0)
    }

    fn from_id(first: u32) -> OpenCalls {
        let places = (0..FIRST_PLACES).map(|_| Place::FREE).collect();
        OpenCalls {
            places,
            len: 0,
            waiting: 0,
            unsent: 0,
            at_server: 0,
            next_id: Some(first),
            unheard_since: Nanos::NEVER,
            end: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are ids for further calls.
    pub(super) fn has_ids(&self) -> bool {
        self.next_id.is_some()
    }

    /// Something was read.
    pub(super) fn heard(&mut self) {
        self.unheard_since = Nanos::NEVER;
    }

    /// Whether calls were sent and nothing came, not even a part of a frame: as from a server that hangs, or is not there any more.
    pub(super) fn is_silent(&self, now: Nanos) -> bool {
        now.since(self.unheard_since) >= SILENCE_NS
    }

    /// Opens a call; its id.
    ///
    /// # Errors
    ///
    /// [`Status::TOO_MANY_OPEN_CALLS`], and [`Status::CONNECT_FAILED`] if all ids were given.
    pub(super) fn open(&mut self, deadline: Nanos, waker: Waker, now: Nanos) -> Result<u32, Status> {
        if self.len >= MAX_OPEN {
            return Err(Status::TOO_MANY_OPEN_CALLS);
        }
        if 2 * self.len >= self.places.len() {
            self.grow();
        }
        loop {
            let id = self.next_id.ok_or(Status::CONNECT_FAILED)?;
            self.next_id = id.checked_add(1);
            let place = self.place(id);
            if matches!(place.state, State::Free) {
                *place = Place { id, state: State::Waits(Waiting { waker, deadline }) };
                self.len += 1;
                self.waiting += 1;
                self.unsent += 1;
                self.unheard_since = self.unheard_since.min(now);
                return Ok(id);
            }
        }
    }

    /// Whether all servers together have no more requests of this process than wait here to be sent: then they may be idle.
    #[inline]
    pub(super) fn keeps_servers_waiting(&self) -> bool {
        self.unsent >= AT_SERVERS.load(Relaxed)
    }

    /// All calls are sent.
    pub(super) fn sent(&mut self) {
        self.unsent = 0;
        self.count();
    }

    /// Counts what this connection's server has to answer.
    pub(super) fn count(&mut self) {
        let at_server = self.waiting.saturating_sub(self.unsent);
        AT_SERVERS.fetch_add(at_server.wrapping_sub(self.at_server), Relaxed);
        self.at_server = at_server;
    }

    /// Closes a call that is not answered.
    pub(super) fn give_up(&mut self, id: u32) -> Option<Waiting> {
        match self.remove(id)? {
            State::Waits(waiting) => {
                self.waiting -= 1;
                Some(waiting)
            }
            State::Answered(_) | State::Free => None,
        }
    }

    /// How a call was answered, if it was and nobody has taken the answer.
    pub(super) fn met(&mut self, id: u32) -> Option<Status> {
        match &self.place(id) {
            Place { id: known, state: State::Answered(answer) } if *known == id => Some(answer.status),
            _ => None,
        }
    }

    /// The answer of a call, which is over with it.
    ///
    /// # Errors
    ///
    /// There is none yet, and when there is, this waker is woken. The one that it replaces is not to be dropped while the calls are
    /// locked.
    #[inline]
    pub(super) fn take_answer(&mut self, id: u32, waker: &Waker) -> Result<Answer, Option<Waker>> {
        match &mut self.place(id).state {
            State::Waits(waiting) if waiting.waker.will_wake(waker) => return Err(None),
            State::Waits(waiting) => return Err(Some(std::mem::replace(&mut waiting.waker, waker.clone()))),
            State::Answered(_) | State::Free => {}
        }
        match self.remove(id) {
            Some(State::Answered(answer)) => Ok(answer),
            Some(State::Waits(_) | State::Free) | None => Err(None),
        }
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting > 0
    }

    /// Whom to wake for an answer; nobody waits for one that comes too late.
    #[inline]
    pub(super) fn answer(&mut self, id: u32, answer: impl FnOnce() -> Answer) -> Option<Waker> {
        let place = self.place(id);
        let waker = if place.id == id { place.end(answer)? } else { return None };
        self.waiting -= 1;
        Some(waker)
    }

    /// Whom to wake because all calls are over.
    pub(super) fn end_all(&mut self, status: Status, now: Nanos) -> Vec<Waker> {
        let wakers: Vec<Waker> =
            self.places.iter_mut().filter_map(|place| place.end(|| Answer::none(status, now))).collect();
        self.waiting -= wakers.len();
        self.count();
        wakers
    }

    /// Whom to wake because they are too late, and when the next one is.
    pub(super) fn end_late(&mut self, now: Nanos) -> (Vec<Waker>, Nanos) {
        let (mut wakers, mut next) = (Vec::new(), Nanos::NEVER);
        for place in &mut self.places {
            match &place.state {
                State::Waits(call) if call.deadline <= now => {
                    wakers.extend(place.end(|| Answer::none(Status::TIMED_OUT, now)));
                }
                State::Waits(call) => next = next.min(call.deadline),
                State::Answered(_) | State::Free => {}
            }
        }
        self.waiting -= wakers.len();
        self.count();
        (wakers, next)
    }

    #[inline]
    fn place(&mut self, id: u32) -> &mut Place {
        let place = id as usize & (self.places.len() - 1);
        &mut self.places[place]
    }

    #[inline]
    fn remove(&mut self, id: u32) -> Option<State> {
        let place = self.place(id);
        if !place.holds(id) {
            return None;
        }
        let state = std::mem::replace(&mut place.state, State::Free);
        self.len -= 1;
        Some(state)
    }

    /// Ids with different low bits differ in one more of them too.
    #[cold]
    fn grow(&mut self) {
        let larger = (0..2 * self.places.len()).map(|_| Place::FREE).collect();
        for call in std::mem::replace(&mut self.places, larger) {
            if !matches!(call.state, State::Free) {
                let place = self.place(call.id);
                *place = call;
            }
        }
    }
}

impl Drop for OpenCalls {
    fn drop(&mut self) {
        AT_SERVERS.fetch_sub(self.at_server, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(calls: &mut OpenCalls) -> Result<u32, Status> {
        calls.open(Nanos::NEVER, Waker::noop().clone(), Nanos(0))
    }

    #[test]
    fn no_id_is_given_twice_however_long_some_calls_stay_open() {
        let mut calls = OpenCalls::new();
        let long: Vec<u32> = (0..100).map(|_| open(&mut calls).unwrap()).collect();
        let mut last = long[99];
        for _ in 0..10_000 {
            let id = open(&mut calls).unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
            assert!(calls.give_up(id).is_some() && calls.give_up(id).is_none());
        }
        assert!(long.iter().all(|&id| calls.answer(id, || Answer::none(Status::OK, Nanos(0))).is_some()));
        assert_eq!((calls.len(), calls.places.len()), (100, 256));
    }

    #[test]
    fn when_all_ids_were_given_there_are_none_for_further_calls() {
        let mut calls = OpenCalls::from_id(u32::MAX - 1);
        let first = open(&mut calls).unwrap();
        assert!(calls.has_ids());
        assert_eq!((first, open(&mut calls)), (u32::MAX - 1, Ok(u32::MAX)));
        assert!(!calls.has_ids());
        assert_eq!(open(&mut calls), Err(Status::CONNECT_FAILED));
        assert!(calls.answer(first, || Answer::none(Status::OK, Nanos(0))).is_some());
    }
}
