//! What the controller is for: a service under more load than it can serve goes on serving what it can.

mod world;

use mcrpc_core::admission::Mode;
use mcrpc_core::status::Status;
use world::{Service, Users, World, run};

/// One input queue with eight workers, or eight processes with a queue and a worker each.
fn shapes() -> [World; 2] {
    let threads = World::default();
    let processes = World { queues: 8, workers_per_queue: 1, workers_told: 1, ..threads.clone() };
    [threads, processes]
}

#[test]
fn above_capacity_the_service_gives_what_it_could_give() {
    for shape in shapes() {
        for (calls_per_task, users) in
            [(1, Users::Uniform), (2, Users::Uniform), (4, Users::Uniform), (2, Users::Businesses), (2, Users::Hot)]
        {
            for (load, wanted) in [(1.5, 0.95), (2.0, 0.97), (4.0, 0.98)] {
                let world = World { calls_per_task, users, ..shape.clone() };
                let record = run(&world, 13.0, |_| load);
                let share = record.optimum_share(3.0, 13.0, calls_per_task);
                assert!(
                    share >= wanted,
                    "{} queues, {calls_per_task} calls, {users:?}, {load}x: {share}",
                    world.queues
                );
                let p99_ms = record.latency_ms(3.0, 13.0, 0.99);
                assert!(
                    p99_ms <= 100.0 * f64::from(calls_per_task),
                    "{load}x, {calls_per_task} calls: p99 {p99_ms} ms"
                );
            }
        }
    }
}

#[test]
fn the_same_world_without_admission_collapses() {
    for shape in shapes() {
        let record = run(&World { mode: Mode::Off, ..shape }, 13.0, |_| 4.0);
        let share = record.optimum_share(3.0, 13.0, 1);
        assert!(share < 0.05, "{share}");
    }
}

#[test]
fn below_capacity_nothing_is_refused() {
    for shape in shapes() {
        for (calls_per_task, users) in [(1, Users::Uniform), (2, Users::Businesses), (4, Users::Anonymous)] {
            for seed in 0..5 {
                let world = World { calls_per_task, users, seed, ..shape.clone() };
                let record = run(&world, 20.0, |_| 0.5);
                assert_eq!(
                    record.refused(0.0, 20.0),
                    0,
                    "{} queues, seed {seed}: {:?}",
                    world.queues,
                    record.refused_by
                );
            }
        }
    }
}

#[test]
fn a_step_is_followed_within_a_second_both_ways() {
    for shape in shapes() {
        for seed in 0..5 {
            let world = World { seed, ..shape.clone() };
            let record = run(&world, 14.0, |second| if (3.0..8.0).contains(&second) { 4.0 } else { 0.5 });
            for from_s in 0..8 {
                let from_s = 4.0 + f64::from(from_s) * 0.5;
                let share = record.optimum_share(from_s, from_s + 0.5, 1);
                assert!(share >= 0.9, "{} queues, seed {seed}, from {from_s} s: {share}", world.queues);
            }
            assert_eq!(record.refused(9.0, 14.0), 0, "{} queues, seed {seed}", world.queues);
        }
    }
}

#[test]
fn nothing_is_refused_while_a_worker_is_idle() {
    for shape in shapes() {
        for load in [0.9, 1.1, 4.0] {
            let record = run(&shape, 10.0, |_| load);
            assert_eq!(record.refused_while_idle(), 0, "{} queues at {load}x", shape.queues);
        }
    }
}

#[test]
fn the_important_are_served_and_the_rest_refused() {
    for shape in shapes() {
        for calls_per_task in [1, 2, 4] {
            let world = World { calls_per_task, ..shape.clone() };
            let record = run(&world, 13.0, |_| 2.0);
            // Half of the tasks fit; of those, the two fifths that are farthest from the edge.
            let success = record.important_success(3.0, 13.0, 4);
            assert!(success >= 0.95, "{} queues, {calls_per_task} calls: {success}", world.queues);
        }
    }
}

#[test]
fn other_services_are_controlled_as_well() {
    let base = World::default();
    let worlds = [
        ("coroutines: the number of workers is not known", World { workers_told: 0, ..base.clone() }),
        ("exponential service times", World { service: Service::Exponential(10.0), ..base.clone() }),
        (
            "one fast worker",
            World { workers_per_queue: 1, workers_told: 1, service: Service::Fixed(1.0), ..base.clone() },
        ),
        ("slow calls", World { service: Service::Fixed(80.0), deadline_ms: 1_500, ..base.clone() }),
        ("many workers", World { workers_per_queue: 64, workers_told: 64, service: Service::Fixed(40.0), ..base }),
    ];
    for (name, world) in worlds {
        let overloaded = run(&world, 13.0, |_| 3.0).optimum_share(3.0, 13.0, 1);
        assert!(overloaded >= 0.93, "{name}: {overloaded}");
        let idle = run(&world, 13.0, |_| 0.5);
        assert_eq!(idle.refused(0.0, 13.0), 0, "{name}: {:?}", idle.refused_by);
    }
}

#[test]
fn work_that_is_too_late_is_not_run() {
    let world = World { deadline_ms: 60, attempts: 1, ..World::default() };
    let record = run(&world, 13.0, |_| 4.0);
    assert!(record.optimum_share(3.0, 13.0, 1) >= 0.9);
    let executed = record.executed_per_s(3.0, 13.0) / record.capacity_per_s;
    assert!(executed <= 1.02 && record.optimum_share(3.0, 13.0, 1) >= executed - 0.05, "{executed}");
}

#[test]
fn observing_refuses_nothing_and_counts_what_it_would() {
    let record = run(&World { mode: Mode::Observe, ..World::default() }, 5.0, |_| 4.0);
    assert_eq!(record.refused(0.0, 5.0), 0);
    assert_eq!(record.refused_by.get(&Status::BELOW_CURSOR), None);
    assert!(record.would_refuse > 5_000, "{}", record.would_refuse);
}

#[test]
fn the_same_trace_gives_the_same_decisions() {
    for shape in shapes() {
        let decisions = |seed| run(&World { seed, ..shape.clone() }, 5.0, |_| 2.0).decisions;
        assert_eq!(decisions(7), decisions(7));
        assert_ne!(decisions(7), decisions(8));
    }
}
