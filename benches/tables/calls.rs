//! The other calls of a request's way: counters, leaky buckets, what the operator said, traces.
//!
//! Each alone, and while the other process does the same next to it or in the same place. Of the latter only batches
//! count throughout which the other process was seen to run.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use mcrpc_core::host::control::{self, Author, Control, Mechanism, Operator, Setting, Target};
use mcrpc_core::host::fail::BucketId;
use mcrpc_core::host::seat::COMMON;
use mcrpc_core::host::stat::{CounterKey, Kind};
use mcrpc_core::id::{Per10k, Salt, Uin};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;

use crate::callgrind::instructions;
use crate::keys::{Keys, SEED};
use crate::measure::{Series, Wanted, report};
use crate::partner::{BUCKETS, COUNTER, Host, LEAK, OUR_SEAT, Partner, Task, shared_clock};
use crate::segment::{Segment, TableFiles, directory};

const ROUNDS: usize = 9;
const BATCHES: usize = 8;
const BATCH: u64 = 32_768;
/// At the end of each part of a batch the other process is asked for.
const PARTS: u64 = 8;

/// How long the other process may be kept from running, per round.
const PATIENCE: Duration = Duration::from_millis(500);

struct Call<'a> {
    /// Short, if its instructions are counted.
    id: &'static str,
    name: &'static str,
    wanted: Wanted,
    /// What the other process does meanwhile.
    task: Task,
    run: Box<dyn FnMut(u64) + 'a>,
    series: Series,
}

fn call<'a>(id: &'static str, name: &'static str, wanted: Wanted, run: impl FnMut(u64) + 'a) -> Call<'a> {
    Call { id, name, wanted, task: Task::Rest, run: Box::new(run), series: Series::default() }
}

impl Call<'_> {
    fn during(mut self, task: Task) -> Self {
        self.task = task;
        self
    }

    fn round(&mut self, host: &Host) {
        host.order(self.task);
        (self.run)(BATCH);
        let (mut round, begin) = (Vec::new(), Instant::now());
        while round.len() < BATCHES && begin.elapsed() < PATIENCE {
            let (start, mut progress, mut ran) = (Instant::now(), host.progress(), true);
            for _ in 0..PARTS {
                (self.run)(BATCH / PARTS);
                let now = host.progress();
                ran &= now != progress || self.task == Task::Rest;
                progress = now;
            }
            if ran {
                round.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            }
        }
        self.series.push(round);
    }
}

/// What the calls need; made once for all of them.
struct Files {
    table: TableFiles,
    quiet: Segment,
    busy: Segment,
}

impl Files {
    /// Two control segments: one of an operator who said nothing, one of an operator who said this and that.
    fn create(directory: &Path) -> Files {
        let [quiet, busy] = ["quiet", "busy"].map(|name| {
            let segment = Segment::create(&directory.join(name), control::SEGMENT_LEN);
            control::create(segment.shared(), SEED, 1, Salt(SEED)).unwrap();
            segment
        });
        let operator = Operator::attach(busy.shared(), busy.len()).unwrap();
        let (now, author) = (Nanos(0), Author { uid: 0, at_s: 0 });
        let share = Per10k::new(5_000).unwrap();
        let setting = Setting { mode: mcrpc_core::admission::Mode::Enforce, share };
        operator.set_mechanism(Mechanism::PassRate, Some(setting), author);
        for (endpoint, service_id) in Keys::first(BUCKETS).absent().all().zip(0..10) {
            operator.shield(&endpoint, None, now, author).unwrap();
            operator.skip(Target { service_id, method_id: 1 }, share, now, author).unwrap();
        }
        Files { table: TableFiles::new(directory, "strategy"), quiet, busy }
    }
}

/// All calls, in the order in which they are shown.
fn calls<'a>(host: &'a Host, files: &'a mut Files) -> Vec<Call<'a>> {
    let endpoints: Vec<Endpoint> = Keys::first(BUCKETS).all().collect();
    let (_, table) = files.table.fill(Keys::first(0));
    let healthy = call("healthy", "a lookup on a healthy host", Wanted::AtMost(3.0), {
        let endpoints = endpoints.clone();
        move |count| {
            let found = (0..count as usize).filter(|n| table.0.lookup(&endpoints[n % endpoints.len()]).is_some());
            assert_eq!(found.count(), 0);
        }
    });
    let mut all = vec![healthy];
    all.extend(counters(host));
    all.extend(buckets(host, &endpoints));
    all.extend(said(&files.quiet, &files.busy, endpoints));
    all.extend(traces(host));
    all
}

fn counters(host: &Host) -> Vec<Call<'_>> {
    let stat = host.stat();
    let column = stat.column(COUNTER).unwrap();
    let maximum = stat.column(CounterKey { id: 1, key: 2, kind: Kind::Max }).unwrap();
    let mut highest = 1;
    let add = move |seat: u32| move |count: u64| (0..count).for_each(|_| stat.add(seat, column, 1));
    vec![
        call("", "add to a counter, own stripe", Wanted::Nothing, add(OUR_SEAT)),
        call("", "the same, another process adds in its own stripe", Wanted::Nothing, add(OUR_SEAT))
            .during(Task::AddOwn),
        call("", "for scale: one word for both processes", Wanted::Nothing, add(COMMON)).during(Task::AddCommon),
        call("max", "raise a maximum, own stripe", Wanted::Nothing, move |count| {
            (highest..highest + count).for_each(|value| stat.set_max(OUR_SEAT, maximum, value, Nanos(0)));
            highest += count;
        }),
        call("column", "find a counter's column", Wanted::Nothing, move |count| {
            (0..count).for_each(|_| {
                _ = black_box(stat.column(black_box(COUNTER)));
            });
        }),
    ]
}

