//! The clients that call as a program does: one call, one future.

mod ours;
mod tokio_client;

use std::net::SocketAddr;

use crate::closed_loop::serve_lines;

/// Makes calls for as long as the bench asks for rounds.
pub fn run(name: &str, address: SocketAddr) {
    match name {
        "ours" => serve_lines::<ours::Pooled>(address),
        "ours-inline" => serve_lines::<ours::Inline>(address),
        "tokio" => serve_lines::<tokio_client::Connection>(address),
        _ => panic!("unknown: {name}"),
    }
}
