//! A server, as its callers see it.

mod support;

use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::hooks::Place;
use mcrpc::server::{Config, Role};
use mcrpc::{Address, Context, Failure, Request, Server, Status};
use mcrpc_core::admission;
use mcrpc_core::wire::{Flags, Header, Kind, Writer};
use nix::libc;
use support::{Caller, PATIENCE, frame, request};
use tokio::sync::Notify;

fn config() -> Config {
    // Nothing is refused because the machine is slow.
    let admission = admission::Config { mode: admission::Mode::Observe, ..admission::Config::DEFAULT };
    Config { workers: 2, coroutines_per_worker: 8, blocking_workers: 2, admission, ..Config::default() }
}

/// A server of four methods that answer with what they were sent.
fn echo(listen: &str, config: Config) -> Server {
    Server::builder()
        .listen(listen)
        .config(config)
        .method("echo.Echo.Async", |request: Request| async move { Ok(request.into_payload()) })
        .method("echo.Echo.Waiting", |request: Request| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(request.into_payload())
        })
        .inline_method("echo.Echo.Inline", |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .blocking_method("echo.Echo.Blocking", |request| Ok(request.into_payload()))
        .start()
        .unwrap()
}

const WAYS: [&str; 4] = ["echo.Echo.Async", "echo.Echo.Waiting", "echo.Echo.Inline", "echo.Echo.Blocking"];

#[test]
fn each_kind_of_handler_answers_over_tcp_and_over_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = format!("unix:{}", dir.path().join("echo.sock").display());
    for listen in ["127.0.0.1:0", "[::1]:0", &path] {
        let server = echo(listen, config());
        let mut caller = Caller::of(&server);
        for (call_id, method) in (1..).zip(WAYS) {
            for len in [0, 1, 64, 100_000, 3_000_000] {
                let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
                let mut header = request(method, call_id);
                (header.uin, header.business_id, header.priority) = (7, 3, 2);
                caller.call(&header, &payload);
                let answer = caller.answer();
                assert_eq!((answer.header.kind, answer.status()), (Kind::Response, Status::OK), "{method}");
                assert_eq!((answer.header.call_id, answer.header.uin), (call_id, 7));
                assert!(answer.payload == payload, "{method} of {len} bytes through {listen}");
            }
        }
        server.drain();
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the socket's file is removed");
}

#[test]
fn many_calls_at_once_are_each_answered_once_whatever_the_pieces_they_arrive_in() {
    let server = echo("127.0.0.1:0", config());
    for piece_len in [1, 7, 33, 4_096, usize::MAX] {
        let calls = if piece_len == 1 { 40 } else { 400 };
        let mut caller = Caller::of(&server);
        let payload = |call_id: u32| vec![call_id as u8; call_id as usize % 300];
        let bytes: Vec<u8> = (0..calls)
            .flat_map(|call_id| frame(&request(WAYS[call_id as usize % 4], call_id), &payload(call_id)))
            .collect();
        for piece in bytes.chunks(piece_len.min(bytes.len())) {
            caller.send(piece);
        }
        let mut answered = vec![0; calls as usize];
        for _ in 0..calls {
            let answer = caller.answer();
            assert_eq!((answer.status(), &answer.payload), (Status::OK, &payload(answer.header.call_id)));
            answered[answer.header.call_id as usize] += 1;
        }
        assert!(answered.iter().all(|&count| count == 1), "in pieces of {piece_len}: {answered:?}");
    }
    assert_eq!(server.request_memory(), 0);
}

