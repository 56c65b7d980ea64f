//! What must hold whatever the caller, the clock or the memory do.

mod world;

use std::ptr::NonNull;

use mcrpc_core::admission::{Admission, Config, Cursor, Key, Line, Mode, Request};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use proptest::prelude::*;
use world::{Random, Run, World, memory};

const MS: u64 = 1_000_000;
const ONE_QUEUE: Config = Config { workers_per_queue: 2, ..Config::DEFAULT };

fn request(uin: u64) -> Request {
    Request {
        key: Key::new(Salt(1), 5, Uin(uin), 0),
        deadline: Nanos::NEVER,
        is_retry: false,
        continues_task: false,
        tenant: 0,
    }
}

fn bytes_of(lines: &mut [Line]) -> (NonNull<u8>, usize) {
    let len = size_of_val(lines);
    (NonNull::from(lines).cast(), len)
}

#[test]
fn settings_outside_their_range_are_refused() {
    let default = Config::DEFAULT;
    assert_eq!(default.validate(), Ok(()));
    let wrong = [
        Config { queue_count: 0, ..default },
        Config { queue_count: 65, ..default },
        Config { workers_per_queue: 32_001, ..default },
        Config { window_ms: 0, ..default },
        Config { window_ms: 1_001, ..default },
        Config { target_wait_ms: 0, ..default },
        Config { target_wait_ms: 26, ..default },
        Config { soft_wait_limit_ms: 81, ..default },
        Config { hard_wait_limit_ms: 60_001, ..default },
        Config { marginal_band_per_10k: 10_001, ..default },
        Config { headroom_per_10k: 10_001, ..default },
    ];
    for config in wrong {
        assert_eq!(config.validate(), Err(Status::INVALID_ARGUMENT), "{config:?}");
        assert_eq!(Admission::new(&mut memory(1), &config, Nanos(0)).err(), Some(Status::INVALID_ARGUMENT));
    }
}

#[test]
fn memory_is_checked_before_it_is_used() {
    let mut lines = memory(1);
    assert_eq!(Admission::new(&mut lines[1..], &ONE_QUEUE, Nanos(0)).err(), Some(Status::TOO_SMALL));
    let (start, len) = bytes_of(&mut lines);
    // SAFETY: the lines outlive every use of the controllers made here, and are used by nothing else.
    unsafe {
        assert_eq!(Admission::attach(start, len).err(), Some(Status::NOT_INITIALISED));
        assert_eq!(Admission::init(start.byte_add(8), len - 8, &ONE_QUEUE, Nanos(0)).err(), Some(Status::MISALIGNED));
        assert_eq!(Admission::attach(start.byte_add(8), len - 8).err(), Some(Status::MISALIGNED));
        let first = Admission::init(start, len, &ONE_QUEUE, Nanos(0)).unwrap();
        assert_eq!(Admission::attach(start, len - 64).err(), Some(Status::TOO_SMALL));
        let second = Admission::attach(start, len).unwrap();
        first.admit(0, &request(1), Nanos(1)).unwrap();
        assert_eq!(second.queue_snapshot(0).unwrap().queued, 1, "both handles see one controller");
        // The second word is the hash of the layout.
        start.cast::<u64>().add(1).write(0x1234);
        assert_eq!(Admission::attach(start, len).err(), Some(Status::VERSION_MISMATCH));
    }
}

#[test]
fn an_unknown_queue_is_an_error_everywhere() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    let invalid = Err(Status::INVALID_ARGUMENT);
    assert_eq!(admission.admit(1, &request(1), Nanos(1)), invalid);
    assert_eq!(admission.dequeued(1, Nanos(1), Nanos::NEVER, Nanos(1)), invalid);
    assert_eq!(admission.done(1, Nanos(1), Nanos(1)), invalid);
    assert_eq!(admission.abandoned(u32::MAX), invalid);
    assert_eq!(admission.queue_lost(1), invalid);
    assert_eq!(admission.queue_snapshot(1).err(), Some(Status::INVALID_ARGUMENT));
    assert_eq!(admission.cursor(1), Cursor::OPEN);
}

#[test]
fn a_request_past_its_deadline_is_refused_even_when_idle() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    let late = Request { deadline: Nanos(5 * MS), ..request(1) };
    assert_eq!(admission.admit(0, &late, Nanos(5 * MS)), Err(Status::EXPIRED_ON_ARRIVAL));
    assert_eq!(admission.admit(0, &late, Nanos(4 * MS)), Ok(()));
    assert_eq!(admission.dequeued(0, Nanos(4 * MS), late.deadline, Nanos(6 * MS)), Err(Status::DEADLINE_IN_QUEUE));
    let queue = admission.queue_snapshot(0).unwrap();
    assert_eq!((queue.queued, queue.running, queue.completed), (0, 0, 0));
}

