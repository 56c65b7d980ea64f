//! *Default*: the pass rate is the success rate of the last period.

use super::rate::HEALTHY;
use super::track::{Evidence, Generate};
use crate::id::Per10k;

/// The pass rate is the success rate of the last period, and all from [`HEALTHY`] on.
///
/// It has no memory, so an endpoint that fails because it is sent too much goes back and forth between its two rates:
/// [`Wilson`](super::Wilson) does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SuccessRate;

impl Generate for SuccessRate {
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k {
        let success = evidence.sample.success_rate();
        if success >= HEALTHY { Per10k::ALL } else { success }
    }
}
