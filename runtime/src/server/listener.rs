//! Where connections come from.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net as std_unix;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc::UnboundedSender;

use super::shared::Shared;
use crate::net::Address;
use crate::net::stream::{self, ReadHalf, WriteHalf};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// How long nothing is accepted after the system had no file descriptors or memory left.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection that was accepted, not bound to a thread yet.
pub(crate) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std_unix::UnixStream),
}

impl Accepted {
    fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Accepted::Tcp(stream) => stream.set_nonblocking(true),
            Accepted::Unix(stream) => stream.set_nonblocking(true),
        }
    }

    /// Its halves, for the thread that calls this.
    pub(crate) fn split(self) -> io::Result<(ReadHalf, WriteHalf)> {
        Ok(match self {
            Accepted::Tcp(stream) => stream::split_tcp(TcpStream::from_std(stream)?),
            Accepted::Unix(stream) => stream::split_unix(UnixStream::from_std(stream)?),
        })
    }
}

/// A socket that listens.
pub(crate) enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std_unix::UnixListener, SocketFile),
}

/// The file of a unix socket. It is removed with the socket of the process that has made it.
pub(crate) struct SocketFile {
    path: PathBuf,
    is_own: bool,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_own {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    ///
    /// What the operating system says, with the address.
    pub(crate) fn bind(address: &Address) -> io::Result<Listener> {
        let bound = match address {
            Address::Tcp(address) => bind_tcp(*address, Port::Own).and_then(listen).map(Listener::Tcp),
            Address::Unix(path) => bind_unix(path.clone()),
        };
        bound.map_err(|error| cannot_listen(address, &error))
    }

    /// Holds an address for the processes of this server: see [`Listener::share`]. Nobody listens at a TCP address yet.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`].
    pub(crate) fn reserve(address: &Address) -> io::Result<Listener> {
        // Who shares an address with others does not find out that it belongs to another server.
        let alone = Listener::bind(address)?;
        let Address::Tcp(chosen) = alone.address()? else { return Ok(alone) };
        drop(alone);
        let bound = bind_tcp(chosen, Port::Shared).map_err(|error| cannot_listen(address, &error))?;
        Ok(Listener::Tcp(bound.into()))
    }

    /// A socket that listens at this address for one of several processes: at a TCP address its own, on a unix socket the same for
    /// all.
    ///
    /// # Errors
    ///
    /// As for [`Listener::bind`].
    pub(crate) fn share(&self) -> io::Result<Listener> {
        match (self, self.address()?) {
            (Listener::Unix(listener, _), Address::Unix(path)) => {
                Ok(Listener::Unix(listener.try_clone()?, SocketFile { path, is_own: false }))
            }
            (_, Address::Tcp(tcp)) => {
                let bound = bind_tcp(tcp, Port::Shared).and_then(listen);
                bound.map(Listener::Tcp).map_err(|error| cannot_listen(&tcp.into(), &error))
            }
            (Listener::Tcp(_), Address::Unix(_)) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The socket at this address, which was inherited.
    pub(crate) fn inherit(address: &Address, socket: OwnedFd) -> Listener {
        match address {
            Address::Tcp(_) => Listener::Tcp(socket.into()),
            Address::Unix(path) => Listener::Unix(socket.into(), SocketFile { path: path.clone(), is_own: false }),
        }
    }

    /// Where it listens: with the port that the system chose.
    pub(crate) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Listener::Tcp(listener) => Address::Tcp(listener.local_addr()?),
            Listener::Unix(_, file) => Address::Unix(file.path.clone()),
        })
    }

    /// Accepts for ever, and hands the connections to the IO threads in turn.
    pub(crate) async fn run(self, shared: Arc<Shared>, threads: Vec<UnboundedSender<Accepted>>) -> io::Result<()> {
        let mut next = threads.iter().cycle();
        let mut hand_over = |stream| {
            if shared.connections.fetch_add(1, Relaxed) >= shared.live().max_connections {
                shared.connections.fetch_sub(1, Relaxed);
                return;
            }
            let is_taken = next.next().is_some_and(|thread| thread.send(stream).is_ok());
            if !is_taken {
                shared.connections.fetch_sub(1, Relaxed);
            }
        };
        match self {
            Listener::Tcp(listener) => {
                let listener = TcpListener::from_std(listener)?;
                let accept = async || Ok(Accepted::Tcp(listener.accept().await?.0.into_std()?));
                accept_until_told(&shared, accept, &mut hand_over).await;
                let listener = listener.into_std()?;
                accept_connected(|| listener.accept().map(|(stream, _)| Accepted::Tcp(stream)), &mut hand_over);
            }
            Listener::Unix(listener, _file) => {
                let listener = UnixListener::from_std(listener)?;
                let accept = async || Ok(Accepted::Unix(listener.accept().await?.0.into_std()?));
                accept_until_told(&shared, accept, &mut hand_over).await;
                let listener = listener.into_std()?;
                accept_connected(|| listener.accept().map(|(stream, _)| Accepted::Unix(stream)), &mut hand_over);
            }
        }
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listener::Tcp(listener) => listener.as_fd(),
            Listener::Unix(listener, _) => listener.as_fd(),
        }
    }
}

/// Accepts until the server ends.
async fn accept_until_told(
    shared: &Shared,
    accept: impl AsyncFn() -> io::Result<Accepted>,
    mut hand_over: impl FnMut(Accepted),
) {
    loop {
        let told_to_end = shared.told_to_end.notified();
        if shared.is_draining.load(Relaxed) {
            return;
        }
        let next = tokio::select! {
            next = accept() => next,
            () = told_to_end => return,
        };
        match next {
            Ok(stream) => hand_over(stream),
            // A peer that has gone, or no room for another one: the listener itself is well.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts those that have connected already: they shall not find out by a reset that nobody is there.
fn accept_connected(mut accept: impl FnMut() -> io::Result<Accepted>, mut hand_over: impl FnMut(Accepted)) {
    while let Ok(stream) = accept() {
        if stream.set_nonblocking().is_ok() {
            hand_over(stream);
        }
    }
}

fn cannot_listen(address: &Address, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
}

/// Who listens on a port.
#[derive(PartialEq, Eq)]
enum Port {
    Own,
    /// Several sockets, among which the kernel spreads the connections.
    Shared,
}

fn bind_tcp(address: SocketAddr, port: Port) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(port == Port::Shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<std::net::TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A file that a server left behind, and on which nobody listens, is replaced.
fn bind_unix(path: PathBuf) -> io::Result<Listener> {
    let bound = std_unix::UnixListener::bind(&path).or_else(|error| {
        let is_left_behind = error.kind() == io::ErrorKind::AddrInUse
            && std_unix::UnixStream::connect(&path)
                .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !is_left_behind {
            return Err(error);
        }
        std::fs::remove_file(&path)?;
        std_unix::UnixListener::bind(&path)
    })?;
    bound.set_nonblocking(true)?;
    Ok(Listener::Unix(bound, SocketFile { path, is_own: true }))
}
