//! What methods and callers may take of a server, as its callers see it.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::{CallerLimits, Config, MethodLimits};
use mcrpc::{Server, Status};
use mcrpc_core::wire::{Header, Kind, Writer};
use support::{Caller, PATIENCE, request};
use tokio::sync::Semaphore;

fn config() -> Config {
    Config { workers: 1, blocking_workers: 4, ..Config::default() }
}

fn limits<L>(named: impl IntoIterator<Item = (&'static str, L)>) -> BTreeMap<String, L> {
    named.into_iter().map(|(name, limits)| (name.to_owned(), limits)).collect()
}

#[test]
fn a_method_runs_as_often_at_a_time_as_its_limit_allows_and_others_are_not_held_up() {
    let limited = MethodLimits { max_concurrency: 2 };
    let methods = limits([("t.T.Async", limited), ("t.T.Blocking", limited)]);
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (go, began) = (gate.clone(), begun.clone());
    let (blocking_go, blocking_began) = (gate.clone(), begun.clone());
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { methods, ..config() })
        .method("t.T.Async", move |_| {
            let (go, began) = (go.clone(), began.clone());
            async move {
                began.fetch_add(1, SeqCst);
                go.acquire().await.unwrap().forget();
                Ok(Bytes::new())
            }
        })
        .blocking_method("t.T.Blocking", move |_| {
            blocking_began.fetch_add(1, SeqCst);
            while blocking_go.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_err() {
                std::thread::yield_now();
            }
            Ok(Bytes::new())
        })
        .method("t.T.Other", |_| async { Ok(Bytes::new()) })
        .start()
        .unwrap();
    for method in ["t.T.Async", "t.T.Blocking"] {
        let mut caller = Caller::of(&server);
        let before = begun.load(SeqCst);
        (1..=2).for_each(|call_id| caller.call(&request(method, call_id), b""));
        let began = Instant::now();
        while begun.load(SeqCst) < before + 2 {
            assert!(began.elapsed() < PATIENCE, "two run");
            std::thread::sleep(Duration::from_millis(1));
        }
        for (name, wanted) in [(method, Status::TOO_MANY_OPEN_CALLS), ("t.T.Other", Status::OK)] {
            caller.call(&request(name, 3), b"");
            assert_eq!(caller.answer().status(), wanted, "{name} while two of {method} run");
        }
        // Who has an answer may send the next one at once.
        for call_id in 4..20 {
            gate.add_permits(1);
            assert_eq!(caller.answer().status(), Status::OK);
            caller.call(&request(method, call_id), b"");
        }
        gate.add_permits(2);
        (0..2).for_each(|_| assert_eq!(caller.answer().status(), Status::OK));
    }
}

#[test]
fn a_caller_gets_what_its_own_limit_or_that_of_all_others_allows() {
    let of = |requests_per_second, burst| CallerLimits { requests_per_second, burst };
    let callers = limits([("greedy", of(1, 3)), ("trusted", of(0, 0))]);
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { callers, other_callers: of(1, 5), ..config() })
        .inline_method("t.T.Now", |_, _| Ok(()))
        .start()
        .unwrap();
    for (by_hello, by_tag, allowed) in [
        ("greedy", "", 3),
        ("trusted", "", 20),
        ("somebody", "", 5),
        ("somebody else", "", 5),
        // It does not matter who the connection belongs to.
        ("trusted", "another one", 5),
        ("", "", 5),
    ] {
        let mut caller = Caller::of(&server);
        let mut head = [0; 256];
        if !by_hello.is_empty() {
            let mut writer = Writer::new(&mut head);
            writer.caller(&by_hello.replace(' ', "-"));
            let len = writer.finish(&Header::new(Kind::Hello, 0), 0).unwrap();
            caller.send(&head[..len]);
        }
        for call_id in 0..20 {
            let mut writer = Writer::new(&mut head);
            if !by_tag.is_empty() {
                writer.caller(&by_tag.replace(' ', "-"));
            }
            let len = writer.finish(&request("t.T.Now", call_id), 0).unwrap();
            caller.send(&head[..len]);
        }
        let answers: Vec<_> = (0..20).map(|_| caller.answer()).collect();
        let count = |status| answers.iter().filter(|answer| answer.status() == status).count();
        // A second may pass meanwhile on a machine that has other things to do.
        assert!((allowed..=allowed + 1).contains(&count(Status::OK)), "{by_hello} {by_tag}: {}", count(Status::OK));
        assert_eq!(count(Status::OK) + count(Status::QUEUE_FULL), 20);
        let refused = answers.iter().find(|answer| answer.status() == Status::QUEUE_FULL);
        assert!(refused.is_none_or(|answer| answer.text.contains("more requests per second")), "{refused:?}");
    }
}

#[test]
fn limits_of_a_method_that_there_is_not_are_refused_with_those_there_are() {
    let methods = limits([("t.T.Nwo", MethodLimits { max_concurrency: 1 })]);
    let server = Server::builder().listen("127.0.0.1:0").config(Config { methods, ..config() });
    let error = server.inline_method("t.T.Now", |_, _| Ok(())).start().err().unwrap().to_string();
    assert_eq!(error, "methods.\"t.T.Nwo\": the server has no such method, but t.T.Now");
}
