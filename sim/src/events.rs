//! What happens next: events in the order of their times, and of their making where those are equal.
//!
//! Most events that are far off are deadlines, which are made in the order of their times. Those wait in a line of their own, so
//! that the heap stays small.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use mcrpc_core::time::Nanos;

/// The events to come, and what time it is.
pub struct Events<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    /// Each later than the one before it.
    line: VecDeque<Entry<E>>,
    made: u64,
    now_ns: u64,
}

struct Entry<E> {
    at_ns: u64,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl<E> Events<E> {
    /// None, at the time 0.
    pub fn new() -> Events<E> {
        Events { heap: BinaryHeap::new(), line: VecDeque::new(), made: 0, now_ns: 0 }
    }

    /// The time of the last event that was taken.
    pub fn now(&self) -> Nanos {
        Nanos(self.now_ns)
    }

    /// Something will happen after a time.
    pub fn after(&mut self, delay_ns: u64, event: E) {
        self.made += 1;
        let entry = Entry { at_ns: self.now_ns + delay_ns, number: self.made, event };
        if self.line.back().is_none_or(|last| last.at_ns <= entry.at_ns) {
            self.line.push_back(entry);
        } else {
            self.heap.push(Reverse(entry));
        }
    }

    /// The next event; the time moves on to it.
    pub fn next(&mut self) -> Option<E> {
        let is_in_line = match (self.line.front(), self.heap.peek()) {
            (Some(first), Some(Reverse(top))) => first < top,
            (first, _) => first.is_some(),
        };
        let entry = if is_in_line { self.line.pop_front()? } else { self.heap.pop()?.0 };
        self.now_ns = entry.at_ns;
        Some(entry.event)
    }
}
