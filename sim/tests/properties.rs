//! What holds of admission whatever the world is like, as properties of random worlds: one service of 1 to 4 servers with one
//! queue each, 2 to 16 workers, calls of 2 to 60 ms of three distributions, tasks of 1 to 3 calls, four mixtures of importance,
//! 1 to 20 processes that call, refusals that cost up to a tenth of a call.
//!
//! A task has 8 to 20 service times per call, but no less than [`LEAST_DEADLINE_MS`] per call: the limits of waits are times,
//! whatever the deadline is, and with less than they allow tasks are begun that end too late.
//!
//! What is promised depends on one figure, the *interval* between the completions of a busy queue: the service time over the
//! workers. Where it is no longer small beside the limits of waits (15 to 80 ms), a queue of a few requests reaches them by
//! chance, and who is refused then is no question of importance.
//!
//! *Served* are tasks whose every call was answered in time. Figures are taken over 2 000 calls and more, since the time of fewer
//! is random by several per cent. The worlds are the same in every run, so that no test fails by chance; `PROPTEST_RNG_SEED` and
//! `PROPTEST_CASES` give others and more.

use mcrpc_sim::policy::Mcrpc;
use mcrpc_sim::record::{BIN_MS, Record, Span};
use mcrpc_sim::run::run;
use mcrpc_sim::world::{Callers, Change, Duration, Importance, Phase, Retries, Service, World};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// Per call: twice the hard limit of waits, which a burst is allowed, and some service.
const LEAST_DEADLINE_MS: f64 = 200.0;
/// After so long a controller has settled, whatever was before.
const SETTLED_S: f64 = 5.0;
/// Intervals, in ms, up to which so much of the optimum is reached, so much of the most important tenth is served under overload,
/// and so much of all where it fits.
const OPTIMUM_SHARE: [(f64, f64); 2] = [(10.0, 0.9), (f64::INFINITY, 0.8)];
const TENTH_SERVED: [(f64, f64); 3] = [(3.0, 0.95), (10.0, 0.8), (f64::INFINITY, 0.6)];
const FITTING_SERVED: [(f64, f64); 2] = [(4.0, 0.999), (f64::INFINITY, 0.99)];
/// Larger services only take longer to simulate.
const MOST_CALLS_PER_S: f64 = 1_500.0;

/// A world without its load.
#[derive(Clone, Debug)]
struct Shape {
    service: Service,
    calls_per_task: usize,
    /// Per call, in service times.
    slack: f64,
    importance: Importance,
    hosts: usize,
    processes_per_host: usize,
    seed: u64,
}

prop_compose! {
    fn service()(
        servers in 1..=4usize,
        workers in 2..=16usize,
        log_service in 0.0..1.0f64,
        duration in prop::sample::select(vec![Duration::Fixed, Duration::Erlang4, Duration::Exponential]),
        refusal_cost in 0.0..0.1f64,
    ) -> Service {
        let service_ms = 2.0 * 30f64.powf(log_service);
        let most_workers = (MOST_CALLS_PER_S * service_ms / 1e3) as usize;
        let workers_per_queue = workers.min(most_workers).max(2);
        let servers = servers.min(most_workers / workers_per_queue).max(1);
        Service { servers, workers_per_queue, service_ms, duration, refusal_cost, ..Service::usual() }
    }
}

prop_compose! {
    fn shape()(
        service in service(),
        calls_per_task in 1..=3usize,
        slack in 8.0..20.0f64,
        importance in prop::sample::select(vec![
            Importance::Uniform,
            Importance::Businesses,
            Importance::HotUser,
            Importance::Anonymous,
        ]),
        hosts in 1..=10usize,
        processes in 1..=20usize,
        seed in any::<u64>(),
    ) -> Shape {
        let processes_per_host = (processes / hosts).max(1);
        Shape { service, calls_per_task, slack, importance, hosts, processes_per_host, seed }
    }
}

impl Shape {
    /// At a steady load for [`Shape::span`].
    fn world(&self, load: f64) -> World {
        let steady = World::steady(self.calls_per_task, load, self.span().to_s);
        World {
            services: vec![self.service.clone()],
            callers: Callers { hosts: self.hosts, processes_per_host: self.processes_per_host, ..steady.callers },
            importance: self.importance,
            deadline_ms: self.deadline_ms(1.0),
            seed: self.seed,
            ..steady
        }
    }

