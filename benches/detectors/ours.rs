//! The bucket that counts in requests (Page's CUSUM): a failure pours, a success leaks, and no clock is asked.

use crate::trial::Detector;

const POUR: u16 = 7;
const LEAK: u16 = 1;
const THRESHOLD: u16 = 35;

#[derive(Clone, Default)]
pub struct Ours {
    level: u16,
}

impl Detector for Ours {
    fn outcome(&mut self, failed: bool, _: u64, _: u64) -> bool {
        self.level = if failed { self.level + POUR } else { self.level.saturating_sub(LEAK) };
        self.level > THRESHOLD
    }

    fn reset(&mut self) {
        *self = Ours::default();
    }
}
