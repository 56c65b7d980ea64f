//! Strategies from what calls met, as the agent computes them.

mod endpoints;
mod plugin;
mod rules;

use mcrpc_agent::generator::{Choice, Generated, Generator, Totals};
use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

fn endpoint(number: u16) -> Endpoint {
    Endpoint::new(([10, 0, 0, 1], number).into(), 7)
}

fn per_10k(number: u16) -> Per10k {
    Per10k::new(number).unwrap()
}

fn open(choice: &str) -> Generator {
    Generator::open(&choice.parse::<Choice>().unwrap()).unwrap_or_else(|error| panic!("{choice}: {error}"))
}

/// A host: counters per endpoint, and a second hand.
struct Host {
    generator: Generator,
    totals: Vec<Totals>,
    now: Nanos,
}

impl Host {
    fn new(generator: Generator, endpoints: usize) -> Host {
        let mut host = Host { generator, totals: vec![Totals::default(); endpoints], now: Nanos(0) };
        assert!(host.second(&[]).is_empty());
        host
    }

    /// Adds requests and failures of the first endpoints, and lets the second pass.
    fn second(&mut self, calls: &[(u64, u64)]) -> Vec<Generated> {
        for (totals, &(requests, failures)) in self.totals.iter_mut().zip(calls) {
            totals.requests += requests;
            totals.failures += failures;
        }
        self.now = self.now.plus(NANOS_PER_SECOND);
        let listed = (0..).map(endpoint).zip(self.totals.iter().copied());
        let mut generated = self.generator.next(listed, self.now);
        generated.sort_by_key(|one| one.endpoint);
        generated
    }

    /// The rates of the strategies of such a second.
    fn rates(&mut self, calls: &[(u64, u64)]) -> Vec<u16> {
        self.second(calls).iter().map(|one| one.entry.pass_rate.get()).collect()
    }
}
