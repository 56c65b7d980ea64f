//! The connections of a client, to servers that stall, vanish or answer late.

mod support;

use std::future::IntoFuture;
use std::net::TcpListener;

use mcrpc::Client;
use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::{Header, Kind};
use support::Caller;
use tokio::sync::Notify;

const ECHO: &str = "echo.Echo.Say";

fn client(servers: impl IntoIterator<Item = String>) -> Client {
    Client::builder("test").service("Echo", servers).default_timeout(support::PATIENCE).build().unwrap()
}

fn response(call_id: u32) -> Header {
    Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, call_id) }
}

#[test]
fn an_answer_that_comes_late_meets_no_other_call() {
    const CALLS: usize = 5_000;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client([listener.local_addr().unwrap().to_string()]);
    let has_arrived = std::sync::Arc::new(Notify::new());
    let arrived = has_arrived.clone();
    let server = std::thread::spawn(move || {
        let mut peer = Caller::over(listener.accept().unwrap().0);
        let dropped = peer.request();
        arrived.notify_one();
        for _ in 0..CALLS {
            let header = peer.request();
            peer.call(&response(dropped.call_id), b"late");
            peer.call(&response(header.call_id), b"right");
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            _ = client.call("Echo", ECHO, "").into_future() => unreachable!("it is not answered"),
            () = has_arrived.notified() => {}
        }
        for number in 0..CALLS {
            assert_eq!(client.call("Echo", ECHO, "").await.unwrap(), "right", "call {number}");
        }
    });
    server.join().unwrap();
}