#[test]
fn a_short_budget_is_tried_while_nobody_else_waits() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(MS)).unwrap();
    let mut now = MS;
    // The service takes 20 ms, so that is the shortest time known ...
    for n in 0..200 {
        now += 25 * MS;
        admission.admit(0, &request(n), Nanos(now)).unwrap();
        admission.dequeued(0, Nanos(now), Nanos::NEVER, Nanos(now)).unwrap();
        admission.done(0, Nanos(now), Nanos(now + 20 * MS)).unwrap();
    }
    assert_eq!(admission.snapshot().service_floor_ns, 20 * MS);
    // ... and a request that has 5 ms may be of a cheaper method.
    let short = Request { deadline: Nanos(now + 5 * MS), ..request(1) };
    admission.admit(0, &short, Nanos(now)).unwrap();
    assert_eq!(admission.dequeued(0, Nanos(now), short.deadline, Nanos(now)), Ok(()));
    admission.done(0, Nanos(now), Nanos(now + 20 * MS)).unwrap();
    // With another one waiting for the worker it is not tried.
    for _ in 0..2 {
        admission.admit(0, &short, Nanos(now)).unwrap();
    }
    let refused = Err(Status::DEADLINE_IN_QUEUE);
    assert_eq!(admission.dequeued(0, Nanos(now), short.deadline, Nanos(now)), refused);
}

#[test]
fn a_lost_process_takes_its_requests_with_it() {
    let mut lines = memory(2);
    let admission = Admission::new(&mut lines, &Config { queue_count: 2, ..ONE_QUEUE }, Nanos(0)).unwrap();
    for queue in [0, 0, 0, 1] {
        admission.admit(queue, &request(1), Nanos(1)).unwrap();
    }
    admission.dequeued(0, Nanos(1), Nanos::NEVER, Nanos(2)).unwrap();
    let levels = |queue| admission.queue_snapshot(queue).map(|queue| (queue.queued, queue.running)).unwrap();
    assert_eq!((levels(0), levels(1)), ((2, 1), (1, 0)));
    admission.queue_lost(0).unwrap();
    assert_eq!((levels(0), levels(1)), ((0, 0), (1, 0)));
    let queue = admission.queue_snapshot(0).unwrap();
    assert_eq!((queue.admitted, queue.wait_count, queue.completed), (3, 1, 0), "what was counted stays counted");
}

#[test]
fn the_mode_changes_under_way_without_losing_account() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    admission.set_mode(Mode::Off);
    for _ in 0..40_000 {
        admission.admit(0, &request(1), Nanos(1)).unwrap();
    }
    for _ in 0..39_999 {
        admission.abandoned(0).unwrap();
    }
    admission.set_mode(Mode::Enforce);
    assert_eq!(admission.queue_snapshot(0).unwrap().queued, 1, "more than a field holds, and back");
    admission.dequeued(0, Nanos(1), Nanos::NEVER, Nanos(2)).unwrap();
    admission.done(0, Nanos(2), Nanos(3)).unwrap();
    let queue = admission.queue_snapshot(0).unwrap();
    assert_eq!((queue.queued, queue.running, queue.completed), (0, 0, 1));
    assert_eq!((queue.admitted, queue.wait_count), (40_000, 1));
}

#[test]
fn counts_are_exact_in_every_mode_however_many_there_are() {
    for mode in [Mode::Off, Mode::Observe, Mode::Enforce] {
        let mut lines = memory(1);
        let admission = Admission::new(&mut lines, &Config { mode, ..ONE_QUEUE }, Nanos(MS)).unwrap();
        for n in 0..600_000 {
            let now = Nanos(MS + n * 10_000);
            admission.admit(0, &request(n), now).unwrap();
            admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
            admission.done(0, now, now).unwrap();
        }
        let queue = admission.queue_snapshot(0).unwrap();
        assert_eq!((queue.admitted, queue.wait_count, queue.completed), (600_000, 600_000, 600_000), "{mode:?}");
    }
}

#[test]
fn a_full_queue_is_refused_before_its_field_overflows() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    let refused = (0..33_000).filter(|_| admission.admit(0, &request(1), Nanos(1)) == Err(Status::QUEUE_FULL)).count();
    assert_eq!(refused, 1_000);
}

