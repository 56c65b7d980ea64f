//! Request and response as one writes them by hand on tokio: a task that writes what there is, a task that reads, and a
//! oneshot channel per call.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use slab::Slab;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use crate::framing::{Framing, PLAIN_HEADER_LEN};

type Waiting = Mutex<Slab<oneshot::Sender<Bytes>>>;

#[derive(Clone)]
pub struct Connection {
    waiting: Arc<Waiting>,
    requests: mpsc::UnboundedSender<(u32, Bytes)>,
}

impl crate::closed_loop::Connection for Connection {
    async fn connect(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).await.expect("a server");
        stream.set_nodelay(true).expect("a socket");
        let (mut read, mut write) = stream.into_split();
        let (requests, mut asked) = mpsc::unbounded_channel::<(u32, Bytes)>();
        tokio::spawn(async move {
            let (mut batch, mut out) = (Vec::new(), Vec::new());
            while asked.recv_many(&mut batch, usize::MAX).await > 0 {
                for (id, payload) in batch.drain(..) {
                    let mut header = [0; PLAIN_HEADER_LEN];
                    header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
                    header[4..8].copy_from_slice(&id.to_le_bytes());
                    out.extend_from_slice(&header);
                    out.extend_from_slice(&payload);
                }
                write.write_all(&out).await.expect("a server");
                out.clear();
            }
        });
        let waiting = Arc::new(Waiting::default());
        tokio::spawn({
            let waiting = waiting.clone();
            async move {
                let (framing, mut input) = (Framing::plain(), Vec::with_capacity(64 << 10));
                while read.read_buf(&mut input).await.expect("a server") > 0 {
                    let mut used = 0;
                    while let Some(len) = framing.whole(&input[used..]) {
                        let frame = &input[used..][..len];
                        let caller = waiting.lock().expect("nobody panics").remove(framing.id(frame) as usize);
                        // Fails when nobody waits any more.
                        let _ = caller.send(Bytes::copy_from_slice(&frame[PLAIN_HEADER_LEN..]));
                        used += len;
                    }
                    input.drain(..used);
                }
            }
        });
        Connection { waiting, requests }
    }

    async fn call(&self, payload: Bytes) -> Bytes {
        let (sender, answer) = oneshot::channel();
        let id = self.waiting.lock().expect("nobody panics").insert(sender);
        self.requests.send((id as u32, payload)).expect("a connection");
        answer.await.expect("an answer")
    }
}
