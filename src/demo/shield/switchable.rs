//! A machine that can be made to fail while it runs: it speaks the frames of the C++ server, inside this process.
//!
//! It stands in for that server only where a fault needs a server that goes on running: slow answers and resets.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use mcrpc_core::admission::Cursor;
use mcrpc_core::wire::{Frame, HEADER_LEN, Header, Kind, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// One that announces more than this breaks its connection.
const MAX_BODY_LEN: u32 = 1 << 16;

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
    /// One that serves the connections of a listener.
    pub(crate) fn new(listener: TcpListener, behaviour: Behaviour) -> Switchable {
        let behaviour = Rc::new(Cell::new(behaviour));
        let mut acceptor = JoinSet::new();
        acceptor.spawn_local(accept(listener, Rc::clone(&behaviour)));
        Switchable { behaviour, _acceptor: acceptor }
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
    // Whatever ends a connection, it ends with a reset.
    if stream.set_zero_linger().and_then(|()| stream.set_nodelay(true)).is_err() {
        return;
    }
    while behaviour.get() != Behaviour::Resets {
        let Ok(request) = read_frame(&mut stream).await else { return };
        if request.kind != Kind::Request {
            continue;
        }
        let delay = match behaviour.get() {
            Behaviour::Answers(delay) => delay,
            Behaviour::ResetsShare(share, delay) if !rand::random_bool(share) => delay,
            Behaviour::Resets | Behaviour::ResetsShare(..) => return,
        };
        sleep(delay).await;
        let answer = Header { cursor: Cursor::OPEN.0, ..Header::new(Kind::Response, request.call_id) };
        if stream.write_all(&answer.emit()).await.is_err() {
            return;
        }
    }
}

/// The header of the next frame. What it carries beyond that is read, and looked at by nobody.
async fn read_frame(stream: &mut TcpStream) -> io::Result<Header> {
    let mut bytes = [0; HEADER_LEN];
    stream.read_exact(&mut bytes).await?;
    let limits = Limits::of_body(MAX_BODY_LEN);
    let header = Header::parse(&bytes, &limits).map_err(io::Error::other)?;
    let len = Frame::wanted(&bytes, &limits).map_err(io::Error::other)?;
    stream.read_exact(&mut vec![0; len - HEADER_LEN]).await?;
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use tokio::runtime::{Builder, LocalOptions};

    /// Whether each of three requests, each over a connection of its own, is answered.
    async fn answered(address: SocketAddr) -> [bool; 3] {
        let mut answered = [false; 3];
        for (call_id, answered) in (7..).zip(&mut answered) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut bytes = Header::new(Kind::Request, call_id).emit();
            let sent = stream.write_all(&bytes).await;
            *answered = sent.is_ok() && stream.read_exact(&mut bytes).await.is_ok();
            if *answered {
                let answer = Header::parse(&bytes, &Limits::of_body(0)).unwrap();
                assert_eq!((answer.kind, answer.call_id, answer.status.is_ok()), (Kind::Response, call_id, true));
            }
        }
        answered
    }

    #[test]
    fn a_machine_answers_or_resets_as_it_is_told() {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let now = Behaviour::Answers(Duration::ZERO);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let machine = Switchable::new(listener, now);
            for (behaviour, expected) in [
                (now, true),
                (Behaviour::Resets, false),
                (Behaviour::ResetsShare(1.0, Duration::ZERO), false),
                (Behaviour::ResetsShare(0.0, Duration::ZERO), true),
            ] {
                machine.set(behaviour);
                assert_eq!(answered(address).await, [expected; 3], "{behaviour:?}");
            }
        });
    }
}
