//! One port, several protocols: brpc's, and HTTP for the server's own pages.

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use mcrpc::server::Config;
use mcrpc::{Address, Context, Failure, Request, Server, Status};
use mcrpc_core::wire::baidu_std::errors::{ELIMIT, ENOMETHOD, EREQUEST};
use mcrpc_core::wire::baidu_std::{Frame, Limits, Meta, Origin, wanted};
use support::{Caller, get, request};

fn server() -> Server {
    Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method("echo.Echo.Say", |request: Request| async move { Ok(request.into_payload()) })
        .inline_method("echo.Echo.Inline", |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .method("echo.Echo.Who", |request: Request| async move {
            let context = Context::current().unwrap();
            let trace = context.trace_id().map(u128::from_be_bytes);
            Ok(Bytes::from(format!("{} {} {:?}", request.caller(), context.uin(), trace)))
        })
        .method("echo.Echo.Refuse", |_| async { Err(Failure::of_system(Status::QUEUE_FULL).with_text("full")) })
        .start()
        .unwrap()
}

/// A client of brpc's protocol.
struct Brpc {
    socket: TcpStream,
    received: Vec<u8>,
}

impl Brpc {
    fn connect(server: &Server) -> Brpc {
        let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
        Brpc { socket, received: Vec::new() }
    }

    fn frame(meta: &Meta<'_>, origin: &Origin, payload: &[u8]) -> Vec<u8> {
        let mut head = [0; 512];
        let len = meta.write(origin, std::iter::empty(), payload.len() as u32, &mut head).unwrap();
        [&head[..len], payload].concat()
    }

    /// Correlation id, error code, error text, payload of the next answer.
    fn answer(&mut self) -> Option<(i64, i32, String, Vec<u8>)> {
        loop {
            if let Ok(len) = wanted(&self.received, &Limits::DEFAULT)
                && len <= self.received.len()
            {
                let frame = Frame::new_checked(&self.received, &Limits::DEFAULT).unwrap();
                let response = frame.meta.response.unwrap();
                let answer = (
                    frame.meta.correlation_id.unwrap(),
                    response.error_code.unwrap_or(0),
                    response.error_text.unwrap_or_default().to_owned(),
                    frame.payload.to_vec(),
                );
                self.received.drain(..len);
                return Some(answer);
            }
            let mut piece = [0; 4_096];
            match self.socket.read(&mut piece).unwrap() {
                0 => return None,
                len => self.received.extend_from_slice(&piece[..len]),
            }
        }
    }
}

#[test]
fn a_brpc_client_is_served_by_the_same_methods_on_the_same_port() {
    let server = server();
    let mut client = Brpc::connect(&server);
    for method in ["Say", "Inline"] {
        for (correlation_id, len) in [(7 << 32, 5), (i64::MAX, 0), (-1, 200_000)] {
            let payload: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let meta = Meta::request("echo.Echo", method, correlation_id);
            let bytes = Brpc::frame(&meta, &Origin::default(), &payload);
            for piece in bytes.chunks(if len == 5 { 1 } else { 50_000 }) {
                client.socket.write_all(piece).unwrap();
            }
            assert_eq!(client.answer(), Some((correlation_id, 0, String::new(), payload)), "{method} of {len} bytes");
        }
    }
    // Many at once, in one write.
    let bytes: Vec<u8> = (0..500)
        .flat_map(|id| Brpc::frame(&Meta::request("echo.Echo", "Say", id), &Origin::default(), &id.to_le_bytes()))
        .collect();
    client.socket.write_all(&bytes).unwrap();
    let mut answered: Vec<i64> = (0..500).map(|_| client.answer().unwrap().0).collect();
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..500));
    let mut native = Caller::of(&server);
    native.call(&request("echo.Echo.Say", 1), b"native");
    assert_eq!(native.answer().payload, b"native");
}

#[test]
fn what_brpc_says_of_a_request_is_its_context() {
    let server = server();
    let mut client = Brpc::connect(&server);
    let mut meta = Meta::request("echo.Echo", "Who", 1);
    if let Some(request) = &mut meta.request {
        (request.from_svr_name, request.trace_id, request.span_id) = (Some("mmproxy"), Some(77), Some(5));
    }
    let origin = Origin { uin: 2_709_160_720, ..Origin::default() };
    client.socket.write_all(&Brpc::frame(&meta, &origin, b"")).unwrap();
    let (_, error, _, payload) = client.answer().unwrap();
    assert_eq!((error, payload.as_slice()), (0, &b"mmproxy 2709160720 Some(77)"[..]));
}

