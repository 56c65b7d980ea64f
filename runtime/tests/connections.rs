//! The connections of a client, to servers that stall, vanish or answer late.

mod support;

use std::future::IntoFuture;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mcrpc::{Client, Status};
use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::{Header, Kind};
use socket2::{Domain, Socket, Type};
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
    let has_arrived = Arc::new(Notify::new());
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

#[test]
fn what_waits_for_a_server_that_reads_nothing_is_bounded_and_arrives_when_it_reads_again() {
    const LEN: usize = 2 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client([listener.local_addr().unwrap().to_string()]);
    let (go_on, goes_on) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let mut peer = Caller::over(listener.accept().unwrap().0);
        let first = peer.request();
        peer.call(&response(first.call_id), b"");
        for _ in 0..goes_on.recv().unwrap() {
            let header = peer.request();
            peer.call(&response(header.call_id), b"");
        }
    });
    client.call("Echo", ECHO, "").wait().unwrap();
    let payload = bytes::Bytes::from(vec![0; LEN]);
    let mut open = Vec::new();
    let refused = (0..64).find_map(|_| {
        let mut call = client.call("Echo", ECHO, payload.clone()).into_future();
        match Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => Some(ended.unwrap_err()),
            Poll::Pending => {
                open.push(call);
                None
            }
        }
    });
    assert_eq!(refused.map(|failure| failure.status()), Some(Status::TOO_MANY_OPEN_CALLS));
    assert!(open.len() * LEN >= 16 << 20, "{} calls were taken", open.len());
    go_on.send(open.len() + 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    open.into_iter().for_each(|call| assert_eq!(runtime.block_on(call).unwrap(), ""));
    assert_eq!(client.call("Echo", ECHO, payload).wait().unwrap(), "");
    server.join().unwrap();
}

#[test]
fn of_many_calls_that_are_made_at_once_the_first_are_sent_before_the_last_is_made() {
    // More than the other tests of this process have at their servers.
    const CALLS: usize = 500;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let builder = Client::builder("test").service("Echo", [listener.local_addr().unwrap().to_string()]);
    let client = builder.on_runtime(runtime.handle().clone()).default_timeout(support::PATIENCE).build().unwrap();
    let (heard, hears) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let mut peer = Caller::over(listener.accept().unwrap().0);
        let first = peer.request();
        peer.call(&response(first.call_id), b"");
        // The first of all would be sent at once if it were alone.
        peer.request();
        peer.request();
        heard.send(()).unwrap();
    });
    runtime.block_on(client.call("Echo", ECHO, "").into_future()).unwrap();
    // From here on nothing runs that could write but the calls themselves.
    let open: Vec<_> = (0..CALLS)
        .map(|_| {
            let mut call = client.call("Echo", ECHO, "").into_future();
            assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            call
        })
        .collect();
    hears.recv_timeout(support::PATIENCE).unwrap();
    drop(open);
    server.join().unwrap();
}

#[test]
fn when_the_second_of_two_attempts_is_answered_the_first_server_is_told_at_once() {
    let listeners: Vec<_> = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let client = client(listeners.iter().map(|listener| listener.local_addr().unwrap().to_string()));
    let servers: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            std::thread::spawn(move || {
                let mut peer = Caller::over(listener.accept().unwrap().0);
                let header = peer.request();
                match header.flags.attempt() {
                    0 => assert_eq!(peer.next().map(|frame| frame.header.kind), Some(Kind::Cancel)),
                    _ => peer.call(&response(header.call_id), b"second"),
                }
            })
        })
        .collect();
    let mut call = client.call("Echo", ECHO, "").backup_after(Duration::from_millis(1)).into_future();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime.block_on(&mut call).unwrap(), "second");
    // While the call is still there.
    servers.into_iter().for_each(|server| server.join().unwrap());
    drop(call);
}

/// What was counted of the attempts that ended so.
fn attempts(client: &Client, outcome: &str) -> u64 {
    let all = mcrpc::metrics::of_clients([client]);
    let line = all.lines().find(|line| line.starts_with("mcrpc_client_attempts_total") && line.contains(outcome));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{all}"))
}

#[test]
fn a_call_that_is_dropped_late_counts_against_its_server_and_one_that_is_dropped_early_does_not() {
    // It accepts, and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client([listener.local_addr().unwrap().to_string()]);
    let begun = |timeout| {
        let mut call = client.call("Echo", ECHO, "").timeout(timeout).into_future();
        assert!(Pin::new(&mut call).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        call
    };
    drop(begun(support::PATIENCE));
    assert_eq!((attempts(&client, "cancelled"), attempts(&client, "failed")), (1, 0));
    let late = begun(Duration::from_millis(1));
    std::thread::sleep(Duration::from_millis(2));
    drop(late);
    assert_eq!((attempts(&client, "cancelled"), attempts(&client, "failed")), (1, 1));
    let all = mcrpc::metrics::of_clients([&client]);
    assert!(all.lines().any(|line| line.contains("code=\"timed_out\"") && line.ends_with(" 1")), "{all}");
}

#[test]
fn a_server_that_takes_no_connections_leaves_time_for_another() {
    // Its queue is full, so that the kernel answers nobody else.
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let queued: Vec<Socket> = (0..4)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address);
            socket
        })
        .collect();
    let other = support::recording(|_| {});
    let client = Client::builder("test")
        .service("Echo", [address.as_socket().unwrap().to_string(), other])
        .connect_timeout(support::PATIENCE)
        .default_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    // Every second user belongs to it, or nearly; more than one of them might use up the budget of retries.
    for uin in 1.. {
        assert_eq!(client.call("Echo", ECHO, "").uin(uin).wait().unwrap(), "");
        if attempts(&client, "failed") > 0 {
            break;
        }
    }
    drop(queued);
}

#[test]
fn a_call_that_is_not_polled_keeps_no_other_from_a_connection() {
    let client = client([support::recording(|_| {})]);
    let mut resting = client.call("Echo", ECHO, "").into_future();
    assert!(Pin::new(&mut resting).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(client.call("Echo", ECHO, "").wait().unwrap(), "");
    drop(resting);
}

#[test]
fn a_connection_on_which_nothing_comes_is_given_up_and_one_that_is_slow_is_not() {
    const LONG_ENOUGH: Duration = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client([listener.local_addr().unwrap().to_string()]);
    let server = std::thread::spawn(move || {
        let mut dead = Caller::over(listener.accept().unwrap().0);
        dead.request();
        let mut slow = Caller::over(listener.accept().unwrap().0);
        slow.request();
        slow.call(&Header::new(Kind::Ping, 0), &[]);
        assert_eq!(dead.next(), None, "the client has hung up");
        let second = slow.request();
        slow.call(&response(second.call_id), b"the same");
    });
    for _ in 0..2 {
        let failure = client.call("Echo", ECHO, "").timeout(LONG_ENOUGH).wait().unwrap_err();
        assert_eq!(failure.status(), Status::TIMED_OUT);
    }
    assert_eq!(client.call("Echo", ECHO, "").wait().unwrap(), "the same");
    server.join().unwrap();
}
