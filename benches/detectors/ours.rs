//! The core's own: an endpoint's cell, as calls report to it.

use std::sync::atomic::{AtomicU64, Ordering};

use mcrpc_core::host::region::Shared;
use mcrpc_core::shield::breaker::Settings;
use mcrpc_core::shield::health::{Health, LEN, Rules};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::time::Nanos;

use crate::trial::Detector;

const RULES: Rules = Rules { breaker: Settings::DEFAULT, leak: None };

#[derive(Default)]
pub struct Ours([AtomicU64; LEN]);

impl Ours {
    fn health(&self) -> Health<'_> {
        Health::new(Shared::new(&self.0))
    }
}

impl Clone for Ours {
    fn clone(&self) -> Ours {
        Ours(self.0.each_ref().map(|word| AtomicU64::new(word.load(Ordering::Relaxed))))
    }
}

impl Detector for Ours {
    fn outcome(&mut self, failed: bool, _: u64, now_ns: u64) -> bool {
        let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
        self.health().report(outcome, false, &RULES, Nanos(now_ns))
    }

    fn reset(&mut self) {
        self.health().forget();
    }
}
