//! What a hop through the proxy costs: one caller, one call at a time, in rounds in which all ways take turns.
//!
//! `cargo bench -p mcrpc-proxy --bench hop`. Server, proxy and caller share the machine's cores; the figures are those of a
//! machine with nothing else to do, and of the differences the smallest are noise.

#[path = "../tests/support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use mcrpc::Server;
use mcrpc::server::Config;
use support::{ECHO, World, exchange, frame, read_frame, request};

const ROUNDS: usize = 20;
const CALLS: usize = 500;
const PATH: &str = "/Echo/mcrpc.example.Echo/Echo";

/// A name, and what makes a call.
type Way<'w> = (&'static str, Box<dyn FnMut() + 'w>);

fn main() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .method(ECHO, |request| async move { Ok(request.into_payload()) })
        .start()
        .unwrap();
    let address = server.addresses()[0].to_string().parse().unwrap();
    let world = World::new(&[("Echo", &[address])]);
    let mut direct = TcpStream::connect(address).unwrap();
    direct.set_nodelay(true).unwrap();
    let (mut native, mut protobuf, mut json) = (world.native(), world.http(), world.http());
    let message = [&b"\x0a\x40"[..], &[b'x'; 64]].concat();
    let text = format!(r#"{{"text": "{}"}}"#, "x".repeat(64));
    let as_protobuf = [("content-type", "application/x-protobuf")];
    let mut ways: [Way<'_>; 4] = [
        ("frames, to the server", Box::new(|| call(&mut direct, &message))),
        ("frames, through the proxy", Box::new(|| call(&mut native, &message))),
        ("HTTP and protobuf, through the proxy", {
            Box::new(|| assert_eq!(exchange(&mut protobuf, PATH, &as_protobuf, &message).0, 200))
        }),
        ("HTTP and JSON, through the proxy", {
            Box::new(|| assert_eq!(exchange(&mut json, PATH, &[], text.as_bytes()).0, 200))
        }),
    ];
    let mut took_ns = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for ((_, make), took_ns) in ways.iter_mut().zip(&mut took_ns) {
            for _ in 0..CALLS {
                let began = Instant::now();
                make();
                took_ns.push(began.elapsed().as_nanos());
            }
        }
    }
    println!("{:38} {:>8} {:>8}", "64 bytes, there and back", "p50 us", "p99 us");
    for ((name, _), mut took_ns) in ways.iter().zip(took_ns) {
        took_ns.sort_unstable();
        let at = |share: usize| took_ns[took_ns.len() * share / 100] as f64 / 1e3;
        println!("{name:38} {:8.1} {:8.1}", at(50), at(99));
    }
}

fn call(stream: &mut (impl Read + Write), payload: &[u8]) {
    stream.write_all(&frame(&request(ECHO, 1), |writer| _ = writer.service("Echo"), payload)).unwrap();
    assert_eq!(read_frame(stream).unwrap().payload, payload);
}
