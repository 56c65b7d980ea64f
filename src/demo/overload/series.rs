//! What the servers print, added up over all of them: counts for each tenth of a second.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Context, Result};

/// Calls in a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Requests that reached a server, refused or not.
    pub(crate) received: u64,
    /// Those that a worker served to the end.
    pub(crate) executed: u64,
}

/// The buckets by their start, in ms.
#[derive(Debug, Default)]
pub(crate) struct Series {
    buckets: BTreeMap<u64, Calls>,
}

impl Series {
    /// Adds a line of a server.
    pub(crate) fn add_line(&mut self, line: &str) -> Result<()> {
        let (start_ms, calls) = parse(line).with_context(|| format!("a server printed \"{line}\""))?;
        let bucket = self.buckets.entry(start_ms).or_default();
        bucket.received += calls.received;
        bucket.executed += calls.executed;
        Ok(())
    }

    /// All buckets of a time, as one.
    pub(crate) fn sum(&self, time_ms: Range<u64>) -> Calls {
        self.buckets.range(time_ms).fold(Calls::default(), |sum, (_, calls)| Calls {
            received: sum.received + calls.received,
            executed: sum.executed + calls.executed,
        })
    }
}

fn parse(line: &str) -> Result<(u64, Calls)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let ["bucket", start_ms, "received", received, "executed", executed] = words[..] else {
        anyhow::bail!("which is no count");
    };
    Ok((start_ms.parse()?, Calls { received: received.parse()?, executed: executed.parse()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_all_servers_are_added_up() {
        let mut series = Series::default();
        for line in
            ["bucket 500 received 7 executed 3", "bucket 500 received 1 executed 1", "bucket 600 received 5 executed 2"]
        {
            series.add_line(line).unwrap();
        }
        assert_eq!(series.sum(500..600), Calls { received: 8, executed: 4 });
        assert_eq!(series.sum(500..700), Calls { received: 13, executed: 6 });
    }

    #[test]
    fn a_line_that_is_none_is_shown() {
        for line in ["", "bucket", "bucket 1 received 2", "bucket 1 received x executed 2"] {
            let error = Series::default().add_line(line).unwrap_err();
            assert!(format!("{error:#}").contains(line), "{error:#}");
        }
    }
}
