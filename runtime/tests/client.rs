//! A client, against servers that work and servers that do not.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Client, Context, Failure, Request, Server, Status};
use mcrpc_core::admission::{self, Cursor};
use mcrpc_core::status::Class;
use mcrpc_core::wire::{Flags, HEADER_LEN, Header, Kind, Limits};
use tokio::sync::Notify;

const ECHO: &str = "echo.Echo.Say";

fn config() -> Config {
    // Nothing is refused because the machine is slow.
    let admission = admission::Config { mode: admission::Mode::Observe, ..admission::Config::DEFAULT };
    Config { workers: 1, blocking_workers: 1, admission, ..Config::default() }
}

/// A server that answers with its name and what it was sent, and counts what it is asked.
fn named(name: &'static str) -> (Server, Arc<AtomicUsize>) {
    named_at("127.0.0.1:0", name)
}

fn named_at(address: &str, name: &'static str) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::builder()
        .listen(address)
        .config(config())
        .method(ECHO, move |request: Request| {
            count.fetch_add(1, SeqCst);
            async move { Ok(Bytes::from([name.as_bytes(), request.payload()].concat())) }
        })
        .start()
        .unwrap();
    (server, asked)
}

/// A server of one method that always fails.
fn failing(status: Status) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method(ECHO, move |_| {
            count.fetch_add(1, SeqCst);
            async move { Err::<Bytes, _>(Failure::of_system(status).with_text("as told")) }
        })
        .start()
        .unwrap();
    (server, asked)
}

fn address(server: &Server) -> String {
    server.addresses()[0].to_string()
}

fn client(servers: impl IntoIterator<Item = String>) -> Client {
    Client::builder("test").service("Echo", servers).default_timeout(support::PATIENCE).build().unwrap()
}