#[test]
fn a_checksum_is_answered_with_a_checksum() {
    let server = echo("127.0.0.1:0", config());
    let mut caller = Caller::of(&server);
    for (call_id, method) in (0..).zip(WAYS) {
        let mut header = request(method, call_id);
        header.flags = Flags(Flags::CRC_TRAILER);
        let mut bytes = frame(&header, b"sound");
        let mut checksum = mcrpc_core::wire::Checksum::new();
        checksum.update(&bytes);
        bytes.extend_from_slice(&checksum.trailer());
        // The trailer alone comes late.
        let (most, last) = bytes.split_at(bytes.len() - 3);
        caller.send(most);
        std::thread::yield_now();
        caller.send(last);
        let answer = caller.answer();
        assert!(answer.header.flags.contains(Flags::CRC_TRAILER), "{method}");
        assert_eq!(answer.payload, b"sound");
    }
}

#[test]
fn what_cannot_be_served_is_refused_by_name_and_the_connection_goes_on() {
    let server = echo("127.0.0.1:0", Config { admission: Default::default(), ..config() });
    let mut caller = Caller::of(&server);
    caller.call(&request("echo.Echo.Nothing", 1), b"x");
    let answer = caller.answer();
    assert_eq!((answer.header.call_id, answer.status()), (1, Status::NO_METHOD));

    let mut late = request("echo.Echo.Async", 2);
    late.budget_ms = 0;
    caller.call(&late, b"x");
    assert_eq!(caller.answer().status(), Status::EXPIRED_ON_ARRIVAL);

    // A tag that has to be understood, and is not.
    let mut head = [0; 64];
    let tag = mcrpc_core::wire::Tag(0x1E).that_must_be_understood();
    let len = Writer::new(&mut head).tag(tag, b"?").finish(&request("echo.Echo.Async", 3), 0).unwrap();
    caller.send(&head[..len]);
    assert_eq!(caller.answer().status(), Status::UNSUPPORTED_TAG);

    caller.call(&request("echo.Echo.Inline", 4), b"still here");
    assert_eq!(caller.answer().payload, b"still here");
}

#[test]
fn a_fallback_handles_all_other_methods_and_is_told_which() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .inline_method("echo.Echo.Known", |_, reply| {
            reply.extend_from_slice(b"known");
            Ok(())
        })
        .fallback(|request: Request| async move {
            Ok(Bytes::from(format!("{} {:#x}", request.service(), request.method_id())))
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    for (call_id, method, wanted) in [
        (1, "echo.Echo.Known", "known".to_owned()),
        (2, "a.B.C", { format!("VOA.Some {:#x}", request("a.B.C", 0).method_id) }),
    ] {
        let mut head = [0; 64];
        let len = Writer::new(&mut head).service("VOA.Some").finish(&request(method, call_id), 0).unwrap();
        caller.send(&head[..len]);
        assert_eq!(caller.answer().payload, wanted.as_bytes());
    }
}

#[test]
fn a_peer_that_breaks_the_rules_is_hung_up_on_and_others_do_not_notice() {
    let limits = mcrpc_core::wire::Limits::of_body(1_000);
    let server = echo("127.0.0.1:0", Config { limits, ..config() });
    let mut good = Caller::of(&server);
    for bytes in [&b"GARBAGE GARBAGE GARBAGE GARBAGE GARBAGE"[..], &frame(&request("echo.Echo.Async", 1), &[0; 1_001])]
    {
        let mut bad = Caller::of(&server);
        bad.send(bytes);
        assert_eq!(bad.next(), None);
        good.call(&request("echo.Echo.Async", 1), b"");
        assert_eq!(good.answer().status(), Status::OK);
    }
}

#[test]
fn a_ping_is_answered() {
    let server = echo("127.0.0.1:0", config());
    let mut caller = Caller::of(&server);
    caller.send(&Header { uin: 7, ..Header::new(Kind::Ping, 77) }.emit());
    let pong = caller.answer().header;
    assert_eq!((pong.kind, pong.call_id, pong.uin), (Kind::Pong, 77, 7));
}

#[test]
fn a_handler_that_fails_says_why_and_one_that_panics_is_a_fast_reject() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Fails", |_| async { Err(Failure::of_service(42, "no such crawl")) })
        .method("t.T.Panics", |_| async { panic!("a bug") })
        .inline_method("t.T.InlineFails", |_, _| Err(Failure::of_service(43, "")))
        .inline_method("t.T.InlinePanics", |_, reply| {
            reply.extend_from_slice(b"half of an answer");
            panic!("a bug")
        })
        .blocking_method("t.T.BlockingPanics", |_| panic!("a bug"))
        .method("t.T.Well", |_| async { Ok(Bytes::from_static(b"well")) })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    let cases = [
        ("t.T.Fails", Status(42), "no such crawl"),
        ("t.T.Panics", Status::WORKER_LOST, "the handler panicked"),
        ("t.T.InlineFails", Status(43), ""),
        ("t.T.InlinePanics", Status::WORKER_LOST, "the handler panicked"),
        ("t.T.BlockingPanics", Status::WORKER_LOST, "the handler panicked"),
    ];
    for _ in 0..3 {
        for (method, status, text) in cases {
            caller.call(&request(method, 9), b"");
            let answer = caller.answer();
            assert_eq!((answer.status(), answer.text.as_str()), (status, text), "{method}");
            assert_eq!(answer.payload, b"");
        }
        caller.call(&request("t.T.Well", 1), b"");
        assert_eq!(caller.answer().payload, b"well");
    }
}

