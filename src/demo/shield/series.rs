//! What the clients print, added up over all of them: counts for each tenth of a second.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

/// What became of the calls that arrived in a bucket, and of the attempts that began in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    pub(crate) ok: u64,
    /// Of which no attempt was made.
    pub(crate) refused: u64,
    pub(crate) probes: u64,
    /// By machine, like the failures among them.
    pub(crate) attempts: Vec<u64>,
    pub(crate) failed: Vec<u64>,
    /// Of the calls that were answered.
    pub(crate) latencies_us: Vec<u64>,
}

/// The buckets by their start, in ms.
#[derive(Debug, Default)]
pub(crate) struct Series {
    buckets: BTreeMap<u64, Sample>,
}

impl Series {
    /// Adds a line of a client: words and numbers in turn.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<()> {
        let (start_ms, sample) = parse(line).with_context(|| format!("a client printed \"{line}\""))?;
        self.buckets.entry(start_ms).or_default().add(&sample);
        Ok(())
    }

    /// All buckets from one moment up to another, as one.
    pub(crate) fn sum(&self, from_ms: u64, to_ms: u64) -> Sample {
        let mut sum = Sample::default();
        self.buckets.range(from_ms..to_ms.max(from_ms)).for_each(|(_, sample)| sum.add(sample));
        sum
    }
}

impl Sample {
    fn add(&mut self, other: &Sample) {
        self.calls += other.calls;
        self.ok += other.ok;
        self.refused += other.refused;
        self.probes += other.probes;
        add_each(&mut self.attempts, &other.attempts);
        add_each(&mut self.failed, &other.failed);
        self.latencies_us.extend(&other.latencies_us);
    }

    /// Attempts at all machines.
    pub(crate) fn all_attempts(&self) -> u64 {
        self.attempts.iter().sum()
    }

    /// The share of the attempts that went to a machine; `None` if there were none.
    pub(crate) fn share_of(&self, machine: usize) -> Option<f64> {
        let attempts = self.attempts.get(machine).copied().unwrap_or(0);
        ratio(attempts, self.all_attempts())
    }

    /// The share of the calls that were answered; `None` if there were none.
    pub(crate) fn success(&self) -> Option<f64> {
        ratio(self.ok, self.calls)
    }
}

/// `None` if there is nothing to compare with.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn add_each(sums: &mut Vec<u64>, more: &[u64]) {
    sums.resize(sums.len().max(more.len()), 0);
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

fn parse(line: &str) -> Result<(u64, Sample)> {
    let mut words = line.split_whitespace();
    let (mut start_ms, mut sample) = (None, Sample::default());
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        let one = || value.parse::<u64>().context("a number is missing");
        let list = || value.split_terminator(',').map(|number| Ok(number.parse()?)).collect::<Result<Vec<u64>>>();
        match word {
            "bucket" => start_ms = Some(one()?),
            "calls" => sample.calls = one()?,
            "ok" => sample.ok = one()?,
            "refused" => sample.refused = one()?,
            "probes" => sample.probes = one()?,
            "attempts" => sample.attempts = list()?,
            "failed" => sample.failed = list()?,
            "latency_us" => sample.latencies_us = list()?,
            other => bail!("nobody knows the word {other}"),
        }
    }
    let start_ms = start_ms.context("the bucket is missing")?;
    ensure!(sample.attempts.len() == sample.failed.len(), "attempts and failures are of different machines");
    Ok((start_ms, sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_all_clients_are_added_up() {
        let mut series = Series::default();
        for line in [
            "bucket 500 calls 3 ok 2 refused 1 probes 0 attempts 2,0 failed 0,0 latency_us 10,20,",
            "bucket 500 calls 1 ok 1 refused 0 probes 1 attempts 1,2 failed 1,1 latency_us 30,",
            "bucket 600 calls 0 ok 0 refused 0 probes 0 attempts 0,0 failed 0,0 latency_us ",
        ] {
            series.add_line(line).unwrap();
        }
        let sum = series.sum(500, 700);
        assert_eq!((sum.calls, sum.ok, sum.refused, sum.probes), (4, 3, 1, 1));
        assert_eq!((sum.attempts.clone(), sum.latencies_us.clone()), (vec![3, 2], vec![10, 20, 30]));
        assert_eq!((sum.share_of(0), sum.success()), (Some(0.6), Some(0.75)));
        assert_eq!(series.sum(600, 700).success(), None);
    }

    #[test]
    fn a_line_that_is_none_is_shown() {
        for line in ["bucket", "calls 1", "bucket 1 call 2", "bucket 1 attempts 1,x failed 1,1", "bucket 1 attempts 1"]
        {
            let error = Series::default().add_line(line).unwrap_err();
            assert!(format!("{error:#}").contains(line), "{error:#}");
        }
    }
}
