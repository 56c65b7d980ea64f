//! Instructions and allocations of the server per request: what a noisy machine cannot disturb.
//!
//! Instructions are those of user mode, of the whole process: two runs under callgrind, subtracted.

use std::path::Path;
use std::process::Command;

use crate::framing::Framing;
use crate::load::Load;
use crate::measure::{Spread, Wanted, report};
use crate::process::Server;
use crate::servers::{ASYNC, BLOCKING, INLINE};
use crate::shape::Shape;

const SHAPE: Shape = Shape::new(8, 32, 64);
/// More than fits into a read, so that frames arrive in pieces.
const LARGE: Shape = Shape::new(1, 256, 4_096);
/// As many as make a server refuse nearly everything whose one thread takes 2 ms for each.
const OVERLOAD: Shape = Shape::new(8, 256, 64);

/// Between so many requests and so many they are counted: where a server refuses, when its cursor has settled.
const COUNTED: [u64; 2] = [10_000, 40_000];
const COUNTED_LATE: [u64; 2] = [60_000, 100_000];

const DRIVEN_MS: u64 = 10_000;

/// Per request, as good as none: a buffer grows now and then.
const NONE: f64 = 0.01;

struct Case {
    name: &'static str,
    server: &'static str,
    framing: Framing,
    shape: Shape,
    counted: [u64; 2],
    instructions: Wanted,
    allocations: Wanted,
}

fn cases() -> [Case; 13] {
    let of = |name, server, framing, wanted: Option<[f64; 2]>| {
        let [instructions, allocations] = wanted.map_or([Wanted::Nothing; 2], |wanted| wanted.map(Wanted::AtMost));
        Case { name, server, framing, shape: SHAPE, counted: COUNTED, instructions, allocations }
    };
    let served = Some([3_000.0, 2.0 + NONE]);
    let refused = Some([500.0, NONE]);
    [
        of("inline", "ours", Framing::native(INLINE), served),
        of("inline, everything on", "ours", Framing::native_with_all(INLINE), served),
        of("pooled", "ours", Framing::native(ASYNC), served),
        of("pooled, everything on", "ours", Framing::native_with_all(ASYNC), served),
        Case { shape: LARGE, ..of("inline, 4 KiB", "ours", Framing::native(INLINE), served) },
        Case { shape: LARGE, ..of("pooled, 4 KiB", "ours", Framing::native(ASYNC), served) },
        of("refused, out of time", "ours", Framing::native_within(ASYNC, 0), refused),
        of("refused, no such method", "ours", Framing::native("echo.Echo.Nothing"), refused),
        Case {
            shape: OVERLOAD,
            counted: COUNTED_LATE,
            ..of("refused, overload", "ours", Framing::native(BLOCKING), refused)
        },
        of("epoll", "epoll", Framing::plain(), None),
        of("epoll with a worker", "epoll-worker", Framing::plain(), None),
        of("tokio", "tokio", Framing::plain(), None),
        of("tokio, a task per request", "tokio-spawn", Framing::plain(), None),
    ]
}

pub fn run() {
    println!("\nof the server, per request");
    for case in &cases() {
        let (allocations, refused_share) = allocations(case);
        let name = match refused_share {
            0.0 => case.name.to_owned(),
            share => format!("{} ({:.2} %)", case.name, share * 100.0),
        };
        match instructions(case) {
            Some(count) => report(&format!("{name}: instructions"), Spread::exact(count), "", case.instructions),
            None => println!("{name}: no instructions, as valgrind is not installed"),
        }
        report(&format!("{name}: allocations"), Spread::exact(allocations), "", case.allocations);
    }
}

fn case_of(name: &str) -> Case {
    let names = cases().map(|case| case.name);
    let case = cases().into_iter().find(|case| case.name == name);
    case.unwrap_or_else(|| panic!("{name}: there are {names:?}"))
}

/// Allocations per request, and the share of requests that was refused.
fn allocations(case: &Case) -> (f64, f64) {
    let mut server = Server::start(case.server);
    let mut load = Load::connect(server.address, case.framing.clone(), case.shape.connections);
    load.requests(&case.shape, 50_000);
    let before = server.allocations();
    let figures = load.requests(&case.shape, 200_000);
    let count = server.allocations() - before;
    (count as f64 / figures.answered as f64, figures.refused as f64 / figures.answered as f64)
}

fn instructions(case: &Case) -> Option<f64> {
    let nowhere = Path::new("/dev/null");
    let [few, many] = case.counted;
    let ((few_took, few), (many_took, many)) = (counted(case, few, nowhere)?, counted(case, many, nowhere)?);
    Some((many_took - few_took) / (many - few))
}

/// The instructions of so many requests, and of the server's start; and how many they were.
fn counted(case: &Case, requests: u64, profile: &Path) -> Option<(f64, f64)> {
    let server = Server::under_callgrind(case.server, profile)?;
    let mut load = Load::connect(server.address, case.framing.clone(), case.shape.connections);
    let answered = load.requests(&case.shape, requests).answered;
    Some((server.end()? as f64, answered as f64))
}

/// Keeps the server of a case busy for a while, and prints what a request took.
pub fn drive(name: &str) {
    let Case { server, framing, shape, .. } = case_of(name);
    let server = Server::start(server);
    let mut load = Load::connect(server.address, framing, shape.connections);
    let before_ns = server.cpu_ns();
    let figures = load.round(&Shape { duration_ms: DRIVEN_MS, ..shape });
    let server_ns = (server.cpu_ns() - before_ns) as f64 / figures.answered as f64;
    println!("{:.0} requests/s, the server's time {server_ns:.0} ns", figures.per_second);
}

/// Prints which functions take the instructions of a case.
pub fn profile(name: &str) {
    let case = &case_of(name);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("callgrind");
    let (_, requests) = counted(case, case.counted[1], &file).expect("valgrind is installed");
    println!("{requests} requests");
    let status = Command::new("callgrind_annotate").args(["--auto=no", "--threshold=97"]).arg(&file).status();
    assert!(status.is_ok_and(|status| status.success()), "callgrind_annotate, of valgrind, failed");
}