/// A server whose method begins to wait, says so, and says when it is dropped.
fn waiting(config: Config) -> (Server, Arc<Notify>, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (go_on, begun, dropped) =
        (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (go, began, drops) = (go_on.clone(), begun.clone(), dropped.clone());
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config)
        .method("t.T.Wait", move |_| {
            let (go, began, dropped) = (go.clone(), began.clone(), Dropped(drops.clone()));
            async move {
                let _dropped = dropped;
                began.fetch_add(1, SeqCst);
                go.notified().await;
                Ok(Bytes::from_static(b"waited"))
            }
        })
        .method("t.T.Now", |_| async { Ok(Bytes::from_static(b"now")) })
        .start()
        .unwrap();
    (server, go_on, begun, dropped)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_cancel_ends_a_handler_that_waits_and_frees_its_place() {
    let (server, _, begun, dropped) = waiting(Config { workers: 1, coroutines_per_worker: 2, ..config() });
    let mut caller = Caller::of(&server);
    // Two have the places, one waits in the queue.
    (1..=3).for_each(|call_id| caller.call(&request("t.T.Wait", call_id), b""));
    until("two run", || begun.load(SeqCst) == 2);
    for call_id in [3, 1, 2] {
        caller.send(&Header::new(Kind::Cancel, call_id).emit());
    }
    until("both are dropped", || dropped.load(SeqCst) == 2);
    caller.call(&request("t.T.Now", 4), b"");
    assert_eq!(caller.answer().header.call_id, 4, "what was given up is not answered");
    assert_eq!(begun.load(SeqCst), 2, "the one in the queue never ran");
}

#[test]
fn a_connection_has_no_more_open_calls_than_the_limit_and_each_answer_makes_room() {
    let limits = mcrpc_core::wire::Limits { max_open_calls: 2, ..mcrpc_core::wire::Limits::DEFAULT };
    let (server, go_on, begun, _) = waiting(Config { limits, ..config() });
    let mut caller = Caller::of(&server);
    for round in 1..=3 {
        (1..=2).for_each(|call_id| caller.call(&request("t.T.Wait", call_id), b""));
        until("both run", || begun.load(SeqCst) == 2 * round);
        caller.call(&request("t.T.Now", 3), b"");
        let refused = caller.answer();
        assert_eq!((refused.header.call_id, refused.status()), (3, Status::TOO_MANY_OPEN_CALLS));
        (1..=2).for_each(|_| go_on.notify_one());
        go_on.notify_waiters();
        assert_eq!([caller.answer(), caller.answer()].map(|answer| answer.status()), [Status::OK; 2]);
    }
}

#[test]
fn what_callers_say_that_they_withheld_is_demand() {
    let server = echo("127.0.0.1:0", config());
    let mut caller = Caller::of(&server);
    let mut header = request("echo.Echo.Async", 1);
    header.uin = 7;
    let withheld = mcrpc_core::wire::metadata::Withheld { count: 1_000, key: mcrpc_core::admission::Key(1) };
    let mut head = [0; 64];
    let len = Writer::new(&mut head).withheld(withheld).finish(&header, 0).unwrap();
    // Each is one call in a window of 100 ms, so that alone it would be a demand of some ten per second.
    let demand = |page: &str| -> f64 {
        let (_, behind) = page.split_once("async: ").unwrap().1.split_once("demand ").unwrap();
        behind.split_once("/s").unwrap().0.parse().unwrap()
    };
    until("the demand is told", || {
        caller.send(&head[..len]);
        assert_eq!(caller.answer().status(), Status::OK);
        std::thread::sleep(Duration::from_millis(30));
        demand(&support::get(&server, "GET /admission HTTP/1.1\r\n\r\n")) > 1_000.0
    });
}

#[test]
fn a_caller_that_goes_away_ends_its_handlers() {
    let (server, _, begun, dropped) = waiting(config());
    let mut caller = Caller::of(&server);
    (1..=3).for_each(|call_id| caller.call(&request("t.T.Wait", call_id), b""));
    until("they run", || begun.load(SeqCst) == 3);
    // Bytes that nobody reads make the kernel say that the connection is reset.
    caller.call(&request("t.T.Now", 4), b"");
    until("there is an answer", || server.stats("t.T.Now").unwrap().service_time.count() == 1);
    std::thread::sleep(Duration::from_millis(20));
    drop(caller);
    until("all are dropped", || dropped.load(SeqCst) == 3);
    until("the connection is gone", || server.connections() == 0);
}

#[test]
fn a_handler_whose_deadline_comes_while_it_waits_is_dropped_and_the_caller_told() {
    let (server, _, _, dropped) = waiting(config());
    let mut caller = Caller::of(&server);
    let mut header = request("t.T.Wait", 1);
    header.budget_ms = 30;
    caller.call(&header, b"");
    assert_eq!(caller.answer().status(), Status::TIMED_OUT);
    assert_eq!(dropped.load(SeqCst), 1);
}

#[test]
fn what_a_handler_drops_with_its_deadline_sees_its_context_and_may_panic() {
    struct Guard(Arc<Mutex<Vec<Option<u64>>>>, bool);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(Context::current().map(|context| context.uin()));
            if self.1 {
                panic!("a bug");
            }
        }
    }
    let seen = Arc::new(Mutex::new(Vec::new()));
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, coroutines_per_worker: 1, ..config() })
        .method("t.T.Wait", {
            let seen = seen.clone();
            move |_| {
                let seen = seen.clone();
                async move {
                    let _guard = Guard(seen.clone(), true);
                    let elsewhere = Guard(seen, false);
                    Context::new()
                        .scope(async move {
                            let _elsewhere = elsewhere;
                            std::future::pending().await
                        })
                        .await
                }
            }
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    for call_id in 1..=3 {
        let mut header = request("t.T.Wait", call_id);
        (header.uin, header.budget_ms) = (u64::from(call_id), 30);
        caller.call(&header, b"");
        let answer = caller.answer();
        assert_eq!((answer.header.call_id, answer.status()), (call_id, Status::TIMED_OUT));
    }
    assert_eq!(*seen.lock().unwrap(), [0, 1, 0, 2, 0, 3].map(Some));
    assert!(Context::current().is_none());
}

#[test]
fn requests_behind_one_whose_handler_waits_are_run_by_other_threads() {
    let (go_on, waits) = (Arc::new(Notify::new()), Config { coroutines_per_worker: 1, ..config() });
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(waits)
        .method("echo.Echo.Quick", |request: Request| async move { Ok(request.into_payload()) })
        .method("echo.Echo.Wait", {
            let go_on = go_on.clone();
            move |request: Request| {
                let go_on = go_on.clone();
                async move {
                    go_on.notified().await;
                    Ok(request.into_payload())
                }
            }
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    let quick = |call_ids: std::ops::Range<u32>| call_ids.map(|id| frame(&request("echo.Echo.Quick", id), &[]));
    // Handlers are known to be quick, so a thread takes many requests at once.
    for begin in (1..4_000).step_by(100) {
        caller.send(&quick(begin..begin + 100).collect::<Vec<_>>().concat());
        (0..100).for_each(|_| assert_eq!(caller.answer().status(), Status::OK));
    }
    for call_id in [10_000, 20_000, 30_000] {
        let waiting = frame(&request("echo.Echo.Wait", call_id), &[]);
        caller.send(&[waiting].into_iter().chain(quick(call_id + 1..call_id + 60)).collect::<Vec<_>>().concat());
        let mut answered: Vec<u32> = (1..60).map(|_| caller.answer().header.call_id).collect();
        answered.sort_unstable();
        assert!(answered.into_iter().eq(call_id + 1..call_id + 60));
        go_on.notify_one();
        assert_eq!(caller.answer().header.call_id, call_id);
    }
}

#[test]
fn handlers_that_go_on_at_once_are_answered_together() {
    const WAITING: u32 = 16;
    let (go_on, begun) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (wait, go, began) = (go_on.clone(), go_on, begun.clone());
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, coroutines_per_worker: 32, ..config() })
        .method("t.T.Wait", move |request: Request| {
            let (wait, began) = (wait.clone(), began.clone());
            async move {
                began.fetch_add(1, SeqCst);
                wait.notified().await;
                Ok(request.into_payload())
            }
        })
        // As it runs on the same thread, all others are ready before the first of them runs.
        .method("t.T.Go", move |request: Request| {
            go.notify_waiters();
            async move { Ok(request.into_payload()) }
        })
        .start()
        .unwrap();
    let Address::Tcp(address) = &server.addresses()[0] else { panic!("it listens on TCP") };
    let socket = TcpStream::connect(address).unwrap();
    let mut caller = Caller::over(socket.try_clone().unwrap());
    caller.send(&(1..=WAITING).map(|id| frame(&request("t.T.Wait", id), &[])).collect::<Vec<_>>().concat());
    until("all wait", || begun.load(SeqCst) == WAITING as usize);
    caller.call(&request("t.T.Go", WAITING + 1), b"");
    let mut answered: Vec<u32> = (0..=WAITING).map(|_| caller.answer().header.call_id).collect();
    answered.sort_unstable();
    assert!(answered.into_iter().eq(1..=WAITING + 1));
    // A thread that the machine lets wait for a while may write what it holds before the last is ready.
    let segments = segments_received(&socket);
    assert!(segments <= WAITING / 2, "{segments} segments");
}

/// How many segments with data a connection has received.
fn segments_received(socket: &TcpStream) -> u32 {
    // SAFETY: all of it are numbers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes `len` bytes at most, and the structure is that large.
    let failed = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut info).cast(), &raw mut len)
    };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    info.tcpi_data_segs_in
}

