//! What a client counts of each method that it calls.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcrpc_core::host::calls::{BOUNDS_NS, Calls};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;

use crate::stats::Histogram;
use crate::stats::codes::Codes;

/// So many methods of a service are told apart.
const MAX_METHODS: usize = 256;
const OTHERS: &str = "other";
/// The place of all others.
const OTHERS_PLACE: usize = MAX_METHODS;

/// A method that is called.
#[derive(Default)]
pub(crate) struct MethodStats {
    pub(crate) name: Box<str>,
    /// Whether that is the full name that it is called by.
    is_named: bool,
    id: u32,
    /// How calls ended.
    pub(crate) codes: Codes,
    /// How long they took until their answers were read, all attempts together.
    pub(crate) duration: Histogram,
    /// What attempts met.
    pub(crate) attempts: [AtomicU64; Outcome::ALL.len()],
    /// Attempts that were given up before they met anything.
    pub(crate) cancelled: AtomicU64,
}

impl MethodStats {
    /// Without a name it has its id's.
    fn new(name: Option<&str>, id: u32) -> Box<MethodStats> {
        let shown = name.map_or_else(|| format!("{id:#010x}").into(), Into::into);
        Box::new(MethodStats { name: shown, is_named: name.is_some(), id, ..MethodStats::default() })
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

/// The methods of a service that are called: few, and known after the first calls. None is ever taken out, so that whoever looks one
/// up has nothing to lock, nor to count.
pub(crate) struct MethodTable {
    /// Those that are told apart, from the first place on.
    told_apart: Box<[OnceLock<Box<MethodStats>>]>,
    others: OnceLock<Box<MethodStats>>,
}

impl Default for MethodTable {
    fn default() -> MethodTable {
        let told_apart = (0..MAX_METHODS).map(|_| OnceLock::new()).collect();
        MethodTable { told_apart, others: OnceLock::new() }
    }
}

impl MethodTable {
    /// The place of a method by its full name, and its id.
    #[inline]
    pub(crate) fn find(&self, full_name: &str) -> (usize, u32) {
        match self.iter().enumerate().find(|(_, method)| *method.name == *full_name && method.is_named) {
            Some((place, known)) => (place, known.id),
            None => {
                let id = method_id(full_name.as_bytes());
                (self.find_or_insert(Some(full_name), id), id)
            }
        }
    }

    /// The place of a method by its id, under the name that it may have told; without one, under its id.
    pub(crate) fn find_by_id(&self, id: u32, told: &str) -> usize {
        let name = Some(told).filter(|told| method_id(told.as_bytes()) == id);
        self.find_or_insert(name, id)
    }

    /// The method at a place.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> &MethodStats {
        self.told_apart.get(place).and_then(OnceLock::get).map_or_else(|| self.others(), AsRef::as_ref)
    }

    #[cold]
    fn others(&self) -> &MethodStats {
        self.others.get_or_init(|| MethodStats::new(Some(OTHERS), method_id(OTHERS.as_bytes())))
    }

    /// What the attempts of all of them met, and how long calls took.
    pub(crate) fn calls(&self) -> Calls {
        let mut calls = Calls::default();
        for method in self.all() {
            for (sum, count) in calls.totals.calls.iter_mut().zip(&method.attempts) {
                *sum = sum.wrapping_add(count.load(Relaxed));
            }
            calls.totals.time_us += method.duration.sum().as_micros() as u64;
            method.duration.add_between(&BOUNDS_NS, &mut calls.durations);
        }
        calls
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &MethodStats> {
        self.iter().chain(self.others.get().map(AsRef::as_ref))
    }

    #[inline]
    fn iter(&self) -> impl Iterator<Item = &MethodStats> {
        self.told_apart.iter().map_while(OnceLock::get).map(AsRef::as_ref)
    }

    /// The place of the one with this id: the first free one if it is new, and that of the others if there is none.
    #[cold]
    fn find_or_insert(&self, name: Option<&str>, id: u32) -> usize {
        let mut methods = self.told_apart.iter().map(|place| place.get_or_init(|| MethodStats::new(name, id)));
        methods.position(|method| method.id == id).unwrap_or(OTHERS_PLACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_the_same_each_time_and_there_are_only_so_many() {
        let table = MethodTable::default();
        for _ in 0..2 {
            (0..MAX_METHODS + 9).for_each(|n| table.at(table.find(&format!("t.T.M{n}")).0).ended(Status::OK, 1));
        }
        let all: Vec<_> = table.all().collect();
        assert_eq!(all.len(), MAX_METHODS + 1);
        assert!(all[..MAX_METHODS].iter().all(|method| method.duration.count() == 2));
        assert_eq!((&*all[MAX_METHODS].name, all[MAX_METHODS].duration.count()), ("other", 18));
    }

    #[test]
    fn a_method_that_is_known_by_its_id_alone_is_not_called_by_what_is_shown_of_it() {
        let table = MethodTable::default();
        let id = method_id(b"t.T.M");
        let place = table.find_by_id(id, "");
        let shown = &table.at(place).name;
        assert_eq!((&**shown, table.find(shown).1), (&*format!("{id:#010x}"), method_id(shown.as_bytes())));
        assert_eq!(table.find("t.T.M"), (place, id));
    }
}
