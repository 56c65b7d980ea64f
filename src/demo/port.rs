//! Ports for servers that are to come back at the same address.

use std::cell::Cell;
use std::net::TcpListener;

use anyhow::{Context, Result};

/// Below the ports that the kernel gives to clients: while a machine is down nobody else must get its port.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

thread_local! {
    /// Where the search for a port goes on. It begins at a place of this process.
    static NEXT_PORT: Cell<u16> = Cell::new(PORTS.start + (std::process::id() * 61 % PORTS.len() as u32) as u16);
}

/// A port on which nobody listens, and which no other machine of this process was given.
pub(crate) fn free_port() -> Result<u16> {
    let candidates = PORTS.map(|_| {
        let port = NEXT_PORT.get();
        NEXT_PORT.set(if port + 1 < PORTS.end { port + 1 } else { PORTS.start });
        port
    });
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    candidates.into_iter().find(is_free).with_context(|| format!("no port in {PORTS:?} is free on 127.0.0.1"))
}