#[test]
fn what_is_too_late_for_a_worker_is_never_run() {
    let ran = Arc::new(AtomicUsize::new(0));
    let count = ran.clone();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { blocking_workers: 1, admission: Default::default(), ..config() })
        .blocking_method("t.T.Slow", |_| {
            std::thread::sleep(Duration::from_millis(60));
            Ok(Bytes::new())
        })
        .blocking_method("t.T.Counted", move |_| {
            count.fetch_add(1, SeqCst);
            Ok(Bytes::new())
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    caller.call(&request("t.T.Slow", 1), b"");
    let mut late = request("t.T.Counted", 2);
    late.budget_ms = 20;
    caller.call(&late, b"");
    let mut answers = [caller.answer(), caller.answer()];
    answers.sort_by_key(|answer| answer.header.call_id);
    assert_eq!(answers.map(|answer| answer.status()), [Status::OK, Status::DEADLINE_IN_QUEUE]);
    assert_eq!(ran.load(SeqCst), 0);
}

#[test]
fn the_important_overtake_and_where_there_is_no_room_the_least_important_leave() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let (seen, go) = (order.clone(), Arc::new(Notify::new()));
    let gate = go.clone();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config {
            workers: 1,
            coroutines_per_worker: 1,
            queue_limit: 3,
            admission: admission::Config { mode: admission::Mode::Off, ..Default::default() },
            ..config()
        })
        .method("t.T.Ordered", move |request: Request| {
            let (seen, gate) = (seen.clone(), gate.clone());
            async move {
                seen.lock().unwrap().push(request.context().priority());
                if request.context().priority() == 0 {
                    gate.notified().await;
                }
                Ok(Bytes::new())
            }
        })
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    let of_priority = |priority: u8| {
        let mut header = request("t.T.Ordered", priority.into());
        header.priority = priority;
        header
    };
    caller.call(&of_priority(0), b"");
    until("the first one runs", || order.lock().unwrap().len() == 1);
    for priority in [9, 5, 7, 3, 63] {
        caller.call(&of_priority(priority), b"");
    }
    // Room for three: those of 63 and of 9 have to go.
    let refused = [caller.answer(), caller.answer()].map(|answer| (answer.header.priority, answer.status()));
    assert_eq!(refused, [(9, Status::QUEUE_FULL), (63, Status::QUEUE_FULL)]);
    go.notify_one();
    (0..4).for_each(|_| assert_eq!(caller.answer().status(), Status::OK));
    assert_eq!(*order.lock().unwrap(), [0, 3, 5, 7]);
}

