//! What the other requests notice of one in a hundred that waits for 5 ms.

use crate::contest::{Subject, contest};
use crate::framing::Framing;
use crate::measure::{Wanted, report};
use crate::process::Server;
use crate::servers::ASYNC;
use crate::shape::Shape;

const ROUNDS: usize = 11;

pub fn run() {
    let [ours, tokio] = ["ours", "tokio-spawn"].map(Server::start);
    let even = Shape::new(8, 32, 64);
    let uneven = Shape { slow_every: 100, ..even };
    let ours = || Subject::raw("ours, pooled", &ours, Framing::native(ASYNC));
    let tokio = || Subject::raw("tokio, a task per request", &tokio, Framing::plain());
    println!("\n{even}; 1 % take 5 ms, and are not counted");
    let results = contest(&mut [(ours(), even), (ours(), uneven), (tokio(), even), (tokio(), uneven)], ROUNDS);
    for (name, [even, uneven], wanted) in [
        ("ours, pooled", [&results[0], &results[1]], Wanted::AtMost(1.4)),
        ("tokio, a task per request", [&results[2], &results[3]], Wanted::Nothing),
    ] {
        report(&format!("{name}: p99 without"), even.p99_us.spread(), " us", Wanted::Nothing);
        report(&format!("{name}: p99 with"), uneven.p99_us.spread(), " us", Wanted::Nothing);
        report(&format!("{name}: p99 with, times without"), uneven.p99_us.ratio(&even.p99_us), "", wanted);
        report(&format!("{name}: p50 with, times without"), uneven.p50_us.ratio(&even.p50_us), "", Wanted::Nothing);
        report(&format!("{name}: requests with"), uneven.per_second.spread(), " /s", Wanted::Nothing);
    }
}
