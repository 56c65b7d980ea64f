//! Clients and servers of one host: what one finds out, what its operator says, and services that are found by files.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Client, Failure, Host, Server, Status};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::names::{self, ServiceList};
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::calls::{self, BOUNDS_NS, Calls, Counted};
use mcrpc_core::host::control::{Author, Mechanism, Operator, Setting, Target};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Counters;
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

#[test]
fn a_process_has_a_seat_by_which_tools_know_it_until_it_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let mapping = Directory::open(&dir.path().join("host"), None).unwrap().map(Segment::Stat).unwrap();
    let counters = Counters::attach(mapping.view(), mapping.len()).unwrap();
    let occupants = || (1..=counters.seat_count()).filter_map(|seat| counters.occupant(seat)).collect::<Vec<_>>();
    let (server, _) = server(Ok("good"));
    let address = server.addresses()[0].to_string();
    // Each has opened the files itself, as a process would; the last ones find no seat, and work all the same.
    let clients: Vec<Client> = (0..6)
        .map(|_| {
            let host = Arc::new(Host::new(dir.path().join("host")));
            Client::builder("test").host(host).service("Echo", [address.clone()]).build().unwrap()
        })
        .collect();
    clients.iter().for_each(|client| assert_eq!(client.call("Echo", ECHO, "").wait().unwrap(), "good"));
    let seated = occupants();
    assert_eq!(seated.len(), 4);
    let program = std::env::current_exe().unwrap().file_name().unwrap().to_owned().into_string().unwrap();
    for occupant in &seated {
        assert_eq!(occupant.pid, std::process::id());
        assert!(program.as_bytes().starts_with(occupant.name.split(|byte| *byte == 0).next().unwrap()));
        assert!(occupant.name[0] != 0 && occupant.pid_namespace != 0);
    }
    until("it goes on saying that it lives", || {
        occupants().iter().zip(&seated).all(|(now, then)| now.beat_ns > then.beat_ns)
    });
    drop(clients);
    until("all have left, or are seated no more", || occupants().is_empty());
}

#[test]
fn a_client_tells_its_host_whom_it_calls_and_how_long_that_takes() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let (server, _) = server(Ok("good"));
    let client = Client::builder("test").host(Arc::new(Host::new(dir.path().join("host"))));
    let client = client.service("Echo", [server.addresses()[0].to_string()]).build().unwrap();
    (0..20).for_each(|_| assert_eq!(client.call("Echo", ECHO, "").wait().unwrap(), "good"));
    let mapping = Directory::open(&dir.path().join("host"), None).unwrap().map(Segment::Stat).unwrap();
    let counters = Counters::attach(mapping.view(), mapping.len()).unwrap();
    let told = || {
        let mut all = Calls::default();
        for (counter, column) in counters.counters() {
            if let Some(Counted::Service { index, .. }) = calls::counted(counter) {
                calls::put(&mut all, index, counters.sum(column));
            }
        }
        all
    };
    until("the host is told", || told().totals.requests() == 20);
    let Calls { totals, durations } = told();
    assert_eq!((totals.calls, durations.iter().sum()), ([20, 0, 0, 0], 20u64));
    let bounds_us = BOUNDS_NS.map(|bound_ns| bound_ns / 1_000);
    let at_least_us: u64 = durations[1..].iter().zip(bounds_us).map(|(calls, bound_us)| calls * bound_us).sum();
    let at_most_us: u64 = durations.iter().zip(bounds_us).map(|(calls, bound_us)| calls * (bound_us + 1)).sum();
    assert!((at_least_us..=at_most_us).contains(&totals.time_us), "{durations:?} in {} us", totals.time_us);
}

/// What an agent would have written.
fn write_list(dir: &Path, version: u64, servers: impl IntoIterator<Item = SocketAddr>) {
    let lists = names::directory_of(&dir.join("host"));
    std::fs::create_dir_all(&lists).unwrap();
    let server = |address| names::Server {
        address,
        weight: 100,
        region: String::new(),
        zone: String::new(),
        group: String::new(),
    };
    let list = ServiceList {
        service: "Named".to_owned(),
        id: 7,
        version,
        source: names::Source::Etcd,
        here: names::Place::default(),
        rules: Vec::new(),
        servers: servers.into_iter().map(server).collect(),
    };
    names::replace(&lists, &list).unwrap();
}

fn tcp(server: &Server) -> SocketAddr {
    server.addresses()[0].to_string().parse().unwrap()
}

#[test]
fn given_a_list_of_the_hosts_agent_then_a_client_finds_the_service_and_follows_it() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let (first, _) = server(Ok("first"));
    let (second, _) = server(Ok("second"));
    let client = Client::builder("test").host(Arc::new(Host::new(dir.path().join("host")))).build().unwrap();
    let ask = || client.call("Named", ECHO, "").wait();

    let unknown = ask().unwrap_err();
    assert_eq!(unknown.status(), Status::NO_SERVICE);
    assert!(unknown.text().contains("is a server of it registered?"), "{unknown}");
    write_list(dir.path(), 1, [tcp(&first)]);
    assert_eq!(ask().unwrap(), "first", "at once");

    write_list(dir.path(), 2, [tcp(&second)]);
    until("the new list is in force", || ask().is_ok_and(|reply| reply == "second"));
    let file = names::directory_of(&dir.path().join("host")).join("Named");
    std::fs::write(&file, "mcrpc-names 1\nservice Named\n").unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(ask().unwrap(), "second", "half a list is none");
    write_list(dir.path(), 3, []);
    until("nobody is left", || ask().is_err_and(|failure| failure.status() == Status::NO_ENDPOINT));
    write_list(dir.path(), 4, [tcp(&first)]);
    until("somebody is there again", || ask().is_ok_and(|reply| reply == "first"));
}

#[test]
fn given_more_servers_than_a_set_has_room_for_then_some_of_them_are_called() {
    let dir = tempfile::tempdir().unwrap();
    let _agent = host(dir.path());
    let everywhere = Server::builder()
        .listen("0.0.0.0:0")
        .method(ECHO, |request| async move { Ok(request.into_payload()) })
        .start()
        .unwrap();
    let of_number = |number: u16| {
        let [high, low] = number.to_be_bytes();
        SocketAddr::from(([127, 1, high, low], tcp(&everywhere).port()))
    };
    write_list(dir.path(), 1, (0..3_000).map(of_number));
    let client = Client::builder("test").host(Arc::new(Host::new(dir.path().join("host")))).build().unwrap();
    for uin in 1..=20 {
        assert_eq!(client.call("Named", ECHO, "here").uin(uin).wait().unwrap(), "here");
    }
}

/// Given an agent that has died, when the kill switch is turned, then servers let everything pass within 100 ms. The machine may
/// be busy with something else at any moment, so the median of ten counts.
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
    let mut took = [(); 10].map(|()| {
        operate(dir.path(), |operator| operator.set_killed(true, author));
        let began = Instant::now();
        until("admission is off", || is("async: off"));
        let took = began.elapsed();
        operate(dir.path(), |operator| operator.set_killed(false, author));
        until("its own mode is back", || is("async: enforce"));
        took
    });
    took.sort_unstable();
    assert!(took[took.len() / 2] <= Duration::from_millis(100), "{took:?}");
}
