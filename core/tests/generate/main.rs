//! Generators of pass rates, given what calls meet at an endpoint.

mod bounds;
mod cured;
mod formulas;

use mcrpc_core::id::{Per10k, Salt};
use mcrpc_core::strategy::generate::{FLOOR, Generate, Sample, SuccessRate, Table, Track, Wilson};
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

const ALL: Per10k = Per10k::ALL;

fn per_10k(number: u16) -> Per10k {
    Per10k::new(number).unwrap()
}

fn percent(number: u16) -> Per10k {
    per_10k(number * 100)
}

/// All that are built in.
fn generators() -> [(&'static str, Box<dyn Generate>); 3] {
    [("default", Box::new(SuccessRate)), ("table", Box::new(Table::DEFAULT)), ("wilson", Box::new(Wilson))]
}

/// One endpoint under a generator, second by second.
struct Endpoint<'g> {
    generator: &'g mut dyn Generate,
    track: Track,
    now: Nanos,
}

impl<'g> Endpoint<'g> {
    fn new(generator: &'g mut dyn Generate, pass_rate: Per10k) -> Endpoint<'g> {
        Endpoint { generator, track: Track::new(pass_rate, Nanos(0)), now: Nanos(0) }
    }

    fn after(&mut self, requests: u32, failures: u32) -> Per10k {
        self.now = self.now.plus(NANOS_PER_SECOND);
        self.track.update(self.generator, Sample { requests, failures }, self.now)
    }

    /// After how many such periods, at most `most`, the pass rate is `wanted` for the first time.
    fn periods_until(&mut self, wanted: Per10k, most: u32, requests: u32, failures: u32) -> Option<u32> {
        (1..=most).find(|_| self.after(requests, failures) == wanted)
    }

    /// The rates over `seconds`, while `demand` calls want to be sent each second and each that is sent fails with
    /// probability `failing` of 10 000, and those beyond `capacity` all.
    fn under(&mut self, demand: u32, capacity: u32, failing: u16, seconds: u64) -> Vec<Per10k> {
        let (failing, draw) = (per_10k(failing), Salt(u64::from(demand)));
        let draws = |second: u64| (0..u64::from(demand)).map(move |call| draw.hash(second << 32 | call));
        let mut rates = Vec::new();
        for second in 0..seconds {
            let rate = self.track.pass_rate();
            let sent = draws(2 * second).filter(|&hash| rate.covers(hash)).count() as u32;
            let served = sent.min(capacity);
            let failed = draws(2 * second + 1).take(served as usize).filter(|&hash| failing.covers(hash)).count();
            rates.push(self.after(sent, sent - served + failed as u32));
        }
        rates
    }
}

fn mean(rates: &[Per10k]) -> u64 {
    rates.iter().map(|rate| u64::from(rate.get())).sum::<u64>() / rates.len() as u64
}

fn at_floor(generator: &mut dyn Generate) -> Endpoint<'_> {
    Endpoint::new(generator, FLOOR)
}
