//! What HTTP/2 reads from and writes to: the halves of a connection, of which some bytes were read already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::clock;
use crate::net::stream::ReadHalf;
use crate::server::connection::Connection;

/// See the module.
pub(super) struct Socket {
    /// What was read already, and how much of it HTTP/2 has.
    begin: Vec<u8>,
    used: usize,
    read: ReadHalf,
    connection: Arc<Connection>,
}

impl Socket {
    pub(super) fn new(begin: Vec<u8>, read: ReadHalf, connection: Arc<Connection>) -> Socket {
        Socket { begin, used: 0, read, connection }
    }

    /// Writes when the socket takes something. Callers that take nothing are seen by the outbox, as with the other protocols.
    fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&Connection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let connection = &*self.connection;
        loop {
            match write(connection) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if connection.write.poll_writable(cx)?.is_pending() {
                        connection.outbox.block();
                        return Poll::Pending;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => {
                    if connection.outbox.is_blocked() {
                        connection.outbox.unblock();
                    }
                    return Poll::Ready(written);
                }
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Socket { begin, used, read, connection } = self.get_mut();
        if let Some(rest) = begin.get(*used..).filter(|rest| !rest.is_empty()) {
            let len = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..len]);
            *used += len;
            return Poll::Ready(Ok(()));
        }
        let len = ready!(read.poll_read(cx, buffer.initialize_unfilled()))?;
        buffer.advance(len);
        connection.read_at(clock::now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |connection| connection.write.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |connection| connection.write.try_write_vectored(buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
