//! What a request costs that nobody watches: metrics are counted, no span is made, nothing is allocated for either.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mcrpc::server::Config;
use mcrpc::{Address, Request, Server};
use support::{frame, request};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator, which keeps the contract; counting changes nothing of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps the same contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const CALLS: usize = 1_000;

/// Allocations of the whole process for so many calls, one after the other, after as many that do not count.
fn allocations(server: &Server, method: &str) -> usize {
    let Address::Tcp(address) = server.addresses()[0] else { unreachable!("it listens on TCP") };
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let call = frame(&request(method, 1), &[0; 64]);
    let mut answer = [0; 4_096];
    let mut before = 0;
    for round in 0..2 {
        before = ALLOCATIONS.load(Relaxed);
        for _ in 0..CALLS {
            socket.write_all(&call).unwrap();
            let len = socket.read(&mut answer).unwrap();
            assert!(len >= 64, "round {round}");
        }
    }
    ALLOCATIONS.load(Relaxed) - before
}

#[test]
fn counting_and_spans_that_nobody_wants_allocate_nothing() {
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .config(Config { workers: 1, ..Config::default() })
        .inline_method("t.T.Inline", |request, reply| {
            reply.extend_from_slice(request.payload());
            Ok(())
        })
        .method("t.T.Async", |request: Request| async move { Ok(request.into_payload()) })
        .start()
        .unwrap();
    // Now and then a look at all connections once a second falls in between.
    let some = CALLS / 20;
    assert!(allocations(&server, "t.T.Inline") <= some, "inline: nothing is allocated");
    // The payload, and what makes it shared.
    let of_async = allocations(&server, "t.T.Async");
    assert!(of_async <= 2 * CALLS + some, "async: {of_async} allocations for {CALLS} calls");
}
