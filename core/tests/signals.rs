//! What else a server can tell the controller, and what follows: a ramp, the use of the processor, tenants, Svrkit's pass rate; and a
//! process whose clock is wrong. The clock is stepped.

mod world;

use std::sync::atomic::AtomicU64;

use mcrpc_core::admission::{Admission, Config, Cursor, Key, Mode, Policy, Request};
use mcrpc_core::host::control::{self, Author, Mechanism, Operator, Setting};
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};
use world::{Run, World, memory};

const MS: u64 = NANOS_PER_MILLI;

fn request(uin: u64) -> Request {
    Request {
        key: Key::new(Salt(1), 5, Uin(uin), 0),
        deadline: Nanos::NEVER,
        is_retry: false,
        continues_task: false,
        tenant: 0,
    }
}

/// A server of eight workers of 10 ms at four times its capacity for a while: afterwards it sheds.
fn overloaded<'a>(lines: &'a mut [mcrpc_core::admission::Line], config: &Config) -> (Admission<'a>, world::Record) {
    let admission = Admission::new(lines, config, Nanos(0)).unwrap();
    let record = Run::new(&World::default(), admission, |_| 4.0).run(5.0);
    (admission, record)
}

const EIGHT_WORKERS: Config = Config { workers_per_queue: 8, ..Config::DEFAULT };

#[test]
fn on_a_ramp_the_decisions_count_for_a_share_of_the_tasks_and_raising_it_only_adds_some() {
    let refused = |share| {
        let mut lines = memory(1);
        let (admission, _) = overloaded(&mut lines, &EIGHT_WORKERS);
        admission.set_enforced(Per10k::new(share).unwrap());
        // All workers are busy and somebody waits, so that the cursor counts.
        for uin in 0..20 {
            let _ = admission.admit(0, &Request { key: Key(0), ..request(uin) }, Nanos(5_000 * MS));
        }
        (0..2_000u64).filter(|&uin| admission.admit(0, &request(uin), Nanos(5_000 * MS)).is_err()).collect::<Vec<_>>()
    };
    let shares = [0, 1_000, 5_000, 10_000].map(refused);
    let all = shares[3].len() as f64;
    assert!(shares[0].is_empty() && all > 1_000.0, "{all}");
    for (tasks, wanted) in shares.iter().zip([0.0, 0.1, 0.5, 1.0]) {
        assert!((tasks.len() as f64 / all - wanted).abs() < 0.05, "{} of {all}, not {wanted}", tasks.len());
    }
    assert!(shares.windows(2).all(|pair| pair[0].iter().all(|task| pair[1].contains(task))));
}

#[test]
fn a_reply_tells_callers_of_no_cursor_on_a_ramp() {
    let mut lines = memory(1);
    let (admission, _) = overloaded(&mut lines, &EIGHT_WORKERS);
    for _ in 0..10 {
        let _ = admission.admit(0, &Request { key: Key(0), ..request(1) }, Nanos(5_000 * MS));
    }
    assert_ne!(admission.cursor(0), Cursor::OPEN);
    admission.set_enforced(Per10k::new(9_999).unwrap());
    assert_eq!(admission.cursor(0), Cursor::OPEN);
}

#[test]
fn the_cursor_in_replies_falls_as_the_queue_grows() {
    let mut lines = memory(1);
    let (admission, _) = overloaded(&mut lines, &EIGHT_WORKERS);
    let mut cursors = Vec::new();
    for _ in 0..60 {
        let _ = admission.admit(0, &Request { key: Key(0), ..request(1) }, Nanos(5_000 * MS));
        cursors.push(admission.cursor(0));
    }
    let snapshot = admission.snapshot();
    assert!(cursors.is_sorted_by(|earlier, later| later <= earlier));
    assert_eq!(cursors.last(), Some(&snapshot.marginal_cursor));
    assert!(
        cursors.contains(&snapshot.cursor)
            && cursors.iter().any(|cursor| { (snapshot.marginal_cursor.0 + 1..snapshot.cursor.0).contains(&cursor.0) })
    );
}

