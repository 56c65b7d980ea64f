//! The agent's judgement of an endpoint, by count *and* rate of the failures of all processes (SPEC S7, MMLB).
//!
//! It finds what the breaker's bucket is slow to find: an endpoint that fails a fifth of its calls, for long. Both
//! conditions are needed: a count alone shields whoever has many calls, a rate alone whoever has few.

use crate::id::Per10k;

/// Periods of a window.
const PERIODS: usize = 10;

/// When an endpoint is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateRules {
    /// So many failures within the window, at least.
    pub min_failures: u32,
    /// And this share of the calls, at least.
    pub rate: Per10k,
}

impl RateRules {
    /// 20 failures within 10 periods, and a fifth of the calls. At 5 % of failures that happens once in 10⁷ windows of
    /// 100 calls, and less often in longer ones.
    pub const DEFAULT: RateRules = RateRules {
        min_failures: 20,
        rate: match Per10k::new(2_000) {
            Some(rate) => rate,
            None => Per10k::ALL,
        },
    };
}

/// The last ten periods of one endpoint, a second each as a rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateWindow {
    periods: [Period; PERIODS],
    next: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Period {
    requests: u32,
    failures: u32,
}

impl RateWindow {
    /// Adds a period. Whether the endpoint is bad; then the window begins anew, so that the same failures do not count
    /// twice.
    pub fn judge(&mut self, requests: u32, failures: u32, rules: &RateRules) -> bool {
        if let Some(period) = self.periods.get_mut(self.next) {
            *period = Period { requests, failures };
        }
        self.next = if self.next + 1 < PERIODS { self.next + 1 } else { 0 };
        let sum = |count: fn(&Period) -> u32| self.periods.iter().map(count).map(u64::from).sum::<u64>();
        let (requests, failures) = (sum(|period| period.requests), sum(|period| period.failures));
        let is_bad = failures >= u64::from(rules.min_failures.max(1))
            && failures * u64::from(Per10k::ALL.get()) >= requests * u64::from(rules.rate.get());
        if is_bad {
            *self = RateWindow::default();
        }
        is_bad
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The period, counted from 1, in which an endpoint with so many calls and failures per period is found bad.
    fn found_after(requests: u32, failures: u32) -> Option<usize> {
        let mut window = RateWindow::default();
        (1..=100).find(|_| window.judge(requests, failures, &RateRules::DEFAULT))
    }

    #[test]
    fn it_takes_both_a_count_and_a_rate() {
        let cases = [
            ("all fail", 100, 100, Some(1)),
            ("many fail, of few", 5, 5, Some(4)),
            ("a fifth fails", 50, 10, Some(2)),
            ("a fifth fails, rarely called", 10, 2, Some(10)),
            ("too few to say", 5, 1, None),
            ("many, but of more", 10_000, 1_900, None),
        ];
        for (name, requests, failures, expected) in cases {
            assert_eq!(found_after(requests, failures), expected, "{name}");
        }
    }

    #[test]
    fn what_was_judged_once_does_not_count_again() {
        let mut window = RateWindow::default();
        assert!(window.judge(20, 20, &RateRules::DEFAULT));
        assert!(!window.judge(1, 1, &RateRules::DEFAULT));
    }
}
