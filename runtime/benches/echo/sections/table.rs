//! All of them, in all shapes, in rounds too short for a verdict.

use super::pairs::Others;
use crate::contest::{Subject, contest};
use crate::framing::Framing;
use crate::process::{Client, Server};
use crate::servers::{ASYNC, INLINE};
use crate::shape::Shape;

const ROUNDS: usize = 3;

pub fn run() {
    let others = Others::build();
    let [ours, epoll, with_worker, tokio, spawning] =
        ["ours", "epoll", "epoll-worker", "tokio", "tokio-spawn"].map(Server::start);
    let [tonic, tarpc] = ["tonic", "tarpc"].map(|name| others.server(name));
    let mut subjects = [
        Subject::raw("epoll", &epoll, Framing::plain()),
        Subject::raw("tokio", &tokio, Framing::plain()),
        Subject::raw("ours, inline", &ours, Framing::native_with_all(INLINE)),
        Subject::raw("epoll with a worker", &with_worker, Framing::plain()),
        Subject::raw("ours, pooled", &ours, Framing::native_with_all(ASYNC)),
        Subject::raw("tokio, a task per request", &spawning, Framing::plain()),
        Subject::pair("tokio, client by hand", &spawning, Client::start("tokio", &spawning)),
        Subject::pair("tarpc", &tarpc, others.client("tarpc", &tarpc)),
        Subject::pair("tonic", &tonic, others.client("tonic", &tonic)),
    ]
    .map(|subject| (subject, Shape::new(1, 1, 64)));
    println!("\nthousands of requests per second (p50/p99 us), connections x requests in flight on each");
    for payload_len in [64, 4_096] {
        let shapes = [1, 8].map(|connections| [1, 64, 256].map(|in_flight| (connections, in_flight))).concat();
        let mut rows = subjects.each_ref().map(|(subject, _)| format!("{:<26}", subject.name));
        let mut head = format!("{:<26}", format!("{payload_len} B"));
        for (connections, in_flight) in shapes {
            let shape = Shape { duration_ms: 250, ..Shape::new(connections, in_flight, payload_len) };
            head.push_str(&format!("{:>22}", format!("{connections} x {in_flight}")));
            subjects.iter_mut().for_each(|(_, own)| *own = shape);
            for (row, found) in rows.iter_mut().zip(contest(&mut subjects, ROUNDS)) {
                let [rate, p50, p99] =
                    [&found.per_second, &found.p50_us, &found.p99_us].map(|series| series.spread().median);
                row.push_str(&format!("{:>22}", format!("{:.1} ({p50:.0}/{p99:.0})", rate / 1e3)));
            }
        }
        println!("{head}\n{}", rows.join("\n"));
    }
}
