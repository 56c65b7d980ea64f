//! A connection in two halves: one task reads, any thread writes.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

use super::address::Address;

/// A peer that is gone, or that somebody on the way has forgotten, is asked after so long a silence, and then so often.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
const KEEPALIVE_EACH: Duration = Duration::from_secs(1);
/// A connection is broken whose peer has acknowledged nothing, or taken nothing, for so long.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(8);

/// The half that is read.
#[derive(Debug)]
pub(crate) enum ReadHalf {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

/// The half that is written. Dropping it says to the peer that nothing more comes.
#[derive(Debug)]
pub(crate) enum WriteHalf {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

/// The two halves of a TCP connection, whose writes are not held back.
pub(crate) fn split_tcp(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    // A socket that is already broken says so when it is read.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    (ReadHalf::Tcp(read), WriteHalf::Tcp(write))
}

/// The two halves of a connection through a unix socket.
pub(crate) fn split_unix(stream: UnixStream) -> (ReadHalf, WriteHalf) {
    let (read, write) = stream.into_split();
    (ReadHalf::Unix(read), WriteHalf::Unix(write))
}

/// Connects. A peer that vanishes without a word is noticed.
pub(crate) async fn connect(address: &Address) -> io::Result<(ReadHalf, WriteHalf)> {
    Ok(match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            let socket = SockRef::from(&stream);
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EACH))?;
            socket.set_tcp_user_timeout(Some(GIVEN_UP_AFTER))?;
            split_tcp(stream)
        }
        Address::Unix(path) => split_unix(UnixStream::connect(path).await?),
    })
}

impl ReadHalf {
    /// Reads into `buffer`, and says how many bytes; 0 at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            ReadHalf::Tcp(half) => Pin::new(half).poll_read(cx, &mut buffer),
            ReadHalf::Unix(half) => Pin::new(half).poll_read(cx, &mut buffer),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl WriteHalf {
    /// Writes as much as the socket takes now.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            WriteHalf::Tcp(half) => half.try_write(bytes),
            WriteHalf::Unix(half) => half.try_write(bytes),
        }
    }

    /// The same, of several buffers.
    #[cfg(feature = "grpc")]
    pub(crate) fn try_write_vectored(&self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            WriteHalf::Tcp(half) => half.try_write_vectored(buffers),
            WriteHalf::Unix(half) => half.try_write_vectored(buffers),
        }
    }

    /// Who is at the other end: an address, or the process behind a unix socket.
    pub(crate) fn peer(&self) -> String {
        match self {
            WriteHalf::Tcp(half) => half.peer_addr().map_or_else(|_| "-".to_owned(), |address| address.to_string()),
            WriteHalf::Unix(half) => {
                let pid = half.as_ref().peer_cred().ok().and_then(|peer| peer.pid());
                pid.map_or_else(|| "unix".to_owned(), |pid| format!("unix:pid={pid}"))
            }
        }
    }

    /// The user behind a unix socket, as the kernel says.
    pub(crate) fn peer_uid(&self) -> Option<u32> {
        match self {
            WriteHalf::Tcp(_) => None,
            WriteHalf::Unix(half) => half.as_ref().peer_cred().ok().map(|peer| peer.uid()),
        }
    }

    /// Ends the connection in both directions.
    pub(crate) fn shut_down(&self) {
        let socket = match self {
            WriteHalf::Tcp(half) => SockRef::from(half.as_ref()),
            WriteHalf::Unix(half) => SockRef::from(half.as_ref()),
        };
        // It fails if the peer has ended it already.
        let _ = socket.shutdown(Shutdown::Both);
    }

    /// Whether the socket takes more, or will wake the task when it does. For one task at a time.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            WriteHalf::Tcp(half) => half.as_ref().poll_write_ready(cx),
            WriteHalf::Unix(half) => half.as_ref().poll_write_ready(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_vanishes_is_noticed() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (_read, write) = connect(&Address::Tcp(listener.local_addr().unwrap())).await.unwrap();
        let WriteHalf::Tcp(half) = &write else { unreachable!("it is a TCP connection") };
        let socket = SockRef::from(half.as_ref());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_EACH);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(GIVEN_UP_AFTER));
    }
}