#[test]
fn a_handler_knows_its_context_and_so_does_what_it_spawns() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Who", |_| async {
            let here = Context::current().expect("there is one").uin();
            let inherited =
                Context::current().unwrap().scope(async { Context::current().map(|context| context.uin()) });
            let (wrapped, bare) = tokio::join!(
                tokio::task::spawn_local(inherited),
                tokio::task::spawn_local(async { Context::current().map(|context| context.uin()) })
            );
            Ok(Bytes::from(format!("{here} {:?} {:?}", wrapped.unwrap(), bare.unwrap())))
        })
        .blocking_method("t.T.WhoBlocks", |_| Ok(Bytes::from(Context::current().unwrap().uin().to_string())))
        .start()
        .unwrap();
    let mut caller = Caller::of(&server);
    for (method, answer) in [("t.T.Who", "5 Some(5) None"), ("t.T.WhoBlocks", "5")] {
        let mut header = request(method, 1);
        header.uin = 5;
        caller.call(&header, b"");
        assert_eq!(caller.answer().payload, answer.as_bytes());
    }
    assert!(Context::current().is_none());
}

#[test]
fn a_server_that_drains_answers_what_it_has_taken_refuses_the_rest_and_says_so() {
    let (server, go_on, begun, _) = waiting(config());
    let mut caller = Caller::of(&server);
    caller.call(&request("t.T.Wait", 1), b"");
    until("it runs", || begun.load(SeqCst) == 1);
    let ending = std::thread::spawn(move || server.drain());
    assert_eq!(caller.answer().header.kind, Kind::GoAway);
    caller.call(&request("t.T.Now", 2), b"");
    let refused = caller.answer();
    assert_eq!((refused.header.call_id, refused.status()), (2, Status::GOING_AWAY));
    go_on.notify_one();
    let answer = caller.answer();
    assert_eq!((answer.header.call_id, answer.payload.as_slice()), (1, &b"waited"[..]));
    assert_eq!(caller.next(), None);
    ending.join().unwrap();
}

