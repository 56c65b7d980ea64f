//! Memory of a connection on which nothing happens.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::framing::Framing;
use crate::load;
use crate::measure::{Spread, Wanted, report};
use crate::process::Server;
use crate::servers::ASYNC;

const CONNECTIONS: usize = 10_000;
/// Before memory is looked at first: what a server needs once.
const FIRST: usize = 100;

pub fn run() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("the limit may be raised");
    println!("\n{CONNECTIONS} connections that have made a call each");
    for (name, server, framing, wanted) in [
        ("ours", "ours", Framing::native(ASYNC), Wanted::AtMost(6.0)),
        ("tokio, 64 KiB of buffer each", "tokio", Framing::plain(), Wanted::Nothing),
    ] {
        let server = Server::start(server);
        let first = load::idle(server.address, &framing, FIRST);
        let before = server.memory();
        let all = load::idle(server.address, &framing, CONNECTIONS);
        let kib = (server.memory() - before) as f64 / CONNECTIONS as f64 / 1_024.0;
        report(&format!("{name}: memory of each"), Spread::exact(kib), "KiB", wanted);
        drop((first, all));
    }
}
