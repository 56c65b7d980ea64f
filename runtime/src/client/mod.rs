//! A client: services by their names, and calls that find a server by themselves (SPEC M2).
//!
//! ```text
//! call ──► select (skip, shields, cursors) ──► connection ──► frame ──► answer ──► report, heard
//!             ▲                                                             │ failed, and surely not run, or idempotent
//!             └──────────────── another server, within the budget ◄─────────┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`call`] | a call, as a program makes it |
//! | `attempts` | its attempts: which of them are made, and when |
//! | `attempt` | one of them |
//! | `making` | what they have in common, and what is told of each |
//! | `relay` | what it says on behalf of somebody else |
//! | `common` | what all services of a client have in common |
//! | `services` | which there are, from lists, from files, and from the host's agent |
//! | `service` | the servers of a service, and what is known of them |
//! | `endpoint` | one server: its connections, and when they may be made |
//! | `connection` | many calls over one connection |
//! | `open_calls` | which calls they are |
//! | `task` | what reads its answers |
//! | `stats`, `overview` | what is counted, and what is shown of it |

mod attempt;
mod attempts;
pub mod call;
mod common;
mod connection;
mod endpoint;
mod making;
mod open_calls;
pub(crate) mod overview;
mod relay;
mod service;
mod services;
mod stats;
mod task;

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use mcrpc_agent::route::Watch;
use mcrpc_core::select::settings::Settings;
use mcrpc_core::status::Status;
use mcrpc_core::wire::writer::write_tag;
use mcrpc_core::wire::{Limits, Tag};
use tokio::runtime::Handle;

pub use call::{Call, Calling, Started};

use self::call::Uncallable;
use self::common::{Background, Common, KnownNow};
use self::endpoint::Dialer;
use self::service::Service;
use self::services::Services;
use crate::host::{Host, LOOKED_AT_EACH};
use crate::net::Address;
use crate::net::address::BadAddress;
use crate::request::Request;

/// The longest name that a server takes.
const MAX_CALLER_LEN: usize = 255;

/// Why a client was not made, or a list of servers not taken.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The caller's name cannot go over the wire.
    #[error("{0:?} is no name of a caller: use 1 to 255 printable characters without spaces")]
    Caller(String),
    /// A list of servers that cannot be used.
    #[error("the servers of {service} cannot be used: {status}")]
    Servers {
        /// Whose.
        service: String,
        /// Why.
        status: Status,
    },
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A client that is being put together.
pub struct Builder {
    caller: String,
    services: Vec<(String, Vec<String>)>,
    settings: Settings,
    default_timeout: Duration,
    connect_timeout: Duration,
    connections_per_endpoint: usize,
    limits: Limits,
    handle: Option<Handle>,
    routes: Option<(PathBuf, String)>,
    host: Option<Arc<Host>>,
}

impl Builder {
    /// Finds services by the files below a root, for the programs of one IDC (`docs/routes.md`), and follows them. The first call of a
    /// service reads its files.
    #[must_use]
    pub fn routes(mut self, root: impl Into<PathBuf>, idc: &str) -> Builder {
        self.routes = Some((root.into(), idc.to_owned()));
        self
    }

    /// Shares what is found out about servers with all processes of this host, and follows its operator and its agent. Services
    /// that are in no list and no file are found by the agent (`docs/discovery.md`), and followed.
    #[must_use]
    pub fn host(mut self, host: Arc<Host>) -> Builder {
        self.host = Some(host);
        self
    }

    /// A service with these servers: `127.0.0.1:8000`, `unix:/run/echo.sock`.
    #[must_use]
    pub fn service<A: Into<String>>(mut self, name: &str, servers: impl IntoIterator<Item = A>) -> Builder {
        self.services.push((name.to_owned(), servers.into_iter().map(Into::into).collect()));
        self
    }