#[test]
fn a_caller_that_ends_its_side_still_gets_its_answers() {
    let server = echo("127.0.0.1:0", config());
    let mut caller = Caller::of(&server);
    (0..200).for_each(|call_id| caller.call(&request(WAYS[call_id as usize % 4], call_id), &[7; 100]));
    caller.socket.end_writing();
    let answered = std::iter::from_fn(|| caller.next()).filter(|answer| answer.status() == Status::OK).count();
    assert_eq!(answered, 200);
}

#[test]
fn a_caller_that_does_not_read_is_not_read_from_and_in_the_end_hung_up_on() {
    let stall_timeout = Duration::from_millis(500);
    let server = echo("127.0.0.1:0", Config { max_unsent: 1 << 20, stall_timeout, ..config() });
    let mut slow = Caller::of(&server);
    let call = frame(&request("echo.Echo.Inline", 1), &vec![0; 100_000]);
    let sent = (0..2_000).take_while(|_| slow.socket.write_all(&call).is_ok()).count();
    assert!(sent < 2_000, "the server took 200 MB of calls without an answer being read");
    until("it is hung up on", || server.connections() == 0);
    let mut other = Caller::of(&server);
    other.call(&request("echo.Echo.Async", 1), b"well");
    assert_eq!(other.answer().payload, b"well");
}

