//! The server under test: admission, deadlines and statistics are as they are by default, on.

use std::net::SocketAddr;

use mcrpc::server::Config;
use mcrpc::{Address, Server};

use super::SLOW;
use crate::framing::is_slow;

/// Answers on the IO thread.
pub const INLINE: &str = "echo.Echo.Inline";
/// Answers on the worker, and a slow request waits there.
pub const ASYNC: &str = "echo.Echo.Async";
/// Takes 2 ms of the one thread that it has: for overload.
pub const BLOCKING: &str = "echo.Echo.Blocking";

/// One IO thread, one worker.
pub fn start() -> SocketAddr {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { io_threads: 1, workers: 1, blocking_workers: 1, ..Config::default() })
        .inline_method(INLINE, |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .method(ASYNC, |request| async move {
            if is_slow(request.payload()) {
                tokio::time::sleep(SLOW).await;
            }
            Ok(request.into_payload())
        })
        .blocking_method(BLOCKING, |request| {
            std::thread::sleep(std::time::Duration::from_millis(2));
            Ok(request.into_payload())
        })
        .start()
        .expect("it starts");
    let Address::Tcp(address) = server.addresses()[0].clone() else { panic!("it listens on TCP") };
    // It serves until the process ends.
    std::mem::forget(server);
    address
}
