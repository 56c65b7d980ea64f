//! What a request and a call cost that nobody watches: metrics are counted, no span is made, nothing is recorded, and
//! nothing is allocated for any of it.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use mcrpc::server::Config;
use mcrpc::{Address, Client, Host, Request, Server};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::control::{Author, Operator};
use mcrpc_core::host::files::Segment;
use mcrpc_core::id::Uin;
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

/// Allocations of the whole process for so many awaited calls, one after the other, after as many that do not count.
fn allocations_of_calls(server: &Server, host: &Arc<Host>, method: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder("test").host(host.clone()).service("T", [server.addresses()[0].to_string()]);
    let client = client.default_timeout(support::PATIENCE).on_runtime(runtime.handle().clone()).build().unwrap();
    let mut before = 0;
    for _ in 0..2 {
        before = ALLOCATIONS.load(Relaxed);
        runtime.block_on(async {
            for _ in 0..CALLS {
                assert_eq!(client.call("T", method, &[0; 64][..]).await.unwrap().len(), 64);
            }
        });
    }
    ALLOCATIONS.load(Relaxed) - before
}

/// A host on which the calls of a user are recorded, of whom there are none here.
fn host(dir: &Path) -> (Publisher, Arc<Host>) {
    let agent = Publisher::open(dir, Settings { capacity: 100, ..Settings::DEFAULT }).unwrap().0;
    let mapping = Directory::open(dir, None).unwrap().map_writable(Segment::Control).unwrap();
    let operator = Operator::attach(mapping.shared(), mapping.len()).unwrap();
    operator.dye(Uin(7), None, mcrpc::clock::now(), Author { uid: 0, at_s: 0 }).unwrap();
    (agent, Arc::new(Host::new(dir)))
}

#[test]
fn counting_spans_and_records_that_nobody_wants_allocate_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (_agent, host) = host(&dir.path().join("host"));
    let server = Server::builder()
        .host(host.clone())
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
    // Bodies share blocks.
    let of_async = allocations(&server, "t.T.Async");
    assert!(of_async <= CALLS / 8 + some, "async: {of_async} allocations for {CALLS} calls");
    // The future that is awaited, and the answer.
    let of_calls = allocations_of_calls(&server, &host, "t.T.Inline");
    assert!(of_calls <= 2 * CALLS + some, "calls: {of_calls} allocations for {CALLS} calls");
}
