//! Callers by HTTP/1.1: `POST /SERVICE/pkg.Service/Method`, which becomes a native call to the proxy itself.
//!
//! | module | |
//! |---|---|
//! | `call` | a request, and what becomes of it |
//! | `body` | what a request brings, within the memory that there is |
//! | `headers` | who asks, until when |
//! | `answer` | how a call ended, in HTTP's terms |

mod answer;
mod body;
mod call;
mod headers;

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::net as unix;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use mcrpc::{Address, Client};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use self::body::Room;
use self::call::Caller;
use crate::schema::Schemas;
use crate::{Error, Event, NAME};

/// Connections at a time; a further one waits until one has ended.
const MAX_CONNECTIONS: usize = 1_024;
/// Headers arrive within this time, and keep a connection no longer that is not used.
const HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// What was taken is answered within this time when the proxy ends.
const DRAIN: Duration = Duration::from_secs(2);
/// How often files are looked at.
const LOOKED_AT_EACH: Duration = Duration::from_secs(1);
/// After a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// The thread that serves callers by HTTP.
pub(crate) struct Http {
    address: Address,
    /// Told how to end; dropped, it ends at once.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

enum Listener {
    Tcp(std::net::TcpListener),
    Unix(unix::UnixListener),
}

impl Http {
    /// Listens at `address` for calls that go through the proxy at `native`. May be called within another runtime.
    pub(crate) fn start(
        native: &Address,
        address: &Address,
        schemas: Arc<Schemas>,
        tell: impl Fn(&Event) + Send + 'static,
    ) -> Result<Http, Error> {
        let wrong = |error| Error::Listen { address: address.clone(), error };
        let (listener, bound) = Listener::bind(address).map_err(wrong)?;
        let native = native.to_string();
        let (end, ended) = oneshot::channel();
        let (started, has_started) = mpsc::channel();
        let run = move || {
            // Whoever waits for it has gone only with the process.
            let failed = |error| _ = started.send(Err(error));
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return failed(error.into()),
            };
            let watched = {
                let _runtime = runtime.enter();
                Accepting::new(listener)
            };
            let listener = match watched {
                Ok(listener) => listener,
                Err(error) => return failed(error.into()),
            };
            let client = Client::builder(NAME).service(call::PROXY, [native]).on_runtime(runtime.handle().clone());
            let client = match client.build() {
                Ok(client) => client,
                Err(error) => return failed(error),
            };
            let _ = started.send(Ok(()));
            let caller = Arc::new(Caller { client, schemas: schemas.clone(), room: Room::default() });
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, caller, ended) => {}
                    () = follow(schemas, tell) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("mcrpc-proxy".to_owned()).spawn(run).map_err(wrong)?;
        // A thread that panicked has said so.
        has_started.recv().unwrap_or_else(|_| Err(io::Error::other("its thread has ended").into()))?;
        Ok(Http { address: bound, end: Some(end), thread: Some(thread) })
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes nothing more, and waits for what was taken.
    pub(crate) fn drain(mut self) {
        if let Some(end) = self.end.take() {
            // It may have ended by itself.
            let _ = end.send(());
        }
        self.join();
    }

    fn join(&mut self) {
        // A thread that panicked has said so.
        self.thread.take().into_iter().for_each(|thread| _ = thread.join());
        if let Address::Unix(path) = &self.address {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.end = None;
        if self.thread.is_some() {
            self.join();
        }
    }
}

impl Listener {
    /// Listens; with the address that the system chose.
    fn bind(address: &Address) -> io::Result<(Listener, Address)> {
        match address {
            Address::Tcp(tcp) => {
                let listener = std::net::TcpListener::bind(tcp)?;
                listener.set_nonblocking(true)?;
                let bound = listener.local_addr()?.into();
                Ok((Listener::Tcp(listener), bound))
            }
            Address::Unix(path) => Ok((Listener::Unix(bind_unix(path)?), address.clone())),
        }
    }
}

/// A socket that was left behind, and on which nobody listens, is replaced.
fn bind_unix(path: &Path) -> io::Result<unix::UnixListener> {
    let bound = unix::UnixListener::bind(path).or_else(|error| {
        let is_left_behind = error.kind() == io::ErrorKind::AddrInUse
            && unix::UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if !is_left_behind {
            return Err(error);
        }
        fs::remove_file(path)?;
        unix::UnixListener::bind(path)
    })?;
    bound.set_nonblocking(true)?;
    Ok(bound)
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    fn new(listener: Listener) -> io::Result<Accepting> {
        Ok(match listener {
            Listener::Tcp(listener) => Accepting::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Accepting::Unix(UnixListener::from_std(listener)?),
        })
    }
}

/// Serves until it is told to end.
async fn serve(listener: Accepting, caller: Arc<Caller>, mut ended: oneshot::Receiver<()>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let is_orderly = loop {
        let next = async {
            // Never closed.
            let permit = connections.clone().acquire_owned().await;
            let accepted = match &listener {
                Accepting::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
                Accepting::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
            };
            accepted.map(|stream| (stream, permit.ok()))
        };
        tokio::select! {
            biased;
            told = &mut ended => break told.is_ok(),
            accepted = next => match accepted {
                Ok((Stream::Tcp(stream), permit)) => {
                    // A socket that is already broken says so when it is read.
                    let _ = stream.set_nodelay(true);
                    serve_one(stream, permit, &graceful, &caller);
                }
                Ok((Stream::Unix(stream), permit)) => serve_one(stream, permit, &graceful, &caller),
                // A peer that has gone, or no room for another one: the listener itself is well.
                Err(_) => sleep(PAUSE).await,
            },
        }
    };
    drop(listener);
    if is_orderly {
        let _ = timeout(DRAIN, graceful.shutdown()).await;
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

fn serve_one<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    permit: Option<OwnedSemaphorePermit>,
    graceful: &GracefulShutdown,
    caller: &Arc<Caller>,
) {
    let caller = caller.clone();
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        let caller = caller.clone();
        async move { Ok::<_, Infallible>(caller.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), answer);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        // How a connection ends, its caller knows. A call that it waits for ends with it.
        let _ = connection.await;
        drop(permit);
    });
}

/// Follows the files of schemas for ever.
async fn follow(schemas: Arc<Schemas>, tell: impl Fn(&Event) + Send + 'static) {
    let mut ticks = interval(LOOKED_AT_EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let schemas = schemas.clone();
        // Many files take a while to be compiled.
        if let Ok(Some(event)) = tokio::task::spawn_blocking(move || schemas.poll()).await {
            tell(&event);
        }
    }
}
