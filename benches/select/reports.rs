//! Reports alone: while nobody else uses the endpoint, and while another process or thread reports on it too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Size;
use crate::api::Api;
use crate::callers::{C, Caller, Rust, Work};
use crate::measure::{Series, Wanted, report};
use crate::neighbour::{Behaviour, Neighbour};
use crate::world::{Plan, World};

const BATCH: u64 = 32_768;
/// At the end of each part of a batch the other one is asked whether it runs.
const PARTS: u64 = 8;
/// How long it may be kept from running, per round.
const PATIENCE: Duration = Duration::from_millis(500);
const BURST: u64 = 1_024;

/// One way of reporting, through both callers.
#[derive(Default)]
struct Both {
    c: Series,
    rust: Series,
}

impl Both {
    fn round(&mut self, world: &Callers<'_>, endpoints: usize, size: Size, progress: Option<&dyn Fn() -> u64>) {
        self.c.push(round(&world.c, endpoints, size, progress));
        self.rust.push(round(&world.rust, endpoints, size, progress));
    }

    fn print(&self, name: &str, wanted: Wanted) {
        report(&format!("{name}, C ABI"), self.c.spread(), " ns", wanted);
        report(&format!("{name}, Rust"), self.rust.spread(), " ns", wanted);
    }
}

struct Callers<'a> {
    c: C<'a>,
    rust: Rust<'a>,
}

/// In ns per report. With somebody else there, only batches throughout which that one was seen to run count.
fn round<W: Work>(caller: &W, endpoints: usize, size: Size, progress: Option<&dyn Fn() -> u64>) -> Vec<f64> {
    let choices = caller.choices(endpoints);
    caller.reports(&choices, BATCH);
    let (mut times, begin) = (Vec::new(), Instant::now());
    while times.len() < size.batches && begin.elapsed() < PATIENCE {
        let (start, mut seen, mut ran) = (Instant::now(), progress.map(|progress| progress()), true);
        for _ in 0..PARTS {
            caller.reports(&choices, BATCH / PARTS);
            let now = progress.map(|progress| progress());
            ran &= now.is_none() || now != seen;
            seen = now;
        }
        if ran {
            times.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
        }
    }
    times
}

/// Calls `measure` while another thread reports on the first endpoint through the same caller.
fn beside_thread<C: Caller + Sync>(caller: &C, measure: impl FnOnce(&dyn Fn() -> u64))
where
    C::Choice: Send + Sync,
{
    let (end, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let choices = caller.choices(1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                caller.reports(&choices, BURST);
                progress.fetch_add(1, Ordering::Relaxed);
            }
        });
        measure(&|| progress.load(Ordering::Relaxed));
        end.store(true, Ordering::Relaxed);
    });
}

/// Prints everything.
pub fn all(api: &Api, size: Size) {
    let world = World::create(Plan::healthy(100));
    let callers = Callers { rust: Rust::new(&world), c: C::new(api, &world) };
    let [mut in_turn, mut one, mut beside_success, mut beside_failures, mut one_set] = <[Both; 5]>::default();
    for _ in 0..size.rounds {
        in_turn.round(&callers, 100, size, None);
        one.round(&callers, 1, size, None);
        for (behaviour, both) in
            [(Behaviour::Succeeds, &mut beside_success), (Behaviour::FailsAtTimes, &mut beside_failures)]
        {
            let neighbour = Neighbour::start(&world, behaviour);
            neighbour.wait();
            both.round(&callers, 1, size, Some(&|| neighbour.progress()));
        }
        callers.rust.settle();
        beside_thread(&callers.c, |progress| one_set.c.push(round(&callers.c, 1, size, Some(progress))));
        beside_thread(&callers.rust, |progress| one_set.rust.push(round(&callers.rust, 1, size, Some(progress))));
    }
    println!("\nreport alone, of a success: ns (10 % to 90 %)\n");
    in_turn.print("on 100 endpoints in turn", Wanted::AtMost(15.0));
    one.print("on one endpoint", Wanted::AtMost(15.0));
    beside_success.print("on one, another process of the host too", Wanted::AtMost(15.0));
    beside_failures.print("the same, one call in 32 of that process fails", Wanted::Nothing);
    one_set.print("on one, another thread through the same set too", Wanted::Nothing);
}
