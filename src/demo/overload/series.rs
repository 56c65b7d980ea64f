//! What the servers and the front print, added up over all of them: counts for each tenth of a second.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result, bail};

/// Calls in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Requests that reached a server, refused or not.
    pub(crate) received: u64,
    /// Those that were executed for a task that became good.
    pub(crate) useful: u64,
    /// And for one that failed.
    pub(crate) wasted: u64,
}

impl Calls {
    fn add(&mut self, other: &Calls) {
        self.received += other.received;
        self.useful += other.useful;
        self.wasted += other.wasted;
    }

    /// Of the calls that were executed, the share that was for nothing.
    pub(crate) fn wasted_share(&self) -> f64 {
        self.wasted as f64 / (self.useful + self.wasted).max(1) as f64
    }
}

/// The buckets by their start, in ms.
#[derive(Debug, Default)]
pub(crate) struct Series {
    buckets: BTreeMap<u64, Calls>,
}

impl Series {
    /// Adds a line: words and numbers in turn.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<()> {
        let (start_ms, calls) = parse(line).with_context(|| format!("a server printed \"{line}\""))?;
        self.buckets.entry(start_ms).or_default().add(&calls);
        Ok(())
    }

    /// All buckets of a time, as one.
    pub(crate) fn sum(&self, time_ms: Range<u64>) -> Calls {
        let mut sum = Calls::default();
        self.buckets.range(time_ms).for_each(|(_, calls)| sum.add(calls));
        sum
    }
}

fn parse(line: &str) -> Result<(u64, Calls)> {
    let mut words = line.split_whitespace();
    let (mut start_ms, mut calls) = (None, Calls::default());
    while let Some(word) = words.next() {
        let number = words.next().unwrap_or_default().parse().context("a number is missing")?;
        match word {
            "bucket" => start_ms = Some(number),
            "received" => calls.received = number,
            "useful" => calls.useful = number,
            "wasted" => calls.wasted = number,
            other => bail!("nobody knows the word {other}"),
        }
    }
    Ok((start_ms.context("the bucket is missing")?, calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_all_programs_are_added_up() {
        let mut series = Series::default();
        for line in
            ["bucket 500 received 7", "bucket 500 received 1", "bucket 500 useful 6 wasted 2", "bucket 600 received 5"]
        {
            series.add_line(line).unwrap();
        }
        assert_eq!(series.sum(500..600), Calls { received: 8, useful: 6, wasted: 2 });
        assert_eq!(series.sum(500..700).received, 13);
        assert_eq!(series.sum(500..700).wasted_share(), 0.25);
        assert_eq!(series.sum(600..700).wasted_share(), 0.0);
    }

    #[test]
    fn a_line_that_is_none_is_shown() {
        for line in ["", "bucket", "received 2", "bucket 1 received x", "bucket 1 refused 2"] {
            let error = Series::default().add_line(line).unwrap_err();
            assert!(format!("{error:#}").contains(line), "{error:#}");
        }
    }
}
