//! Medians that noise hits alike: all contestants run in turn, in short batches, round after round.
//!
//! A figure is the median of all batches, with the span from the 10th to the 90th percentile. A ratio is the median over
//! the rounds of the ratio of the two medians of a round, so it compares what ran within the same few milliseconds.

#![allow(dead_code, reason = "each program uses its own part")]

use std::time::Instant;

/// The batches of one contestant in one way of asking, round by round, in ns per operation.
#[derive(Default)]
pub struct Series(Vec<Vec<f64>>);

/// Median, 10th and 90th percentile.
#[derive(Clone, Copy)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Series {
    /// Adds a round: `batches` times `batch`, which is told how many operations to do.
    pub fn measure(&mut self, batches: usize, operations: u64, mut batch: impl FnMut(u64)) {
        let timed = (0..batches).map(|_| {
            let start = Instant::now();
            batch(operations);
            start.elapsed().as_nanos() as f64 / operations as f64
        });
        self.0.push(timed.collect());
    }

    /// Adds a round that was timed elsewhere.
    pub fn push(&mut self, round: Vec<f64>) {
        self.0.push(round);
    }

    pub fn spread(&self) -> Spread {
        spread(self.0.concat())
    }

    /// How many times as long as `other`, which ran in the same rounds.
    pub fn ratio(&self, other: &Series) -> Spread {
        spread(self.medians().zip(other.medians()).map(|(one, other)| one / other).collect())
    }

    /// As [`ratio`](Self::ratio), of what both take beyond `shared`.
    pub fn ratio_beyond(&self, other: &Series, shared: &Series) -> Spread {
        let rounds = self.medians().zip(other.medians()).zip(shared.medians());
        spread(rounds.map(|((one, other), shared)| (one - shared) / (other - shared)).collect())
    }

    /// Of each round; not a number if it has no batches.
    fn medians(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|round| spread(round.clone()).median)
    }
}

impl Spread {
    /// Of what does not vary.
    pub fn exact(value: f64) -> Spread {
        Spread { median: value, low: value, high: value }
    }
}

pub fn spread(mut values: Vec<f64>) -> Spread {
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    let at = |share: f64| match values.len() {
        0 => f64::NAN,
        len => values[((len - 1) as f64 * share) as usize],
    };
    Spread { median: at(0.5), low: at(0.1), high: at(0.9) }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = if self.median < 20.0 { 1 } else { 0 };
        let text = format!("{:.digits$} ({:.digits$} to {:.digits$})", self.median, self.low, self.high);
        f.pad(&text)
    }
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Wanted {
    AtMost(f64),
    AtLeast(f64),
    Nothing,
}

/// Prints one figure on a line of its own.
pub fn report(name: &str, figure: Spread, unit: &str, wanted: Wanted) {
    let wanted = match wanted {
        Wanted::AtMost(limit) => format!("  wanted <= {limit}{unit}: {}", verdict(figure.median <= limit)),
        Wanted::AtLeast(limit) => format!("  wanted >= {limit}{unit}: {}", verdict(figure.median >= limit)),
        Wanted::Nothing => String::new(),
    };
    let Spread { median, low, high } = figure;
    println!("{name:<68} {median:8.2}{unit:<3} {:<18}{wanted}", format!("({low:.2} to {high:.2})"));
}

fn verdict(holds: bool) -> &'static str {
    if holds { "yes" } else { "NO" }
}
