//! A server: IO threads that read and admit, workers that run handlers.
//!
//! ```text
//!            IO threads                           workers
//! socket ──► frames ──► admit ──► queue ──► take ──► still in time? ──► handler
//!    ▲                    │ no              (by priority)    │ no          │
//!    └────────── outbox ◄─┴─────────────────────────────────┴─────────────┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`config`] | the settings |
//! | `listener` | where connections come from |
//! | `io` | an IO thread and its connections |
//! | `protocol` | which protocol a connection speaks: `native`, `brpc`, or `http` for the server's own `pages` |
//! | `intake` | from a whole request to a job, an inline answer, or a refusal |
//! | `connection` | the part of a connection that workers see: its outbox, and who is no longer waited for |
//! | `pool` | workers of one kind: their queue and their controller |
//! | `queue` | what waits for a worker, the most important first |
//! | `worker`, `blocking` | asynchronous handlers as coroutines, blocking ones each on a thread |
//! | `reply` | an answer as it goes over the wire |
//! | `memory` | what requests may take up |
//! | `observed` | what the pages and the metrics show beside the methods |
//!
//! Whoever is done with a batch writes it: no thread waits for another to answer, and no answer waits for a turn of the IO thread.

mod blocking;
mod brpc;
pub mod config;
pub(crate) mod connection;
mod controller;
mod http;
mod intake;
mod io;
mod job;
mod listener;
mod memory;
mod native;
mod observed;
mod pages;
pub(crate) mod pool;
mod protocol;
mod queue;
pub(crate) mod reply;
pub(crate) mod shared;
mod worker;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{self, JoinHandle};

use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::LocalSet;

pub use config::Config;

use self::io::IoThread;
use self::listener::Listener;
use self::observed::Observed;
use self::shared::Shared;
use crate::client::Client;
use crate::failure::Failure;
use crate::host::Host;
use crate::methods::{Methods, Run, Service};
use crate::net::Address;
use crate::net::address::BadAddress;
use crate::request::{Inline, Reply, Request};
use crate::stats::MethodStats;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The settings do not make sense.
    #[error("{0}")]
    Config(String),
    /// Two methods have the same id.
    #[error("{0}")]
    Methods(String),
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A server that is being put together.
#[derive(Default)]
pub struct Builder {
    config: Config,
    listen: Vec<String>,
    methods: Methods,
    host: Option<Arc<Host>>,
    clients: Vec<Client>,
    log_one_in: u32,
}

impl Builder {
    /// Does what this host's operator says of admission, and orders users as all its processes do.
    #[must_use]
    pub fn host(mut self, host: Arc<Host>) -> Builder {
        self.host = Some(host);
        self
    }

    /// Listens there too: `127.0.0.1:8000`, `[::1]:8000`, `unix:/run/echo.sock`. Port 0 is one that the system chooses.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Builder {
        self.listen.push(address.into());
        self
    }

    /// Other settings than the defaults.
    #[must_use]
    pub fn config(mut self, config: Config) -> Builder {
        self.config = config;
        self
    }

    /// See [`Methods::add`].
    #[must_use]
    pub fn method<F, Fut>(mut self, full_name: &str, handler: F) -> Builder
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.methods.add(full_name, handler);
        self
    }

    /// See [`Methods::add_inline`].
    #[must_use]
    pub fn inline_method<F>(mut self, full_name: &str, handler: F) -> Builder
    where
        F: Fn(&Inline<'_>, &mut Vec<u8>) -> Result<(), Failure> + Send + Sync + 'static,
    {
        self.methods.add_inline(full_name, handler);
        self
    }

    /// See [`Methods::add_blocking`].
    #[must_use]
    pub fn blocking_method<F>(mut self, full_name: &str, handler: F) -> Builder
    where
        F: Fn(Request) -> Reply + Send + Sync + 'static,
    {
        self.methods.add_blocking(full_name, handler);
        self
    }

    /// Adds all methods of a service.
    #[must_use]
    pub fn service(mut self, service: impl Service) -> Builder {
        self.methods.add_service(service);
        self
    }

    /// Shows this client too, on the server's pages and among its metrics.
    #[must_use]
    pub fn show_client(mut self, client: &Client) -> Builder {
        self.clients.push(client.clone());
        self
    }

    /// Logs one of so many requests, by a line of level info under the target `mcrpc::log`; 0, as at first: none.
    #[must_use]
    pub fn log_one_in(mut self, requests: u32) -> Builder {
        self.log_one_in = requests;
        self
    }

    /// Starts the server, on threads of its own. It serves when this returns.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, the methods, or an address; then nothing was started.
    pub fn start(self) -> Result<Server, StartError> {
        let Builder { config, listen, methods, host, clients, log_one_in } = self;
        config.validate().map_err(StartError::Config)?;
        if let Some(conflict) = methods.conflict() {
            return Err(StartError::Methods(conflict.to_string()));
        }
        if let Some(method) = methods.iter().find(|method| matches!(method.run, Run::Blocking(_)))
            && config.blocking_workers == 0
        {
            return Err(StartError::Config(format!(
                "blocking_workers is 0, but {} may block: set it to 1 at least",
                method.name
            )));
        }
        if listen.is_empty() {
            return Err(StartError::Config("there is no address to listen on: call listen()".to_owned()));
        }
        let addresses: Vec<Address> = listen.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let listeners: Vec<Listener> = addresses.iter().map(Listener::bind).collect::<Result<_, _>>()?;
        let addresses = listeners.iter().map(Listener::address).collect::<Result<_, _>>()?;
        methods.iter().for_each(|method| method.stats.log_one_in.store(log_one_in, Relaxed));
        let shared = Arc::new(Shared::new(config, methods, host, Observed::new(clients))?);
        let (io, workers) = spawn(&shared, listeners)?;
        Ok(Server { shared, addresses, io, workers })
    }
}

