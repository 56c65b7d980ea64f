//! What gRPC's own clients never do, and how the server takes it: `docs/grpc.md`.

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{Method, Request as HttpRequest, Response, StatusCode};
use mcrpc::server::{Builder, Config};
use mcrpc::{Address, Failure, Host, Request, Server, Status};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::control::{Author, Operator};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::trace::{Read, Record, Traces};
use mcrpc_core::id::Uin;
use mcrpc_core::wire::Limits;
use support::PATIENCE;
use tokio::net::TcpStream;

fn server(config: Config) -> Server {
    builder(config).start().unwrap()
}

fn builder(config: Config) -> Builder {
    Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..config })
        .method("echo.Echo.Say", |request: Request| async move { Ok(request.into_payload()) })
        .method("echo.Echo.Long", |_| async { Ok(Bytes::from(vec![7; 1 << 20])) })
        .inline_method("echo.Echo.Refuse", |_, _| Err(Failure::of_system(Status::QUEUE_FULL)))
}

type Fields = HashMap<String, String>;

/// A client that knows nothing but HTTP/2.
struct Client(SendRequest<Bytes>);

impl Client {
    async fn of(server: &Server) -> Client {
        let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
        let socket = TcpStream::connect(address).await.unwrap();
        let (client, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Client(client.ready().await.unwrap())
    }

    fn send(&mut self, request: HttpRequest<()>) -> (ResponseFuture, SendStream<Bytes>) {
        self.0.send_request(request, false).unwrap()
    }

    async fn call(&mut self, request: HttpRequest<()>, body: &[u8]) -> (StatusCode, Fields, Vec<u8>) {
        let (response, mut stream) = self.send(request);
        // A server that has refused already takes none.
        let _ = stream.send_data(Bytes::copy_from_slice(body), true);
        read(response.await.unwrap()).await
    }
}

/// Code, headers and trailers together, and body.
async fn read(response: Response<h2::RecvStream>) -> (StatusCode, Fields, Vec<u8>) {
    let (parts, mut body) = response.into_parts();
    let (mut headers, mut bytes) = (parts.headers, Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        bytes.extend_from_slice(&piece);
    }
    headers.extend(body.trailers().await.unwrap().unwrap_or_default());
    let text =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.to_string(), value.to_str().unwrap().into());
    (parts.status, headers.iter().map(text).collect(), bytes)
}

fn post(path: &str) -> http::request::Builder {
    HttpRequest::post(format!("http://server{path}")).header("content-type", "application/grpc")
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it takes too long") });
}

#[test]
fn what_is_no_grpc_is_refused_in_terms_of_http() {
    run(async {
        let server = server(Config::default());
        let mut client = Client::of(&server).await;
        let say = "http://server/echo.Echo/Say";
        let of_type = |content_type| HttpRequest::post(say).header("content-type", content_type).body(()).unwrap();
        let get = HttpRequest::builder().method(Method::GET).uri("http://server/status").body(()).unwrap();
        assert_eq!(client.call(get, b"").await.0, StatusCode::METHOD_NOT_ALLOWED);
        for content_type in ["application/json", "application/grpc-web", "application/grpc+json", ""] {
            let (code, ..) = client.call(of_type(content_type), b"").await;
            assert_eq!(code, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        }
        for content_type in ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"] {
            let (code, headers, body) = client.call(of_type(content_type), b"\0\0\0\0\x02hi").await;
            assert_eq!((code, &body[..]), (StatusCode::OK, &b"\0\0\0\0\x02hi"[..]));
            assert_eq!((&*headers["content-type"], &*headers["grpc-status"]), ("application/grpc", "0"));
        }
    });
}

#[test]
fn a_call_that_breaks_a_rule_is_refused_and_the_connection_stays() {
    run(async {
        let limits = Limits { max_body_len: 16, max_metadata_len: 64, ..Config::default().limits };
        let server = server(Config { limits, ..Config::default() });
        let mut client = Client::of(&server).await;
        let say = || post("/echo.Echo/Say");
        let one: &[u8] = b"\0\0\0\0\x01x";
        let cases: [(http::request::Builder, &[u8], &str); 9] = [
            (say(), b"\x01\0\0\0\x01x", "12"),
            (say().header("grpc-encoding", "gzip"), one, "12"),
            (say(), b"\0\0\0\0\x01x\0\0\0\0\x01y", "12"),
            (say(), b"", "12"),
            (say(), b"\0\0\0\0\x11", "8"),
            (say().header("grpc-timeout", "soon"), one, "3"),
            (say().header("mc-cookie-bin", "?"), one, "3"),
            (say().header("mc-cookie-bin", "c".repeat(100)), one, "3"),
            (post("/echo.Echo/Sing/Along"), one, "12"),
        ];
        for (request, body, status) in cases {
            let (code, headers, body) = client.call(request.body(()).unwrap(), body).await;
            assert_eq!((code, &*headers["grpc-status"], &body[..]), (StatusCode::OK, status, &b""[..]), "{headers:?}");
            let is_compressed = headers["mc-status"] == Status::UNSUPPORTED_FLAG.0.to_string();
            assert_eq!(headers.contains_key("grpc-accept-encoding"), is_compressed);
        }
        assert_eq!(client.call(say().body(()).unwrap(), one).await.2, one);
    });
}

