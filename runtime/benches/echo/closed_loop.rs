//! Load through a client of an RPC system: so many tasks that each make one call after the other.

use std::cell::RefCell;
use std::future::Future;
use std::io::{BufRead as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use tokio::task::LocalSet;

use crate::shape::{Shape, Tally};

/// A connection to an echo server; its clones share it.
pub trait Connection: Clone + 'static {
    fn connect(address: SocketAddr) -> impl Future<Output = Self>;

    /// Sends a payload, and returns the answer's.
    fn call(&self, payload: Bytes) -> impl Future<Output = Bytes>;
}

/// Reads a shape from each line of the standard input, and answers with a line of figures.
pub fn serve_lines<C: Connection>(address: SocketAddr) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = LocalSet::new();
    let mut connections: Vec<C> = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let shape = Shape::from_line(&line.expect("the bench talks to its client"));
        let figures = local.block_on(&runtime, async {
            while connections.len() < shape.connections {
                connections.push(C::connect(address).await);
            }
            round(&connections[..shape.connections], shape).await
        });
        println!("{}", figures.to_line());
        std::io::stdout().flush().expect("the bench listens");
    }
}

async fn round<C: Connection>(connections: &[C], shape: Shape) -> crate::shape::Figures {
    let tally = Rc::new(RefCell::new(Tally::new()));
    let began = Instant::now();
    let (warm, end) = (began + shape.warm_up(), began + shape.duration());
    let mut callers = Vec::new();
    for connection in connections {
        for _ in 0..shape.in_flight {
            let (connection, tally) = (connection.clone(), tally.clone());
            callers.push(tokio::task::spawn_local(async move {
                let payload = Bytes::from(vec![0; shape.payload_len]);
                let mut sent = Instant::now();
                while sent < end {
                    let answer = connection.call(payload.clone()).await;
                    assert_eq!(answer.len(), payload.len(), "an echo");
                    let now = Instant::now();
                    let is_measured = now >= warm && now < end;
                    tally.borrow_mut().answer(is_measured.then(|| now - sent), false, false);
                    sent = now;
                }
            }));
        }
    }
    for caller in callers {
        caller.await.expect("no call fails");
    }
    tally.borrow().figures(end - warm)
}