/// Coroutines: everything runs at once, and a processor that completes one request per ms gets ever more to do. Returns what is
/// in the system at the end, and what was completed in the last three seconds.
fn processor_sharing(tells: bool, offered_per_ms: u64) -> (u64, u64) {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config::DEFAULT, Nanos(MS)).unwrap();
    let (mut running, mut completed, mut lately, mut used) = (0u64, 0u64, 0, 0);
    for step in 1..10_000u64 {
        let now = Nanos(step * MS);
        for n in 0..offered_per_ms {
            if admission.admit(0, &request(step * 7 + n), now).is_ok() {
                admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
                running += 1;
            }
        }
        if running > 0 {
            running -= 1;
            completed += 1;
            used += 1;
            lately += u64::from(step >= 7_000);
            // Each runs for as long as all that run with it.
            admission.done(0, Nanos((step - running.min(step)) * MS), now).unwrap();
        }
        if tells && step % 250 == 0 {
            admission.set_cpu(used * 40, now);
            used = 0;
        }
    }
    assert!(completed > 0);
    (running, lately)
}

#[test]
fn a_full_processor_is_overload_although_no_queue_shows_it() {
    let (without, _) = processor_sharing(false, 2);
    assert!(without > 5_000, "nothing bounds the work in progress: {without}");
    let (running, completed) = processor_sharing(true, 2);
    assert!(running < 300, "{running} in progress");
    assert!(completed >= 2_600, "{completed} of 3 000 possible");
}

#[test]
fn a_processor_with_room_refuses_nobody() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config::DEFAULT, Nanos(MS)).unwrap();
    for step in 1..5_000u64 {
        let now = Nanos(step * MS);
        admission.set_cpu(if step < 2_000 { 9_400 } else { 5_000 }, now);
        admission.admit(0, &request(step), now).unwrap();
        admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
        admission.done(0, now, now.plus(MS)).unwrap();
    }
}

#[test]
fn what_the_processor_did_long_ago_is_forgotten() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config::DEFAULT, Nanos(MS)).unwrap();
    let mut refused_late = 0;
    for step in 1..8_000u64 {
        let now = Nanos(step * MS);
        if step < 3_000 && step % 250 == 0 {
            admission.set_cpu(10_000, now);
        }
        match admission.admit(0, &request(step), now) {
            Ok(()) => {
                admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
                admission.done(0, now, now.plus(MS)).unwrap();
            }
            Err(status) => {
                assert_eq!(status, Status::BELOW_CURSOR);
                refused_late += u64::from(step >= 5_500);
            }
        }
    }
    assert_eq!(refused_late, 0);
}

/// Four tenants at a server of eight workers of 10 ms; the first sends ten times as much as each other one. Returns the share of
/// each one's requests that was admitted in the last ten seconds of twenty, and how many those were.
fn flooded(config: &Config) -> ([f64; 4], [u64; 4]) {
    flooded_weighing(config, &[])
}

/// The same, of tenants with these weights.
fn flooded_weighing(config: &Config, weights: &[(u16, u32)]) -> ([f64; 4], [u64; 4]) {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, config, Nanos(MS)).unwrap();
    for &(tenant, weight) in weights {
        admission.set_tenant_weight(tenant, weight).unwrap();
    }
    let mut running: std::collections::VecDeque<u64> = std::collections::VecDeque::new();
    let mut queue: std::collections::VecDeque<Nanos> = std::collections::VecDeque::new();
    let mut earlier = [(0, 0); 4];
    // 13 requests per 8 ms, where 6.4 can be served.
    for tick in 1..40_000u64 {
        if tick == 20_000 {
            earlier = counts_by_tenant(&admission);
        }
        let now = Nanos(tick * MS / 2);
        while running.front().is_some_and(|&ends| ends <= now.0) {
            let ends = running.pop_front().unwrap();
            admission.done(0, Nanos(ends - 10 * MS), now).unwrap();
        }
        let tenant = match tick % 16 {
            0..10 => Some(1),
            10 => Some(2),
            12 => Some(3),
            14 => Some(4),
            _ => None,
        };
        if let Some(tenant) = tenant
            && admission.admit(0, &Request { tenant, ..request(tick * 4 + u64::from(tenant)) }, now).is_ok()
        {
            queue.push_back(now);
        }
        while running.len() < 8
            && let Some(admitted) = queue.pop_front()
        {
            admission.dequeued(0, admitted, Nanos::NEVER, now).unwrap();
            running.push_back(now.0 + 10 * MS);
        }
    }
    let mut later = counts_by_tenant(&admission);
    for (later, earlier) in later.iter_mut().zip(earlier) {
        *later = (later.0 - earlier.0, later.1 - earlier.1);
    }
    (later.map(|(offered, admitted)| admitted as f64 / offered as f64), later.map(|(offered, _)| offered))
}

