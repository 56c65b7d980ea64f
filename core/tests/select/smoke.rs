use std::sync::atomic::AtomicU64;
use std::time::Instant;

use mcrpc_core::admission::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::host::fail::{self, FailBuckets};
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::set::{EndpointSet, HostView};
use mcrpc_core::select::settings::{Settings, Spec};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;

#[test]
fn smoke() {
    let settings = Settings::DEFAULT;
    let len = EndpointSet::memory_len(&settings).unwrap();
    let words: Vec<AtomicU64> = (0..len).map(|_| AtomicU64::new(0)).collect();
    let set = EndpointSet::create(Shared::new(&words), &settings).unwrap();
    let fw: Vec<AtomicU64> = (0..fail::segment_len(1000) / 8).map(|_| AtomicU64::new(0)).collect();
    fail::create(Shared::new(&fw), 1000, 1, 2).unwrap();
    let fail = FailBuckets::attach(Shared::new(&fw), (fw.len() * 8) as u64).unwrap();
    let host = HostView { fail: Some(&fail), ..HostView::default() };
    for n in [3usize, 100] {
        let spec = |i: usize| Spec {
            endpoint: Endpoint { address: 0xFFFF_0A00_0000 + i as u128, port: 80, service_id: 1 },
            weight: 100,
            region: 0,
            zone: 0,
            group: 0,
            user_data: i as u64,
        };
        set.replace(n, &spec, &[], &host).unwrap();
        let mut counts = vec![0u32; n];
        let mut now = Nanos::from_millis(1_000_000);
        let start = Instant::now();
        const N: u64 = 1_000_000;
        for uin in 1..=N {
            now.0 += 1000;
            let mut call = Call::new(Uin(uin), uin, Key(5), Target { service_id: 1, method_id: 1 }, Nanos::NEVER);
            let choice = set.select(&mut call, Attempt::Next, &host, now).unwrap();
            counts[choice.index as usize] += 1;
            set.report(&choice, Outcome::Ok, 1_000_000, &host, now);
        }
        let took = start.elapsed();
        println!(
            "n={n} {} ns max/mean {}",
            took.as_nanos() as f64 / N as f64,
            *counts.iter().max().unwrap() as f64 * n as f64 / N as f64
        );
        // one dead
        let mut dead = 0;
        let mut retried = 0;
        let mut lost = 0;
        let mut counts = vec![0u32; n];
        for uin in 1..=N {
            now.0 += 100_000;
            let mut call = Call::new(Uin(uin), uin, Key(5), Target { service_id: 1, method_id: 1 }, Nanos::NEVER);
            loop {
                match set.select(&mut call, Attempt::Next, &host, now) {
                    Ok(choice) => {
                        if choice.index == 0 {
                            dead += 1;
                            set.report(&choice, Outcome::Failed, 1_000_000, &host, now);
                            retried += 1;
                        } else {
                            counts[choice.index as usize] += 1;
                            set.report(&choice, Outcome::Ok, 1_000_000, &host, now);
                            break;
                        }
                    }
                    Err(_) => {
                        lost += 1;
                        break;
                    }
                }
            }
        }
        println!(
            "dead {dead} retried {retried} lost {lost} max/mean {}",
            *counts.iter().max().unwrap() as f64 * n as f64 / N as f64
        );
        let before = now;
        let mut counts = vec![0u32; n];
        for uin in 1..=N / 4 {
            now.0 += 100_000;
            let mut call = Call::new(Uin(uin), uin, Key(5), Target { service_id: 1, method_id: 1 }, Nanos::NEVER);
            let choice = set.select(&mut call, Attempt::Next, &host, now).unwrap();
            counts[choice.index as usize] += 1;
            set.report(&choice, Outcome::Ok, 1_000_000, &host, now);
            if uin % 20000 == 0 {
                println!(
                    "{} s: {:?}",
                    (now.0 - before.0) / 1_000_000_000,
                    set.health(0, &host).unwrap().breaker().state(&settings.rules.breaker, (now.0 / 1_000_000) as u32)
                );
            }
        }
        println!("share {}", counts[0] as f64 * n as f64 / (N / 4) as f64);
    }
}
