//! What the controller is for: a service under more load than it can serve goes on serving what it can.

mod world;

use mcrpc_core::admission::Mode;
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
    // Half of the tasks fit. Where each process has a queue of its own, an idle one takes whatever comes, at the expense
    // of those just below the cursor.
    let [threads, processes] = shapes();
    for (shape, tenths, wanted) in [(threads, 4, 0.95), (processes.clone(), 3, 0.98), (processes, 4, 0.9)] {
        for calls_per_task in [1, 2, 4] {
            let world = World { calls_per_task, ..shape.clone() };
            let success = run(&world, 13.0, |_| 2.0).important_success(3.0, 13.0, tenths);
            assert!(success >= wanted, "{} queues, {calls_per_task} calls, {tenths} tenths: {success}", world.queues);
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
        assert!(idle.refused_by.is_empty(), "{name}: {:?}", idle.refused_by);
    }
}

#[test]
fn work_that_is_too_late_is_not_run() {
    let world = World { deadline_ms: 60, attempts: 1, ..World::default() };
    let record = run(&world, 13.0, |_| 4.0);
    assert!(record.optimum_share(3.0, 13.0, 1) >= 0.9);
    let (executed, good) =
        (record.executed_per_s(3.0, 13.0) / record.capacity_per_s, record.optimum_share(3.0, 13.0, 1));
    assert!(good >= executed - 0.05, "{executed} of the capacity was run, {good} was good");
}

#[test]
fn callers_that_stick_to_an_unevenly_loaded_process_are_served_by_importance() {
    let skewed = World {
        queues: 8,
        workers_per_queue: 1,
        workers_told: 1,
        attempts: 1,
        first_queue_percent: 15,
        ..World::default()
    };
    for (calls_per_task, share_wanted, success_wanted) in [(1, 0.88, 0.95), (4, 0.78, 0.85)] {
        let record = run(&World { calls_per_task, ..skewed.clone() }, 23.0, |_| 1.5);
        let share = record.optimum_share(3.0, 23.0, calls_per_task);
        let success = record.important_success(3.0, 23.0, 4);
        assert!(share >= share_wanted && success >= success_wanted, "{calls_per_task} calls: {share}, {success}");
    }
}

#[test]
fn a_service_that_was_slow_for_a_while_is_not_held_to_it() {
    for shape in shapes() {
        let world = World { service: Service::Exponential(10.0), slow_spell: Some((5, 10, 10.0)), ..shape.clone() };
        let record = run(&world, 60.0, |_| 0.5);
        let late = record.refused(30.0, 60.0);
        assert!(late <= 12, "{} queues: {late} of 12 000 are still refused", world.queues);
        let world = World { slow_spell: Some((5, 10, 3.0)), ..shape };
        let record = run(&world, 20.0, |_| 2.0);
        let share = record.optimum_share(12.0, 20.0, 1);
        assert!(share >= 0.97, "{} queues under overload: {share}", world.queues);
    }
}

#[test]
fn what_was_wanted_long_ago_does_not_weigh_on_what_is_wanted_now() {
    let world = World { calls_per_task: 4, users: Users::HotMovesAt(600), ..World::default() };
    let record = run(&world, 604.0, |second| if second < 600.0 { 0.5 } else { 4.0 });
    let share = record.optimum_share(601.0, 604.0, 4);
    assert!(share >= 0.97, "{share}");
}

#[test]
fn a_request_longer_than_a_window_does_not_hide_the_capacity() {
    let world = World {
        queues: 16,
        workers_per_queue: 1,
        workers_told: 1,
        service: Service::Fixed(300.0),
        deadline_ms: 6_000,
        ..World::default()
    };
    let record = run(&world, 60.0, |_| 3.0);
    let (share, p99_ms) = (record.optimum_share(20.0, 60.0, 1), record.latency_ms(20.0, 60.0, 0.99));
    assert!(share >= 0.97 && p99_ms <= 1_000.0, "{share}, {p99_ms} ms");
}

#[test]
fn observing_refuses_nothing_and_counts_what_it_would() {
    let record = run(&World { mode: Mode::Observe, ..World::default() }, 5.0, |_| 4.0);
    assert!(record.refused_by.is_empty(), "{:?}", record.refused_by);
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