fn buckets<'a>(host: &'a Host, endpoints: &[Endpoint]) -> Vec<Call<'a>> {
    let fail = host.fail();
    let ids: Vec<BucketId> = endpoints.iter().map(|endpoint| fail.bucket(endpoint).unwrap()).collect();
    let check = |among: usize| {
        let (ids, leak) = (ids[..among].to_vec(), black_box(LEAK));
        move |count: u64| {
            let now = shared_clock();
            let full = (0..count as usize).filter(|n| fail.is_full(ids[n % ids.len()], &leak, now) == Ok(true)).count();
            black_box(full);
        }
    };
    let pour = |among: usize| {
        let (ids, leak) = (ids[..among].to_vec(), black_box(LEAK));
        move |count: u64| {
            let now = shared_clock();
            (0..count as usize).for_each(|n| fail.pour(ids[n % ids.len()], &leak, now).unwrap());
        }
    };
    let all = ids.len();
    vec![
        call("check", "is a bucket full? 512 in turn", Wanted::AtMost(3.0), check(all)),
        call("", "the same, another process pours into the 512 in turn", Wanted::AtMost(3.0), check(all))
            .during(Task::PourAll),
        call("", "for scale: one bucket, another process pours into it", Wanted::Nothing, check(1))
            .during(Task::PourFirst),
        call("pour", "pour into a bucket, 512 in turn", Wanted::Nothing, pour(all)),
        call("", "the same, another process too", Wanted::Nothing, pour(all)).during(Task::PourAll),
        call("", "for scale: both pour into one bucket", Wanted::Nothing, pour(1)).during(Task::PourFirst),
    ]
}

fn said<'a>(quiet: &'a Segment, busy: &'a Segment, endpoints: Vec<Endpoint>) -> Vec<Call<'a>> {
    let [quiet, busy] = [quiet, busy].map(|segment| Control::attach(segment.view(), segment.len()).unwrap());
    let killed = |control: Control<'a>| move |count: u64| (0..count).for_each(|_| assert!(!control.is_killed()));
    let mode = |control: Control<'a>| {
        move |count: u64| {
            (1..=count).for_each(|uin| _ = black_box(control.mode_for(Mechanism::PassRate, Uin(uin))));
        }
    };
    let skipped = |control: Control<'a>| {
        move |count: u64| {
            for n in 0..count {
                let target = Target { service_id: n as u32 % 16, method_id: 1 };
                black_box(control.is_skipped(target, Uin(n)));
            }
        }
    };
    let shielded = |control: Control<'a>| {
        let endpoints = endpoints.clone();
        move |count: u64| {
            let at = (0..count as usize).map(|n| &endpoints[n % endpoints.len()]);
            assert_eq!(at.filter(|endpoint| control.is_shielded(endpoint, Nanos(1))).count(), 0);
        }
    };
    vec![
        call("killed", "is everything killed?", Wanted::Nothing, killed(quiet)),
        call("mode", "the mode of a mechanism, nothing said", Wanted::Nothing, mode(quiet)),
        call("", "the same, on for half of the users", Wanted::Nothing, mode(busy)),
        call("skipped", "is a call skipped? nothing said", Wanted::Nothing, skipped(quiet)),
        call("", "the same, 10 of 16 targets skipped for half of the users", Wanted::Nothing, skipped(busy)),
        call("shielded", "is an endpoint shielded? nothing said", Wanted::Nothing, shielded(quiet)),
        call("", "the same, 10 others are", Wanted::Nothing, shielded(busy)),
    ]
}

fn traces(host: &Host) -> Vec<Call<'_>> {
    let trace = host.trace();
    let write = |seat: u32, len: usize| {
        let (ring, data) = (trace.ring(seat), vec![7; len]);
        move |count: u64| (0..count).for_each(|n| _ = ring.write(1, black_box(&data), Nanos(n)))
    };
    vec![
        call("trace", "write a trace of 24 bytes, own ring", Wanted::Nothing, write(OUR_SEAT, 24)),
        call("", "the same, another process in its own ring", Wanted::Nothing, write(OUR_SEAT, 24))
            .during(Task::WriteOwn),
        call("", "for scale: one ring for both processes", Wanted::Nothing, write(COMMON, 24))
            .during(Task::WriteCommon),
        call("", "write a trace of 200 bytes, own ring", Wanted::Nothing, write(OUR_SEAT, 200)),
    ]
}

/// Prints everything.
pub fn all(directory: &Path) {
    let host = Host::create(directory);
    let _partner = Partner::start(directory);
    let mut files = Files::create(directory);
    let mut calls = calls(&host, &mut files);
    for _ in 0..ROUNDS {
        calls.iter_mut().for_each(|call| call.round(&host));
    }
    host.order(Task::Rest);
    println!("\nthe other calls, with the loop around them");
    for Call { id, name, wanted, series, .. } in &calls {
        let counted = if id.is_empty() { None } else { instructions(&[id]) };
        let name = counted.map_or(name.to_string(), |count| format!("{name}: {count:.0} instructions"));
        report(&name, series.spread(), " ns", *wanted);
    }
    let [alone, beside, same] = [1, 2, 3].map(|index: usize| &calls[index].series);
    println!();
    report("adding beside another process, against alone", beside.ratio(alone), " x", Wanted::AtMost(1.5));
    report("adding to one word for both, against alone", same.ratio(alone), " x", Wanted::Nothing);
}

/// One call over and over, to count its instructions.
pub fn once(id: &str, count: u64) {
    let directory = directory();
    let host = Host::create(directory.path());
    let mut files = Files::create(directory.path());
    let mut calls = calls(&host, &mut files);
    let call = calls.iter_mut().find(|call| call.id == id).expect("there is such a call");
    (call.run)(count);
}
