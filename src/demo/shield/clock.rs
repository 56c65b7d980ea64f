//! The clock that all processes of a run share: milliseconds of CLOCK_MONOTONIC.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

use super::plan::{BUCKET_MS, Timing};

/// The present.
pub(crate) fn now_ms() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.cast_unsigned() * 1_000 + now.tv_nsec.cast_unsigned() / 1_000_000
}

/// Waits for a moment; not at all if it is over.
pub(crate) async fn sleep_until(at_ms: u64) {
    sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await;
}

/// When the parts of a run begin and end, each at the start of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moments {
    pub(crate) measured_from_ms: u64,
    pub(crate) fault_from_ms: u64,
    pub(crate) fault_to_ms: u64,
    pub(crate) end_ms: u64,
}

impl Moments {
    /// Those of a run that begins at a moment.
    pub(crate) fn after(start_ms: u64, timing: Timing) -> Moments {
        let ms = |part: Duration| part.as_millis() as u64;
        let measured_from_ms = start_ms.next_multiple_of(BUCKET_MS) + ms(timing.settling);
        let fault_from_ms = measured_from_ms + ms(timing.before);
        let fault_to_ms = fault_from_ms + ms(timing.fault);
        Moments { measured_from_ms, fault_from_ms, fault_to_ms, end_ms: fault_to_ms + ms(timing.after) }
    }
}
