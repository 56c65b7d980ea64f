//! The bucket as a Markov chain over its levels: exact figures for independent failures.

use mcrpc_core::shield::breaker::{DRAIN, LIMIT, POUR};

const LEVELS: usize = LIMIT as usize + 1;

/// How likely the bucket stands at each level.
pub type Distribution = [f64; LEVELS];

/// The bucket of an endpoint that fails this share of its requests. A bucket that shields begins again, empty.
pub struct Chain {
    failing: f64,
}

impl Chain {
    pub fn failing(percent: u32) -> Chain {
        Chain { failing: f64::from(percent) / 100.0 }
    }

    /// The level after a request; `None` if it shields.
    fn next(level: usize, failed: bool) -> Option<usize> {
        let next = if failed { level + POUR as usize } else { level.saturating_sub(DRAIN as usize) };
        (next < LEVELS).then_some(next)
    }

    /// The two ways from a level, and how likely each is.
    fn ways(&self, level: usize) -> [(Option<usize>, f64); 2] {
        [(Chain::next(level, true), self.failing), (Chain::next(level, false), 1.0 - self.failing)]
    }

    /// Where it stands after a long time: elimination of one level after the other without a subtraction, so that the
    /// smallest probabilities are exact (Grassmann, Taksar and Heyman, 1985).
    pub fn stationary(&self) -> Distribution {
        let mut rates = [[0.0; LEVELS]; LEVELS];
        for (level, rates) in rates.iter_mut().enumerate() {
            for (next, probability) in self.ways(level) {
                rates[next.unwrap_or(0)] += probability;
            }
        }
        for last in (1..LEVELS).rev() {
            let out: f64 = rates[last][..last].iter().sum();
            let onward = rates[last];
            for rates in &mut rates[..last] {
                rates[last] /= out;
                let through = rates[last];
                rates.iter_mut().zip(onward).take(last).for_each(|(rate, onward)| *rate += through * onward);
            }
        }
        let mut weights = [0.0; LEVELS];
        weights[0] = 1.0;
        for level in 1..LEVELS {
            weights[level] = (0..level).map(|from| weights[from] * rates[from][level]).sum();
        }
        let total: f64 = weights.iter().sum();
        weights.map(|weight| weight / total)
    }

    /// How often it shields in a million requests, after a long time.
    pub fn shields_per_million(&self) -> f64 {
        let stationary = self.stationary();
        let shielding = stationary.iter().enumerate().filter(|&(level, _)| Chain::next(level, true).is_none());
        shielding.map(|(_, probability)| probability * self.failing * 1e6).sum()
    }

    /// The requests within which it shields every second time, from where it stands.
    pub fn median_delay(&self, start: &Distribution) -> u32 {
        let (mut levels, mut shielded, mut requests) = (*start, 0.0, 0);
        while shielded < 0.5 {
            let mut after = [0.0; LEVELS];
            for (level, probability) in levels.into_iter().enumerate() {
                for (next, way) in self.ways(level) {
                    *next.map_or(&mut shielded, |next| &mut after[next]) += probability * way;
                }
            }
            levels = after;
            requests += 1;
        }
        requests
    }
}
