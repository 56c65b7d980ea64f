//! Echo servers as one writes them by hand on tokio: a task per connection, or a task per request too.

use std::future::Future;
use std::net::TcpListener as StdListener;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::SLOW;
use crate::framing::{Framing, PLAIN_HEADER_LEN, is_slow};

const BUFFER_LEN: usize = 64 << 10;

/// Answers the whole frames of what was read with one write.
pub fn in_turn(listener: StdListener) {
    serve(listener, |mut stream| async move {
        let (framing, mut input, mut out) = (Framing::plain(), Vec::with_capacity(BUFFER_LEN), Vec::new());
        while stream.read_buf(&mut input).await.is_ok_and(|len| len > 0) {
            let mut used = 0;
            while let Some(len) = framing.whole(&input[used..]) {
                out.extend_from_slice(&input[used..][..len]);
                used += len;
            }
            input.drain(..used);
            if stream.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
    });
}

/// Runs each request as a task, whose answer another task writes, with those that are there.
pub fn spawning(listener: StdListener) {
    serve(listener, |stream| async move {
        let (mut read, mut write) = stream.into_split();
        let (answers, mut answered) = mpsc::unbounded_channel::<Vec<u8>>();
        tokio::spawn(async move {
            let (mut batch, mut out) = (Vec::new(), Vec::new());
            while answered.recv_many(&mut batch, usize::MAX).await > 0 {
                batch.drain(..).for_each(|frame| out.extend_from_slice(&frame));
                if write.write_all(&out).await.is_err() {
                    return;
                }
                out.clear();
            }
        });
        let (framing, mut input) = (Framing::plain(), Vec::with_capacity(BUFFER_LEN));
        while read.read_buf(&mut input).await.is_ok_and(|len| len > 0) {
            let mut used = 0;
            while let Some(len) = framing.whole(&input[used..]) {
                let (frame, answers) = (input[used..][..len].to_vec(), answers.clone());
                tokio::spawn(async move {
                    if is_slow(&frame[PLAIN_HEADER_LEN..]) {
                        tokio::time::sleep(SLOW).await;
                    }
                    // Fails when the connection is closed.
                    let _ = answers.send(frame);
                });
                used += len;
            }
            input.drain(..used);
        }
    });
}

/// A task for each connection, all on this thread.
fn serve<Fut>(listener: StdListener, connection: impl Fn(TcpStream) -> Fut)
where
    Fut: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("a socket");
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(connection(stream));
        }
    });
}
