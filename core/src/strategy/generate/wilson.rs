//! *Wilson*: the bounds of a confidence interval decide, so that few requests change little.
//!
//! The score interval of E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (JASA 22,
//! 1927), with z = 2, that is 95.4 %: it stays within 0 and 1, and is good for few requests and for rates near 1, where
//! the usual p ± z·√(p(1-p)/n) claims certainty after a single success. With s successes of n and z = 2 it is
//! (s + 2 ± 2·√(s(n-s)/n + 1)) / (n + 4).

use super::rate::{HEALTHY, changed, per_10k};
use super::track::{Evidence, Generate, Sample};
use crate::id::Per10k;

const SCALE: u128 = Per10k::ALL.get() as u128;
/// A rise is this part of the lower bound: at most by half per decision.
const RISE_DIVISOR: i32 = 2;

/// Between which the true success rate is, with 95.4 % confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Rounded down.
    pub lower: Per10k,
    /// Rounded up.
    pub upper: Per10k,
}

impl Interval {
    /// The interval after a sample.
    pub const fn of(sample: Sample) -> Interval {
        let (n, s) = (sample.requests as u128, sample.successes() as u128);
        let Some(variance) = (SCALE * SCALE * s * (n - s)).checked_div(n) else {
            return Interval { lower: Per10k::NONE, upper: Per10k::ALL };
        };
        // At most 10 000 · 2 · √(n/4 + 1), so it fits as well as n does.
        let half = 2 * (variance + SCALE * SCALE).isqrt();
        let (center, weight) = (SCALE * (s + 2), n + 4);
        let lower = center.saturating_sub(half + 2) / weight;
        let upper = (center + half + 2).div_ceil(weight);
        Interval { lower: per_10k(lower as u64), upper: per_10k(upper as u64) }
    }
}

/// The pass rate falls to the part of it that succeeds at best, when even that is not well; otherwise it rises, by the more
/// the surer it is that calls succeed.
///
/// An endpoint that fails because it is sent too much comes to rest where it can do what it is sent: with success rate *c/r*
/// at pass rate *r* the next one is *c*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wilson;

impl Generate for Wilson {
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k {
        let Interval { lower, upper } = Interval::of(evidence.sample);
        let [lower, upper] = [lower, upper].map(|bound| i32::from(bound.get()));
        let change =
            if upper < i32::from(HEALTHY.get()) { upper - i32::from(Per10k::ALL.get()) } else { lower / RISE_DIVISOR };
        changed(evidence.pass_rate, change)
    }
}
