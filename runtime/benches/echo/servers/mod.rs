//! The echo servers, each in a process of its own.

mod epoll;
mod ours;
mod tokio_echo;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

pub use ours::{ASYNC, BLOCKING, INLINE};

/// How long a slow request takes.
const SLOW: Duration = Duration::from_millis(5);

/// Starts a server on threads of its own, which serve until the process ends.
pub fn start(name: &str) -> SocketAddr {
    if name == "ours" {
        return ours::start();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("a port");
    let serve = match name {
        "epoll" => epoll::inline,
        "epoll-worker" => epoll::with_worker,
        "tokio" => tokio_echo::in_turn,
        "tokio-spawn" => tokio_echo::spawning,
        _ => panic!("unknown: {name}"),
    };
    std::thread::spawn(move || serve(listener));
    address
}
