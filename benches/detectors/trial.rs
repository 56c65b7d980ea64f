//! What a detector is, and the two questions put to it: how soon does it see a fault, how often does it see one where
//! there is none?

use crate::traffic::{Outcome, Traffic};

/// Background failure before a fault, in percent.
pub const BACKGROUND_PERCENT: u32 = 1;
/// Between two faults after the same minute: enough for a bucket to forget where it stood.
const GAP_REQUESTS: usize = 100;
const CHUNK_REQUESTS: usize = 10_000;

/// Decides from the outcomes of the calls to one endpoint whether to shield it.
pub trait Detector: Clone {
    /// Takes one outcome in; whether the endpoint is to be shielded now.
    fn outcome(&mut self, failed: bool, latency_ns: u64, now_ns: u64) -> bool;

    /// Begins again, as when a shield ends.
    fn reset(&mut self);
}

/// A detector in a trial, whichever it is.
pub trait Contestant {
    /// Takes these outcomes in; how often it would have shielded. Each time it begins again.
    fn shields(&mut self, outcomes: &[Outcome]) -> u64;

    /// The requests until it would shield, the last one included; none if it does not. It stays as it is.
    fn requests_to_shield(&self, outcomes: &[Outcome]) -> Option<u64>;
}

impl<D: Detector> Contestant for D {
    fn shields(&mut self, outcomes: &[Outcome]) -> u64 {
        let mut shields = 0;
        for outcome in outcomes {
            if self.outcome(outcome.failed, outcome.latency_ns, outcome.now_ns) {
                shields += 1;
                self.reset();
            }
        }
        shields
    }

    fn requests_to_shield(&self, outcomes: &[Outcome]) -> Option<u64> {
        let mut detector = self.clone();
        let tripped = |outcome: &Outcome| detector.outcome(outcome.failed, outcome.latency_ns, outcome.now_ns);
        outcomes.iter().position(tripped).map(|index| index as u64 + 1)
    }
}

/// How faults are tried.
#[derive(Clone, Copy)]
pub struct Faults<'a> {
    pub failed_percent: &'a [u32],
    /// Minutes of background failure, each of its own traffic and met by a new detector.
    pub minutes: u64,
    /// Faults tried after a minute, a little apart; each leaves the detector as it was.
    pub per_minute: u32,
    /// A detector that has not shielded by then is given up.
    pub patience_requests: usize,
}

/// The requests from each fault to the shield, in order, by contestant and failure rate; `u64::MAX` if it never came.
pub fn delays(new: impl Fn() -> Vec<Box<dyn Contestant>>, per_second: u32, faults: Faults<'_>) -> Vec<Vec<Vec<u64>>> {
    let mut delays = vec![vec![Vec::new(); faults.failed_percent.len()]; new().len()];
    for minute in 0..faults.minutes {
        let mut traffic = Traffic::new(minute, per_second, BACKGROUND_PERCENT);
        let mut contestants = new();
        let mut background = traffic.minute();
        for _ in 0..faults.per_minute {
            for contestant in &mut contestants {
                contestant.shields(&background);
            }
            for (level, &failed_percent) in faults.failed_percent.iter().enumerate() {
                let faulty: Vec<_> = traffic.failing(failed_percent).take(faults.patience_requests).collect();
                for (contestant, delays) in contestants.iter().zip(&mut delays) {
                    delays[level].push(contestant.requests_to_shield(&faulty).unwrap_or(u64::MAX));
                }
            }
            background = traffic.by_ref().take(GAP_REQUESTS).collect();
        }
    }
    delays.iter_mut().flatten().for_each(|delays| delays.sort_unstable());
    delays
}

/// How often each contestant shields in so many requests of which this share fails.
pub fn false_shields(
    mut contestants: Vec<Box<dyn Contestant>>,
    per_second: u32,
    failed_percent: u32,
    requests: usize,
) -> Vec<u64> {
    let mut traffic = Traffic::new(u64::from(failed_percent), per_second, failed_percent);
    let mut shields = vec![0; contestants.len()];
    for _ in 0..requests / CHUNK_REQUESTS {
        let outcomes: Vec<_> = traffic.by_ref().take(CHUNK_REQUESTS).collect();
        for (contestant, shields) in contestants.iter_mut().zip(&mut shields) {
            *shields += contestant.shields(&outcomes);
        }
    }
    shields
}

/// The value below which this share of the sorted values is.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted.get(sorted.len().saturating_sub(1) * percent / 100).copied().unwrap_or(u64::MAX)
}