#[test]
fn a_leader_that_dies_costs_one_window() {
    let mut lines = memory(1);
    let (start, len) = bytes_of(&mut lines);
    // SAFETY: the lines outlive the controller; the word written below is the election's, alone on its line's start.
    let (admission, election) =
        unsafe { (Admission::init(start, len, &ONE_QUEUE, Nanos(MS)).unwrap(), start.cast::<u64>().add(16).as_ptr()) };
    let mut now = MS;
    let mut window = |leader_dies: bool| {
        for n in 0..50 {
            now += 2 * MS;
            admission.admit(0, &request(n), Nanos(now)).unwrap();
            admission.abandoned(0).unwrap();
        }
        if leader_dies {
            // Elected at this instant, and gone before it closed anything.
            // SAFETY: as above; no other thread runs.
            unsafe { election.write_volatile(now) };
        }
        admission.snapshot()
    };
    let before = window(false);
    let dead = window(true);
    let after = window(false);
    assert!(dead.windows_closed <= before.windows_closed + 1);
    assert_eq!(after.windows_closed, dead.windows_closed + 1, "the next leader closes both windows");
    assert!(after.demand_mrps.abs_diff(500_000) < 50_000, "no arrival is lost or counted twice: {}", after.demand_mrps);
}

#[test]
fn a_leader_that_dies_between_two_words_of_a_decision_leaves_no_cursor_behind() {
    let mut lines = memory(1);
    let (start, len) = bytes_of(&mut lines);
    // SAFETY: the lines outlive the controller; both words are on the line that decisions are published on.
    let (admission, cursors) = unsafe {
        (Admission::init(start, len, &ONE_QUEUE, Nanos(MS)).unwrap(), start.cast::<u32>().add(32 + 4).as_ptr())
    };
    assert_eq!(admission.snapshot().cursor, Cursor::OPEN);
    // SAFETY: as above; no other thread runs.
    unsafe { cursors.write_volatile(1) };
    assert_eq!((admission.snapshot().cursor, admission.snapshot().shedding), (Cursor(1), false));
    let mut now = MS;
    for n in 0..60 {
        now += 2 * MS;
        if admission.admit(0, &request(n), Nanos(now)).is_ok() {
            admission.abandoned(0).unwrap();
        }
    }
    assert_eq!(admission.snapshot().cursor, Cursor::OPEN);
}

#[test]
fn a_request_reported_twice_costs_nobody_a_request() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    for mistakes in 0..20 {
        admission.done(0, Nanos(1), Nanos(2)).unwrap();
        admission.abandoned(0).unwrap();
        admission.dequeued(0, Nanos(1), Nanos::NEVER, Nanos(2)).unwrap();
        for n in 0..100 {
            assert_eq!(admission.admit(0, &request(n), Nanos(n)), Ok(()), "after {mistakes} mistakes");
            admission.dequeued(0, Nanos(n), Nanos::NEVER, Nanos(n)).unwrap();
            admission.done(0, Nanos(n), Nanos(n)).unwrap();
        }
    }
}

#[test]
fn requests_that_arrive_too_late_are_no_sign_of_overload() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(0)).unwrap();
    for n in 0..1_000u64 {
        let now = Nanos(n * MS);
        let late = Request { deadline: now, ..request(n) };
        assert_eq!(admission.admit(0, &late, now), Err(Status::EXPIRED_ON_ARRIVAL));
        admission.admit(0, &request(n), now).unwrap();
        admission.abandoned(0).unwrap();
    }
    let snapshot = admission.snapshot();
    assert!(!snapshot.shedding && snapshot.demand_mrps.abs_diff(1_000_000) < 50_000, "{snapshot:?}");
}

/// A controller whose memory is random, but for the lines that say what it is, what the server tells, and the levels, which only
/// whole events change.
fn damaged<'a>(lines: &'a mut [Line], config: &Config, seed: u64) -> Admission<'a> {
    let (start, len) = bytes_of(lines);
    let mut random = Random(seed);
    // SAFETY: the lines are borrowed for as long as the controller; they are written here while nobody else uses them.
    let admission = unsafe {
        let admission = Admission::init(start, len, config, Nanos(0)).unwrap();
        let words = start.cast::<u64>();
        for index in 16..len / 8 {
            words.add(index).write(random.next() >> (random.next() % 64));
        }
        admission
    };
    admission.set_mode(Mode::Enforce);
    admission.set_enforced(Per10k::ALL);
    admission.set_cpu(0, Nanos(0));
    for queue in 0..config.queue_count {
        admission.queue_lost(queue).unwrap();
    }
    admission
}

