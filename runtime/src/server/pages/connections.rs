//! Who is connected: a line each.

use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

use mcrpc_core::wire::Protocol;

use crate::clock;
use crate::server::shared::Shared;

/// So many are listed.
const MAX_LISTED: usize = 1_000;

pub(super) fn text(shared: &Shared) -> String {
    let now = clock::now();
    let mut text = format!(
        "connections {}\nbytes of requests {}\nrequests that wait {}\n\n{:<48} {:<24} {:<9} {:>10} {:>12} {:>10}\n",
        shared.connections.load(Relaxed),
        shared.memory.used(),
        shared.workers.queue.len() + shared.blocking.queue.len(),
        "peer",
        "caller",
        "protocol",
        "open calls",
        "unsent bytes",
        "idle for s"
    );
    let listed: Vec<_> =
        shared.observed.connections.lock().iter().take(MAX_LISTED).map(|(_, connection)| connection.clone()).collect();
    for connection in &listed {
        let caller = connection.caller();
        let protocol = match connection.spoken() {
            Some(Protocol::Native) => "mcrpc",
            Some(Protocol::BaiduStd) => "baidu_std",
            Some(Protocol::Http1) => "http",
            Some(Protocol::Http2) => "grpc",
            _ => "-",
        };
        let _ = writeln!(
            text,
            "{:<48} {:<24} {protocol:<9} {:>10} {:>12} {:>10.1}",
            connection.write.peer(),
            if caller.is_empty() { "-" } else { &*caller },
            connection.open_calls(),
            connection.unsent(),
            now.since(connection.active()) as f64 / 1e9
        );
    }
    if listed.len() == MAX_LISTED {
        let _ = writeln!(text, "only {MAX_LISTED} are listed");
    }
    text
}
