//! What is random, in streams of their own: whatever a policy does, the same tasks arrive at the same times.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::{Distribution, Exp1, Gamma};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::world::Duration;

/// The streams of a run.
pub struct Streams {
    /// When tasks arrive, whose they are, and who makes them.
    pub arrivals: Stream,
    /// How long calls run.
    pub service: Stream,
    /// Which server and queue a call goes to.
    pub routing: Stream,
    /// What policies draw.
    pub policy: Stream,
    /// Whether and when users come again.
    pub users: Stream,
    /// What is random in a world before it runs.
    pub world: Stream,
}

impl Streams {
    /// The streams of a seed.
    pub fn new(seed: u64) -> Streams {
        let stream = |number: u64| Stream(Xoshiro256PlusPlus::seed_from_u64(seed << 8 | number));
        Streams {
            arrivals: stream(1),
            service: stream(2),
            routing: stream(3),
            policy: stream(4),
            users: stream(5),
            world: stream(6),
        }
    }
}

/// One of them.
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// Any number.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        self.0.random()
    }

    /// From 0 up to a bound.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// Exponentially distributed around 1.
    pub fn exponential(&mut self) -> f64 {
        Exp1.sample(&mut self.0)
    }

    /// The time of a call, as a multiple of the mean.
    pub fn duration(&mut self, duration: Duration) -> f64 {
        match duration {
            Duration::Fixed => 1.0,
            Duration::Erlang4 => self.erlang4(),
            Duration::Exponential => self.exponential(),
            // The mean stays 1.
            Duration::SlowOneInHundred => self.erlang4() * if self.below(100) == 0 { 10.0 } else { 1.0 } / 1.09,
            Duration::HeavyTailed => self.pareto(),
        }
    }

    fn erlang4(&mut self) -> f64 {
        Gamma::new(4.0, 0.25).map_or(1.0, |gamma| gamma.sample(&mut self.0))
    }

    /// Index 1.5 from 0.3748 on, cut at 50: the mean is 1.
    fn pareto(&mut self) -> f64 {
        const LEAST: f64 = 0.364_878;
        (LEAST * (1.0 - self.unit()).powf(-1.0 / 1.5)).min(50.0)
    }
}
