//! Clients and servers of one host: what one finds out, what its operator says, and services that are found by files.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Client, Failure, Host, Server, Status};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::control::{Author, Mechanism, Operator, Setting, Target};
use mcrpc_core::host::files::Segment;
use mcrpc_core::id::Per10k;
use mcrpc_core::select::settings::{self, BudgetSettings};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::wire::header::method_id;

const ECHO: &str = "echo.Echo.Say";

/// A host with its agent's files.
fn host(dir: &Path) -> Publisher {
    Publisher::open(&dir.join("host"), Settings { capacity: 1_000, seats: 4, counters: 64, ..Settings::DEFAULT })
        .unwrap()
        .0
}

fn operate<R>(dir: &Path, say: impl FnOnce(&Operator<'_>) -> R) -> R {
    let mapping = Directory::open(&dir.join("host"), None).unwrap().map_writable(Segment::Control).unwrap();
    let operator = Operator::attach(mapping.shared(), mapping.len()).unwrap();
    say(&operator)
}

/// A server that answers with its name, or fails, and counts what it is asked.
fn server(reply: Result<&'static str, Status>) -> (Server, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method(ECHO, move |_| {
            count.fetch_add(1, SeqCst);
            async move { reply.map(|text| Bytes::from_static(text.as_bytes())).map_err(Failure::of_system) }
        })
        .start()
        .unwrap();
    (server, asked)
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < support::PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_one_process_finds_out_about_a_server_all_processes_of_the_host_know() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let (bad, asked) = server(Err(Status::TIMED_OUT));
    let (good, _) = server(Ok("good"));
    let addresses = [bad.addresses()[0].to_string(), good.addresses()[0].to_string()];
    // Each has mapped the files itself, as two processes would.
    let process = || {
        let host = Arc::new(Host::new(dir.path().join("host")));
        let plenty = BudgetSettings { ratio: Per10k::ALL, burst: 1_000 };
        let settings = settings::Settings { retries: plenty, ..settings::Settings::DEFAULT };
        Client::builder("test").settings(settings).host(host).service("Echo", addresses.clone()).build().unwrap()
    };
    let (first, second) = (process(), process());
    for uin in 1..=200 {
        first.call("Echo", ECHO, "").uin(uin).idempotent(true).wait().unwrap();
    }
    let found_out = asked.load(SeqCst);
    assert!(found_out < 60, "the failing server was shielded: it was asked {found_out} times");
    let failed = (1..=200).filter(|&uin| second.call("Echo", ECHO, "").uin(uin).wait().is_err()).count();
    // Probes may find out whether it works again.
    assert!(failed <= 3, "the other process knew: {failed} of its calls failed");
}

#[test]
fn what_the_operator_says_takes_force_in_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let (only, _) = server(Ok("here"));
    let host = Arc::new(Host::new(dir.path().join("host")));
    let address = only.addresses()[0].to_string();
    let client = Client::builder("test").host(host).service("Echo", [address.clone()]).build().unwrap();
    let ended = || client.call("Echo", ECHO, "").uin(7).wait().map_err(|failure| failure.status());
    assert_eq!(ended().unwrap(), "here");
    let (author, now) = (Author { uid: 0, at_s: 0 }, mcrpc::clock::now());
    let target = Target { service_id: method_id(b"Echo"), method_id: 0 };
    operate(dir.path(), |operator| operator.skip(target, Per10k::ALL, now, author)).unwrap();
    assert_eq!(ended(), Err(Status::SKIPPED), "a skip is seen by the next call");
    operate(dir.path(), |operator| operator.skip(target, Per10k::NONE, now, author)).unwrap();
    assert_eq!(ended().unwrap(), "here");
    let endpoint = Endpoint::new(address.parse().unwrap(), method_id(b"Echo"));
    operate(dir.path(), |operator| operator.shield(&endpoint, None, now, author)).unwrap();
    assert_eq!(ended(), Err(Status::SHIELDED));
    operate(dir.path(), |operator| operator.set_killed(true, author));
    assert_eq!(ended().unwrap(), "here", "the kill switch ends all mechanisms");
}