#[test]
fn a_call_is_made_synchronously_joined_or_awaited() {
    let (server, _) = named("a");
    let client = client([address(&server)]);
    assert_eq!(client.call("Echo", ECHO, "1").wait().unwrap(), "a1");
    let started: Vec<_> = (0..10).map(|n| client.call("Echo", ECHO, n.to_string()).start()).collect();
    for (n, started) in started.into_iter().enumerate() {
        assert_eq!(started.join().unwrap(), format!("a{n}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for client in [
        client.clone(),
        Client::builder("here")
            .service("Echo", [address(&server)])
            .on_runtime(runtime.handle().clone())
            .build()
            .unwrap(),
    ] {
        runtime.block_on(async {
            assert_eq!(client.call("Echo", ECHO, "2").await.unwrap(), "a2");
            let calls: Vec<_> = (0..200).map(|n| client.call("Echo", ECHO, vec![b'x'; n * 50]).into_future()).collect();
            for (n, call) in calls.into_iter().map(tokio::spawn).collect::<Vec<_>>().into_iter().enumerate() {
                assert_eq!(call.await.unwrap().unwrap().len(), 1 + n * 50);
            }
        });
    }
}

#[test]
fn a_large_reply_and_a_large_request_arrive_whole() {
    let (server, _) = named("a");
    let client = client([address(&server)]);
    for len in [100_000, 5_000_000] {
        let payload: Vec<u8> = (0..len).map(|n| (n / 7) as u8).collect();
        let reply = client.call("Echo", ECHO, payload.clone()).wait().unwrap();
        assert!(reply[1..] == payload);
    }
}

#[test]
fn what_is_wrong_is_told_by_name() {
    let (server, _) = named("a");
    let client = client([address(&server)]);
    let failure = client.call("Ecco", ECHO, "").wait().unwrap_err();
    assert_eq!(failure.status(), Status::NO_SERVICE);
    assert!(failure.to_string().contains("this client knows no service \"Ecco\""), "{failure}");
    assert_eq!(client.call("Echo", "echo.Echo.Sing", "").wait().unwrap_err().status(), Status::NO_METHOD);
    client.set_servers("Empty", [] as [&str; 0]).unwrap();
    let failure = client.call("Empty", ECHO, "").wait().unwrap_err();
    assert_eq!(failure.status(), Status::NO_ENDPOINT);
    assert!(Client::builder("has spaces").build().is_err_and(|error| error.to_string().contains("\"has spaces\"")));
    let twice = client.set_servers("Echo", ["127.0.0.1:1", "127.0.0.1:1"]).unwrap_err();
    assert!(twice.to_string().contains("the servers of Echo cannot be used"), "{twice}");
    assert_eq!(client.call("Echo", ECHO, "still").wait().unwrap(), "astill");
}

#[test]
fn a_dead_server_costs_no_call() {
    let (server, _) = named("a");
    let (other, _) = named("a");
    let nobody = support::Reserved::new();
    let client = client([nobody.address(), address(&server), address(&other)]);
    for uin in 1..=500 {
        assert_eq!(client.call("Echo", ECHO, "").uin(uin).wait().unwrap(), "a", "user {uin}");
    }
}

#[test]
fn a_refusal_is_tried_elsewhere_and_a_failure_of_the_service_is_not() {
    let (well, _) = named("a");
    for (status, is_idempotent, is_tried_again) in [
        (Status::QUEUE_FULL, false, true),
        (Status::BELOW_CURSOR, false, true),
        (Status::GOING_AWAY, false, true),
        (Status::WORKER_LOST, false, false),
        (Status::WORKER_LOST, true, true),
        (Status(42), true, false),
        (Status::DEADLINE_ON_ARRIVAL, true, false),
    ] {
        let (bad, asked) = failing(status);
        let client = client([address(&well), address(&bad)]);
        // One of these users belongs to the bad one.
        let uin = (1..).find(|&uin| {
            let _ = client.call("Echo", ECHO, "").uin(uin).idempotent(is_idempotent).wait();
            asked.load(SeqCst) > 0
        });
        let uin = uin.unwrap();
        let ended = client.call("Echo", ECHO, "").uin(uin).idempotent(is_idempotent).wait();
        assert_eq!(ended.is_ok(), is_tried_again, "{status}: {ended:?}");
        if let Err(failure) = ended {
            assert_eq!((failure.status(), failure.text()), (status, "as told"));
        }
    }
}

#[test]
fn a_users_calls_go_to_one_server_and_a_new_list_takes_force_at_once() {
    let servers = [named("a"), named("b"), named("c")];
    let client = client(servers.iter().map(|(server, _)| address(server)));
    let homes: Vec<Bytes> = (1..=50).map(|uin| client.call("Echo", ECHO, "").uin(uin).wait().unwrap()).collect();
    for (uin, home) in (1..).zip(&homes) {
        assert_eq!(client.call("Echo", ECHO, "").uin(uin).wait().unwrap(), *home);
    }
    assert!(["a", "b", "c"].iter().all(|name| homes.iter().any(|home| home == name)), "{homes:?}");
    client.set_servers("Echo", [address(&servers[1].0)]).unwrap();
    assert!((1..=50).all(|uin| client.call("Echo", ECHO, "").uin(uin).wait().unwrap() == "b"));
}

#[test]
fn a_call_ends_at_its_deadline_and_so_does_its_handler() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Never", |_| std::future::pending())
        .method("t.T.Left", |_| async {
            let left = Context::current().unwrap().remaining().unwrap();
            Ok(Bytes::from(left.as_millis().to_string()))
        })
        .start()
        .unwrap();
    let client = client([address(&server)]);
    let began = Instant::now();
    let failure = client.call("Echo", "t.T.Never", "").timeout(Duration::from_millis(50)).wait().unwrap_err();
    assert!(failure.status() == Status::TIMED_OUT || failure.status().class() == Class::Deadline, "{failure}");
    assert!(began.elapsed() >= Duration::from_millis(45) && began.elapsed() < support::PATIENCE / 2);
    // A deadline only ever comes nearer: what the context has left is what the call has.
    let context = Context::new().with_timeout(Duration::from_secs(2));
    let left = client.call("Echo", "t.T.Left", "").context(context).timeout(Duration::from_secs(900)).wait().unwrap();
    let left: u64 = std::str::from_utf8(&left).unwrap().parse().unwrap();
    assert!((1..=2_000).contains(&left), "{left} ms");
    let spent = Context::new().with_timeout(Duration::ZERO);
    assert_eq!(client.call("Echo", ECHO, "").context(spent).wait().unwrap_err().status().class(), Class::Deadline);
}

#[test]
fn a_call_that_a_handler_makes_is_its_callers() {
    let (back, front_client) = (
        Server::builder()
            .listen("127.0.0.1:0")
            .config(config())
            .method("t.Back.Who", |_| async {
                let context = Context::current().unwrap();
                let left = context.remaining().is_some_and(|left| left < Duration::from_secs(3));
                Ok(Bytes::from(format!("{} {} {} {left}", context.uin(), context.business_id(), context.priority())))
            })
            .start()
            .unwrap(),
        Client::builder("front").default_timeout(Duration::from_secs(60)).build().unwrap(),
    );
    front_client.set_servers("Back", [address(&back)]).unwrap();
    let blocking_client = front_client.clone();
    let front = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.Front.Ask", move |_| {
            let client = front_client.clone();
            async move { client.call("Back", "t.Back.Who", "").await }
        })
        .blocking_method("t.Front.AskAndWait", move |_| blocking_client.call("Back", "t.Back.Who", "").wait())
        .start()
        .unwrap();
    let client = client([address(&front)]);
    for method in ["t.Front.Ask", "t.Front.AskAndWait"] {
        let call = client.call("Echo", method, "").uin(7).business_id(138).priority(3).timeout(Duration::from_secs(3));
        assert_eq!(call.wait().unwrap(), "7 138 3 true", "{method}");
    }
}

