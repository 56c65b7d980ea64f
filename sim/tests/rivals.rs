//! That the rivals are the algorithms whose names they bear: their halves are driven call by call, and compared with what their
//! sources say.

use bumpalo::Bump;
use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::id::{Salt, Uin};
use mcrpc_core::select::call::{Call, Withheld};
use mcrpc_core::status::{Class, Status};
use mcrpc_core::time::Nanos;
use mcrpc_sim::policy::{
    self, Answer, Bbr, Breakwater, BrpcAuto, CallView, Codel, Dagor, Google, Gradient2, Policy, QueueView, RandomShare,
    Request, Seda, Sending, ServerPolicy, SvrkitPassRate,
};
use mcrpc_sim::random::Streams;
use mcrpc_sim::world::Service;

const QUEUE: QueueView = QueueView { queued: 0, running: 8, workers: 8 };

/// A server's half, its coins and its clock.
struct Driven<'m> {
    server: Box<dyn ServerPolicy + 'm>,
    random: Streams,
    now: Nanos,
    users: u64,
}

impl<'m> Driven<'m> {
    fn new(policy: &dyn Policy, memory: &'m Bump) -> Driven<'m> {
        Driven {
            server: policy.server(&Service::usual(), memory),
            random: Streams::new(1),
            now: Nanos::from_millis(1_000),
            users: 0,
        }
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now = self.now.plus(ms * 1_000_000);
    }

    /// The next user's request, which may wait for a minute.
    fn request(&mut self) -> Request {
        self.users += 1;
        Request {
            key: Key::new(Salt(1), 10, Uin(self.users), 0),
            deadline: self.now.plus(60_000_000_000),
            is_retry: false,
            continues_task: false,
            caller: 0,
            withheld: Withheld::default(),
            queue: 0,
            process: 0,
            received: self.now,
        }
    }

    fn admits(&mut self, request: &Request) -> bool {
        self.server.admit(request, QUEUE, &mut self.random.policy, self.now).is_ok()
    }

    /// A request that waited for so long; whether it is run.
    fn runs_after(&mut self, waited_ms: u64) -> bool {
        let request = Request { received: Nanos(self.now.0 - waited_ms * 1_000_000), ..self.request() };
        self.server.dequeue(&request, QUEUE, self.now).is_ok()
    }

    /// A request that is finished after so long in the server.
    fn done_after(&mut self, ms: u64) {
        let request = Request { received: Nanos(self.now.0 - ms * 1_000_000), ..self.request() };
        self.server.done(&request, request.received, QUEUE, self.now);
    }

    /// Of so many requests at once, how many are admitted.
    fn admitted(&mut self, requests: u64) -> u64 {
        (0..requests)
            .filter(|_| {
                let request = self.request();
                self.admits(&request)
            })
            .count() as u64
    }

    /// A window of the detector that DAGOR and the random share have in common.
    fn window(&mut self, waited_ms: u64) -> f64 {
        const REQUESTS: u64 = 1_900;
        let share = self.admitted(REQUESTS) as f64 / REQUESTS as f64;
        self.runs_after(waited_ms);
        self.pass_ms(1_000);
        share
    }
}

#[test]
fn given_waits_above_the_threshold_when_a_window_closes_then_the_random_share_falls_by_a_twentieth_and_rises_by_a_point()
 {
    let memory = Bump::new();
    let mut driven = Driven::new(&RandomShare, &memory);
    for expected in [1.0, 0.95, 0.95 * 0.95] {
        assert!((driven.window(21) - expected).abs() < 0.02);
    }
    for _ in 0..9 {
        driven.window(20);
    }
    assert!((driven.window(20) - (0.95f64.powi(3) + 0.09)).abs() < 0.03);
}

#[test]
fn given_three_times_the_load_when_dagor_cuts_then_it_takes_more_than_twenty_windows() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Dagor::alone(), &memory);
    let windows = (0..).find(|_| driven.window(100) < 1.0 / 3.0);
    assert!(windows.is_some_and(|windows| (20..=26).contains(&windows)), "{windows:?}");
}

