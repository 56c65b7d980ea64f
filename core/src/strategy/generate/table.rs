//! *Table*: up to so many requests and so much success, such a change of the pass rate.
//!
//! The more requests, the more success is asked for, and the smaller is the step back: with many a share is known well,
//! and a mistake is dear.

use super::rate::{FLOOR, changed, per_10k};
use super::track::{Evidence, Generate};
use crate::id::Per10k;

/// One line of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// It is for so many requests or fewer.
    pub requests: u32,
    /// It is for such a success rate or a lower one.
    pub success: Per10k,
    /// What becomes of the pass rate, in percent of itself.
    pub change_percent: i16,
}

/// How an endpoint comes back that is at [`FLOOR`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Its success rate must be higher than this.
    pub above_success: Per10k,
    /// Its new pass rate.
    pub pass_rate: Per10k,
}

/// From the floor to 15 % when more than 80 % of the calls succeed.
pub const DEFAULT_RESTART: Restart = Restart { above_success: per_10k(8_000), pass_rate: per_10k(1_500) };

/// The rules when no file says others.
pub const DEFAULT_RULES: &[Rule] = &[
    rule(200, 30, -80),
    rule(200, 80, -30),
    rule(200, 98, -5),
    rule(200, 100, 80),
    rule(500, 50, -80),
    rule(500, 80, -50),
    rule(500, 98, -10),
    rule(500, 100, 70),
    rule(1_000, 70, -80),
    rule(1_000, 98, -20),
    rule(1_000, 100, 50),
    rule(2_000, 80, -80),
    rule(2_000, 98, -25),
    rule(2_000, 100, 40),
    rule(5_000, 85, -80),
    rule(5_000, 98, -30),
    rule(5_000, 100, 30),
    rule(10_000, 90, -80),
    rule(10_000, 98, -35),
    rule(10_000, 100, 20),
];

const fn rule(requests: u32, success_percent: u64, change_percent: i16) -> Rule {
    Rule { requests, success: per_10k(success_percent * 100), change_percent }
}

/// A table of rules in ascending order, by requests and then by success.
///
/// The first rule that covers both holds. Beyond the largest number of requests the rules of that number hold, and beyond
/// the highest success rate of a number its last rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table<R = &'static [Rule]> {
    rules: R,
    restart: Restart,
}

impl Table {
    /// [`DEFAULT_RULES`] and [`DEFAULT_RESTART`].
    pub const DEFAULT: Table = Table::new(DEFAULT_RULES, DEFAULT_RESTART);
}

impl<R> Table<R> {
    /// Rules in ascending order, and how to come back from the floor.
    pub const fn new(rules: R, restart: Restart) -> Table<R> {
        Table { rules, restart }
    }
}

impl<R: AsRef<[Rule]>> Table<R> {
    /// The rule for so many requests with such a success rate; `None` only in a table without rules.
    pub fn rule(&self, requests: u32, success: Per10k) -> Option<&Rule> {
        let rules = self.rules.as_ref();
        let tier = rules.iter().map(|rule| rule.requests).find(|&most| requests <= most);
        let tier = tier.or(rules.last().map(|rule| rule.requests))?;
        let mut of_tier = rules.iter().filter(|rule| rule.requests == tier);
        of_tier.clone().find(|rule| success <= rule.success).or(of_tier.next_back())
    }
}

impl<R: AsRef<[Rule]>> Generate for Table<R> {
    fn pass_rate(&mut self, evidence: &Evidence) -> Per10k {
        let success = evidence.sample.success_rate();
        if evidence.pass_rate <= FLOOR && success > self.restart.above_success {
            return self.restart.pass_rate;
        }
        let rule = self.rule(evidence.sample.requests, success);
        rule.map_or(evidence.pass_rate, |rule| changed(evidence.pass_rate, i32::from(rule.change_percent) * 100))
    }
}