#[test]
fn a_second_call_to_a_service_for_the_same_request_says_that_it_continues_a_task() {
    let flags = Arc::new(Mutex::new(Vec::new()));
    let back = |name: &'static str| {
        let flags = flags.clone();
        support::recording(move |header| {
            flags.lock().unwrap().push((name, header.flags.contains(Flags::CONTINUES_TASK)))
        })
    };
    let onward = Client::builder("front").service("A", [back("a")]).service("B", [back("b")]);
    let onward = onward.default_timeout(support::PATIENCE).build().unwrap();
    let front = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.Front.Ask", move |_| {
            let client = onward.clone();
            async move {
                for service in ["A", "B", "A", "B"] {
                    // What a call says of itself makes it no other task.
                    client.call(service, "t.Back.Do", "").uin(8).await?;
                }
                Ok(Bytes::new())
            }
        })
        .start()
        .unwrap();
    let client = client([address(&front)]);
    for _ in 0..2 {
        client.call("Echo", "t.Front.Ask", "").wait().unwrap();
        let told = std::mem::take(&mut *flags.lock().unwrap());
        assert_eq!(told, [("a", false), ("b", false), ("a", true), ("b", true)]);
    }
}

#[test]
fn a_client_has_as_many_connections_to_a_server_as_it_was_told_and_a_thread_keeps_to_one() {
    for (connections, expected) in [(0, 1), (1, 1), (3, 3)] {
        let (server, _) = named("a");
        let client = Client::builder("test")
            .service("Echo", [address(&server)])
            .default_timeout(support::PATIENCE)
            .connections_per_endpoint(connections)
            .build()
            .unwrap();
        // Threads that exist at the same time have numbers that follow each other, but for those of other tests.
        for _ in 0..60 {
            let client = client.clone();
            std::thread::spawn(move || {
                for _ in 0..2 {
                    assert_eq!(client.call("Echo", ECHO, "1").wait().unwrap(), "a1");
                }
            })
            .join()
            .unwrap();
            if server.connections() == expected {
                break;
            }
        }
        assert_eq!(server.connections(), expected);
    }
}

#[test]
fn a_cookie_of_any_length_goes_on_to_the_calls_that_are_made_for_its_request() {
    let back = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.Back.Cookie", |_| async { Ok(Bytes::copy_from_slice(Context::current().unwrap().cookie())) })
        .start()
        .unwrap();
    let onward = client([address(&back)]);
    let front = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.Front.Ask", move |_| {
            let client = onward.clone();
            async move { client.call("Echo", "t.Back.Cookie", "").await }
        })
        .start()
        .unwrap();
    let mut caller = support::Caller::of(&front);
    for len in [1, 100, 200, 5_000] {
        let (cookie, mut head) = (vec![7; len], vec![0; 8_192]);
        let mut writer = mcrpc_core::wire::Writer::new(&mut head);
        let len = writer.cookie(&cookie).finish(&support::request("t.Front.Ask", 1), 0).unwrap();
        caller.send(&head[..len]);
        assert_eq!(caller.answer().payload, cookie);
    }
}

