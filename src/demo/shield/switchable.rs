//! A machine that can be made to fail while it runs: it speaks the frames of the C++ server, inside this process.
//!
//! It stands in for that server only where a fault needs a server that goes on running: slow answers and resets.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::{HEADER_LEN, Header, Kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What a machine does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Behaviour {
    /// It answers after this time.
    Answers(Duration),
    /// It resets each connection at once.
    Resets,
    /// It resets the connections of this share of the requests, and answers the others after this time.
    ResetsShare(f64, Duration),
}

/// A running machine; dropping it closes its port and its connections.
pub(crate) struct Switchable {
    behaviour: Rc<Cell<Behaviour>>,
    _acceptor: JoinSet<()>,
}

impl Switchable {
    /// Starts one on a port of the loopback.
    pub(crate) async fn start(port: u16, behaviour: Behaviour) -> Result<Switchable> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let behaviour = Rc::new(Cell::new(behaviour));
        let mut acceptor = JoinSet::new();
        acceptor.spawn_local(accept(listener, Rc::clone(&behaviour)));
        Ok(Switchable { behaviour, _acceptor: acceptor })
    }

    /// From now on it does this.
    pub(crate) fn set(&self, behaviour: Behaviour) {
        self.behaviour.set(behaviour);
    }
}

async fn accept(listener: TcpListener, behaviour: Rc<Cell<Behaviour>>) {
    let mut connections = JoinSet::new();
    loop {
        // It fails for want of descriptors, for instance; the clients see that as a failure, too.
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn_local(serve(stream, Rc::clone(&behaviour)));
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, behaviour: Rc<Cell<Behaviour>>) {
    let mut bytes = [0; HEADER_LEN];
    // Whatever ends a connection, it ends with a reset.
    let prepared = stream.set_zero_linger().and_then(|()| stream.set_nodelay(true));
    while prepared.is_ok() && behaviour.get() != Behaviour::Resets && stream.read_exact(&mut bytes).await.is_ok() {
        let delay = match behaviour.get() {
            Behaviour::Answers(delay) => delay,
            Behaviour::ResetsShare(share, delay) if !rand::random_bool(share) => delay,
            Behaviour::Resets | Behaviour::ResetsShare(..) => return,
        };
        sleep(delay).await;
        let Ok(request) = Header::parse(&bytes, 0) else { return };
        let answer = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, request.call_id) };
        if stream.write_all(&answer.emit()).await.is_err() {
            return;
        }
    }
}