#[test]
fn given_a_user_when_dagor_admits_one_of_his_requests_then_it_admits_all_of_them() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Dagor::alone(), &memory);
    while driven.window(100) > 0.5 {}
    for _ in 0..1_000 {
        let request = driven.request();
        let first = driven.admits(&request);
        assert!((0..3).all(|_| driven.admits(&request) == first));
    }
}

#[test]
fn given_a_mean_wait_above_forty_ms_when_seconds_pass_then_the_pass_rate_falls_by_five_points_in_each() {
    let memory = Bump::new();
    let mut driven = Driven::new(&SvrkitPassRate, &memory);
    let mut second = |samples, waited_ms| {
        (0..samples).for_each(|_| assert!(driven.runs_after(waited_ms)));
        driven.pass_ms(1_000);
        100.0 * (1.0 - driven.admitted(20_000) as f64 / 20_000.0)
    };
    let refused: Vec<f64> = [(1_000, 41), (1_000, 42), (1_000, 100), (999, 100), (1, 100), (1_000, 0)]
        .map(|(samples, waited_ms)| second(samples, waited_ms))
        .to_vec();
    // Halved, 41 ms is not above 20; 999 samples move nothing.
    for (refused, expected) in refused.iter().zip([0.0, 5.0, 10.0, 10.0, 15.0, 10.0]) {
        assert!((refused - expected).abs() < 1.0, "{refused} instead of {expected}");
    }
}

#[test]
fn given_a_whole_interval_above_the_target_when_a_request_has_waited_for_twice_that_then_codel_drops_it() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Codel::adaptive_lifo(), &memory);
    (0..2).for_each(|_| assert!(driven.runs_after(0)));
    driven.pass_ms(101);
    for _ in 0..10 {
        assert!(driven.runs_after(50), "the interval is not over");
        driven.pass_ms(10);
    }
    driven.pass_ms(1);
    assert!(driven.runs_after(50), "the first of an interval is run");
    assert!(driven.server.takes_youngest(0));
    assert!(!driven.runs_after(11));
    assert!(driven.runs_after(10));
    // One short wait, and the next interval is not one of overload.
    driven.runs_after(4);
    driven.pass_ms(101);
    driven.runs_after(50);
    assert!(driven.runs_after(50));
    assert!(!driven.server.takes_youngest(0));
}

#[test]
fn given_slow_responses_when_seda_has_seen_a_hundred_then_its_rate_is_divided_by_six_fifths() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Seda, &memory);
    let mut rate_per_s = |responses, ms| {
        (0..responses).for_each(|_| driven.done_after(ms));
        let mut admitted = 0;
        driven.admitted(100);
        for _ in 0..10_000 {
            driven.pass_ms(1);
            admitted += driven.admitted(5);
        }
        admitted as f64 / 10.0
    };
    assert!((rate_per_s(0, 0) - 250.0).abs() < 2.0);
    // The first response is late enough for the timeout, so the percentile is smoothed up over 120 ms at once.
    assert!((rate_per_s(1, 1_000) - 250.0 / 1.2).abs() < 2.0);
    assert!((rate_per_s(1, 1_000) - 250.0 / 1.44).abs() < 2.0);
}

#[test]
fn given_requests_in_flight_when_responses_become_slow_then_gradient2_admits_fewer_and_never_less_than_twenty() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Gradient2, &memory);
    let mut in_flight = |seconds, ms| {
        let mut most = 0;
        for _ in 0..seconds {
            most = driven.admitted(300);
            (0..most).for_each(|_| driven.done_after(ms));
            driven.pass_ms(1_001);
        }
        most
    };
    assert_eq!(in_flight(1, 32), 20);
    let grown = in_flight(60, 32);
    assert!(grown > 60, "{grown}");
    let shrunk = in_flight(20, 200);
    assert!(shrunk < grown / 2, "{shrunk} of {grown}");
    assert_eq!(in_flight(100, 3_000), 20);
}