#[test]
fn a_server_knows_who_calls() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Who", |request: Request| async move { Ok(Bytes::from(request.caller().to_string())) })
        .start()
        .unwrap();
    for name in ["mmproxy", "crawl"] {
        let client = Client::builder(name).service("Echo", [address(&server)]).build().unwrap();
        assert_eq!(client.call("Echo", "t.T.Who", "").wait().unwrap(), name);
    }
}

#[test]
fn a_slow_server_is_hedged_against() {
    let (fast, _) = named("fast");
    let slow = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method(ECHO, |_| async {
            tokio::time::sleep(support::PATIENCE).await;
            Ok(Bytes::from_static(b"slow"))
        })
        .start()
        .unwrap();
    let client = client([address(&fast), address(&slow)]);
    // The budget of backup requests is five at first.
    for uin in 1..=5 {
        let call = client.call("Echo", ECHO, "").uin(uin).backup_after(Duration::from_millis(20));
        assert_eq!(call.wait().unwrap(), "fast", "user {uin}");
    }
}

#[test]
fn a_server_that_restarts_is_found_again_and_one_that_drains_fails_nobody() {
    let home = support::Reserved::new();
    let (first, _) = named_at(&home.address(), "first");
    let (other, _) = named("other");
    let client = client([home.address(), address(&other)]);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..4u64)
        .map(|caller| {
            let (client, stop) = (client.clone(), stop.clone());
            std::thread::spawn(move || {
                let mut uin = caller * 1_000_000;
                while !stop.load(SeqCst) {
                    uin += 1;
                    client
                        .call("Echo", ECHO, "")
                        .uin(uin)
                        .wait()
                        .unwrap_or_else(|failure| panic!("user {uin}: {failure}"));
                }
            })
        })
        .collect();
    std::thread::sleep(Duration::from_millis(100));
    first.drain();
    std::thread::sleep(Duration::from_millis(100));
    let (again, _) = named_at(&home.address(), "again");
    let deadline = Instant::now() + support::PATIENCE;
    while (1..20).all(|uin| client.call("Echo", ECHO, "").uin(uin).wait().unwrap() != "again") {
        assert!(Instant::now() < deadline, "the restarted server is not called again");
    }
    stop.store(true, SeqCst);
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    drop(again);
}

#[test]
fn a_caller_that_is_sent_away_hangs_up_when_its_last_call_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = client([listener.local_addr().unwrap().to_string()]);
    let calls = [1, 2].map(|uin| client.call("Echo", ECHO, "").uin(uin).start());
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let mut headers = Vec::new();
    while headers.iter().filter(|header: &&Header| header.kind == Kind::Request).count() < calls.len() {
        let mut head = [0; HEADER_LEN];
        socket.read_exact(&mut head).unwrap();
        let header = Header::parse(&head, &Limits::DEFAULT).unwrap();
        socket.read_exact(&mut vec![0; header.body_len as usize]).unwrap();
        headers.push(header);
    }
    socket.write_all(&Header::new(Kind::GoAway, 0).emit()).unwrap();
    for request in headers.iter().filter(|header| header.kind == Kind::Request) {
        let answer = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, request.call_id) };
        socket.write_all(&answer.emit()).unwrap();
    }
    calls.into_iter().for_each(|call| assert_eq!(call.join().unwrap(), ""));
    assert_eq!(socket.read(&mut [0]).unwrap(), 0, "the caller has hung up");
    assert_eq!(client.call("Echo", ECHO, "").wait().unwrap_err().status(), Status::GOING_AWAY);
}

#[test]
fn a_call_that_is_dropped_is_cancelled_at_the_server() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let (drops, begun) = (dropped.clone(), Arc::new(Notify::new()));
    let begins = begun.clone();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(config())
        .method("t.T.Never", move |_| {
            let (guard, begins) = (Dropped(drops.clone()), begins.clone());
            async move {
                let _guard = guard;
                begins.notify_one();
                std::future::pending().await
            }
        })
        .start()
        .unwrap();
    let client = client([address(&server)]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            _ = client.call("Echo", "t.T.Never", "").into_future() => unreachable!("it never ends"),
            () = begun.notified() => {}
        }
    });
    let deadline = Instant::now() + support::PATIENCE;
    while dropped.load(SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the handler goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
}
