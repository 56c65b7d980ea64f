//! The agent is killed at any moment and started again, while clients call servers through the host's shared memory.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use mcrpc::{Client, Host, Server};
use mcrpc_core::id::Per10k;
use mcrpc_core::shield::health::Totals;
use mcrpc_core::strategy::endpoint::Endpoint;

use super::{ECHO, Process, entry, until, with_health};

/// Lives for so long at most, in ms.
const LIFE_MS: u64 = 45;

fn server(directory: &Path) -> Server {
    let echo = |request: mcrpc::Request| async move { Ok(request.into_payload()) };
    let host = Arc::new(Host::new(directory));
    Server::builder().listen("127.0.0.1:0").host(host).register("Named").method(ECHO, echo).start().unwrap()
}

/// What clients met while the agent was killed.
#[derive(Debug, Default)]
struct Met {
    calls: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
    /// Looks at the table, and those that did not find the sick endpoint's strategy.
    looks: AtomicU64,
    lost: AtomicU64,
}

impl Met {
    fn call(&self, client: &Client, service: &str, uin: u64) {
        let began = Instant::now();
        let answer = client.call(service, ECHO, "hello").uin(uin).timeout(Duration::from_secs(10)).wait();
        if let Err(failure) = answer {
            println!("{service}: {failure}");
            self.failed.fetch_add(1, Relaxed);
        }
        self.calls.fetch_add(1, Relaxed);
        self.slowest_us.fetch_max(began.elapsed().as_micros() as u64, Relaxed);
    }

    fn look(&self, directory: &Path, sick: &Endpoint) {
        let is_there = entry(directory, sick).flatten().is_some_and(|entry| entry.pass_rate < Per10k::ALL);
        self.looks.fetch_add(1, Relaxed);
        self.lost.fetch_add((!is_there).into(), Relaxed);
    }
}

fn kill_agents(kills: u32) {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("run");
    let sick = Endpoint::new("10.0.0.1:80".parse().unwrap(), 7);
    let first = Process::agent(&directory);
    until("the agent has looked", || with_health(&directory, &sick, |_| ()).is_some());
    let servers = [server(&directory), server(&directory)];
    let addresses = servers.each_ref().map(|server| server.addresses()[0].to_string());
    let clients = ["Listed", "Named"].map(|service| {
        let host = Arc::new(Host::new(&directory));
        let client = Client::builder("test").host(host).service("Listed", addresses.clone()).build().unwrap();
        (service, client)
    });
    until("the servers are registered", || clients[1].1.call("Named", ECHO, "").wait().is_ok());
    until("the sick endpoint has a strategy", || {
        with_health(&directory, &sick, |health| health.add(&Totals { calls: [9, 0, 1, 0], time_us: 0 }));
        entry(&directory, &sick).flatten().is_some()
    });

    let (met, is_over) = (Met::default(), AtomicBool::new(false));
    let (mut killed, mut adopted) = (0, 0);
    std::thread::scope(|scope| {
        let (met, is_over, directory, sick) = (&met, &is_over, &directory, &sick);
        for (service, client) in &clients {
            scope.spawn(move || {
                (1..).take_while(|_| !is_over.load(Relaxed)).for_each(|uin| met.call(client, service, uin))
            });
        }
        scope.spawn(move || {
            while !is_over.load(Relaxed) {
                met.look(directory, sick);
                std::thread::sleep(Duration::from_micros(500));
            }
        });
        let mut agent = first;
        // On a slow machine more of them are killed before they have done anything.
        while killed < kills || (adopted < kills / 4 && killed < 10 * kills) {
            std::thread::sleep(Duration::from_micros(life_us(killed)));
            let _ = agent.child.kill();
            let _ = agent.child.wait();
            let mut said = String::new();
            agent.said.take().unwrap().read_to_string(&mut said).unwrap();
            adopted += u32::from(said.contains(" adopted 1 of 1000 strategies"));
            // One that is killed before it has adopted anything says nothing, and the first one had nothing to adopt.
            assert!(said.is_empty() || said.contains(" adopted 1 of 1000 ") || killed == 0, "{said}");
            agent = Process::agent(directory);
            killed += 1;
        }
        // The last one lives, and goes on from what it found.
        std::thread::sleep(Duration::from_millis(1_500));
        is_over.store(true, Relaxed);
    });
    println!("{killed} kills, {adopted} adoptions, {met:?}");
    let Met { calls, failed, looks, lost, .. } = &met;
    assert_eq!((failed.load(Relaxed), lost.load(Relaxed)), (0, 0), "{met:?}");
    let all = calls.load(Relaxed).min(looks.load(Relaxed));
    assert!(all > u64::from(kills) && adopted >= kills / 4, "{adopted} adoptions in {killed} kills, {met:?}");
}

/// Spread evenly over a life, in no order.
fn life_us(kill: u32) -> u64 {
    (u64::from(kill.wrapping_mul(0x9E37_79B9)) * LIFE_MS * 1_000) >> 32
}

#[test]
fn an_agent_that_is_killed_100_times_costs_no_call_and_no_strategy() {
    kill_agents(100);
}

#[test]
#[ignore = "it takes a minute"]
fn an_agent_that_is_killed_1000_times_costs_no_call_and_no_strategy() {
    kill_agents(1_000);
}
