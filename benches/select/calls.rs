//! Whole calls: select and report, of users in random order, in sets of which something or nothing is wrong.

use std::time::Instant;

use mcrpc_core::select::settings::ZoneStrategy;

use crate::Size;
use crate::api::Api;
use crate::callers::{C, Rust, Users, Work};
use crate::measure::{Series, Spread, Wanted, report};
use crate::world::{Plan, Trouble, World};

const BATCH: u64 = 8_192;
/// Between two of these nothing is held against an endpoint: so few failures shield none.
const RETRIED_BATCH: u64 = 32;
const RETRIED_BATCHES: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Calls,
    RetriedCalls,
}

const CASES: [(&str, Kind, Plan); 9] = [
    ("100 endpoints, all well", Kind::Calls, Plan::healthy(100)),
    ("3 endpoints", Kind::Calls, Plan::healthy(3)),
    ("1000 endpoints", Kind::Calls, Plan::healthy(1_000)),
    ("1 of 100 is shielded", Kind::Calls, Plan { trouble: Trouble::Shielded(1), ..Plan::healthy(100) }),
    ("33 of 100 are shielded", Kind::Calls, Plan { trouble: Trouble::Shielded(33), ..Plan::healthy(100) }),
    ("zone first, 25 of 100 in it", Kind::Calls, Plan { zone_strategy: ZoneStrategy::ZoneFirst, ..Plan::healthy(100) }),
    (
        "the same, 20 of the 25 are shielded: the region",
        Kind::Calls,
        Plan { zone_strategy: ZoneStrategy::ZoneFirst, trouble: Trouble::Shielded(80), ..Plan::healthy(100) },
    ),
    ("each of 100 has a strategy of 90 %", Kind::Calls, Plan { trouble: Trouble::Strategies, ..Plan::healthy(100) }),
    ("first attempt, failure, retry, success", Kind::RetriedCalls, Plan::healthy(100)),
];

struct Case<'a> {
    name: &'static str,
    kind: Kind,
    c: C<'a>,
    rust: Rust<'a>,
    users: Users,
    c_series: Series,
    rust_series: Series,
}

impl Case<'_> {
    fn round(&mut self, size: Size) {
        let (settle, users) = (|| self.rust.settle(), &mut self.users);
        match self.kind {
            Kind::Calls => {
                round(&self.c, users, &mut self.c_series, size);
                round(&self.rust, users, &mut self.rust_series, size);
            }
            Kind::RetriedCalls => {
                retried_round(&self.c, users, &mut self.c_series, &settle);
                retried_round(&self.rust, users, &mut self.rust_series, &settle);
            }
        }
    }
}

/// First all that a call touches is brought into the caches, where the others' rounds drove it out.
fn round(caller: &impl Work, users: &mut Users, series: &mut Series, size: Size) {
    caller.calls(users, BATCH);
    series.measure(size.batches, BATCH, |count| caller.calls(users, count));
}

fn retried_round(caller: &impl Work, users: &mut Users, series: &mut Series, settle: &impl Fn()) {
    let timed = (0..RETRIED_BATCHES).map(|_| {
        settle();
        caller.calls(users, RETRIED_BATCH);
        let start = Instant::now();
        caller.retried_calls(users, RETRIED_BATCH);
        start.elapsed().as_nanos() as f64 / RETRIED_BATCH as f64
    });
    series.push(timed.collect());
    settle();
}

/// Prints everything.
pub fn all(api: &Api, size: Size) {
    let worlds = CASES.map(|(_, _, plan)| World::create(plan));
    let cases = worlds.iter().zip(CASES).map(|(world, (name, kind, _))| {
        // Rust first: it shields what is to be shielded.
        let (rust, c_series, rust_series) = (Rust::new(world), Series::default(), Series::default());
        Case { name, kind, rust, c: C::new(api, world), users: Users(0), c_series, rust_series }
    });
    let mut cases: Vec<_> = cases.collect();
    for _ in 0..size.rounds {
        cases.iter_mut().for_each(|case| case.round(size));
    }
    println!("select and report, users in random order, one thread: ns per call (10 % to 90 %)\n");
    println!("{:<50} {:>22} {:>22} {:>26}", "", "C ABI", "Rust", "C ABI, against the first");
    let [first, ..] = &cases[..] else { unreachable!("there are cases") };
    for Case { name, c_series, rust_series, .. } in &cases {
        let [c, rust, ratio] = [c_series.spread(), rust_series.spread(), c_series.ratio(&first.c_series)];
        println!("{name:<50} {c:>22} {rust:>22} {:>26}", two_digits(ratio));
    }
    println!();
    report("100 endpoints, all well, C ABI", first.c_series.spread(), " ns", Wanted::AtMost(100.0));
    report("100 endpoints, all well, Rust", first.rust_series.spread(), " ns", Wanted::AtMost(100.0));
}

fn two_digits(Spread { median, low, high }: Spread) -> String {
    format!("{median:.2} ({low:.2} to {high:.2})")
}
