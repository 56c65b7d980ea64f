//! Given a server with an IO process and worker processes, when workers die, then what they ran is answered at once as a
//! fast reject, and nothing else is lost: no connection, no queued request, no count.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use mcrpc_core::status::{Class, Status};
use mcrpc_core::wire::{Header, Kind};
use support::frames::{connect, read_frame};
use support::server::Server;

const PROGRAMS: [&str; 2] = [env!("MCRPC_IO_WORKER_SERVER_STATIC"), env!("MCRPC_IO_WORKER_SERVER_SHARED")];

/// A request takes so long that none is answered in the ordinary way while a test runs.
const FOREVER_MS: &str = "10000";
/// Far more than an answer needs on a machine that stalls, far less than a request takes or a caller waits.
const AT_ONCE: Duration = Duration::from_secs(1);

const CRASH_METHOD: u32 = 7;

/// Without a time limit.
fn request(call_id: u32) -> Header {
    Header { uin: u64::from(call_id) | 1, budget_ms: u32::MAX, ..Header::new(Kind::Request, call_id) }
}

/// Sends a request and waits for its answer.
fn call(stream: &mut TcpStream, request: &Header) -> std::io::Result<Status> {
    stream.write_all(&request.emit())?;
    let answer = read_frame(stream)?.header;
    assert_eq!((answer.kind, answer.call_id), (Kind::Response, request.call_id));
    Ok(answer.status)
}

/// Waits until the server's controller counts so many requests.
fn wait_until(server: &mut Server, running: u32, queued: u32) {
    let start = Instant::now();
    loop {
        let report = server.report();
        if (&report["running"], &report["queued"]) == (&running.into(), &queued.into()) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "wanted {running} running, {queued} queued: {report}");
    }
}

/// Sends requests on a connection each, and passes on how they are answered.
fn send_requests(address: &str, count: u32) -> mpsc::Receiver<Status> {
    let (answered, answers) = mpsc::channel();
    for call_id in 0..count {
        let (mut stream, answered) = (connect(address), answered.clone());
        stream.set_read_timeout(None).unwrap();
        std::thread::spawn(move || {
            // The receiver may be gone, at the end of a test.
            if let Ok(status) = call(&mut stream, &request(call_id)) {
                let _ = answered.send(status);
            }
        });
    }
    answers
}

#[test]
fn each_killed_worker_has_its_request_answered_at_once_and_queued_ones_go_on() {
    const WORKERS: u32 = 3;
    const QUEUED: u32 = 2;
    for program in PROGRAMS {
        let mut server = Server::start(program, &["--workers", "3", "--service-ms", FOREVER_MS]);
        let answers = send_requests(&server.address, WORKERS + QUEUED);
        for killed in 0..WORKERS + QUEUED {
            let left = WORKERS + QUEUED - killed;
            wait_until(&mut server, left.min(WORKERS), left.saturating_sub(WORKERS));
            server.kill(&format!("worker {}", killed % WORKERS));
            assert_eq!(answers.recv_timeout(AT_ONCE), Ok(Status::WORKER_LOST));
            server.wait_until_started((1 + WORKERS + killed + 1) as usize);
        }
        wait_until(&mut server, 0, 0);
        assert!(answers.try_recv().is_err(), "each is answered once");
        let report = server.report();
        let all = (WORKERS + QUEUED).into();
        assert_eq!((&report["admitted"], &report["completed"]), (&all, &all), "{report}");
    }
}

#[test]
fn a_request_that_crashes_its_worker_is_answered_and_not_run_again() {
    const CRASHES: usize = 10;
    for program in PROGRAMS {
        let crash_method = CRASH_METHOD.to_string();
        let arguments = ["--workers", "2", "--service-ms", "1", "--crash-method", &crash_method];
        let mut server = Server::start(program, &arguments);
        let mut stream = connect(&server.address);
        for crash in 0..CRASHES {
            let poison = Header { method_id: CRASH_METHOD, ..request(crash as u32) };
            assert_eq!(call(&mut stream, &poison).unwrap(), Status::WORKER_LOST);
            assert_eq!(call(&mut stream, &request(crash as u32)).unwrap(), Status::OK, "the other worker serves");
            server.wait_until_started(1 + 2 + crash + 1);
        }
        let report = server.report();
        assert_eq!((&report["queued"], &report["running"]), (&0.into(), &0.into()), "{report}");
        assert_eq!(server.started, 1 + 2 + CRASHES, "a request costs one worker");
    }
}

#[test]
fn without_any_worker_nobody_is_kept_waiting() {
    for program in PROGRAMS {
        let mut server = Server::start(program, &["--workers", "1", "--service-ms", FOREVER_MS]);
        let answers = send_requests(&server.address, 3);
        wait_until(&mut server, 1, 2);
        server.kill("worker 0");
        for _ in 0..3 {
            assert_eq!(answers.recv_timeout(AT_ONCE), Ok(Status::WORKER_LOST));
        }
        wait_until(&mut server, 0, 0);
        let report = server.report();
        assert_eq!((&report["admitted"], &report["completed"]), (&3.into(), &1.into()), "{report}");
    }
}

