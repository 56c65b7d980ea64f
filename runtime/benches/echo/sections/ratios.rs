//! Requests per second, time to an answer, and the server's time per request, beside servers that do nothing but echo.

use crate::contest::{Subject, contest};
use crate::framing::Framing;
use crate::measure::{Wanted, report};
use crate::process::Server;
use crate::servers::{ASYNC, INLINE};
use crate::shape::Shape;

const ROUNDS: usize = 11;

pub fn run() {
    let [ours, epoll, with_worker, tokio] = ["ours", "epoll", "epoll-worker", "tokio"].map(Server::start);
    let busy = Shape::new(8, 32, 64);
    let mut subjects = [
        Subject::raw("ours, inline", &ours, Framing::native(INLINE)),
        Subject::raw("ours, inline, everything on", &ours, Framing::native_with_all(INLINE)),
        Subject::raw("ours, pooled", &ours, Framing::native(ASYNC)),
        Subject::raw("ours, pooled, everything on", &ours, Framing::native_with_all(ASYNC)),
        Subject::raw("epoll", &epoll, Framing::plain()),
        Subject::raw("epoll with a worker", &with_worker, Framing::plain()),
        Subject::raw("tokio", &tokio, Framing::plain()),
    ]
    .map(|subject| (subject, busy));

    println!("\n{busy}");
    let results = contest(&mut subjects, ROUNDS);
    for ((subject, _), found) in subjects.iter().zip(&results) {
        let name = |figure| format!("{}: {figure}", subject.name);
        report(&name("requests"), found.per_second.spread(), " /s", Wanted::Nothing);
        report(&name("the server's time"), found.server_ns.spread(), " ns", Wanted::Nothing);
        if found.refused > 0 {
            println!("{:<68} {:>8}", name("refused"), found.refused);
        }
    }
    let [inline, inline_all, pooled, pooled_all, epoll, with_worker, tokio] = &results;
    for (name, ours, peer, wanted) in [
        ("inline, times tokio", inline, tokio, Wanted::AtLeast(0.80)),
        ("inline with everything on, times tokio", inline_all, tokio, Wanted::Nothing),
        ("inline, times epoll", inline, epoll, Wanted::Nothing),
        ("pooled, times epoll with a worker", pooled, with_worker, Wanted::AtLeast(0.85)),
        ("pooled with everything on, times epoll with a worker", pooled_all, with_worker, Wanted::Nothing),
    ] {
        report(&format!("{name}: requests"), ours.per_second.ratio(&peer.per_second), "", wanted);
        report(&format!("{name}: the server's time"), ours.server_ns.ratio(&peer.server_ns), "", Wanted::Nothing);
    }

    let alone = Shape::new(1, 1, 64);
    println!("\n{alone}");
    subjects.iter_mut().for_each(|(_, shape)| *shape = alone);
    let results = contest(&mut subjects, ROUNDS);
    for ((subject, _), found) in subjects.iter().zip(&results) {
        report(&format!("{}: p50", subject.name), found.p50_us.spread(), " us", Wanted::Nothing);
    }
    let [inline, _, pooled, _, epoll, with_worker, _] = &results;
    for (name, ours, peer, wanted) in [
        ("inline, times epoll: p50", inline, epoll, Wanted::AtMost(1.3)),
        ("pooled, times epoll with a worker: p50", pooled, with_worker, Wanted::Nothing),
    ] {
        report(name, ours.p50_us.ratio(&peer.p50_us), "", wanted);
    }
}
