//! The memory that requests may take up while they arrive and wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// So many bytes for all requests together.
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

    /// Takes so many bytes, if there are: whoever does gives them back.
    #[inline]
    pub(crate) fn take(&self, len: usize) -> bool {
        let used = self.0.used.fetch_add(len, Relaxed);
        if used.saturating_add(len) > self.0.limit {
            self.give_back(len);
            return false;
        }
        true
    }

    /// Takes so many bytes that have been given back too early.
    pub(crate) fn retake(&self, len: usize) {
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
        let is_taken = self.memory.take(len);
        self.len += if is_taken { len } else { 0 };
        is_taken
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.memory.give_back(self.len);
    }
}
