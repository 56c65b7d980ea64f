//! A server, as callers see it who behave oddly, or badly.

mod support;

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Address, Server};
use mcrpc_core::admission;
use mcrpc_core::wire::{HEADER_LEN, Header, Kind};
use support::{Caller, PATIENCE, get, request};
use tokio::sync::Notify;

fn config() -> Config {
    // Nothing is refused because the machine is slow.
    let admission = admission::Config { mode: admission::Mode::Observe, ..admission::Config::DEFAULT };
    Config { io_threads: 1, workers: 1, coroutines_per_worker: 2, blocking_workers: 1, admission, ..Config::default() }
}

/// A server whose method `Wait` waits until it is told to go on, and says how often it was begun.
fn waiting() -> (Server, Arc<Notify>, Arc<AtomicUsize>) {
    let (go_on, begun) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (go, began) = (go_on.clone(), begun.clone());
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Wait", move |_| {
            let (go, began) = (go.clone(), began.clone());
            async move {
                began.fetch_add(1, SeqCst);
                go.notified().await;
                Ok(Bytes::from_static(b"waited"))
            }
        })
        .method("t.T.Now", |_| async { Ok(Bytes::from_static(b"now")) })
        .start()
        .unwrap();
    (server, go_on, begun)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = std::time::Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn cancel(call_id: u32) -> [u8; HEADER_LEN] {
    Header::new(Kind::Cancel, call_id).emit()
}

/// An id may be used again as soon as its call is answered, and the cancel of that call may come after the answer.
#[test]
fn a_call_is_served_whose_id_had_a_call_that_was_cancelled_too_late() {
    let (server, _go_on, begun) = waiting();
    let mut caller = Caller::of(&server);
    caller.call(&request("t.T.Wait", 1), b"");
    until("it waits", || begun.load(SeqCst) == 1);
    for _ in 0..3 {
        caller.call(&request("t.T.Now", 2), b"");
        assert_eq!(caller.answer().header.call_id, 2);
        caller.send(&cancel(2));
    }
}

#[test]
fn cancels_of_calls_that_are_over_do_not_keep_others_from_being_cancelled() {
    let (server, go_on, begun) = waiting();
    let mut caller = Caller::of(&server);
    // Two have the places, two wait in the queue.
    (1..=4).for_each(|call_id| caller.call(&request("t.T.Wait", call_id), b""));
    until("two run", || begun.load(SeqCst) == 2);
    (100..200).for_each(|call_id| caller.send(&cancel(call_id)));
    caller.send(&cancel(3));
    caller.send(&Header::new(Kind::Ping, 5).emit());
    assert_eq!(caller.answer().header.kind, Kind::Pong, "the cancels were read");
    let mut answered = Vec::new();
    for _ in 0..3 {
        go_on.notify_one();
        answered.push(caller.answer().header.call_id);
    }
    answered.sort_unstable();
    assert_eq!((answered, begun.load(SeqCst)), (vec![1, 2, 4], 3), "the third never ran");
}

/// Whole buffers, of which the last leaves nothing to be read: then only the socket can wake the server.
#[test]
fn a_caller_that_reads_nothing_until_all_is_sent_gets_all_its_answers() {
    const PINGS: u32 = (64 << 10) / HEADER_LEN as u32;
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { max_unsent: 64 << 20, ..config() })
        .inline_method("t.T.Inline", |_, _| Ok(()))
        .start()
        .unwrap();
    for buffers in [1, 40, 80, 120, 160] {
        let mut caller = Caller::of(&server);
        let pings: Vec<u8> = (0..buffers * PINGS).flat_map(|id| Header::new(Kind::Ping, id).emit()).collect();
        caller.send(&pings);
        for id in 0..buffers * PINGS {
            assert_eq!(caller.answer().header.call_id, id);
        }
    }
}

/// What the server has for its callers and cannot get rid of.
fn unsent(server: &Server) -> usize {
    let page = get(server, "GET /connections HTTP/1.1\r\n\r\n");
    let of_one = |line: &str| line.split_whitespace().nth(4)?.parse::<usize>().ok();
    page.lines().filter_map(of_one).sum()
}

#[test]
fn answers_that_nobody_reads_take_up_no_more_than_they_may() {
    const REPLY: usize = 64 << 10;
    const MAX_UNSENT: usize = 1 << 20;
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { max_unsent: MAX_UNSENT, ..config() })
        .inline_method("t.T.Large", |_, reply| {
            reply.resize(reply.len() + REPLY, 0);
            Ok(())
        })
        .start()
        .unwrap();
    let pages = "GET /metrics HTTP/1.1\r\n\r\n".repeat(2_000);
    let requests: Vec<u8> = (0..2_000).flat_map(|id| support::frame(&request("t.T.Large", id), b"")).collect();
    for (what, bytes) in [("pages", pages.as_bytes()), ("replies", &requests)] {
        let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
        let mut greedy = std::net::TcpStream::connect(address).unwrap();
        greedy.write_all(bytes).unwrap();
        until("the socket is full", || unsent(&server) > MAX_UNSENT);
        let unsent = unsent(&server);
        // What is taken between two looks comes on top.
        assert!(unsent <= MAX_UNSENT + 4 * REPLY, "{unsent} bytes of {what} wait");
    }
}

/// As a driver of a database may that waits for a machine which is gone.
#[test]
fn a_server_ends_although_a_handler_does_not() {
    let (hang, hung) = mpsc::channel::<()>();
    let hung = std::sync::Mutex::new(hung);
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { drain_timeout: Duration::from_millis(50), ..config() })
        .blocking_method("t.T.Hang", move |_| {
            let _ = hung.lock().unwrap().recv();
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    caller.call(&request("t.T.Hang", 1), b"");
    until("it hangs", || server.stats("t.T.Hang").unwrap().running() == 1);
    server.drain();
    while let Some(last) = caller.next() {
        assert_eq!(last.header.kind, Kind::GoAway);
    }
    drop(hang);
}