#[test]
fn a_refusal_does_not_wait_for_the_message() {
    run(async {
        let server = server(Config::default());
        let mut client = Client::of(&server).await;
        let (response, mut stream) = client.send(post("/echo.Echo/Sing").body(()).unwrap());
        let (_, headers, _) = read(response.await.unwrap()).await;
        assert_eq!(headers["grpc-status"], "12");
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
        assert_eq!(reset, Reason::NO_ERROR, "and the rest is not wanted");
        assert_eq!(server.request_memory(), 0);
    });
}

#[test]
fn a_caller_that_does_not_finish_its_message_is_not_waited_for() {
    run(async {
        let server = server(Config { stall_timeout: Duration::from_millis(200), ..Config::default() });
        let mut client = Client::of(&server).await;
        for timeout in ["20m", "1H"] {
            let request = post("/echo.Echo/Say").header("grpc-timeout", timeout).body(()).unwrap();
            let (response, mut stream) = client.send(request);
            stream.send_data(Bytes::from_static(b"\0\0\0\0\x02h"), false).unwrap();
            let (_, headers, _) = read(response.await.unwrap()).await;
            assert_eq!(headers["grpc-status"], "4", "{timeout}");
        }
        assert_eq!(server.request_memory(), 0);
    });
}

#[test]
fn a_caller_that_does_not_take_its_answer_loses_it_and_no_other() {
    run(async {
        let server = server(Config { stall_timeout: Duration::from_millis(200), ..Config::default() });
        let mut client = Client::of(&server).await;
        let (response, mut stream) = client.send(post("/echo.Echo/Long").body(()).unwrap());
        stream.send_data(Bytes::from_static(b"\0\0\0\0\0"), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut received = 0;
        let reset = loop {
            // Nothing is released, so that no more comes than HTTP/2's first window.
            match body.data().await.unwrap() {
                Ok(piece) => received += piece.len(),
                Err(error) => break error,
            }
        };
        assert_eq!((received, reset.reason()), (65_535, Some(Reason::CANCEL)));
        let mut other = Client::of(&server).await;
        let say = post("/echo.Echo/Say").body(()).unwrap();
        assert_eq!(other.call(say, b"\0\0\0\0\x01x").await.2, b"\0\0\0\0\x01x");
    });
}

#[test]
fn so_many_calls_as_the_limits_say_are_open_at_a_time() {
    run(async {
        let limits = Limits { max_open_calls: 3, ..Config::default().limits };
        let server = server(Config { limits, ..Config::default() });
        let mut client = Client::of(&server).await;
        let say = post("/echo.Echo/Say").body(()).unwrap();
        client.call(say, b"\0\0\0\0\0").await;
        assert_eq!(client.0.current_max_send_streams(), 3);
    });
}

#[test]
fn a_call_of_a_dyed_user_leaves_the_same_trail_as_a_native_one() {
    let dir = tempfile::tempdir().unwrap();
    let host = dir.path().join("host");
    let _agent = Publisher::open(&host, Settings { capacity: 100, seats: 2, ..Settings::DEFAULT }).unwrap();
    let directory = Directory::open(&host, None).unwrap();
    let control = directory.map_writable(Segment::Control).unwrap();
    let operator = Operator::attach(control.shared(), control.len()).unwrap();
    operator.dye(Uin(7), None, mcrpc::clock::now(), Author { uid: 0, at_s: 0 }).unwrap();
    let server = builder(Config::default()).host(Arc::new(Host::new(&host))).start().unwrap();
    run(async {
        let say = post("/echo.Echo/Say").header("mc-uin", "7").body(()).unwrap();
        let (code, ..) = Client::of(&server).await.call(say, b"\0\0\0\0\x02hi").await;
        assert_eq!(code, StatusCode::OK);
    });
    // What was answered is written when the server has ended.
    server.drain();
    let trace = directory.map(Segment::Trace).unwrap();
    let traces = Traces::attach(trace.view(), trace.len()).unwrap();
    let (mut steps, mut record) = (Vec::new(), Record::default());
    for seat in 0..=traces.seat_count() {
        let mut at = 0;
        while let Read::Record { next } = traces.ring(seat).read(at, &mut record) {
            let line = str::from_utf8(record.data()).unwrap();
            assert!(line.contains(" echo.Echo.Say uin=7 call="), "{line}");
            steps.push(line.split(" echo.").next().unwrap().to_owned());
            at = next;
        }
    }
    assert_eq!(steps, ["T0 received", "T1 admitted", "T2 taken", "T3 answered", "T4 written"]);
}
