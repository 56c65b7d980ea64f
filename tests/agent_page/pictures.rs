//! The pictures of docs/dashboard.md: a host with some programs, of which one sheds, and servers, of which two fail at times.

use std::fs;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mcrpc_agent::clock;
use mcrpc_core::host::calls::{CallCounters, Calls};
use mcrpc_core::host::control::{Author, Operator};
use mcrpc_core::host::fail::FailBuckets;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::seat::QueueReport;
use mcrpc_core::host::stat::Stat;
use mcrpc_core::host::trace::Trace;
use mcrpc_core::id::Uin;
use mcrpc_core::shield::breaker::Settings;
use mcrpc_core::shield::health::{Rules, Totals};
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::status::Refusal;
use mcrpc_core::strategy::endpoint::Endpoint;
use serde_json::Value;

use crate::browser::look;
use crate::host::Host;
use crate::support::root;

const TIME: Duration = Duration::from_secs(360);
const TICK: Duration = Duration::from_millis(200);
const RULES: Rules = Rules { breaker: Settings::DEFAULT, leak: None };
const SERVICES: [(u32, &str, u16); 4] = [(11, "feed", 4), (12, "user", 3), (13, "ranking", 6), (14, "storage", 3)];
/// Who calls which service, how often per tick, and which of the twelve buckets most calls fall into.
const EDGES: [(&str, u32, u64, usize); 5] = [
    ("gateway", 11, 180, 4),
    ("gateway", 12, 90, 2),
    ("feed", 13, 240, 3),
    ("feed", 12, 60, 2),
    ("ranking", 14, 320, 1),
];
const DYED: u64 = 10_001;

/// Makes the pictures:
///
///     cargo test --test agent_page -- --ignored --nocapture pictures
#[test]
#[ignore = "it takes six minutes, and writes into docs"]
fn pictures_for_the_documentation() {
    let routes = tempfile::tempdir().unwrap();
    SERVICES.iter().for_each(|service| write_route(routes.path(), service));
    let arguments = ["127.0.0.1:0", "--routes", routes.path().to_str().unwrap(), "--idc", "sz"];
    let host = Host::start(&arguments);
    let (fail, stat) = (host.map(Segment::Fail), host.map(Segment::Stat));
    let fail = FailBuckets::attach(fail.shared(), fail.len()).unwrap();
    let stat = Stat::attach(stat.shared(), stat.len()).unwrap();
    let seats = ["gateway", "feed", "ranking", "user"].map(|name| (name, sit(&stat, name)));
    let seat_of = |name: &str| seats.iter().find(|(seated, _)| *seated == name).unwrap().1;
    let address = format!("http://{}/", host.address);
    let (start, mut looking) = (Instant::now(), None::<JoinHandle<Value>>);
    for tick in 0u64.. {
        let failures = SERVICES.map(|service| serve(&fail, &service, tick, start.elapsed().as_secs()));
        for &(caller, service_id, calls, bucket) in &EDGES {
            // Whoever calls it first has met them all.
            let is_first = EDGES.iter().find(|edge| edge.1 == service_id).is_some_and(|edge| edge.0 == caller);
            let failed = if is_first { failures[service_id as usize - 11] } else { 0 };
            let mut durations = [0; 13];
            (durations[bucket], durations[bucket + 1], durations[bucket + 3]) = (calls - calls / 20, calls / 20 - 1, 1);
            let totals = Totals { calls: [calls - failed, 0, failed, 0], time_us: (calls * 400) << bucket };
            CallCounters::open(&stat, service_id).add(&stat, seat_of(caller), &Calls { totals, durations });
        }
        seats.iter().for_each(|&(name, seat)| report(&stat, name, seat, tick));
        match &looking {
            None if start.elapsed() >= TIME => {
                record_a_call(&host, &seat_of);
                let address = address.clone();
                looking = Some(thread::spawn(move || {
                    look("pictures.mjs", &[&address, root().join("docs").to_str().unwrap()])
                }));
            }
            Some(looking) if looking.is_finished() => break,
            _ => thread::sleep(TICK),
        }
    }
    println!("{:#}", looking.unwrap().join().unwrap());
}

/// What the servers of a service answer in a tick. How many calls fail.
fn serve(fail: &FailBuckets<'_>, &(service_id, _, servers): &(u32, &str, u16), tick: u64, second: u64) -> u64 {
    let told: u64 = EDGES.iter().filter(|edge| edge.1 == service_id).map(|edge| edge.2).sum();
    // A C program calls the storage, too.
    let calls = (told + u64::from(service_id == 14) * 150) / u64::from(servers);
    let (mut all_failed, now) = (0, clock::monotonic());
    for number in 0..servers {
        let cell = fail.health(fail.bucket(&server(service_id, number)).unwrap()).unwrap();
        let is_sick = match (service_id, number) {
            (13, 1) => matches!(second, 60..75 | 130..150) || second > TIME.as_secs() - 30,
            (13, 4) => matches!(second, 185..192),
            _ => false,
        };
        let outcome = if is_sick { Outcome::Failed } else { Outcome::Ok };
        let is_probe = cell.take_probe(&RULES.breaker, now);
        (0..20).for_each(|_| _ = cell.report(outcome, is_probe, &RULES, now));
        let failed = if is_sick { 1 + tick % 3 } else { 0 };
        cell.add(&Totals { calls: [calls - failed, 0, failed, 0], time_us: calls * (900 + 100 * u64::from(number)) });
        all_failed += failed;
    }
    all_failed
}

