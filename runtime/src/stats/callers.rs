//! Who calls, as a small number: so that a count per caller is found without looking a name up, and callers cannot make metrics
//! without end.

use std::sync::Arc;

use parking_lot::Mutex;

/// So many callers are told apart; those that come later are one.
const NAMED: usize = 64;
/// How many numbers there are.
pub(crate) const CALLERS: usize = NAMED + 2;
const OTHERS: &str = "other";

/// The number of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallerNumber(u8);

impl CallerNumber {
    /// Whoever has not said its name.
    pub(crate) const UNKNOWN: CallerNumber = CallerNumber(0);
    const OTHER: CallerNumber = CallerNumber(NAMED as u8 + 1);

    /// The same as a plain number, to be kept in an atomic.
    pub(crate) const fn get(self) -> u8 {
        self.0
    }

    /// The caller with such a number.
    pub(crate) const fn from_number(number: u8) -> CallerNumber {
        if (number as usize) < CALLERS { CallerNumber(number) } else { CallerNumber::OTHER }
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The callers of a server, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Callers(Mutex<Vec<Arc<str>>>);

impl Callers {
    /// The number of a caller: when a connection begins, not with each request.
    pub(crate) fn number_of(&self, name: &str) -> CallerNumber {
        if name.is_empty() {
            return CallerNumber::UNKNOWN;
        }
        let mut names = self.0.lock();
        let known = names.iter().position(|known| **known == *name);
        let place = known.or_else(|| {
            (names.len() < NAMED).then(|| {
                names.push(name.into());
                names.len() - 1
            })
        });
        place.map_or(CallerNumber::OTHER, |place| CallerNumber(place as u8 + 1))
    }

    /// The names, by their numbers: unknown, the first ones, and all others.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let named = self.0.lock().clone();
        let mut names: Vec<Arc<str>> = vec!["".into()];
        names.extend(named);
        names.resize(CALLERS - 1, "".into());
        names.push(OTHERS.into());
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_callers_have_names_and_all_later_ones_are_others() {
        let callers = Callers::default();
        assert_eq!(callers.number_of(""), CallerNumber::UNKNOWN);
        for round in 0..2 {
            for n in 0..NAMED + 5 {
                let number = callers.number_of(&format!("caller-{n}"));
                assert_eq!(number, CallerNumber::from_number((n + 1).min(NAMED + 1) as u8), "round {round}");
            }
        }
        let names = callers.names();
        assert_eq!(
            (names.len(), &*names[0], &*names[1], &*names[64], &*names[65]),
            (66, "", "caller-0", "caller-63", "other")
        );
    }
}