#[test]
fn settings_and_methods_that_make_no_sense_are_refused_with_what_to_do() {
    let handler = |_: Request| async { Ok(Bytes::new()) };
    let cases: [(_, &str); 5] = [
        (Server::builder().method("a.A.A", handler), "no address to listen on: call listen()"),
        (Server::builder().listen("localhost:1"), "\"localhost:1\" is no address: write 127.0.0.1:8000"),
        (
            Server::builder().listen("127.0.0.1:0").config(Config { workers: 0, ..config() }),
            "workers is 0: it has to be 1 at least",
        ),
        (
            Server::builder().listen("127.0.0.1:0").method("a.A.A", handler).method("a.A.A", handler),
            "the methods a.A.A and a.A.A have the same id",
        ),
        (
            Server::builder().listen("127.0.0.1:0").blocking_method("a.A.A", |_| Ok(Bytes::new())),
            "blocking_workers is 0, but a.A.A may block",
        ),
    ];
    for (builder, wanted) in cases {
        let error = builder.start().err().expect("it does not start").to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let first = echo("127.0.0.1:0", config());
    let taken = first.addresses()[0].to_string();
    let error = Server::builder().listen(&taken).start().err().expect("the port is taken").to_string();
    assert!(error.contains(&format!("cannot listen on {taken}: ")), "{error}");
}

#[test]
fn in_one_process_all_hooks_run_once_on_each_of_their_threads_and_in_their_order() {
    let ran = Arc::new(Mutex::new(Vec::new()));
    let hook = |name: &'static str| {
        let ran = ran.clone();
        move |place: Place| ran.lock().unwrap().push((name, place.process, place.thread))
    };
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { io_threads: 2, workers: 2, blocking_workers: 1, ..config() })
        .method("t.T.Now", |_| async { Ok(Bytes::new()) })
        .before_master_run(hook("before_master_run"))
        .before_child_run(hook("before_child_run"))
        .before_epoll_io_run(hook("before_epoll_io_run"))
        .before_routine_run(hook("before_routine_run"))
        .after_child_run(hook("after_child_run"))
        .after_server_process_run(hook("after_server_process_run"))
        .start()
        .unwrap();
    assert_eq!(server.role(), Role::Whole);
    server.drain();
    let mut ran = std::mem::take(&mut *ran.lock().unwrap());
    let on_threads = 2..ran.len() - 2;
    ran[on_threads].sort_unstable();
    assert_eq!(
        ran,
        [
            ("before_master_run", 0, 0),
            ("before_child_run", 0, 0),
            ("before_epoll_io_run", 0, 0),
            ("before_epoll_io_run", 0, 1),
            ("before_routine_run", 0, 0),
            ("before_routine_run", 0, 1),
            ("before_routine_run", 0, 2),
            ("after_child_run", 0, 0),
            ("after_server_process_run", 0, 0),
        ]
    );
}