fn counts_by_tenant(admission: &Admission<'_>) -> [(u64, u64); 4] {
    [1, 2, 3, 4].map(|tenant| admission.tenant_snapshot(tenant).map(|it| (it.offered, it.admitted)).unwrap())
}

#[test]
fn a_tenant_that_floods_is_held_to_its_share_and_the_others_get_what_they_ask() {
    let (without, offered) = flooded(&EIGHT_WORKERS);
    assert!(offered[0] > 9 * offered[1], "{offered:?}");
    assert!(without[1..].iter().all(|&admitted| admitted < 0.8), "all are refused alike: {without:?}");
    let (held, _) = flooded(&Config { fair_share: true, ..EIGHT_WORKERS });
    assert!(held[1..].iter().all(|&admitted| admitted > 0.93), "{held:?}");
    assert!(held[0] < without[0], "{held:?}");
}

/// A tenant that weighs ten thousand times as much as the others may flood, and they give way.
#[test]
fn a_share_is_by_weight_and_a_tenant_of_which_nobody_spoke_weighs_1() {
    let config = Config { fair_share: true, ..EIGHT_WORKERS };
    let (alike, _) = flooded(&config);
    assert_eq!(flooded_weighing(&config, &[(1, 1), (2, 1), (3, 1), (4, 1)]).0, alike);
    let (weighed, _) = flooded_weighing(&config, &[(1, 10_000)]);
    assert!(weighed[0] > alike[0] + 0.1, "{weighed:?}, {alike:?}");
    assert!(weighed[1..].iter().all(|&admitted| admitted < 0.8), "{weighed:?}");
}

#[test]
fn tenants_are_numbered_from_1_to_63_and_their_weights_from_1_to_10_000() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config::DEFAULT, Nanos(MS)).unwrap();
    for (tenant, weight) in [(0, 1), (64, 1), (1, 0), (1, 10_001)] {
        assert_eq!(admission.set_tenant_weight(tenant, weight), Err(Status::INVALID_ARGUMENT), "{tenant}, {weight}");
    }
    assert_eq!(admission.set_tenant_weight(63, 10_000), Ok(()));
    assert!(admission.tenant_snapshot(0).is_err() && admission.tenant_snapshot(64).is_err());
    admission.admit(0, &Request { tenant: 63 + 7, ..request(1) }, Nanos(MS)).unwrap();
    assert_eq!(admission.tenant_snapshot(7).unwrap().admitted, 1, "larger numbers share the places of others");
}

#[test]
fn the_pass_rate_falls_fast_and_rises_slowly_and_never_latches() {
    let config = Config { policy: Policy::PassRate, ..EIGHT_WORKERS };
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &config, Nanos(0)).unwrap();
    let load = |second: f64| if (5.0..20.0).contains(&second) { 3.0 } else { 0.5 };
    let record = Run::new(&World::default(), admission, load).run(40.0);
    assert!(record.optimum_share(7.0, 20.0, 1) >= 0.9, "{}", record.optimum_share(7.0, 20.0, 1));
    // A percentage point per window: from a third it takes seven seconds.
    assert_eq!(record.refused(30.0, 40.0), 0);
}

#[test]
fn one_process_with_a_wrong_clock_does_not_keep_windows_from_being_closed() {
    for offset in [3_600_000 * MS, 0u64.wrapping_sub(3_600_000 * MS), 5_000 * MS] {
        let mut lines = memory(2);
        let config = Config { queue_count: 2, mode: Mode::Enforce, ..EIGHT_WORKERS };
        let admission = Admission::new(&mut lines, &config, Nanos(3_600_001 * MS)).unwrap();
        for step in 0..10_000u64 {
            let right = Nanos((3_600_001 + step) * MS);
            for (queue, now) in [(0, right), (1, Nanos(right.0.wrapping_add(offset)))] {
                if admission.admit(queue, &request(step), now).is_ok() {
                    admission.dequeued(queue, now, Nanos::NEVER, now).unwrap();
                    admission.done(queue, now, now).unwrap();
                }
            }
        }
        let windows = admission.snapshot().windows_closed;
        assert!((95..=102).contains(&windows), "offset {offset}: {windows} windows in ten seconds");
    }
}

