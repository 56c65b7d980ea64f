//! The memory that requests may take up while they arrive and wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many bytes for all requests together, and what each IO thread reads at once more at most.
#[derive(Clone, Debug)]
pub(crate) struct Memory(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    used: AtomicUsize,
    limit: usize,
}

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    memory: Memory,
    len: usize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Memory {
        Memory(Arc::new(Budget { used: AtomicUsize::new(0), limit }))
    }

    /// A part of no bytes.
    pub(crate) fn lease(&self) -> Lease {
        Lease { memory: self.clone(), len: 0 }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    /// Whether there are so many bytes. Threads that ask at the same moment may both be told so.
    #[inline]
    pub(crate) fn has_room(&self, len: usize) -> bool {
        self.used().saturating_add(len) <= self.0.limit
    }

    /// Takes so many bytes, even if there are none: whoever does gives them back.
    #[inline]
    pub(crate) fn take(&self, len: usize) {
        self.0.used.fetch_add(len, Relaxed);
    }

    #[inline]
    pub(crate) fn give_back(&self, len: usize) {
        self.0.used.fetch_sub(len, Relaxed);
    }
}

impl Lease {
    /// Takes so many bytes more, if there are.
    pub(crate) fn extend(&mut self, len: usize) -> bool {
        let has_room = self.memory.has_room(len);
        if has_room {
            self.memory.take(len);
            self.len += len;
        }
        has_room
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.give_back(self.len);
    }
}
