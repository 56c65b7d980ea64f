//! How often something ended with each status.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Status;

/// The place of all codes that are no system's: the services' own.
const OWN: usize = Status::ALL.len();
const LEN: usize = OWN + 1;
/// What the services' own codes are counted as: they are too many, and the services' business.
const OWN_NAME: &str = "own";

/// The place of each code in a row, by its number without the sign.
const PLACES: [u8; lowest() + 1] = {
    assert!(OWN <= u8::MAX as usize);
    let mut places = [OWN as u8; lowest() + 1];
    let mut at = 0;
    while at < Status::ALL.len() {
        places[Status::ALL[at].status.0.unsigned_abs() as usize] = at as u8;
        at += 1;
    }
    places
};

const fn lowest() -> usize {
    Status::ALL[Status::ALL.len() - 1].status.0.unsigned_abs() as usize
}

/// A count for each status.
#[derive(Debug)]
pub(crate) struct Codes([AtomicU64; LEN]);

impl Codes {
    /// So many more.
    #[inline]
    pub(crate) fn count(&self, status: Status, times: u64) {
        self.0[place_of(status)].fetch_add(times, Relaxed);
    }

    /// What was counted, by the names of the statuses: without those that never came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, Outcome, u64)> {
        let names = Status::ALL.iter().map(|known| (name_of(known.status), Outcome::of(known.status)));
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        let all = names.chain([(OWN_NAME, Outcome::Logic)]).zip(counts);
        all.filter(|(_, count)| *count > 0).map(|((name, outcome), count)| (name, outcome, count))
    }
}

impl Default for Codes {
    fn default() -> Codes {
        Codes([const { AtomicU64::new(0) }; LEN])
    }
}

/// A status as a label of a metric.
pub(crate) fn name_of(status: Status) -> &'static str {
    status.description().map_or(OWN_NAME, |known| known.name.get().to_str().unwrap_or_default())
}

#[inline]
fn place_of(status: Status) -> usize {
    let is_positive = status.0 > 0;
    PLACES.get(status.0.unsigned_abs() as usize).filter(|_| !is_positive).map_or(OWN, |&place| place.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_a_count_of_its_own_and_the_services_own_codes_have_one() {
        let codes = Codes::default();
        let own = [Status(1), Status(204), Status(i32::MAX), Status(i32::MIN), Status(-9), Status(-10_000)];
        Status::ALL.iter().map(|known| known.status).chain(own).for_each(|status| codes.count(status, 1));
        let counted: Vec<_> = codes.iter().collect();
        assert_eq!(counted.len(), Status::ALL.len() + 1);
        for (known, (name, outcome, count)) in Status::ALL.iter().zip(&counted) {
            assert_eq!((name_of(known.status), Outcome::of(known.status), 1), (*name, *outcome, *count));
        }
        assert_eq!(counted.last(), Some(&("own", Outcome::Logic, own.len() as u64)));
    }
}