#[test]
fn after_a_long_pause_windows_are_closed_again() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &EIGHT_WORKERS, Nanos(MS)).unwrap();
    let mut now = MS;
    for pause_ms in [0, 3_600_000, 10_000] {
        now += pause_ms * MS;
        let before = admission.snapshot().windows_closed;
        for step in 0..2_000u64 {
            now += MS;
            admission.admit(0, &request(step), Nanos(now)).unwrap();
            admission.abandoned(0).unwrap();
        }
        let closed = admission.snapshot().windows_closed - before;
        assert!(closed >= 15, "{closed} of 20 windows after a pause of {pause_ms} ms");
    }
}

#[test]
fn the_operators_word_comes_before_the_servers_own_and_the_kill_switch_before_both() {
    let words: Vec<_> = (0..control::SEGMENT_LEN / 8).map(|_| AtomicU64::new(0)).collect();
    control::create(Shared::new(&words), 3, 4, Salt(5)).unwrap();
    let operator = Operator::attach(Shared::new(&words), control::SEGMENT_LEN as u64).unwrap();
    let mut lines = memory(1);
    let (admission, _) = overloaded(&mut lines, &EIGHT_WORKERS);
    for _ in 0..10 {
        let _ = admission.admit(0, &Request { key: Key(0), ..request(1) }, Nanos(5_000 * MS));
    }
    let followed = || {
        admission.follow(Some(&operator.control()), Mode::Observe);
        (admission.snapshot().mode, admission.cursor(0) == Cursor::OPEN)
    };
    assert_eq!(followed(), (Mode::Observe, true), "nothing was said");
    let author = Author { uid: 1, at_s: 2 };
    let enforced = |share| Some(Setting { mode: Mode::Enforce, share: Per10k::new(share).unwrap() });
    operator.set_mechanism(Mechanism::Admission, enforced(10_000), author);
    assert_eq!(followed(), (Mode::Enforce, false));
    operator.set_mechanism(Mechanism::Admission, enforced(500), author);
    assert_eq!(followed(), (Mode::Enforce, true), "on a ramp replies tell of no cursor");
    operator.set_killed(true, author);
    assert_eq!(followed().0, Mode::Off);
    admission.follow(None, Mode::Enforce);
    assert_eq!(admission.snapshot().mode, Mode::Enforce, "there is no host");
}

/// Requests per second of one queue that are admitted, with samples of the processor's use by second.
fn admitted_by_second(seconds: u64, used: impl Fn(u64) -> Option<u32>, per_s: impl Fn(u64) -> u64) -> Vec<u64> {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config::DEFAULT, Nanos(3_600_000 * MS)).unwrap();
    let mut admitted = vec![0; seconds as usize];
    for ms in 0..seconds * 1_000 {
        let (second, now) = (ms / 1_000, Nanos((3_600_000 + ms) * MS));
        if ms % 250 == 0
            && let Some(used) = used(second)
        {
            admission.set_cpu(used, now);
        }
        if per_s(second) > 0 && ms % (1_000 / per_s(second)) == 0 && admission.admit(0, &request(ms), now).is_ok() {
            admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
            admission.done(0, now, now).unwrap();
            admitted[second as usize] += 1;
        }
    }
    admitted
}

#[test]
fn a_first_sample_and_one_after_a_pause_say_nothing_of_the_time_before() {
    let per_s = |second| if (5..65).contains(&second) { 0 } else { 500 };
    let admitted = admitted_by_second(80, |_| Some(9_600), per_s);
    assert!(admitted[..5].iter().chain(&admitted[66..]).all(|&admitted| admitted > 300), "{admitted:?}");
}

#[test]
fn a_neighbour_that_fills_the_processor_does_not_drive_a_service_out() {
    let admitted = admitted_by_second(120, |_| Some(10_000), |_| 500);
    assert!(admitted[60..].iter().all(|&admitted| admitted >= 25), "{:?}", &admitted[60..]);
}

/// Given a queue that is too long and a processor that is full too, then the tighter of the two bounds what is admitted.
#[test]
fn of_a_long_queue_and_a_full_processor_the_tighter_bound_holds() {
    let executed = |used: Option<u32>| {
        let mut lines = memory(1);
        let admission = Admission::new(&mut lines, &EIGHT_WORKERS, Nanos(0)).unwrap();
        let load = |seconds: f64| {
            if let Some(used) = used.filter(|_| seconds > 3.0) {
                admission.set_cpu(used, Nanos((seconds * 1e9) as u64));
            }
            4.0
        };
        let record = Run::new(&World::default(), admission, load).run(10.0);
        record.bins[60..100].iter().map(|bin| bin.executed).sum::<u64>()
    };
    let (silent, roomy, full) = (executed(None), executed(Some(3_000)), executed(Some(10_000)));
    assert!(silent > 3_000 && roomy.abs_diff(silent) < silent / 20, "{roomy}, {silent} without a word of it");
    assert!((silent / 20..silent / 2).contains(&full), "{full} of {silent}");
}

