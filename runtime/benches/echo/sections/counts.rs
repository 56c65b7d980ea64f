//! Instructions and allocations of the server per request: what a noisy machine cannot disturb.
//!
//! Instructions are those of user mode, of the whole process: two runs under callgrind, subtracted.

use crate::framing::Framing;
use crate::load::Load;
use crate::measure::{Spread, Wanted, report};
use crate::process::Server;
use crate::servers::{ASYNC, BLOCKING, INLINE};
use crate::shape::Shape;

const SHAPE: Shape = Shape::new(8, 32, 64);
/// As many as make a server refuse nearly everything whose one thread takes 2 ms for each.
const OVERLOAD: Shape = Shape::new(8, 256, 64);

struct Case {
    name: &'static str,
    server: &'static str,
    framing: Framing,
    shape: Shape,
    instructions: Wanted,
    allocations: Wanted,
}

pub fn run() {
    println!("\nof the server, per request");
    let of = |name, server, framing, wanted: Option<[f64; 2]>| {
        let [instructions, allocations] = wanted.map_or([Wanted::Nothing; 2], |wanted| wanted.map(Wanted::AtMost));
        Case { name, server, framing, shape: SHAPE, instructions, allocations }
    };
    let served = Some([3_000.0, 2.0]);
    let refused = Some([500.0, 0.0]);
    let cases = [
        of("inline", "ours", Framing::native(INLINE), served),
        of("inline, everything on", "ours", Framing::native_with_all(INLINE), served),
        of("pooled", "ours", Framing::native(ASYNC), served),
        of("pooled, everything on", "ours", Framing::native_with_all(ASYNC), served),
        of("refused, out of time", "ours", Framing::native_within(ASYNC, 0), refused),
        of("refused, no such method", "ours", Framing::native("echo.Echo.Nothing"), refused),
        Case { shape: OVERLOAD, ..of("refused, overload", "ours", Framing::native(BLOCKING), refused) },
        of("epoll", "epoll", Framing::plain(), None),
        of("epoll with a worker", "epoll-worker", Framing::plain(), None),
        of("tokio", "tokio", Framing::plain(), None),
        of("tokio, a task per request", "tokio-spawn", Framing::plain(), None),
    ];
    for case in &cases {
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
    let run = |count| {
        let server = Server::under_callgrind(case.server)?;
        let mut load = Load::connect(server.address, case.framing.clone(), case.shape.connections);
        let answered = load.requests(&case.shape, count).answered;
        Some((server.end()? as f64, answered as f64))
    };
    let ((few_took, few), (many_took, many)) = (run(10_000)?, run(40_000)?);
    Some((many_took - few_took) / (many - few))
}
