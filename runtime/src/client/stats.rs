//! What a client counts of each method that it calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use mcrpc_core::host::calls::{BOUNDS_NS, Calls};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;

use crate::stats::Histogram;
use crate::stats::codes::Codes;

/// So many methods of a service are told apart.
const MAX_METHODS: usize = 256;
const OTHERS: &str = "other";

/// A method that is called.
#[derive(Default)]
pub(crate) struct MethodStats {
    pub(crate) name: Box<str>,
    id: u32,
    /// How calls ended.
    pub(crate) codes: Codes,
    /// How long they took, all attempts together.
    pub(crate) duration: Histogram,
    /// What attempts met.
    pub(crate) attempts: [AtomicU64; Outcome::ALL.len()],
    /// Attempts that were given up before they met anything.
    pub(crate) cancelled: AtomicU64,
}

impl MethodStats {
    fn new(name: Box<str>, id: u32) -> Arc<MethodStats> {
        Arc::new(MethodStats { name, id, ..MethodStats::default() })
    }

    #[inline]
    pub(crate) fn attempted(&self, outcome: Outcome) {
        self.attempts[outcome as usize].fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn ended(&self, status: Status, elapsed_ns: u64) {
        self.codes.count(status, 1);
        self.duration.record_ns(elapsed_ns);
    }
}

/// The methods of a service that are called: few, and known after the first calls.
#[derive(Default)]
pub(crate) struct MethodTable(ArcSwap<Vec<Arc<MethodStats>>>);

impl MethodTable {
    /// A method by its full name, and its id.
    pub(crate) fn get(&self, full_name: &str) -> (u32, Arc<MethodStats>) {
        let id = method_id(full_name.as_bytes());
        let known = self.known(id);
        (id, known.unwrap_or_else(|| self.insert(Some(full_name), id)))
    }

    /// A method by its id, under the name that it may have told; without one, under its id.
    pub(crate) fn get_by_id(&self, id: u32, told: &str) -> (u32, Arc<MethodStats>) {
        let name = Some(told).filter(|told| method_id(told.as_bytes()) == id);
        (id, self.known(id).unwrap_or_else(|| self.insert(name, id)))
    }

    fn known(&self, id: u32) -> Option<Arc<MethodStats>> {
        self.0.load().iter().find(|method| method.id == id).cloned()
    }

    /// What the attempts of all of them met, and how long calls took.
    pub(crate) fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        for method in self.0.load().iter() {
            for (sum, count) in calls.totals.calls.iter_mut().zip(&method.attempts) {
                *sum = sum.wrapping_add(count.load(Relaxed));
            }
            calls.totals.time_us += method.duration.sum().as_micros() as u64;
            method.duration.add_between(&BOUNDS_NS, &mut calls.durations);
        }
        calls
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<MethodStats>>> {
        self.0.load_full()
    }

    /// One that is new, or `other` if there are enough. Without a name it has its id's.
    #[cold]
    fn insert(&self, name: Option<&str>, id: u32) -> Arc<MethodStats> {
        let is_full = self.0.load().len() >= MAX_METHODS;
        let (name, id) = if is_full { (Some(OTHERS), method_id(OTHERS.as_bytes())) } else { (name, id) };
        if is_full && let Some(others) = self.known(id) {
            return others;
        }
        let new = MethodStats::new(name.map_or_else(|| format!("{id:#010x}").into(), Into::into), id);
        self.0.rcu(|methods| {
            // Somebody else may have been faster.
            let is_known = methods.iter().any(|method| method.id == id);
            methods.iter().cloned().chain((!is_known).then(|| new.clone())).collect::<Vec<_>>()
        });
        self.known(id).unwrap_or(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_the_same_each_time_and_there_are_only_so_many() {
        let table = MethodTable::default();
        for _ in 0..2 {
            (0..MAX_METHODS + 9).for_each(|n| table.get(&format!("t.T.M{n}")).1.ended(Status::OK, 1));
        }
        let all = table.all();
        assert_eq!(all.len(), MAX_METHODS + 1);
        assert!(all[..MAX_METHODS].iter().all(|method| method.duration.count() == 2));
        assert_eq!((&*all[MAX_METHODS].name, all[MAX_METHODS].duration.count()), ("other", 18));
        table.get("t.T.More");
        assert!(Arc::ptr_eq(&all, &table.all()), "the table is not made anew for a method that it does not tell apart");
    }
}
