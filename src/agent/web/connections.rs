//! Connections: how many there may be, and how long one may keep others waiting.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// After an accept that failed, as it does without a free file.
const PAUSE: Duration = Duration::from_millis(100);
/// So long is waited for the request of somebody for whom there is no room; the next one waits meanwhile.
const ASKED_WITHIN: Duration = Duration::from_millis(200);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 33\r\n\
    Retry-After: 5\r\nConnection: close\r\n\r\ntoo many connections; come again\n";

/// What connections may do.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    /// So many at a time. A browser has up to six of a page.
    pub(super) connections: usize,
    /// A request has been sent within this time; so long may a connection be idle.
    pub(super) request_within: Duration,
    /// A request, or so much of an answer at a time.
    pub(super) bytes: usize,
    /// What was sent is acknowledged within this time, in ms.
    pub(super) taken_within_ms: u32,
}

impl Bounds {
    pub(super) const DEFAULT: Bounds =
        Bounds { connections: 128, request_within: Duration::from_secs(30), bytes: 64 << 10, taken_within_ms: 30_000 };
}

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, routes: Router, bounds: Bounds) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    loop {
        match (listener.accept().await, room.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(permit)) => serve_one(stream, permit, routes.clone(), bounds),
            (Ok((stream, _)), Err(_)) => refuse(stream).await,
            (Err(_), _) => sleep(PAUSE).await,
        }
    }
}

fn serve_one(stream: TcpStream, permit: OwnedSemaphorePermit, routes: Router, bounds: Bounds) {
    // A socket that is already broken says so when it is read.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, bounds.taken_within_ms);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.request_within)
        .max_buf_size(bounds.bytes)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    tokio::spawn(async move {
        // How it ends, its client knows.
        let _ = connection.await;
        drop(permit);
    });
}

async fn refuse(mut stream: TcpStream) {
    // What was asked is read first, since closing would else take the answer back.
    let _ = timeout(ASKED_WITHIN, stream.read(&mut [0; 4096])).await;
    // There is room for it in a new socket.
    let _ = stream.write_all(REFUSAL).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;

    use super::*;

    async fn start(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Router::new().route("/", get(|| async { "here\n" })), bounds));
        address
    }

    async fn ask(stream: &mut TcpStream) -> String {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"here\n") && stream.read_buf(&mut answer).await.unwrap() > 0 {}
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn who_comes_when_there_is_no_room_is_told_so_and_those_that_are_there_go_on() {
        let address = start(Bounds { connections: 2, request_within: Duration::MAX / 8, ..Bounds::DEFAULT }).await;
        let mut open = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
            open.push(stream);
        }
        for _ in 0..3 {
            let answer = ask(&mut TcpStream::connect(address).await.unwrap()).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503") && head.contains("Connection: close"), "{head}");
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
        }
        assert!(ask(&mut open[0]).await.contains("200 OK"));
        open.pop();
        while !ask(&mut TcpStream::connect(address).await.unwrap()).await.contains("200 OK") {}
    }

    #[tokio::test]
    async fn a_connection_on_which_no_request_comes_is_closed() {
        let address = start(Bounds { request_within: Duration::from_millis(50), ..Bounds::DEFAULT }).await;
        for sent in ["", "GET / HTTP/1.1\r\nHost: local", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.contains("200 OK"), sent.ends_with("\r\n\r\n"), "{sent:?}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_is_refused() {
        let address = start(Bounds { bytes: 8_192, ..Bounds::DEFAULT }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nA: {}\r\n\r\n", "a".repeat(9_000));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
}
