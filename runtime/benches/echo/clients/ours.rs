//! The client under test: endpoints, shields, retries and statistics are as they are by default, on.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use mcrpc::Client;
use tokio::runtime::Handle;

use crate::servers::{ASYNC, INLINE};

const SERVICE: &str = "Echo";

/// Calls a method that is run on a worker.
#[derive(Clone)]
pub struct Pooled(Client);

/// Calls a method that is run where its requests are read.
#[derive(Clone)]
pub struct Inline(Client);

/// One client has one connection to a server, so each connection is a client's.
fn connect(address: SocketAddr) -> Client {
    let client = Client::builder("bench").service(SERVICE, [address.to_string()]).on_runtime(Handle::current());
    client.default_timeout(Duration::from_secs(20)).build().expect("a client")
}

impl crate::closed_loop::Connection for Pooled {
    async fn connect(address: SocketAddr) -> Pooled {
        Pooled(connect(address))
    }

    async fn call(&self, payload: Bytes) -> Bytes {
        self.0.call(SERVICE, ASYNC, payload).await.expect("no call fails")
    }
}

impl crate::closed_loop::Connection for Inline {
    async fn connect(address: SocketAddr) -> Inline {
        Inline(connect(address))
    }

    async fn call(&self, payload: Bytes) -> Bytes {
        self.0.call(SERVICE, INLINE, payload).await.expect("no call fails")
    }
}
