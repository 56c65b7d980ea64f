//! The host's proxy: processes in any language call services through it, and it finds servers, shields, admits and retries for
//! them (SPEC S18).
//!
//! ```text
//!  native frames ──► proxy.sock ──────► admit ──► forward ──► a server of the service
//!                        ▲                          (shared memory of the host: shields, cursors, skips)
//!  HTTP, JSON ──► proxy-http.sock ── frames
//! ```
//!
//! | module | |
//! |---|---|
//! | `native` | the server that passes requests on |
//! | `http` | calls by HTTP, which become native ones |
//! | [`schema`] | the messages of methods, read from `.proto` files and followed |
//! | `transcode` | JSON and messages |
//! | `socket` | who may call |
//!
//! A call by HTTP takes the same way as a native one, so that one admission, one set of counts and one kill switch hold for both.
//! All of it runs in threads of its own.

mod http;
mod native;
pub mod schema;
mod socket;
mod transcode;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mcrpc::client::ClientError;
use mcrpc::server::StartError;
use mcrpc::{Address, Client, Host, Server};

use crate::http::Http;
use crate::schema::Schemas;

/// The name by which servers know the proxy itself; callers keep theirs.
const NAME: &str = "mcrpc-proxy";

/// What a proxy is told.
pub struct Settings {
    /// The host whose shields, skips, cursors and switches hold.
    pub host: Arc<Host>,
    /// Where native callers connect.
    pub socket: PathBuf,
    /// Where callers by HTTP connect.
    pub http: Address,
    /// Who may connect to unix sockets: their mode.
    pub socket_mode: u32,
    /// The methods by whose messages JSON is understood.
    pub schemas: Schemas,
}

/// What there is to tell a person.
#[derive(Debug)]
pub enum Event {
    /// The methods of so many are known from files now.
    Schemas(usize),
    /// The files that have changed cannot be used: what was known before stays in force.
    BadSchemas(String),
}

impl Event {
    /// Whether somebody has to do something.
    pub fn is_error(&self) -> bool {
        matches!(self, Event::BadSchemas(_))
    }
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Schemas(methods) => write!(out, "the proxy knows the messages of {methods} methods"),
            Event::BadSchemas(why) => write!(out, "the proxy goes on with the .proto files it had: {why}"),
        }
    }
}

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The native side.
    #[error("the proxy cannot serve: {0}")]
    Serve(#[from] StartError),
    /// Its client.
    #[error("the proxy cannot call: {0}")]
    Client(#[from] ClientError),
    /// A socket.
    #[error("the proxy cannot listen on {address}: {error}")]
    Listen {
        /// Which.
        address: Address,
        /// Why.
        error: io::Error,
    },
}

/// A proxy that serves. Dropped, it ends without waiting for anybody: see [`Proxy::drain`].
pub struct Proxy {
    // In this order: callers by HTTP are callers of the other.
    http: Http,
    server: Server,
}

impl Proxy {
    /// Starts a proxy, which finds services as the host's agent names them.
    ///
    /// # Errors
    ///
    /// What cannot be used; then nothing was started.
    pub fn start(settings: Settings, tell: impl Fn(&Event) + Send + 'static) -> Result<Proxy, Error> {
        let Settings { host, socket, http, socket_mode, schemas } = settings;
        let schemas = Arc::new(schemas);
        let client = Client::builder(NAME).host(host.clone()).build()?;
        let server = native::serve(&socket, &host, &client, &schemas)?;
        let native = Address::Unix(socket);
        socket::admit(&native, socket_mode, host.directory());
        let http = Http::start(&native, &http, schemas, tell)?;
        socket::admit(http.address(), socket_mode, host.directory());
        Ok(Proxy { http, server })
    }

    /// Where callers by HTTP connect.
    pub fn http(&self) -> &Address {
        self.http.address()
    }

    /// Takes no new requests, and waits until what was taken is answered, for a few seconds at most.
    pub fn drain(self) {
        let Proxy { http, server } = self;
        http.drain();
        server.drain();
    }
}
