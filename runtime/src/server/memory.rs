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
    budget: Arc<Budget>,
    len: usize,
}

impl Memory {
    pub(crate) fn new(limit: usize) -> Memory {
        Memory(Arc::new(Budget { used: AtomicUsize::new(0), limit }))
    }

    /// A part of no bytes.
    pub(crate) fn lease(&self) -> Lease {
        Lease { budget: self.0.clone(), len: 0 }
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }
}

impl Lease {
    /// Takes so many bytes more, if there are.
    pub(crate) fn extend(&mut self, len: usize) -> bool {
        let used = self.budget.used.fetch_add(len, Relaxed);
        if used.saturating_add(len) > self.budget.limit {
            self.budget.used.fetch_sub(len, Relaxed);
            return false;
        }
        self.len += len;
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.len, Relaxed);
    }
}