    /// Of a task, where the service has `speed` times its usual speed.
    fn deadline_ms(&self, speed: f64) -> f64 {
        self.calls_per_task as f64 * (self.slack * self.service.service_ms / speed.min(1.0)).max(LEAST_DEADLINE_MS)
    }

    /// Between two completions of a busy queue.
    fn interval_ms(&self) -> f64 {
        self.service.service_ms / self.service.workers_per_queue as f64
    }

    /// In which so many calls can be completed; at least 5 s.
    fn time_s(&self, calls: f64) -> f64 {
        (calls / self.service.capacity_per_s(0.0)).max(5.0).ceil()
    }

    /// What is looked at: 2 000 calls, and 200 tasks of each process.
    fn span(&self) -> Span {
        let processes = self.hosts * self.processes_per_host;
        let calls = (200 * processes * self.calls_per_task).max(2_000) as f64;
        Span { from_s: SETTLED_S, to_s: SETTLED_S + self.time_s(calls) }
    }
}

/// What was before a load became steady.
#[derive(Clone, Debug)]
struct Past {
    /// Loads, and for how long.
    phases: Vec<(f64, f64)>,
    /// From and to, as parts of the past, the factor, and whether it is one server's.
    changes: Vec<(f64, f64, f64, bool)>,
    retries: Option<Retries>,
    /// The capacity from the end of the past on, as a multiple of the usual one.
    capacity_now: f64,
}

prop_compose! {
    fn retries()(probability in 0.3..1.0f64, times in 1..=3u32, mean_s in 0.1..0.5f64) -> Retries {
        Retries { probability, times, mean_s }
    }
}

prop_compose! {
    fn past()(
        phases in prop::collection::vec((prop_oneof![1 => Just(0.0), 4 => 0.0..8.0f64], 0.5..4.0f64), 0..4),
        changes in prop::collection::vec((0.0..1.0f64, 0.0..1.0f64, 0.2..2.0f64, any::<bool>()), 0..3),
        retries in prop::option::of(retries()),
        capacity_now in prop_oneof![Just(1.0), 0.2..2.0f64],
    ) -> Past {
        Past { phases, changes, retries, capacity_now }
    }
}

impl Past {
    /// A world with this past, in which the load is `load` times the capacity from a time on, and two spans after that.
    fn then(&self, shape: &Shape, load: f64) -> (World, [Span; 2]) {
        let mut world = shape.world(load);
        let mut steady_from_s = 0.0;
        world.phases.clear();
        for &(load, length_s) in &self.phases {
            world.phases.push(Phase { from_s: steady_from_s, load });
            // Whole bins.
            steady_from_s += (length_s * 10.0).round() / 10.0;
        }
        world.phases.push(Phase { from_s: steady_from_s, load: load * self.capacity_now });
        let first_s = steady_from_s + SETTLED_S;
        let span_s = shape.time_s(2_000.0 / self.capacity_now);
        let span = |number: usize| Span {
            from_s: first_s + number as f64 * span_s,
            to_s: first_s + (number + 1) as f64 * span_s,
        };
        world.length_s = span(1).to_s;
        let change = |&(from, to, factor, of_one): &(f64, f64, f64, bool)| Change {
            from_s: f64::min(from, to) * steady_from_s,
            to_s: f64::max(from, to) * steady_from_s,
            factor,
            server: of_one.then_some(0),
        };
        let now = Change { from_s: steady_from_s, to_s: f64::INFINITY, factor: self.capacity_now, server: None };
        world.services[0].capacity = self.changes.iter().map(change).chain([now]).collect();
        world.user_retries = self.retries;
        world.deadline_ms = shape.deadline_ms(self.capacity_now);
        (world, [span(0), span(1)])
    }
}

fn config() -> Config {
    let chosen = Config::default();
    let rng_seed = if chosen.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { chosen.rng_seed };
    Config { rng_seed, failure_persistence: None, ..chosen }
}

/// What is promised at an interval.
fn promised(at: &[(f64, f64)], interval_ms: f64) -> f64 {
    at.iter().find(|(up_to_ms, _)| interval_ms <= *up_to_ms).map_or(0.0, |(_, promised)| *promised)
}

fn run_ours(world: &World) -> Record {
    run(world, &Mcrpc::whole())
}

