//! What a round of load asks for and what it finds, also as lines of text between processes.

#![allow(dead_code, reason = "each program uses its own part")]

use std::str::FromStr;
use std::time::Duration;

use hdrhistogram::Histogram;

/// So much of a round is left out, until buffers have grown and the processor has settled.
const WARM_UP_SHARE: f64 = 0.2;

/// One round of load.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub connections: usize,
    /// Of each connection.
    pub in_flight: usize,
    pub payload_len: usize,
    /// Each so-manieth request takes 5 ms; 0: none.
    pub slow_every: u64,
    pub duration_ms: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub per_second: f64,
    /// Of the requests that are not slow.
    pub p50_us: f64,
    pub p99_us: f64,
    /// All that were answered, those of the warm-up too.
    pub answered: u64,
    /// Those of them that were not served.
    pub refused: u64,
}

impl Shape {
    pub const fn new(connections: usize, in_flight: usize, payload_len: usize) -> Shape {
        Shape { connections, in_flight, payload_len, slow_every: 0, duration_ms: 500 }
    }

    pub fn warm_up(&self) -> Duration {
        self.duration().mul_f64(WARM_UP_SHARE)
    }

    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }

    pub fn to_line(self) -> String {
        let Shape { connections, in_flight, payload_len, slow_every, duration_ms } = self;
        format!("{connections} {in_flight} {payload_len} {slow_every} {duration_ms}")
    }

    pub fn from_line(line: &str) -> Shape {
        let [connections, in_flight, payload_len, slow_every, duration_ms] = fields(line);
        Shape {
            connections: connections as usize,
            in_flight: in_flight as usize,
            payload_len: payload_len as usize,
            slow_every,
            duration_ms,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}, {} B", self.connections, self.in_flight, self.payload_len)
    }
}

impl Figures {
    pub fn to_line(self) -> String {
        let Figures { per_second, p50_us, p99_us, answered, refused } = self;
        format!("{per_second} {p50_us} {p99_us} {answered} {refused}")
    }

    pub fn from_line(line: &str) -> Figures {
        let [per_second, p50_us, p99_us, answered, refused]: [f64; 5] = fields(line);
        Figures { per_second, p50_us, p99_us, answered: answered as u64, refused: refused as u64 }
    }
}

/// Collects the answers of a round.
pub struct Tally {
    latency_ns: Histogram<u64>,
    measured: u64,
    answered: u64,
    refused: u64,
}

impl Tally {
    pub fn new() -> Tally {
        let latency_ns = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are in order");
        Tally { latency_ns, measured: 0, answered: 0, refused: 0 }
    }

    /// An answer came: after this time if it is to be counted in, else during the warm-up.
    pub fn answer(&mut self, took: Option<Duration>, is_slow: bool, is_refused: bool) {
        self.answered += 1;
        self.refused += u64::from(is_refused);
        let Some(took) = took else { return };
        self.measured += 1;
        if !is_slow {
            self.latency_ns.saturating_record(took.as_nanos() as u64);
        }
    }

    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// What was found in so much time behind the warm-up.
    pub fn figures(&self, measured_for: Duration) -> Figures {
        let quantile_us = |share| self.latency_ns.value_at_quantile(share) as f64 / 1e3;
        Figures {
            per_second: self.measured as f64 / measured_for.as_secs_f64(),
            p50_us: quantile_us(0.5),
            p99_us: quantile_us(0.99),
            answered: self.answered,
            refused: self.refused,
        }
    }
}

fn fields<T: FromStr, const N: usize>(line: &str) -> [T; N] {
    let all: Vec<T> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    all.try_into().unwrap_or_else(|_| panic!("{N} numbers were expected: {line:?}"))
}