#[test]
fn given_a_busy_processor_when_more_is_in_flight_than_throughput_times_latency_then_bbr_drops_and_not_before() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Bbr, &memory);
    // 250 requests a second of 40 ms, the workers always busy: at first the smoothed use is low and everything passes.
    let mut tick = |extra: u64| {
        driven.pass_ms(20);
        let admitted = driven.admitted(5 + extra);
        (0..5.min(admitted)).for_each(|_| driven.done_after(40));
        admitted
    };
    assert_eq!(tick(100), 105);
    for _ in 0..50 * 15 {
        assert_eq!(tick(0), 5);
    }
    // The hundred that are still in flight are more than 25 · 40 ms · 10 per second = 10.
    for _ in 0..50 * 5 {
        tick(0);
    }
    assert_eq!(tick(0), 0);
}

#[test]
fn given_no_measurement_yet_when_requests_come_then_brpc_admits_forty() {
    let memory = Bump::new();
    assert_eq!(Driven::new(&BrpcAuto, &memory).admitted(100), 40);
}

#[test]
fn given_fast_responses_when_brpc_has_measured_then_its_limit_is_throughput_times_latency_and_a_third_to_explore() {
    let memory = Bump::new();
    let mut driven = Driven::new(&BrpcAuto, &memory);
    for _ in 0..500 {
        driven.pass_ms(2);
        driven.admitted(1);
        driven.done_after(32);
    }
    // 500 · 0.032 · 1.3
    let limit = driven.admitted(100);
    assert!((19..=21).contains(&limit), "{limit}");
}

/// A call of process 0 to service 0.
fn call(uin: u64) -> Call {
    let key = Key::new(Salt(1), 10, Uin(uin), 0);
    Call::new(Uin(0), uin, key, Target { service_id: 0, method_id: 0 }, Nanos::NEVER)
}

fn view(call: &mut Call, attempts: u32) -> CallView<'_> {
    CallView { process: 0, service: 0, call, attempts, continues_task: false, last_server: None, servers: 3 }
}

fn answer(status: Status, level: u32) -> Answer {
    Answer { status, level: Some(level), elapsed_ns: 1_000_000 }
}

#[test]
fn given_no_accepted_calls_when_google_throttles_then_few_are_sent_until_ten_seconds_have_passed() {
    let memory = Bump::new();
    let mut clients = Google::ten_seconds().clients(&[Service::usual()], &[1], &memory);
    let mut random = Streams::new(1);
    let mut sent = |first, now| {
        let mut sends = |uin| clients.send(&mut view(&mut call(uin), 0), &mut random.policy, now).is_some();
        (first..first + 1_000).filter(|&uin| sends(uin)).count()
    };
    let few = sent(0, Nanos::from_millis(1_000));
    assert!((1..20).contains(&few), "{few}");
    assert!(sent(1_000, Nanos::from_millis(9_000)) < 5);
    assert!(sent(2_000, Nanos::from_millis(30_000)) > 0);
}

#[test]
fn given_accepted_calls_when_google_throttles_then_a_call_has_three_attempts_and_a_tenth_of_all_are_retries() {
    let memory = Bump::new();
    let mut clients = Google::ten_seconds().clients(&[Service::usual()], &[1], &memory);
    let mut random = Streams::new(1);
    let now = Nanos::from_millis(1_000);
    let mut retries = 0;
    for uin in 0..1_000 {
        let mut call = call(uin);
        let sent = clients.send(&mut view(&mut call, 0), &mut random.policy, now);
        clients.answered(&view(&mut call, 1), &sent.expect("calls are accepted"), &answer(Status::OK, 0), now);
        retries += usize::from(clients.send(&mut view(&mut call, 1), &mut random.policy, now).is_some());
        assert!(clients.send(&mut view(&mut call, 3), &mut random.policy, now).is_none());
    }
    assert!((100..=115).contains(&retries), "{retries}");
}