#[test]
fn an_io_process_that_dies_is_replaced_and_serves_with_new_workers() {
    for program in PROGRAMS {
        let mut server = Server::start(program, &["--workers", "2", "--service-ms", "1"]);
        let mut stream = connect(&server.address);
        assert_eq!(call(&mut stream, &request(1)).unwrap(), Status::OK);
        server.kill("io");
        server.wait_until_started(2 * (1 + 2));
        assert!(call(&mut stream, &request(2)).is_err(), "the connections died with the process that held them");
        // The workers are on their way: they were started, but need not have been heard of.
        let start = Instant::now();
        while call(&mut connect(&server.address), &request(3)).unwrap() != Status::OK {
            assert!(start.elapsed() < AT_ONCE);
        }
        let report = server.stop();
        assert_eq!((&report["queued"], &report["running"]), (&0.into(), &0.into()), "{report}");
    }
}

#[derive(Default)]
struct Counts {
    good: AtomicU64,
    refused: AtomicU64,
    lost: AtomicU64,
}

/// One request after the other on one connection, which never breaks, until told to stop.
fn client(address: &str, uin: u64, stop: &AtomicBool, counts: &Counts) {
    let mut stream = connect(address);
    let mut random = uin;
    while !stop.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let method_id = if random >> 54 == 0 { CRASH_METHOD } else { 0 };
        let request = Header { uin: random | 1, budget_ms: 200, method_id, ..request(random as u32) };
        let status = call(&mut stream, &request).expect("no connection breaks, and every request is answered");
        let count = match (status, status.class()) {
            (Status::WORKER_LOST, _) => &counts.lost,
            (_, Class::Success) => &counts.good,
            (_, Class::Overload | Class::Deadline) => &counts.refused,
            _ => panic!("unexpected: {status:?}"),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if status != Status::OK {
            // A caller that is refused comes back later: 64 of them offer about twice what can be served.
            std::thread::sleep(Duration::from_millis(40));
        }
    }
}

#[test]
fn under_overload_the_death_of_workers_costs_no_connection_and_little_capacity() {
    const WORKERS: usize = 4;
    const SERVICE_MS: usize = 5;
    const CAPACITY_PER_S: f64 = WORKERS as f64 * 1e3 / SERVICE_MS as f64;
    for program in PROGRAMS {
        let (workers, service_ms, crash_method) =
            (WORKERS.to_string(), SERVICE_MS.to_string(), CRASH_METHOD.to_string());
        let arguments = ["--workers", &workers, "--service-ms", &service_ms, "--crash-method", &crash_method];
        let mut server = Server::start(program, &arguments);
        let (stop, counts) = (AtomicBool::new(false), Counts::default());
        let address = server.address.clone();
        let good_per_s = std::thread::scope(|scope| {
            for uin in 0..64 {
                let (address, stop, counts) = (&address, &stop, &counts);
                scope.spawn(move || client(address, uin, stop, counts));
            }
            std::thread::sleep(Duration::from_millis(500));
            let (start, before) = (Instant::now(), counts.good.load(Ordering::Relaxed));
            for round in 0..20 {
                std::thread::sleep(Duration::from_millis(80 + 7 * round));
                server.kill_and_wait(&format!("worker {}", round as usize % WORKERS));
            }
            let rate = (counts.good.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            rate
        });
        let (good, refused, lost) = (counts.good.into_inner(), counts.refused.into_inner(), counts.lost.into_inner());
        println!("{good_per_s:.0}/s of {CAPACITY_PER_S}/s; {good} good, {refused} refused, {lost} lost");
        assert!(good_per_s > 0.4 * CAPACITY_PER_S, "{good_per_s}/s of {CAPACITY_PER_S}/s");
        assert!(refused > 0, "the load was meant to be more than the server can do");

        // Every caller has its answer, so nothing is in flight.
        let report = server.report();
        assert_eq!((&report["queued"], &report["running"]), (&0.into(), &0.into()), "{report}");
        let (admitted, completed) = (report["admitted"].as_u64().unwrap(), report["completed"].as_u64().unwrap());
        let late = report["refused"]["deadline_in_queue"].as_u64().unwrap();
        assert!(completed >= good && completed <= good + lost, "{good} good, {lost} lost: {report}");
        // What was too late in the queue had been admitted before.
        let reasons = report["refused"].as_object().unwrap().values();
        let offered = admitted - late + reasons.map(|count| count.as_u64().unwrap()).sum::<u64>();
        assert_eq!(offered, good + refused + lost, "every request is answered once: {report}");
        let deaths = (server.started - 1 - WORKERS) as u64;
        assert!(lost > 0 && deaths >= 20, "{lost} lost with {deaths} workers");
    }
}