/// A server that serves. Dropping it ends it without waiting for anybody: see [`Server::drain`].
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<Address>,
    io: Threads,
    workers: Threads,
}

impl Server {
    /// A server to be put together.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where it listens, in the order in which that was asked for.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What was counted of a method; `None` if there is none of that name.
    pub fn stats(&self, full_name: &str) -> Option<&MethodStats> {
        self.shared.methods.iter().find(|method| method.name == full_name).map(|method| &method.stats)
    }

    /// All that is counted, as `/metrics` shows it: OpenMetrics text.
    pub fn metrics(&self) -> String {
        crate::metrics::text(&crate::metrics::of_server(&self.shared))
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    /// Requests that wait for a worker.
    pub fn queued(&self) -> usize {
        self.shared.workers.queue.len() + self.shared.blocking.queue.len()
    }

    /// Bytes that requests take up which arrive or wait.
    pub fn request_memory(&self) -> usize {
        self.shared.memory.used()
    }

    /// Ends: takes no new requests, tells all callers so, and waits until what was taken is answered, or the drain timeout is over.
    /// Blocks the calling thread.
    pub fn drain(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.is_draining.store(true, Relaxed);
        self.shared.told_to_end.notify_waiters();
        // A thread that panicked has said so.
        self.io.drain(..).for_each(|thread| _ = thread.join());
        self.shared.workers.queue.close();
        self.shared.blocking.queue.close();
        self.workers.drain(..).for_each(|thread| _ = thread.join());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_dropped.store(true, Relaxed);
        self.end();
    }
}

type Threads = Vec<JoinHandle<()>>;

/// Starts all threads: those of IO, and the workers.
fn spawn(shared: &Arc<Shared>, listeners: Vec<Listener>) -> std::io::Result<(Threads, Threads)> {
    let config = &shared.config;
    let mut workers = Vec::new();
    for number in 0..config.workers {
        let (pool, coroutines) = (shared.workers.clone(), config.coroutines_per_worker);
        workers.push(spawn_runtime(format!("worker-{number}"), move || worker::run(number, coroutines, pool))?);
    }
    for number in 0..config.blocking_workers {
        let pool = shared.blocking.clone();
        let run = move || blocking::run(number, &pool);
        workers.push(thread::Builder::new().name(format!("blocking-{number}")).spawn(run)?);
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..config.io_threads).map(|_| mpsc::unbounded_channel()).unzip();
    let mut listeners = Some(listeners);
    let mut io = Vec::new();
    for (number, accepted) in receivers.into_iter().enumerate() {
        let (shared, senders, listeners) = (shared.clone(), senders.clone(), listeners.take().unwrap_or_default());
        io.push(spawn_runtime(format!("io-{number}"), move || async move {
            for listener in listeners {
                tokio::task::spawn_local(listener.run(shared.clone(), senders.clone()));
            }
            IoThread::new(shared).run(accepted).await;
        })?);
    }
    Ok((io, workers))
}

/// A thread with a runtime of its own, whose tasks stay there.
fn spawn_runtime<F, Fut>(name: String, main: F) -> std::io::Result<JoinHandle<()>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()>,
{
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name).spawn(move || LocalSet::new().block_on(&runtime, async move { main().await }))
}
