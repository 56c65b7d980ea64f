//! A worker: a thread whose coroutines take requests from the queue and run their handlers.
//!
//! A coroutine takes one request at a time. As long as its handlers never wait, one coroutine per thread does all the work; when one
//! waits, the next takes over. What handlers answer is written when there is nothing else to do, or after a while.
//!
//! Where handlers take microseconds, what they cost is mostly the way to them: the thread takes so many requests out of the queue at
//! once as it has run within some of these before.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use mcrpc_core::time::Nanos;

use super::coroutine::Coroutine;
use super::held::{Held, MAX_HELD_NS};
use super::job::{Job, Parcel};
use super::pool::Pool;
use super::queue::Taken;
use super::served::{self, Begun, End, Progress};
use super::shared::Shared;
use crate::clock;
use crate::failure::Failure;
use crate::methods::Method;
use crate::request::Reply;

/// So long requests are handled before timers and sockets of handlers are looked at.
const TURN_NS: u64 = 200_000;
/// So many requests are taken out of the queue at most, and so long they take together.
const MAX_TAKEN: u64 = 128;
const MAX_TAKEN_NS: u64 = MAX_HELD_NS;

/// What the coroutines of a thread share.
pub(super) struct Worker {
    number: usize,
    shared: Arc<Shared>,
    /// Requests that were taken out of the queue and wait for a coroutine.
    taken: RefCell<VecDeque<Parcel>>,
    /// Their parcels, when they are over.
    spare: RefCell<Vec<Parcel>>,
    /// How long a handler runs, without waiting: a moving average.
    busy_ns: Cell<u64>,
    /// The same, of each method.
    busy_ns_of: Box<[Cell<u64>]>,
    /// Coroutines that wait for a request, by their number.
    parked: RefCell<Vec<Option<Waker>>>,
    /// How many handlers wait.
    waiting: Cell<usize>,
    held: RefCell<Held>,
    /// Writes what is held, once the coroutines that are ready have had their turn.
    flusher: RefCell<Option<Waker>>,
    /// The time, if nothing has happened since it was looked up.
    now: Cell<Option<Nanos>>,
    /// When timers and sockets of handlers were looked at last.
    turn_began: Cell<Nanos>,
}

/// Runs a worker until its queue is closed and empty.
pub(crate) async fn run(number: usize, coroutines: usize, shared: Arc<Shared>) {
    let busy_ns_of = shared.methods.iter().map(|_| Cell::new(0)).collect();
    let worker = Rc::new(Worker {
        number,
        shared,
        busy_ns_of,
        taken: RefCell::default(),
        spare: RefCell::default(),
        busy_ns: Cell::new(MAX_TAKEN_NS),
        parked: RefCell::new(vec![None; coroutines]),
        waiting: Cell::default(),
        held: RefCell::default(),
        flusher: RefCell::default(),
        now: Cell::new(None),
        turn_began: Cell::default(),
    });
    let flusher = tokio::task::spawn_local(flush(worker.clone()));
    let all: Vec<_> = (0..coroutines).map(|me| tokio::task::spawn_local(work(worker.clone(), me))).collect();
    for one in all {
        // A coroutine catches what its handlers panic with.
        let _ = one.await;
    }
    flusher.abort();
}

/// Writes what is held whenever it is woken.
async fn flush(worker: Rc<Worker>) {
    poll_fn(|cx| {
        worker.flush();
        worker.now.set(None);
        worker.flusher.replace(Some(cx.waker().clone()));
        Poll::Pending
    })
    .await
}

async fn work(worker: Rc<Worker>, me: usize) {
    let mut coroutine = Coroutine::new();
    while worker.has_taken() || worker.take(me).await {
        poll_fn(|cx| coroutine.poll_next(&worker, cx)).await;
        if worker.has_had_its_turn() {
            worker.now.set(None);
            tokio::task::yield_now().await;
        }
    }
}

impl Worker {
    fn pool(&self) -> &Pool {
        &self.shared.workers
    }

    fn has_taken(&self) -> bool {
        !self.taken.borrow().is_empty()
    }

    /// Whether it is time for timers and sockets.
    fn has_had_its_turn(&self) -> bool {
        self.now.get().is_some_and(|now| now.since(self.turn_began.get()) >= TURN_NS)
    }

    /// The time at which a turn begins, in which nothing has happened yet.
    fn begin_turn(&self) -> Nanos {
        let now = clock::now();
        self.turn_began.set(now);
        now
    }

