//! What holds for every policy in a run.

use mcrpc_sim::policy;
use mcrpc_sim::record::{Bin, Span};
use mcrpc_sim::run::run;
use mcrpc_sim::world::{Callers, Change, Importance, Phase, Retries, Service, World};

/// The queue or the limit of these is so short that it overflows now and then; the next server has room.
const REFUSE_BURSTS: [&str; 3] = ["drop-tail", "google, 10 s", "brpc auto"];

#[test]
fn given_less_than_half_of_the_load_then_nothing_is_refused() {
    for policy in policy::all() {
        let record = run(&World::steady(1, 0.45, 30.0), &*policy);
        let sum = |value: fn(&Bin) -> u64| record.bins.iter().map(value).sum::<u64>();
        let refused = sum(|bin| bin.requests) - sum(|bin| bin.run);
        let success = record.success(Span { from_s: 5.0, to_s: 30.0 });
        if REFUSE_BURSTS.contains(&policy.name()) {
            assert!(success > 0.999, "{}: {success}", policy.name());
        } else {
            assert_eq!((refused, success), (0, 1.0), "{}", policy.name());
        }
    }
}

#[test]
fn given_the_same_seed_then_all_is_the_same_and_with_another_it_is_not() {
    for policy in policy::all() {
        let decisions = |seed| run(&World { seed, ..World::steady(2, 1.5, 10.0) }, &*policy).decisions;
        assert_eq!(decisions(1), decisions(1), "{}", policy.name());
        assert_ne!(decisions(1), decisions(2), "{}", policy.name());
    }
}

#[test]
fn given_worlds_of_many_shapes_then_every_policy_completes_most_tasks_before_the_overload_and_comes_to_an_end() {
    let usual = World::steady(2, 0.5, 10.0);
    let service = Service::usual();
    let prefork = Service { queues: 8, workers_per_queue: 1, ..service.clone() };
    let shared = Service { processes_per_queue: 4, ..service.clone() };
    let brown = Change { from_s: 4.0, to_s: 6.0, factor: 0.1, server: None };
    let worlds = [
        World { services: vec![prefork], ..usual.clone() },
        World { services: vec![shared], ..usual.clone() },
        World { services: vec![Service { capacity: vec![brown], ..service }], ..usual.clone() },
        World { callers: Callers { hosts: 60, old_in_ten: 3, ..usual.callers.clone() }, ..usual.clone() },
        World { importance: Importance::Anonymous, ..usual.clone() },
        World { user_retries: Some(Retries { probability: 0.9, times: 3, mean_s: 1.0 }), ..usual },
    ];
    for world in worlds {
        let phases = [(0.0, 0.5), (3.0, 4.0), (5.0, 0.0), (8.0, 0.5)].map(|(from_s, load)| Phase { from_s, load });
        let world = World { phases: phases.to_vec(), ..world };
        for policy in policy::all() {
            let record = run(&world, &*policy);
            let success = record.success(Span { from_s: 1.0, to_s: 3.0 });
            assert!(success > 0.5, "{}: {success} in {world:?}", policy.name());
        }
    }
}

#[test]
fn given_names_then_they_are_unique() {
    let mut names: Vec<&str> = policy::all().iter().map(|policy| policy.name()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
