//! Given the channel for generated C++ clients and servers in Rust that work, end, refuse or break, then calls end as the client in
//! Rust would have ended them.

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Context, Failure, Request, Server};
use mcrpc_core::admission::{self, Cursor};
use mcrpc_core::status::Status;
use mcrpc_core::wire::{Header, Kind};
use support::frames::{frame, read_frame};
use support::{Linkage, linkages, run};

/// Admits all of business priority 0, and nothing else.
const FIRST_PRIORITY_ONLY: Cursor = Cursor(Cursor::OPEN.0 / 64);

fn program(directory: &Path, flags: &[&str], linkage: Linkage) -> PathBuf {
    let flags: Vec<&str> = ["-std=c++17"].iter().chain(flags).copied().collect();
    support::compile(directory, &["tests/cpp/channel.cpp"], &flags, linkage)
}

fn server(listen: &str) -> Server {
    // Nothing is refused because the machine is slow.
    let admission = admission::Config { mode: admission::Mode::Observe, ..admission::Config::DEFAULT };
    Server::builder()
        .listen(listen)
        .config(Config { workers: 1, admission, ..Config::default() })
        .method("t.T.Echo", |request: Request| async move { Ok(request.into_payload()) })
        .method("t.T.Never", |_| std::future::pending())
        .method("t.T.Fail", |_| async { Err::<Bytes, _>(Failure::of_service(7_001, "as told")) })
        .method("t.T.Who", |_| async {
            let context = Context::current().unwrap();
            let [ticket, cookie] = [context.ticket(), context.cookie()].map(String::from_utf8_lossy);
            let (uin, business, priority) = (context.uin(), context.business_id(), context.priority());
            let has_time = context.remaining().is_some();
            Ok(Bytes::from(format!("{uin} {business} {priority} {has_time} {ticket} {cookie}")))
        })
        .start()
        .unwrap()
}

fn address(server: &Server) -> String {
    server.addresses()[0].to_string()
}

/// An address at which nobody listens, while the socket is there.
fn nobody() -> (std::net::TcpStream, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Its port stays taken, and refuses connections.
    (std::net::TcpStream::connect(&address).unwrap(), address)
}

/// Listens, and does this with each request; `None`: hangs up.
fn fake(answer: impl Fn(&Header) -> Option<Header> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            while let Ok(received) = read_frame(&mut stream) {
                if received.header.kind != Kind::Request {
                    continue;
                }
                let Some(header) = answer(&received.header) else { break };
                stream.write_all(&frame(header, |_| {}, &[])).unwrap();
            }
        }
    });
    address
}

fn check(program: &Path, scenario: &str, addresses: &[String]) {
    run(support::command(program).arg(scenario).args(addresses));
}

fn all_scenarios(program: &Path) {
    let well = server("127.0.0.1:0");
    for scenario in ["calls", "context", "closed"] {
        check(program, scenario, &[address(&well)]);
    }
    let (_taken, nobody) = nobody();
    check(program, "retries", &[address(&well), nobody]);
    check(program, "lost", &[fake(|_| None), address(&well)]);
    let refuses = |request: &Header| {
        Some(Header {
            cursor: FIRST_PRIORITY_ONLY.0,
            status: Status::BELOW_CURSOR,
            ..Header::new(Kind::Response, request.call_id)
        })
    };
    check(program, "withheld", &[fake(refuses)]);
}

#[test]
fn calls_are_answered_retried_withheld_and_given_up_as_they_should() {
    let out = tempfile::tempdir().unwrap();
    for linkage in linkages() {
        all_scenarios(&program(out.path(), &["-Wconversion", "-Wshadow"], linkage));
    }
}

#[test]
fn the_address_and_the_thread_sanitizer_have_nothing_to_say() {
    let out = tempfile::tempdir().unwrap();
    for sanitizers in ["-fsanitize=address,undefined", "-fsanitize=thread"] {
        all_scenarios(&program(out.path(), &["-O0", sanitizers], Linkage::Static));
    }
}

#[test]
fn when_servers_are_restarted_one_after_the_other_no_call_fails() {
    let out = tempfile::tempdir().unwrap();
    let mut servers = [server("127.0.0.1:0"), server("127.0.0.1:0"), server("127.0.0.1:0")].map(Some);
    let addresses = servers.each_ref().map(|server| address(server.as_ref().unwrap()));
    let program = program(out.path(), &[], Linkage::Static);
    let mut command: Command = support::command(&program);
    let mut child = command.arg("load").args(&addresses).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "calling");
    for (place, address) in servers.iter_mut().zip(&addresses) {
        std::thread::sleep(Duration::from_millis(300));
        place.take().unwrap().drain();
        *place = Some(server(address));
    }
    std::thread::sleep(Duration::from_millis(300));
    drop(child.stdin.take());
    let said = lines.next().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(said.ends_with(" failed 0") && !said.starts_with("served 0 "), "{said}");
}