    /// Waits until there is a request; whether there will be one.
    async fn take(&self, me: usize) -> bool {
        poll_fn(|cx| {
            self.park(me, None);
            let mut taken = self.taken.borrow_mut();
            if !taken.is_empty() {
                return Poll::Ready(true);
            }
            let most = (MAX_TAKEN_NS / self.busy_ns.get().max(1)).clamp(1, MAX_TAKEN);
            let spare = &mut self.spare.borrow_mut();
            match self.pool().take(self.number, cx.waker(), most as usize, &mut taken, spare) {
                Taken::Some => return Poll::Ready(true),
                Taken::Closed => {
                    self.flush();
                    self.unpark();
                    return Poll::Ready(false);
                }
                Taken::Nothing => {}
            }
            self.leave();
            self.park(me, Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// The next request that was taken.
    #[inline]
    pub(super) fn next(&self) -> Option<Parcel> {
        self.taken.borrow_mut().pop_front()
    }

    /// A request is over.
    #[inline]
    pub(super) fn give_back(&self, mut parcel: Parcel) {
        *parcel = None;
        self.spare.borrow_mut().push(parcel);
    }

    /// Begins a request, and says whose handler is to run; if none is, it is answered.
    #[inline]
    pub(super) fn begin(&self, job: &mut Job, progress: &mut Progress) -> Option<&Method> {
        let mut began = self.now.get().unwrap_or_else(|| self.begin_turn());
        if self.takes_long(job.method) {
            began = self.make_way().unwrap_or(began);
        } else if self.held.borrow().is_due(began) {
            began = self.flush().unwrap_or(began);
        }
        self.now.set(Some(began));
        match served::begin(&self.shared, self.pool(), job, progress, began) {
            Begun::Runs(method) => Some(method),
            Begun::Refused(method, status) => {
                let refusal = Err(Failure::of_system(status));
                self.answer(method, job, progress, End { at: began, reply: Some(&refusal), service_ns: None });
                None
            }
            Begun::Unwanted => None,
        }
    }

    /// Answers a request whose handler has ended, or was given up: then there is no reply.
    #[inline]
    pub(super) fn end(
        &self,
        method: &Method,
        job: &mut Job,
        progress: &mut Progress,
        at: Nanos,
        reply: Option<&Reply>,
    ) {
        let pool = self.pool();
        let _ = pool.admission.done(pool.number, progress.began, at);
        self.note_busy(job.method, progress.busy_ns);
        self.answer(method, job, progress, End { at, reply, service_ns: Some(at.since(progress.began)) });
    }

    #[inline]
    fn answer(&self, method: &Method, job: &mut Job, progress: &mut Progress, end: End<'_>) {
        self.now.set(Some(end.at));
        let has_room = served::end((method, self.pool()), job, progress, end, &mut self.held.borrow_mut());
        if !has_room {
            self.flush();
        }
    }

    /// What a request asks for.
    #[inline]
    pub(super) fn method_of(&self, job: &Job) -> Option<&Method> {
        self.shared.methods.get(job.method).map(Arc::as_ref)
    }

    /// Whether answers should not wait for handlers of a method.
    #[inline]
    fn takes_long(&self, method: usize) -> bool {
        self.busy_ns_of.get(method).is_some_and(|busy_ns| busy_ns.get() > MAX_HELD_NS)
    }

    /// A handler goes on that has waited. Since when it runs.
    pub(super) fn resume(&self, method: usize) -> Nanos {
        let now = clock::now();
        let is_due = self.takes_long(method) || self.held.borrow().is_due(now);
        let resumed_at = is_due.then(|| self.flush()).flatten().unwrap_or(now);
        self.now.set(None);
        resumed_at
    }

    /// Writes what is held. When that was done, if there was something.
    fn flush(&self) -> Option<Nanos> {
        let written = self.held.borrow_mut().flush(&self.shared.methods);
        self.now.set(written.or(self.now.get()));
        written
    }

    fn note_busy(&self, method: usize, busy_ns: u64) {
        let follow = |average: &Cell<u64>, busy_ns| average.set(average.get() - average.get() / 8 + busy_ns / 8);
        follow(&self.busy_ns, busy_ns.min(MAX_TAKEN_NS));
        if let Some(average) = self.busy_ns_of.get(method) {
            follow(average, busy_ns);
        }
    }

    /// A handler is about to run that mostly takes long: what is answered is not to wait for it, nor what was taken, if others are idle.
    #[cold]
    fn make_way(&self) -> Option<Nanos> {
        let mut taken = self.taken.borrow_mut();
        if !taken.is_empty() {
            self.pool().put_back(&mut taken);
        }
        self.flush()
    }

    /// A handler begins to wait.
    pub(super) fn begin_to_wait(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    /// A handler that has waited is over.
    pub(super) fn stop_waiting(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }

    /// The coroutine that runs begins to wait: another takes its place. If there is none, what was taken is for other threads.
    pub(super) fn let_next_run(&self) {
        let next = self.parked.borrow().iter().flatten().next().cloned();
        let mut taken = self.taken.borrow_mut();
        match next {
            Some(next) if !taken.is_empty() || self.pool().queue.offer(self.number, &next) => {
                // It writes what is held when there is nothing left.
                self.now.set(None);
                return next.wake();
            }
            None if !taken.is_empty() => self.pool().put_back(&mut taken),
            _ => {}
        }
        self.leave();
    }

    /// The coroutine that runs has nothing to do: what is held is written, after what others add to it whose handlers have waited.
    fn leave(&self) {
        match &*self.flusher.borrow() {
            Some(flusher) if self.waiting.get() > 0 => flusher.wake_by_ref(),
            _ => _ = self.flush(),
        }
        self.now.set(None);
    }

    /// A coroutine waits for a request, or has one.
    fn park(&self, me: usize, waker: Option<Waker>) {
        if let Some(place) = self.parked.borrow_mut().get_mut(me) {
            *place = waker;
        }
    }

    /// There are no requests any more, and will be none: all who wait for one end.
    fn unpark(&self) {
        std::mem::take(&mut *self.parked.borrow_mut()).into_iter().flatten().for_each(Waker::wake);
    }
}
