//! Requests that are run where they are read, in turns.

mod world;

use mcrpc_core::admission::{Admission, Config, Key, Mode, QueueSnapshot, Request, Snapshot};
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use proptest::prelude::*;
use world::memory;

const MS: u64 = 1_000_000;
const CONFIG: Config = Config { workers_per_queue: 1, ..Config::DEFAULT };

fn request(uin: u64) -> Request {
    let key = Key::new(Salt(1), 5, Uin(uin), 0);
    Request { key, deadline: Nanos::NEVER, is_retry: false, continues_task: false, tenant: 0 }
}

#[test]
fn a_turn_is_one_running_request_however_many_it_is_made_of() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &CONFIG, Nanos(0)).unwrap();
    let levels = || {
        let queue = admission.queue_snapshot(0).unwrap();
        (queue.queued, queue.running, queue.completed)
    };
    let mut turn = admission.turn(0, Nanos(1)).unwrap();
    for n in 0..100 {
        let now = Nanos(1 + n * 1_000);
        turn.admit(&request(n), now, now).unwrap();
        turn.done(now, now.plus(1_000));
        assert_eq!(levels(), (0, 1, 0));
    }
    drop(turn);
    assert_eq!(levels(), (0, 0, 100));
    assert_eq!(admission.turn(1, Nanos(1)).err(), Some(Status::INVALID_ARGUMENT));
}

#[test]
fn a_long_turn_tells_what_it_has_completed_every_millisecond() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &CONFIG, Nanos(0)).unwrap();
    let mut turn = admission.turn(0, Nanos(0)).unwrap();
    let mut told = Vec::new();
    for n in 0..6 {
        let now = Nanos(n * 400_000);
        turn.admit(&request(n), now, now).unwrap();
        turn.done(now, now.plus(400_000));
        told.push(admission.queue_snapshot(0).unwrap().completed);
    }
    assert_eq!(told, [0, 0, 3, 3, 3, 6]);
}

#[test]
fn a_window_that_is_over_is_closed_within_a_long_turn() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &CONFIG, Nanos(0)).unwrap();
    let mut turn = admission.turn(0, Nanos(0)).unwrap();
    let mut demands = Vec::new();
    for n in 0..5_000 {
        let now = Nanos(n * MS);
        turn.admit(&request(n), now, now).unwrap();
        turn.done(now, now.plus(MS));
        demands.push(admission.snapshot().demand_mrps);
    }
    assert_eq!(demands[100], 0, "the first window lasts");
    assert!((900_000..1_100_000).contains(&demands[4_999]), "{} of 1 000 000 mrps", demands[4_999]);
}

#[test]
fn a_turn_refuses_what_is_too_late_and_what_the_processor_has_no_room_for() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &CONFIG, Nanos(0)).unwrap();
    let late = Request { deadline: Nanos(5 * MS), ..request(1) };
    let mut turn = admission.turn(0, Nanos(4 * MS)).unwrap();
    assert_eq!(turn.admit(&late, Nanos(0), Nanos(5 * MS)), Err(Status::EXPIRED_ON_ARRIVAL));
    assert_eq!(turn.admit(&late, Nanos(0), Nanos(4 * MS)), Ok(()));
    turn.done(Nanos(4 * MS), Nanos(4 * MS));
    drop(turn);
    let mut refused = 0;
    for n in 0..40_000 {
        let now = Nanos(5 * MS + n * 100_000);
        if n % 1_000 == 0 {
            admission.set_cpu(20_000, now);
        }
        let mut turn = admission.turn(0, now).unwrap();
        match turn.admit(&request(n), now, now) {
            Ok(()) => turn.done(now, now.plus(50_000)),
            Err(status) => {
                assert_eq!(status, Status::BELOW_CURSOR);
                refused += 1;
            }
        }
    }
    assert!(refused > 1_000, "at twice the processor's limit {refused} of 40 000 were refused");
}

/// What the controller makes of requests that one worker runs one after another, in turns or through a queue.
fn seen(requests: &[(u64, u64, u64)], mode: Mode, in_turns: bool) -> (Snapshot, QueueSnapshot, Vec<Option<Status>>) {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &CONFIG, Nanos(0)).unwrap();
    admission.set_mode(mode);
    let (mut now, mut refused) = (Nanos(MS), Vec::new());
    for &(uin, pause_ns, budget_ns) in requests {
        let arrival = now;
        now = now.plus(pause_ns);
        let asked = Request { deadline: arrival.plus(budget_ns), ..request(uin) };
        let ended = now.plus(10_000);
        refused.push(if in_turns {
            let mut turn = admission.turn(0, now).unwrap();
            let verdict = turn.admit(&asked, arrival, now);
            if verdict.is_ok() {
                turn.done(now, ended);
            }
            verdict.err()
        } else {
            let verdict = admission.admit(0, &asked, now);
            if verdict.is_ok() {
                admission.dequeued(0, arrival, Nanos::NEVER, now).unwrap();
                admission.done(0, now, ended).unwrap();
            }
            verdict.err()
        });
        now = ended;
    }
    (admission.snapshot(), admission.queue_snapshot(0).unwrap(), refused)
}

proptest! {
    #[test]
    fn a_turn_decides_and_counts_as_a_queue_does_in_which_nothing_waits(
        requests in prop::collection::vec((any::<u64>(), 0..400_000u64, 0..2 * MS), 1..2_000),
        mode in prop::sample::select(vec![Mode::Off, Mode::Observe, Mode::Enforce]),
    ) {
        prop_assert_eq!(seen(&requests, mode, true), seen(&requests, mode, false));
    }
}