#[test]
fn given_many_retries_when_googles_server_is_full_then_it_ends_the_task() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Google::ten_seconds(), &memory);
    let full = QueueView { queued: 4, ..QUEUE };
    for (is_retry, ends) in [(false, false), (true, true)] {
        let request = Request { is_retry, ..driven.request() };
        let refusal =
            (0..20).map(|_| driven.server.admit(&request, full, &mut driven.random.policy, driven.now)).last();
        assert_eq!(refusal.map(|refusal| refusal.unwrap_err().class() == Class::Deadline), Some(ends));
    }
}

/// The servers that a call may go to, by what a hundred attempts show.
fn reachable(clients: &mut dyn policy::ClientPolicy, uin: u64, now: Nanos) -> Vec<usize> {
    let mut random = Streams::new(1);
    let mut send = || clients.send(&mut view(&mut call(uin), 0), &mut random.policy, now);
    let mut servers: Vec<usize> = (0..100).filter_map(|_| send()).map(|sending| sending.server).collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

#[test]
fn given_a_servers_cursor_when_a_call_is_behind_it_then_it_goes_elsewhere_for_a_second() {
    let memory = Bump::new();
    for (dagor, later) in [(Dagor::collaborative_plus(), vec![0, 1, 2]), (Dagor::collaborative(), vec![0, 2])] {
        let mut clients = dagor.clients(&[Service::usual()], &[1], &memory);
        let sent = Sending { server: 1, withheld: Withheld::default(), choice: None };
        let now = Nanos::from_millis(1_000);
        clients.answered(&view(&mut call(7), 1), &sent, &answer(Status::OK, 0), now);
        assert_eq!(reachable(&mut *clients, 7, Nanos::from_millis(1_999)), [0, 2]);
        assert_eq!(reachable(&mut *clients, 7, Nanos::from_millis(2_000)), later);
    }
}

#[test]
fn given_a_credit_for_each_server_when_they_are_used_then_breakwaters_caller_holds_back_and_tells_of_it() {
    let memory = Bump::new();
    let mut clients = Breakwater.clients(&[Service::usual()], &[1], &memory);
    let mut random = Streams::new(1);
    let mut send =
        |clients: &mut dyn policy::ClientPolicy| clients.send(&mut view(&mut call(1), 0), &mut random.policy, Nanos(0));
    let sent: Vec<Sending> = (0..3).filter_map(|_| send(&mut *clients)).collect();
    assert_eq!(sent.len(), 3);
    assert!((0..50).all(|_| send(&mut *clients).is_none()));
    for sending in &sent {
        clients.answered(&view(&mut call(1), 1), sending, &answer(Status::OK, 2), Nanos(0));
    }
    let told: u32 = (0..6).filter_map(|_| send(&mut *clients)).map(|sending| sending.withheld.count).sum();
    assert_eq!(told, 50);
}

#[test]
fn given_short_and_then_long_waits_when_round_trips_pass_then_breakwaters_credits_rise_and_fall() {
    let memory = Bump::new();
    let mut driven = Driven::new(&Breakwater, &memory);
    let demand = Withheld { count: 60, ..Withheld::default() };
    let mut round_trip = |waits: bool| {
        driven.pass_ms(4);
        let request = Request { withheld: demand, ..driven.request() };
        if driven.admits(&request) && !waits {
            driven.server.dequeue(&request, QUEUE, driven.now).expect("its deadline is far");
        }
        driven.server.done(&request, request.received, QUEUE, driven.now);
        driven.server.level(&request, QUEUE, driven.now)
    };
    let first = round_trip(false);
    let risen = (0..40).map(|_| round_trip(false)).last().expect("there were some");
    assert!(risen >= first + 30, "{first} {risen}");
    let fallen = (0..40).map(|_| round_trip(true)).last().expect("there were some");
    assert!(fallen < risen / 2, "{risen} {fallen}");
}
