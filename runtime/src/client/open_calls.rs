//! The open calls of a connection, by their ids.
//!
//! Ids are given in order and none twice: an answer that comes late, after its caller has left, never meets another call. A call lies
//! at the low bits of its id, in a table that is at most half full: an id whose place is taken is passed over, which happens once
//! per call on average, at worst.

use std::task::Waker;

use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;

use super::connection::Answer;

/// Calls that may be open on one connection.
const MAX_OPEN: usize = 1 << 20;
/// A connection is silent that has answered nothing for so long.
const SILENCE_NS: u64 = 500_000_000;
const FIRST_PLACES: usize = 16;

#[derive(Debug)]
pub(super) struct OpenCalls {
    /// A power of two of them.
    places: Vec<Option<OpenCall>>,
    len: usize,
    /// The id that is given next; `None` when all were given.
    next_id: Option<u32>,
    /// When the first call was sent after the connection was last heard.
    unheard_since: Nanos,
    /// The connection is over.
    pub(super) end: Option<Status>,
}

#[derive(Debug)]
pub(super) struct OpenCall {
    id: u32,
    pub(super) deadline: Nanos,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Who is to be woken by the answer.
    Waits(Waker),
    /// Nobody has taken it yet.
    Answered(Answer),
}

impl OpenCall {
    /// How it was answered, if it was.
    pub(super) fn met(&self) -> Option<Status> {
        match &self.state {
            State::Waits(_) => None,
            State::Answered(answer) => Some(answer.status),
        }
    }

    /// Whom to wake; nobody if it was answered before.
    fn end(&mut self, answer: impl FnOnce() -> Answer) -> Option<Waker> {
        match self.state {
            State::Waits(_) => match std::mem::replace(&mut self.state, State::Answered(answer())) {
                State::Waits(waker) => Some(waker),
                State::Answered(_) => None,
            },
            State::Answered(_) => None,
        }
    }
}

impl OpenCalls {
    pub(super) fn new() -> OpenCalls {
        OpenCalls::from_id(0)
    }

    fn from_id(first: u32) -> OpenCalls {
        let places = (0..FIRST_PLACES).map(|_| None).collect();
        OpenCalls { places, len: 0, next_id: Some(first), unheard_since: Nanos::NEVER, end: None }
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
            if self.places[place].is_none() {
                self.places[place] = Some(OpenCall { id, deadline, state: State::Waits(waker) });
                self.len += 1;
                self.unheard_since = self.unheard_since.min(now);
                return Ok(id);
            }
        }
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut OpenCall> {
        let place = self.place(id);
        self.places[place].as_mut().filter(|call| call.id == id)
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<OpenCall> {
        let place = self.place(id);
        let removed = self.places[place].take_if(|call| call.id == id)?;
        self.len -= 1;
        Some(removed)
    }

    /// The answer of a call, which is over with it; if there is none yet, it is to wake this waker.
    pub(super) fn take_answer(&mut self, id: u32, waker: &Waker) -> Option<Answer> {
        let call = self.get_mut(id).expect("it stays open until its answer is taken");
        if let State::Waits(known) = &mut call.state {
            known.clone_from(waker);
            return None;
        }
        match self.remove(id)?.state {
            State::Answered(answer) => Some(answer),
            State::Waits(_) => None,
        }
    }

    /// Whether somebody waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.places.iter().flatten().any(|call| call.met().is_none())
    }

    /// Whom to wake for an answer; nobody waits for one that comes too late.
    pub(super) fn answer(&mut self, id: u32, answer: impl FnOnce() -> Answer) -> Option<Waker> {
        self.get_mut(id)?.end(answer)
    }

    /// Whom to wake because all calls are over.
    pub(super) fn end_all(&mut self, status: Status) -> Vec<Waker> {
        self.unanswered().filter_map(|call| call.end(|| Answer::none(status))).collect()
    }

    /// Whom to wake because they are too late, and when the next one is.
    pub(super) fn end_late(&mut self, now: Nanos) -> (Vec<Waker>, Nanos) {
        let (mut wakers, mut next) = (Vec::new(), Nanos::NEVER);
        for call in self.unanswered() {
            if call.deadline <= now {
                wakers.extend(call.end(|| Answer::none(Status::TIMED_OUT)));
            } else {
                next = next.min(call.deadline);
            }
        }
        (wakers, next)
    }

    fn unanswered(&mut self) -> impl Iterator<Item = &mut OpenCall> {
        self.places.iter_mut().flatten().filter(|call| call.met().is_none())
    }

    fn place(&self, id: u32) -> usize {
        id as usize & (self.places.len() - 1)
    }

    /// Ids with different low bits differ in one more of them too.
    #[cold]
    fn grow(&mut self) {
        let larger = (0..2 * self.places.len()).map(|_| None).collect();
        for call in std::mem::replace(&mut self.places, larger).into_iter().flatten() {
            let place = self.place(call.id);
            self.places[place] = Some(call);
        }
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
            assert!(calls.remove(id).is_some() && calls.remove(id).is_none());
        }
        assert!(long.iter().all(|&id| calls.get_mut(id).is_some()));
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
        assert!(calls.answer(first, || Answer::none(Status::OK)).is_some());
    }
}
