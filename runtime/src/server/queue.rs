//! What waits for a worker: bounded, the most important first (SPEC K3), and within one priority in the order of arrival.
//!
//! The queue also knows who is idle. Whoever puts requests in wakes so many workers, and none twice.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Waker;

use mcrpc_core::admission::key::PRIORITIES;
use parking_lot::Mutex;

use super::job::Parcel;

/// So many parcels without a request are kept, in each place.
const MAX_SPARE: usize = 1 << 10;

/// The requests that wait for the workers of one pool.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// For those who only want to know whether there is something.
    len: AtomicUsize,
    limit: usize,
}

struct State {
    levels: [VecDeque<Parcel>; PRIORITIES],
    /// A bit for each level in which something waits.
    occupied: u64,
    /// Parcels on their way back from the workers.
    spare: Vec<Parcel>,
    /// Workers that wait, the one that came last at the end: its cache is the warmest.
    idle: Vec<(usize, Waker)>,
    is_closed: bool,
}

const _: () = assert!(PRIORITIES == u64::BITS as usize);

/// What a worker finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Requests.
    Some,
    /// Nothing: the worker is woken when there is something.
    Nothing,
    /// Nothing, for ever.
    Closed,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Queue {
        let levels = [const { VecDeque::new() }; PRIORITIES];
        let state = State { levels, occupied: 0, spare: Vec::new(), idle: Vec::new(), is_closed: false };
        Queue { state: Mutex::new(state), len: AtomicUsize::new(0), limit }
    }

    /// Requests that wait.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Takes requests in, and gives parcels back. Where there is no room, the less important ones leave, to `displaced`: of one priority
    /// the last to come.
    pub(crate) fn put(&self, jobs: &mut VecDeque<Parcel>, spare: &mut Vec<Parcel>, displaced: &mut Vec<Parcel>) {
        let mut woken: smallvec::SmallVec<[Waker; 8]> = smallvec::SmallVec::new();
        {
            let mut state = self.state.lock();
            let before = self.len.load(Relaxed);
            let mut len = before;
            spare.append(&mut state.spare);
            spare.truncate(MAX_SPARE);
            for job in jobs.drain(..) {
                if state.is_closed {
                    displaced.push(job);
                    continue;
                }
                state.insert(job, VecDeque::push_back);
                len += 1;
                if len > self.limit {
                    displaced.extend(state.remove_last());
                    len -= 1;
                }
            }
            self.len.store(len, Relaxed);
            let wanted = len.saturating_sub(before).max(usize::from(len > 0)).min(state.idle.len());
            let keep = state.idle.len() - wanted;
            woken.extend(state.idle.drain(keep..).map(|(_, waker)| waker));
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// Takes the most important requests out, at most so many, and leaves as many for each worker that is idle; if there is none,
    /// `worker` is woken once there is. Parcels that are no longer needed go back.
    pub(crate) fn take(
        &self,
        worker: usize,
        waker: &Waker,
        most: usize,
        jobs: &mut VecDeque<Parcel>,
        spare: &mut Vec<Parcel>,
    ) -> Taken {
        let mut state = self.state.lock();
        state.spare.append(spare);
        state.spare.truncate(MAX_SPARE);
        let len = self.len.load(Relaxed);
        if len > 0 {
            // A thread that runs something is not idle, whichever of its coroutines was.
            state.idle.retain(|(idle, _)| *idle != worker);
            let share = len.div_ceil(state.idle.len() + 1).min(most);
            state.remove_first(share, jobs);
            self.len.store(len - share, Relaxed);
            return Taken::Some;
        }
        if state.is_closed {
            return Taken::Closed;
        }
        state.wait(worker, waker);
        Taken::Nothing
    }

    /// Puts back what a worker cannot run after all.
    pub(crate) fn put_back(&self, jobs: &mut VecDeque<Parcel>) {
        let mut state = self.state.lock();
        self.len.store(self.len.load(Relaxed) + jobs.len(), Relaxed);
        let keep = state.idle.len().saturating_sub(jobs.len());
        jobs.drain(..).rev().for_each(|job| state.insert(job, VecDeque::push_front));
        let idle = state.idle.split_off(keep);
        drop(state);
        idle.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// A worker can take more. Whether there is something now; if not, it is woken once there is.
    pub(crate) fn offer(&self, worker: usize, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        let has_some = state.occupied != 0 || state.is_closed;
        if !has_some {
            state.wait(worker, waker);
        }
        has_some
    }

    /// Takes nothing in any more; workers end when it is empty.
    pub(crate) fn close(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.idle)
        };
        idle.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl State {
    fn insert(&mut self, job: Parcel, push: impl Fn(&mut VecDeque<Parcel>, Parcel)) {
        let level = level_of(&job);
        self.occupied |= 1 << level;
        push(&mut self.levels[level], job);
    }

    /// Moves the most important requests, so many if there are.
    fn remove_first(&mut self, mut count: usize, jobs: &mut VecDeque<Parcel>) {
        while count > 0 && self.occupied != 0 {
            let level = self.occupied.trailing_zeros() as usize;
            let waiting = &mut self.levels[level];
            let some = count.min(waiting.len());
            if some == waiting.len() {
                jobs.append(waiting);
            } else {
                jobs.extend(waiting.drain(..some));
            }
            self.forget_if_empty(level);
            count -= some;
        }
    }

    fn remove_last(&mut self) -> Option<Parcel> {
        let level = (u64::BITS - 1).checked_sub(self.occupied.leading_zeros())? as usize;
        let job = self.levels[level].pop_back();
        self.forget_if_empty(level);
        job
    }

    fn forget_if_empty(&mut self, level: usize) {
        if self.levels[level].is_empty() {
            self.occupied &= !(1 << level);
        }
    }

    fn wait(&mut self, worker: usize, waker: &Waker) {
        match self.idle.iter_mut().find(|(waiting, _)| *waiting == worker) {
            Some((_, known)) => known.clone_from(waker),
            None => self.idle.push((worker, waker.clone())),
        }
    }
}

fn level_of(parcel: &Parcel) -> usize {
    parcel.as_ref().as_ref().map_or(0, |job| usize::from(job.priority()).min(PRIORITIES - 1))
}