/// A leader may die, or be stopped and run on, at any instruction of a close. Whatever that leaves behind in the words
/// that leaders write, the controller is back within five seconds, and refuses nobody without need after fifteen.
#[test]
fn the_controller_returns_from_any_state_of_its_memory() {
    for seed in 0..40 {
        for queues in [1, 8] {
            let world =
                World { queues, workers_per_queue: 8 / queues, workers_told: 8 / queues, seed, ..World::default() };
            let config = Config { queue_count: queues, workers_per_queue: world.workers_told, ..ONE_QUEUE };
            let mut lines = memory(queues);
            let admission = damaged(&mut lines, &config, seed);
            // Overload and then half the capacity: neither too little nor too much may be admitted in the end.
            let record = Run::new(&world, admission, |second| if second < 10.0 { 3.0 } else { 0.5 }).run(20.0);
            let share = record.optimum_share(5.0, 10.0, 1);
            assert!(share >= 0.9, "seed {seed}, {queues} queues: {share} {:?}", record.refused_by);
            assert_eq!(record.refused(12.0, 20.0), 0, "seed {seed}, {queues} queues");
            let calm = Run::new(&world, damaged(&mut memory(queues), &config, seed), |_| 0.5).run(20.0);
            assert_eq!(calm.refused(15.0, 20.0), 0, "seed {seed}, {queues} queues, without overload");
        }
    }
}

proptest! {
    /// Given any sequence of calls at any times, then nothing panics, and queued and running are what was called.
    #[test]
    fn levels_are_exact_whatever_the_clock_does(
        steps in prop::collection::vec((0u8..6, any::<u64>(), 0u64..3), 1..400)
    ) {
        let mut lines = memory(1);
        let admission = Admission::new(&mut lines, &ONE_QUEUE, Nanos(1_000_000 * MS)).unwrap();
        let (mut queued, mut running) = (0u32, 0u32);
        let mut now = 1_000_000 * MS;
        for (step, jump, scale) in steps {
            // Stands still, moves a little, or leaps anywhere, back as well as forth.
            now = match scale { 0 => now, 1 => now.wrapping_add(jump % (300 * MS)), _ => jump };
            let deadline = if jump % 3 == 0 { Nanos::NEVER } else { Nanos(now).plus(jump % (900 * MS)) };
            match step {
                0..=2 => {
                    let request = Request { deadline, is_retry: jump % 2 == 0, continues_task: jump % 5 == 0, ..request(jump) };
                    if admission.admit(0, &request, Nanos(now)).is_ok() { queued += 1 }
                }
                3 if queued > 0 => {
                    queued -= 1;
                    if admission.dequeued(0, Nanos(now.wrapping_sub(jump % MS)), deadline, Nanos(now)).is_ok() { running += 1 }
                }
                4 if running > 0 => {
                    running -= 1;
                    admission.done(0, Nanos(now.wrapping_sub(jump)), Nanos(now)).unwrap();
                }
                5 if queued > 0 => {
                    queued -= 1;
                    admission.abandoned(0).unwrap();
                }
                _ => {}
            }
            let snapshot = admission.queue_snapshot(0).unwrap();
            prop_assert_eq!((snapshot.queued, snapshot.running), (queued, running));
        }
    }

    /// Given one process whose clock is far off, when it mixes its calls into a healthy server's, then at half the
    /// capacity nothing is refused.
    #[test]
    fn a_wrong_clock_refuses_nobody(offset in prop_oneof![Just(3_600_000 * MS), Just(900_000 * MS), any::<u64>()]) {
        let mut lines = memory(2);
        let config = Config { queue_count: 2, ..ONE_QUEUE };
        let admission = Admission::new(&mut lines, &config, Nanos(MS)).unwrap();
        for step in 0..2_000u64 {
            let right = Nanos(MS * (1 + step * 10));
            let wrong = Nanos(right.0.wrapping_add(offset));
            for (queue, now) in [(0, right), (1, wrong)] {
                prop_assert_eq!(admission.admit(queue, &request(step), now), Ok(()));
                prop_assert_eq!(admission.dequeued(queue, now, Nanos::NEVER, now.plus(MS / 10)), Ok(()));
                prop_assert_eq!(admission.done(queue, now, now.plus(5 * MS)), Ok(()));
            }
        }
    }
}