#[test]
fn a_server_follows_the_operators_word_on_admission() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let host = Arc::new(Host::new(dir.path().join("host")));
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .host(host)
        .method(ECHO, |_| async { Ok(Bytes::new()) })
        .start()
        .unwrap();
    let page = || support::get(&server, "GET /admission HTTP/1.1\r\n\r\n");
    assert!(page().contains("async: enforce"));
    let (author, off) =
        (Author { uid: 0, at_s: 0 }, Setting { mode: mcrpc_core::admission::Mode::Off, share: Per10k::ALL });
    operate(dir.path(), |operator| operator.set_mechanism(Mechanism::Admission, Some(off), author));
    until("admission is off", || page().contains("async: off"));
    operate(dir.path(), |operator| operator.set_mechanism(Mechanism::Admission, None, author));
    until("its own mode is back", || page().contains("async: enforce"));
}

#[test]
fn a_host_that_comes_later_is_used_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let (only, _) = server(Ok("here"));
    let host_of_client = Arc::new(Host::new(dir.path().join("host")));
    let address = only.addresses()[0].to_string();
    let client = Client::builder("test").host(host_of_client).service("Echo", [address]).build().unwrap();
    assert_eq!(client.call("Echo", ECHO, "").uin(7).wait().unwrap(), "here");
    let _agent = host(dir.path());
    let (author, now) = (Author { uid: 0, at_s: 0 }, mcrpc::clock::now());
    let target = Target { service_id: method_id(b"Echo"), method_id: 0 };
    operate(dir.path(), |operator| operator.skip(target, Per10k::ALL, now, author)).unwrap();
    until("the skip is seen", || {
        client.call("Echo", ECHO, "").uin(7).wait().is_err_and(|failure| failure.status() == Status::SKIPPED)
    });
}

#[test]
fn a_service_is_found_by_its_files_and_a_change_takes_force_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let ((first, _), (second, _)) = (server(Ok("first")), server(Ok("second")));
    let write = |at: &Server| {
        let mcrpc::Address::Tcp(address) = at.addresses()[0] else { unreachable!("it listens on TCP") };
        let route = format!(
            "[Service]\nId = 7\nName = VOA.Crawl\n[Server]\nServerCount = 1\n[Server0]\nIP = {}\nPort = {}\n",
            address.ip(),
            address.port()
        );
        for (kind, text) in
            [("client/sz/VOA.Crawl_cli.conf", "[Timeouts]\nCallMs = 5000\n"), ("route/sz/VOA.Crawl_route.conf", &route)]
        {
            let path = dir.path().join(kind);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let new = path.with_extension("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, path).unwrap();
        }
    };
    write(&first);
    let client = Client::builder("test").routes(dir.path(), "sz").build().unwrap();
    assert_eq!(client.call("VOA.Crawl", ECHO, "").wait().unwrap(), "first");
    write(&second);
    until("the new route is in force", || client.call("VOA.Crawl", ECHO, "").wait().unwrap() == "second");
    std::fs::write(dir.path().join("route/sz/VOA.Crawl_route.conf"), "nonsense").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(client.call("VOA.Crawl", ECHO, "").wait().unwrap(), "second", "a bad file changes nothing");
    let failure = client.call("VOA.Nobody", ECHO, "").wait().unwrap_err();
    assert_eq!(failure.status(), Status::NO_SERVICE);
    assert!(failure.text().contains("VOA.Nobody_cli.conf"), "{failure}");
}

/// Given an agent that has died, when the kill switch is turned, then servers let everything pass within 100 ms. The machine may
/// be busy with something else at any moment, so the best of ten counts.
#[test]
fn the_kill_switch_reaches_admission_within_a_tenth_of_a_second_without_an_agent() {
    let dir = tempfile::tempdir().unwrap();
    // Dropped as it is, a publisher leaves everything as a crash would.
    drop(host(dir.path()));
    let host = Arc::new(Host::new(dir.path().join("host")));
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .host(host)
        .method(ECHO, |_| async { Ok(Bytes::new()) })
        .start()
        .unwrap();
    let is = |mode: &str| support::get(&server, "GET /admission HTTP/1.1\r\n\r\n").contains(mode);
    let author = Author { uid: 0, at_s: 0 };
    let took = (0..10).map(|_| {
        operate(dir.path(), |operator| operator.set_killed(true, author));
        let began = Instant::now();
        until("admission is off", || is("async: off"));
        let took = began.elapsed();
        operate(dir.path(), |operator| operator.set_killed(false, author));
        until("its own mode is back", || is("async: enforce"));
        took
    });
    assert!(took.min().unwrap() <= Duration::from_millis(100));
}
