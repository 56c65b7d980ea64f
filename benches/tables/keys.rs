//! Which endpoints are asked for: the same work in front of every contestant.
//!
//! The endpoints are made from their numbers, so they take no room in any cache. The next number is drawn from a
//! generator (wyrand). *Latency*: its state takes the last answer in, so a lookup cannot begin before the one before it
//! has ended. *Throughput*: it does not, and lookups overlap. After a miss there is no answer to wait for but only a
//! branch, which the processor predicts, for every contestant.

use mcrpc_core::strategy::endpoint::Endpoint;

/// The seed of every hash in this program.
pub const SEED: u64 = 0x243f_6a88_85a3_08d3;
const INCREMENT: u64 = 0xa076_1d64_78bd_642f;
const FLIP: u64 = 0xe703_7ed1_a0b4_28db;

/// `count` endpoints: the numbers from `first` on, or every `step`-th of them.
#[derive(Clone, Copy)]
pub struct Keys {
    pub first: u64,
    pub count: u64,
    pub step: u64,
}

impl Keys {
    pub fn first(count: u64) -> Keys {
        Keys { first: 0, count, step: 1 }
    }

    pub fn all(self) -> impl Iterator<Item = Endpoint> {
        (0..self.count).map(move |index| endpoint(self.first + index * self.step))
    }

    /// As many others.
    pub fn absent(self) -> Keys {
        Keys { first: self.first + self.count * self.step, ..self }
    }
}

/// Four ports at each address, of 331 services.
#[inline(always)]
fn endpoint(number: u64) -> Endpoint {
    Endpoint {
        address: 0xffff_0a00_0000 + u128::from(number >> 2),
        port: 8_000 + (number & 3) as u16,
        service_id: (number % 331) as u32,
    }
}

/// One of `count` endpoints from `first` on.
#[inline(always)]
fn random(first: u64, count: u64, state: u64) -> Endpoint {
    let product = u128::from(state) * u128::from(state ^ FLIP);
    let random = product as u64 ^ (product >> 64) as u64;
    endpoint(first + ((u128::from(random) * u128::from(count)) >> 64) as u64)
}

/// A structure that can be asked for an endpoint.
pub trait Lookup {
    /// Its pass rate; 0 if it has no entry.
    fn find(&self, endpoint: &Endpoint) -> u32;
}

/// The ways to ask; compiled for each structure, and called once for each batch. Of `keys` the step does not count.
pub trait Asked {
    /// Each key once: brings all that a lookup touches into the caches. How many were found.
    fn each(&self, keys: Keys) -> u64;
    /// `count` lookups, each with the answer of the one before in its key.
    fn latency(&self, keys: Keys, state: &mut u64, count: u64);
    /// `count` lookups that may overlap.
    fn throughput(&self, keys: Keys, state: &mut u64, count: u64);
}

impl<L: Lookup> Asked for L {
    #[inline(never)]
    fn each(&self, keys: Keys) -> u64 {
        keys.all().map(|endpoint| u64::from(self.find(&endpoint) != 0)).sum()
    }

    #[inline(never)]
    fn latency(&self, keys: Keys, state: &mut u64, count: u64) {
        let mut next = *state;
        for _ in 0..count {
            let answer = self.find(&random(keys.first, keys.count, next));
            next = next.wrapping_add(INCREMENT).wrapping_add(answer.into());
        }
        *state = next;
    }

    #[inline(never)]
    fn throughput(&self, keys: Keys, state: &mut u64, count: u64) {
        let (mut next, mut sum) = (*state, 0u64);
        for _ in 0..count {
            sum = sum.wrapping_add(self.find(&random(keys.first, keys.count, next)).into());
            next = next.wrapping_add(INCREMENT);
        }
        *state = next;
        std::hint::black_box(sum);
    }
}