/// Calls that were run, as a share of what the servers can.
fn work_share(record: &Record, span: Span) -> f64 {
    let bin = |s: f64| (s * 1e3 / BIN_MS as f64).round() as usize;
    let run: u64 = record.bins[bin(span.from_s)..bin(span.to_s)].iter().map(|bin| bin.run).sum();
    run as f64 / (record.world.services[0].capacity_per_s(0.0) * span.length_s())
}

/// How evenly a thing is shared (Jain): 1 if all have the same.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    sum * sum / (shares.len() as f64 * shares.iter().map(|share| share * share).sum::<f64>())
}

proptest! {
    #![proptest_config(config())]

    /// Whatever load, capacity and retries were before: 5 s after an overload has become steady, what is served is
    /// [`OPTIMUM_SHARE`] of the optimum, and stays there.
    #[test]
    fn given_any_past_when_an_overload_is_steady_then_goodput_converges(
        shape in shape(), past in past(), load in 1.2..8.0f64,
    ) {
        let (world, spans) = past.then(&shape, load);
        let record = run_ours(&world);
        let least = promised(&OPTIMUM_SHARE, shape.interval_ms() / past.capacity_now);
        for span in spans {
            let share = record.optimum_share(span);
            prop_assert!(share >= least, "{share:.3} of the optimum in {span:?}");
        }
    }

    /// Whatever was before: 5 s after a load has become 0.6 or less, 99 of 100 tasks are served, and stay so. No overload
    /// outlives its cause.
    #[test]
    fn given_any_past_when_a_low_load_is_steady_then_nearly_all_is_served(
        shape in shape(), past in past(), load in 0.1..0.6f64,
    ) {
        let (world, spans) = past.then(&shape, load);
        let record = run_ours(&world);
        for span in spans {
            let served = record.success(span);
            prop_assert!(served >= 0.99, "{served:.4} served in {span:?}");
        }
    }

    /// The most important tenth of all tasks, which fits into 0.8 of the capacity up to a load of 8, is served: [`TENTH_SERVED`]
    /// of it.
    #[test]
    fn given_any_overload_then_the_most_important_tenth_is_served(shape in shape(), load in 1.0..8.0f64) {
        let served = run_ours(&shape.world(load)).success_by_tenth(shape.span())[0];
        prop_assert!(served >= promised(&TENTH_SERVED, shape.interval_ms()), "{served:.3} served");
    }

    /// At a load of 0.7 or less all are served: [`FITTING_SERVED`] of them.
    #[test]
    fn given_a_load_that_fits_then_nobody_is_refused(shape in shape(), load in 0.1..0.7f64) {
        let served = run_ours(&shape.world(load)).success(shape.span());
        prop_assert!(served >= promised(&FITTING_SERVED, shape.interval_ms()), "{served:.4} served");
    }

    /// Processes that call for the same mixture of tasks are served alike, however they are spread over hosts: Jain's index is
    /// 0.98.
    #[test]
    fn given_processes_with_the_same_mixture_then_none_is_starved(shape in shape(), load in 0.5..8.0f64) {
        let fairness = jain(&run_ours(&shape.world(load)).success_by_process(shape.span()));
        prop_assert!(fairness >= 0.98, "{fairness:.4}");
    }

    /// From 1.5 times the capacity on, queues of four workers and more, of calls of up to 50 ms, use 0.95 of it.
    #[test]
    fn given_more_work_than_fits_then_servers_are_busy(
        shape in shape().prop_filter("not meant", |shape| {
            shape.service.workers_per_queue >= 4 && shape.service.service_ms <= 50.0
        }),
        load in 1.5..8.0f64,
    ) {
        let span = Span { from_s: SETTLED_S, to_s: SETTLED_S + shape.time_s(6_000.0) };
        let world = World { length_s: span.to_s, ..shape.world(load) };
        let share = work_share(&run_ours(&world), span);
        prop_assert!(share >= 0.95, "{share:.3} of the capacity");
    }

    /// The same world and seed, the same decisions in the same order, whatever else runs.
    #[test]
    fn given_the_same_seed_then_decisions_are_the_same(shape in shape(), past in past(), load in 0.1..8.0f64) {
        let (world, _) = past.then(&shape, load);
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| run_ours(&world).decisions);
            (run_ours(&world).decisions, other.join().expect("it does not panic"))
        });
        prop_assert_eq!(one, other);
    }
}