fn write_route(routes: &Path, (id, name, servers): &(u32, &str, u16)) {
    let mut text = format!("[Service]\nId = {id}\nName = {name}\n\n[Server]\nServerCount = {servers}\n");
    for number in 0..*servers {
        let socket = server(*id, number).socket();
        text += &format!("\n[Server{number}]\nIP = {}\nPort = {}\n", socket.ip(), socket.port());
    }
    let client = "[Timeouts]\nCallMs = 800\n";
    for (folder, file, text) in [("route/global", "route", text.as_str()), ("client/sz", "cli", client)] {
        fs::create_dir_all(routes.join(folder)).unwrap();
        fs::write(routes.join(folder).join(format!("{name}_{file}.conf")), text).unwrap();
    }
}

fn server(service_id: u32, number: u16) -> Endpoint {
    Endpoint::new(([10, 1, service_id as u8, 1 + number as u8], 8080).into(), service_id)
}

fn sit(stat: &Stat<'_>, program: &str) -> u32 {
    let seat = stat.seats().claim(std::process::id(), clock::monotonic(), &mut |_, owner| owner == 0).unwrap();
    let mut name = [0; 32];
    name[..program.len()].copy_from_slice(program.as_bytes());
    stat.seats().set_name(seat, &name);
    seat
}

fn report(stat: &Stat<'_>, name: &str, seat: u32, tick: u64) {
    let now = clock::monotonic();
    stat.seats().beat(seat, 0, now);
    let wave = ((tick as f64 / 160.0).sin() * 300.0) as i64;
    let (demand, capacity) = match name {
        "ranking" => (1_450 + wave, 1_300),
        "feed" => (900 + wave / 2, 1_600),
        "user" => (750 - wave / 4, 2_400),
        _ => return,
    };
    let shedding = demand > capacity;
    let mut refused = [0; Refusal::COUNT];
    refused[Refusal::BelowCursor as usize] = if name == "ranking" { tick * 30 } else { 0 };
    let report = QueueReport {
        reported_ns: now.0,
        queued: if shedding { 24 } else { 0 },
        running: 8,
        admitted: tick * demand.min(capacity) as u64 / 5,
        completed: tick * demand.min(capacity) as u64 / 5 - 8u64.min(tick),
        mode: 2,
        shedding: shedding.into(),
        cursor: if shedding { 0xe1_47ae } else { 1 << 28 },
        demand_mrps: demand as u64 * 1_000,
        capacity_mrps: capacity as u64 * 1_000,
        refused,
        ..QueueReport::default()
    };
    stat.seats().report(seat, &report);
}

/// As clients and servers tell of the calls of users that are dyed.
fn record_a_call(host: &Host, seat_of: &dyn Fn(&str) -> u32) {
    let (control, trace) = (host.map(Segment::Control), host.map(Segment::Trace));
    let control = Operator::attach(control.shared(), control.len()).unwrap();
    let now = clock::monotonic();
    control.dye(Uin(DYED), None, now, Author { at_s: clock::unix_s(), uid: 0 }).unwrap();
    let trace = Trace::attach(trace.shared(), trace.len()).unwrap();
    let lines = [
        ("gateway", 0, "calls feed feed.Feed.Home uin=10001 attempt=1 to=10.1.11.2:8080"),
        ("feed", 310, "T0 received feed.Feed.Home uin=10001 call=7041 bytes=64"),
        ("feed", 330, "T1 admitted feed.Feed.Home uin=10001 call=7041 queue=0"),
        ("feed", 620, "T2 started feed.Feed.Home uin=10001 call=7041 waited_us=290"),
        ("feed", 900, "calls ranking rank.Ranking.Rank uin=10001 attempt=1 to=10.1.13.2:8080"),
        ("feed", 2_950, "met ranking rank.Ranking.Rank uin=10001 attempt=1 status=WORKER_LOST"),
        ("feed", 3_000, "calls ranking rank.Ranking.Rank uin=10001 attempt=2 to=10.1.13.4:8080"),
        ("ranking", 3_260, "T0 received rank.Ranking.Rank uin=10001 call=991 bytes=212"),
        ("ranking", 3_280, "T1 admitted rank.Ranking.Rank uin=10001 call=991 queue=24"),
        ("ranking", 5_100, "T2 started rank.Ranking.Rank uin=10001 call=991 waited_us=1820"),
        ("ranking", 7_400, "T3 answered rank.Ranking.Rank uin=10001 call=991 status=OK"),
        ("feed", 7_700, "met ranking rank.Ranking.Rank uin=10001 attempt=2 status=OK"),
        ("feed", 8_300, "T3 answered feed.Feed.Home uin=10001 call=7041 status=OK"),
        ("gateway", 8_600, "met feed feed.Feed.Home uin=10001 attempt=1 status=OK"),
    ];
    for (program, us, text) in lines {
        let kind = if text.starts_with('T') { 221 } else { 222 };
        let at = mcrpc_core::time::Nanos(now.0 + us * 1_000);
        trace.ring(seat_of(program)).write(kind, text.as_bytes(), at).unwrap();
    }
}
