//! How long to wait after a fault: longer after each, and not as long as others wait.

use std::time::Duration;

use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// The faults in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// It works again.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }

    /// A fault: 100 ms, doubling to 5 s, each by 1/2 to 3/2, so that the hosts of a fleet do not come back together.
    pub(super) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.0.min(10)).min(LONGEST);
        self.0 += 1;
        wait.mul_f64(rand::rng().random_range(0.5..1.5))
    }
}