    /// How endpoints are chosen, shielded and tried again.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Builder {
        self.settings = settings;
        self
    }

    /// How long a call waits of which nobody says so; 1 s at first.
    #[must_use]
    pub fn default_timeout(mut self, timeout: Duration) -> Builder {
        self.default_timeout = timeout;
        self
    }

    /// How long a connection may take to be made; 500 ms at first.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.connect_timeout = timeout;
        self
    }

    /// How many connections it has to each server; 1 at first, and 1 is meant by 0. A thread's calls go over one of them, so with one for each
    /// core threads of different cores do not write to the same one.
    #[must_use]
    pub fn connections_per_endpoint(mut self, connections: usize) -> Builder {
        self.connections_per_endpoint = connections.max(1);
        self
    }

    /// Runs the connections on this runtime, instead of on a thread of the client's own. Where the callers run on it too, an answer
    /// needs no hop to another thread; but what keeps that runtime busy keeps answers waiting.
    #[must_use]
    pub fn on_runtime(mut self, handle: Handle) -> Builder {
        self.handle = Some(handle);
        self
    }

    /// Makes the client. Connections are made by the first calls.
    ///
    /// # Errors
    ///
    /// What is wrong with a name, an address or a setting.
    pub fn build(self) -> Result<Client, ClientError> {
        let Builder {
            caller,
            services: lists,
            settings,
            default_timeout,
            connect_timeout,
            connections_per_endpoint,
            limits,
            handle,
            routes,
            host,
        } = self;
        if write_tag(Tag::CALLER, caller.as_bytes(), &mut []).is_err() || caller.len() > MAX_CALLER_LEN {
            return Err(ClientError::Caller(caller));
        }
        let (handle, background) = match handle {
            Some(handle) => (handle, None),
            None => Background::start().map(|(handle, background)| (handle, Some(background)))?,
        };
        let routes = routes.as_ref().map(|(root, idc)| (root.as_path(), idc.as_str()));
        let dialer = Dialer { caller, limits, connect_timeout, handle: handle.clone() };
        let common = Arc::new(Common::new(dialer, connections_per_endpoint, host, background));
        let services = Arc::new(Services::new(settings, default_timeout, routes, common));
        // It must not keep alive what it is dropped with.
        let watching = services.clone();
        let watch =
            services.routes().map(|routes| routes.watch(move |change| watching.on_change(change))).transpose()?;
        handle.spawn(keep_house(Arc::downgrade(&services)));
        let client = Client(Arc::new(Inner { services, _watch: watch }));
        for (name, servers) in lists {
            client.set_servers(&name, servers)?;
        }
        Ok(client)
    }
}

/// Keeps house until the client is dropped.
async fn keep_house(services: Weak<Services>) {
    let mut each = tokio::time::interval(LOOKED_AT_EACH);
    loop {
        each.tick().await;
        match services.upgrade() {
            Some(services) => services.keep_house(),
            None => return,
        }
    }
}

/// Calls services. Clones are the same client.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    services: Arc<Services>,
    _watch: Option<Watch>,
}

impl Client {
    /// A client of this name, which servers are told: to be put together.
    pub fn builder(caller: &str) -> Builder {
        Builder {
            caller: caller.to_owned(),
            services: Vec::new(),
            settings: Settings::DEFAULT,
            default_timeout: Duration::from_secs(1),
            connect_timeout: Duration::from_millis(500),
            connections_per_endpoint: 1,
            limits: Limits::DEFAULT,
            handle: None,
            routes: None,
            host: None,
        }
    }

    /// A call of a method by its full name, `pkg.Service.Method`, of the service that is found by a name, `VOA.Crawl`.
    pub fn call(&self, service: &str, full_method: &str, payload: impl Into<Bytes>) -> Call<Bytes> {
        Call::new(self.find(service), full_method, payload.into())
    }

    /// Passes a request on to the service that is found by a name: its method, its payload, its context, and all else that it
    /// says. What is answered to it is to be answered to its caller.
    pub fn forward(&self, service: &str, request: Request) -> Call<Bytes> {
        Call::of_request(self.find(service), request)
    }

    #[inline]
    fn find(&self, service: &str) -> Result<Arc<Service>, Box<Uncallable>> {
        let services = &self.0.services;
        services.find(service).map_err(|failure| Box::new(Uncallable { failure, common: services.common().clone() }))
    }

    /// Puts another list of servers in force. Those that stay keep their connections and what is known of them.
    ///
    /// # Errors
    ///
    /// What is wrong with the list; then the old one stays in force.
    pub fn set_servers<A: Into<String>>(
        &self,
        service: &str,
        servers: impl IntoIterator<Item = A>,
    ) -> Result<(), ClientError> {
        let addresses: Vec<Address> =
            servers.into_iter().map(|server| server.into().parse()).collect::<Result<_, _>>()?;
        let cannot = |status| ClientError::Servers { service: service.to_owned(), status };
        self.0.services.replace(service, &addresses).map_err(cannot)
    }

    /// The services that it knows, by their names.
    pub(crate) fn services(&self) -> Vec<Arc<Service>> {
        let mut services = self.0.services.all();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        services
    }

    /// What is known of its host.
    pub(crate) fn known(&self) -> KnownNow<'_> {
        self.0.services.common().known()
    }
}