#[test]
fn a_tenant_is_held_no_longer_when_nobody_else_is_short() {
    let mut lines = memory(1);
    let config = Config { fair_share: true, ..EIGHT_WORKERS };
    let admission = Admission::new(&mut lines, &config, Nanos(MS)).unwrap();
    let mut free_at = [0u64; 8];
    let mut demoted = Vec::new();
    for tick in 1..240_000u64 {
        let now = Nanos(tick * MS / 2);
        // The first asks for 1 000 a second, the second for 400 in the first half of a minute; 800 are served.
        let tenants: &[u16] = if tick % 5 == 0 && tick < 60_000 { &[1, 2] } else { &[1] };
        for &tenant in tenants.iter().filter(|&&tenant| tenant == 2 || tick % 2 == 0) {
            let _ = admission.admit(0, &Request { tenant, ..request(tick * 3 + u64::from(tenant)) }, now).map(|()| {
                // A worker that is free takes it; else it is given up, as a queue of no places would.
                match free_at.iter_mut().find(|free_at| **free_at <= now.0) {
                    Some(free_at) => {
                        *free_at = now.0 + 10 * MS;
                        admission.dequeued(0, now, Nanos::NEVER, now).unwrap();
                        admission.done(0, now, now.plus(10 * MS)).unwrap();
                    }
                    None => admission.abandoned(0).unwrap(),
                }
            });
        }
        if tick % 20_000 == 0 {
            demoted.push(admission.tenant_snapshot(1).unwrap().demoted.get());
        }
    }
    assert!(demoted.last().is_some_and(|&demoted| demoted == 0), "{demoted:?}");
}

#[test]
fn quotas_count_only_where_fair_shares_are_wanted() {
    let mut lines = memory(1);
    let admission = Admission::new(&mut lines, &Config { fair_share: true, ..EIGHT_WORKERS }, Nanos(MS)).unwrap();
    assert_eq!(admission.tenant_snapshot(1).unwrap().demoted, Per10k::NONE);
    let (held, _) = flooded(&Config { mode: Mode::Observe, fair_share: true, ..EIGHT_WORKERS });
    assert!(held.iter().all(|&admitted| admitted == 1.0), "{held:?}");
}

#[test]
fn windows_go_on_after_a_pause_whatever_their_length_however_rare_the_calls_and_whoever_calls_first() {
    for (window_ms, gap_ms, other_clock_ms) in
        [(100, 1, 0), (1_000, 1, 0), (700, 10, 0), (100, 3_000, 0), (100, 1, 10_000), (100, 7, 10_000)]
    {
        let mut lines = memory(2);
        let config = Config { queue_count: 2, window_ms, ..EIGHT_WORKERS };
        let admission = Admission::new(&mut lines, &config, Nanos(MS)).unwrap();
        let mut now = MS;
        let calls = |count: u64, now: &mut u64| {
            let before = admission.snapshot().windows_closed;
            for step in 0..count {
                *now += gap_ms * MS;
                let clocks = [Nanos(*now), Nanos(*now + other_clock_ms * MS)];
                for (queue, &now) in clocks.iter().enumerate().take(if other_clock_ms > 0 { 2 } else { 1 }) {
                    if admission.admit(queue as u32, &request(step), now).is_ok() {
                        admission.abandoned(queue as u32).unwrap();
                    }
                }
            }
            admission.snapshot().windows_closed - before
        };
        calls(2_000, &mut now);
        now += 3_000 * MS;
        let after = calls(20_000, &mut now);
        // Calls that are seconds apart measure nothing, but they must not keep an old cursor in force.
        let wanted = if gap_ms >= 2_000 { 0 } else { 20_000 * gap_ms / u64::from(window_ms).max(20 * gap_ms) / 2 };
        assert!(after >= wanted, "windows of {window_ms} ms, calls each {gap_ms} ms: {after}, not {wanted}");
    }
}
