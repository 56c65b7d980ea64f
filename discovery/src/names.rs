//! The table, shared between those who fill it and those who ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcrpc_agent::names::ServiceList;
use mcrpc_core::time::Nanos;
use tokio::sync::watch;

use crate::table::Table;

/// The services of a host. Clones are the same.
#[derive(Clone, Debug)]
pub struct Names(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    /// Counts how often something was put in force.
    changes: watch::Sender<u64>,
}

impl Names {
    /// Shares a table.
    pub fn new(table: Table) -> Names {
        Names(Arc::new(Inner { table: Mutex::new(table), changes: watch::Sender::new(0) }))
    }

    /// The table. It must not be kept while anything is waited for.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        // Whoever panicked has left each service as it was or as it should be.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts in force what has changed. Those lists.
    pub fn publish(&self, now: Nanos) -> Vec<Arc<ServiceList>> {
        let lists = self.table().publish(now);
        if !lists.is_empty() {
            self.0.changes.send_modify(|count| *count += 1);
        }
        lists
    }

    /// Who waits for changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }
}
