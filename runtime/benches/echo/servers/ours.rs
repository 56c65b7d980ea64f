//! The server under test: admission, deadlines and statistics are as they are by default, on.

use std::net::SocketAddr;
use std::time::Duration;

use mcrpc::server::Config;
use mcrpc::{Address, Server};

use super::SLOW;
use crate::framing::is_slow;

/// Answers on the IO thread.
pub const INLINE: &str = "echo.Echo.Inline";
/// Answers on the worker, and a slow request waits there.
pub const ASYNC: &str = "echo.Echo.Async";
/// Blocks the one thread that it has: for overload.
pub const BLOCKING: &str = "echo.Echo.Blocking";

/// For so long.
const BLOCKED: Duration = Duration::from_millis(2);

/// More than there are slow requests at a time: a hundredth of a million a second, 5 ms each.
const COROUTINES: usize = 256;

/// One IO thread, one worker.
pub fn start() -> SocketAddr {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config {
            io_threads: 1,
            workers: 1,
            coroutines_per_worker: COROUTINES,
            blocking_workers: 1,
            ..Config::default()
        })
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
            std::thread::sleep(BLOCKED);
            Ok(request.into_payload())
        })
        .start()
        .expect("it starts");
    let Address::Tcp(address) = server.addresses()[0].clone() else { panic!("it listens on TCP") };
    // It serves until the process ends.
    std::mem::forget(server);
    address
}
