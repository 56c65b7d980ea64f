//! Given a prefork server under twice its capacity, when worker processes are killed, then it goes on, and its
//! counters stay sane.
//!
//! The killing is by SIGKILL at random moments, so it hits admits, dequeues and closes of windows alike.

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcrpc_core::status::Class;
use mcrpc_core::wire::{Header, Kind};
use support::frames::read_frame;
use support::server::Server;

const WORKERS: usize = 4;
const SERVICE_MS: u64 = 5;
const CAPACITY_PER_S: f64 = WORKERS as f64 * 1e3 / SERVICE_MS as f64;

#[derive(Default)]
struct Counts {
    good: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
}

/// One request after the other on one connection, made anew when it breaks, until told to stop.
fn client(address: &str, uin: u64, stop: &AtomicBool, counts: &Counts) {
    let mut random = uin;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address) else { continue };
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.set_nodelay(true).unwrap();
        loop {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let request = Header { uin: random | 1, budget_ms: 200, ..Header::new(Kind::Request, random as u32) };
            if stop.load(Ordering::Relaxed) || stream.write_all(&request.emit()).is_err() {
                break;
            }
            let Ok(answer) = read_frame(&mut stream) else { break };
            let answer = answer.header;
            assert_eq!((answer.kind, answer.call_id), (Kind::Response, request.call_id));
            match answer.status.class() {
                Class::Success => counts.good.fetch_add(1, Ordering::Relaxed),
                Class::Overload | Class::Deadline => {
                    // A caller that is refused comes back later: 64 of them offer about twice what can be served.
                    std::thread::sleep(Duration::from_millis(40));
                    counts.refused.fetch_add(1, Ordering::Relaxed)
                }
                _ => panic!("unexpected: {:?}", answer.status),
            };
        }
        counts.broken.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_prefork_server_survives_the_death_of_its_workers() {
    for program in [env!("MCRPC_OVERLOAD_SERVER_STATIC"), env!("MCRPC_OVERLOAD_SERVER_SHARED")] {
        let (workers, service_ms) = (WORKERS.to_string(), SERVICE_MS.to_string());
        let mut server = Server::start(program, &["--processes", &workers, "--service-ms", &service_ms]);
        let (stop, counts) = (AtomicBool::new(false), Counts::default());
        let address = server.address.clone();
        let good_while_killing = std::thread::scope(|scope| {
            for uin in 0..64 {
                scope.spawn({
                    let (address, stop, counts) = (&address, &stop, &counts);
                    move || client(address, uin, stop, counts)
                });
            }
            std::thread::sleep(Duration::from_millis(500));
            let (start, before) = (Instant::now(), counts.good.load(Ordering::Relaxed));
            for round in 0..12 {
                std::thread::sleep(Duration::from_millis(150 + 7 * round));
                server.kill_and_wait(&format!("worker {}", round as usize % WORKERS));
            }
            let rate = (counts.good.load(Ordering::Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
            rate
        });
        assert!(good_while_killing > 0.4 * CAPACITY_PER_S, "{good_while_killing}/s of {CAPACITY_PER_S}/s");
        assert!(counts.broken.load(Ordering::Relaxed) > 64, "killing a worker breaks its connections");

        // Nothing is in flight any more: every queue is empty, whatever its process died of.
        std::thread::sleep(Duration::from_millis(300));
        let report = server.stop();
        let queues = report["queues"].as_array().unwrap();
        assert_eq!(queues.len(), WORKERS);
        let mut completed = 0;
        for queue in queues {
            assert_eq!((&queue["queued"], &queue["running"]), (&0.into(), &0.into()), "{report}");
            completed += queue["completed"].as_u64().unwrap();
        }
        let good = counts.good.load(Ordering::Relaxed);
        let lost_with_a_worker = 64 * 12;
        assert!(completed >= good && completed <= good + lost_with_a_worker, "{completed} completed, {good} answered");
        assert!(report["windows_closed"].as_u64().unwrap() >= 10, "windows go on being closed: {report}");
        assert!(counts.refused.load(Ordering::Relaxed) > 0, "the load was meant to be more than the server can do");
    }
}

#[test]
fn wrong_options_are_explained() {
    for (arguments, word) in [
        (&["--threads", "0"][..], "threads"),
        (&["--admission", "maybe"], "admission"),
        (&["--threads", "2", "--processes", "2"], "processes"),
        (&["--no-such-option"], "no-such-option"),
    ] {
        let output = Command::new(env!("MCRPC_OVERLOAD_SERVER_STATIC")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(word), "{arguments:?}: {text}");
    }
}