/// It goes into pages, metrics and logs.
#[test]
fn a_name_that_brpc_brings_is_a_name_or_nothing() {
    let server = server();
    for (name, known) in [("\u{1b}[31mroot", ""), ("a name", ""), ("mmproxy", "mmproxy")] {
        let mut client = Brpc::connect(&server);
        let mut meta = Meta::request("echo.Echo", "Who", 1);
        if let Some(request) = &mut meta.request {
            request.from_svr_name = Some(name);
        }
        client.socket.write_all(&Brpc::frame(&meta, &Origin::default(), b"")).unwrap();
        let (_, error, _, payload) = client.answer().unwrap();
        assert_eq!((error, String::from_utf8(payload).unwrap()), (0, format!("{known} 0 None")));
    }
}

#[test]
fn a_brpc_client_hears_of_failures_in_its_own_codes() {
    let server = server();
    let mut client = Brpc::connect(&server);
    let mut compressed = Meta::request("echo.Echo", "Say", 3);
    compressed.compress_type = Some(1);
    let mut attached = Meta::request("echo.Echo", "Say", 4);
    attached.attachment_size = Some(1);
    let cases = [
        (Meta::request("echo.Echo", "Sing", 1), ENOMETHOD, ""),
        (Meta::request("echo.Echo", "Refuse", 2), ELIMIT, "full"),
        (compressed, EREQUEST, ""),
        (attached, EREQUEST, ""),
    ];
    for (meta, error, text) in cases {
        client.socket.write_all(&Brpc::frame(&meta, &Origin::default(), b"x")).unwrap();
        let answer = client.answer().unwrap();
        assert_eq!((answer.0, answer.1, answer.2.as_str()), (meta.correlation_id.unwrap(), error, text));
    }
    client.socket.write_all(b"PRPC\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
    assert_eq!(client.answer(), None);
}

#[test]
fn a_browser_finds_the_servers_own_pages_on_the_same_port() {
    let server = server();
    let mut caller = Caller::of(&server);
    (0..10).for_each(|id| {
        caller.call(&request("echo.Echo.Say", id), b"");
        caller.answer();
    });
    let cases: [(&str, u16, &[&str]); 7] = [
        ("GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 200, &["\r\n\r\nok\n"]),
        ("GET /status?console=1 HTTP/1.1\r\n\r\n", 200, &["echo.Echo.Say", "async           10", "echo.Echo.Inline"]),
        ("GET /connections HTTP/1.1\r\n\r\n", 200, &["connections 2\n"]),
        ("GET /admission HTTP/1.1\r\n\r\n", 200, &["async: enforce, admits all", "completed 10", "cursor open"]),
        ("GET /nothing HTTP/1.1\r\n\r\n", 404, &["There is no page /nothing"]),
        ("POST /status HTTP/1.1\r\n\r\n", 405, &["use GET"]),
        ("HEAD /health HTTP/1.1\r\n\r\n", 200, &["Content-Length: 3\r\n"]),
    ];
    for (request, code, wanted) in cases {
        let answer = get(&server, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{request}{answer}");
        wanted.iter().for_each(|text| assert!(answer.contains(text), "{text:?} in {answer}"));
        assert!(!request.starts_with("HEAD") || answer.ends_with("\r\n\r\n"));
    }
    // Two requests on one connection, in one write.
    let both = get(&server, "GET /health HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n");
    assert_eq!(both.matches("ok\n").count(), 2);
}

#[test]
fn what_speaks_none_of_them_is_hung_up_on() {
    let server = server();
    let http2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let others: [&[u8]; 3] = [b"\x16\x03\x01\x02\x00", b"quit\n", b"PRPQ"];
    // HTTP/2 is spoken by the feature `grpc`.
    for bytes in others.into_iter().chain((!cfg!(feature = "grpc")).then_some(http2)) {
        let mut caller = Caller::of(&server);
        caller.send(bytes);
        assert_eq!(caller.next(), None, "{bytes:?}");
    }
}
