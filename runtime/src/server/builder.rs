//! A server that is being put together.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use super::config::{Config, watch::Watch};
use super::hooks::{Hooks, Place};
use super::listener::Listener;
use super::observed::Observed;
use super::prefork::{Inherited, Master};
use super::registration::Registration;
use super::segment::Segment;
use super::shared::Shared;
use super::threads::Threads;
use super::{Part, Role, Server};
use crate::client::Client;
use crate::failure::Failure;
use crate::host::Host;
use crate::methods::{Methods, Run, Service};
use crate::net::Address;
use crate::net::address::BadAddress;
use crate::request::{Inline, Reply, Request};

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
    /// A process of the server did not start.
    #[error("{0}")]
    Process(String),
    /// The operating system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A server that is being put together.
#[derive(Default)]
pub struct Builder {
    pub(super) config: Config,
    listen: Vec<String>,
    methods: Methods,
    host: Option<Arc<Host>>,
    clients: Vec<Client>,
    pub(super) hooks: Hooks,
    config_file: Option<PathBuf>,
    watch: Option<Watch>,
    #[cfg(feature = "grpc")]
    descriptors: super::grpc::Descriptors,
    register_as: Vec<String>,
}

impl Builder {
    /// Does what this host's operator says of admission, orders users as all its processes do, and tells the host what its
    /// admission does. A process has one place for that in a [`Host`]: of several servers, give each its own.
    #[must_use]
    pub fn host(mut self, host: Arc<Host>) -> Builder {
        self.host = Some(host);
        self
    }

    /// Registers this server with the host's agent as one of the service of this name, for as long as it serves: callers on all
    /// hosts then find it (`docs/discovery.md`). Needs [`host`](Builder::host), and an address of TCP.
    #[must_use]
    pub fn register(mut self, service: impl Into<String>) -> Builder {
        self.register_as.push(service.into());
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

    /// Shows this client too, on the server's pages and among its metrics.
    #[must_use]
    pub fn show_client(mut self, client: &Client) -> Builder {
        self.clients.push(client.clone());
        self
    }

    /// Logs one of so many requests: [`Config::log_one_in`].
    #[must_use]
    pub fn log_one_in(mut self, requests: u32) -> Builder {
        self.config.log_one_in = requests;
        self
    }

    /// Takes settings from a file too: what it says goes before what the program says. It is looked at once a second, and what has
    /// changed is taken over as far as a running server can. [`Config::example_toml`] has all keys.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Builder {
        self.config_file = Some(path.into());
        self
    }

    /// Serves in so many processes: see [`prefork`](super::prefork).
    #[must_use]
    pub fn processes(mut self, processes: usize) -> Builder {
        self.config.processes = processes;
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

    /// See [`Methods::add_fallback`].
    #[must_use]
    pub fn fallback<F, Fut>(mut self, handler: F) -> Builder
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Reply> + Send + 'static,
    {
        self.methods.add_fallback(handler);
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

    /// Describes services to tools such as grpcurl, which then need no `.proto`: a `FileDescriptorSet`, as protoc's
    /// `--descriptor_set_out` and `mcrpc_build::Config::descriptor_set` write it.
    #[cfg(feature = "grpc")]
    #[must_use]
    pub fn grpc_descriptors(mut self, file_descriptor_set: &[u8]) -> Builder {
        self.descriptors.add(file_descriptor_set);
        self
    }

    /// Starts the server, on threads of its own; with several processes, in those: see [`prefork`](super::prefork). It serves when
    /// this returns.
    ///
    /// # Errors
    ///
    /// What is wrong with the settings, the methods, or an address; then nothing was started.
    pub fn start(mut self) -> Result<Server, StartError> {
        let may_be_child = self.config.processes > 1 || self.config_file.is_some();
        let inherited = if may_be_child { Inherited::take()? } else { None };
        match inherited {
            Some(inherited) => inherited.serve(|inherited| self.start_child(inherited)),
            None => {
                self.read_settings(None)?;
                let register_as = std::mem::take(&mut self.register_as);
                let host = self.registers_at(&register_as)?;
                let mut server = self.start_first()?;
                server.registration =
                    host.map(|host| Registration::start(&host, &register_as, &server.addresses)).transpose()?;
                Ok(server)
            }
        }
    }

    /// Where to register, if it is to be registered.
    fn registers_at(&self, services: &[String]) -> Result<Option<Arc<Host>>, StartError> {
        match (services, &self.host) {
            ([], _) => Ok(None),
            (_, Some(host)) => Ok(Some(host.clone())),
            _ => Err(StartError::Config("register() needs the host whose agent is told: call host()".to_owned())),
        }
    }

    /// Reads the file of the settings, unless it is known already.
    fn read_settings(&mut self, known: Option<String>) -> Result<(), StartError> {
        if let Some(path) = &self.config_file {
            let (watch, config) = Watch::start(path, self.config.clone(), known).map_err(StartError::Config)?;
            (self.watch, self.config) = (Some(watch), config);
        }
        Ok(())
    }

    /// In the process that was started first.
    fn start_first(self) -> Result<Server, StartError> {
        let addresses = self.checked_addresses()?;
        let master = Place { process: 0, thread: 0 };
        let bind = if self.config.processes > 1 { Listener::reserve } else { Listener::bind };
        let listeners: Vec<Listener> = addresses.iter().map(bind).collect::<Result<_, _>>()?;
        let addresses: Vec<Address> = listeners.iter().map(Listener::address).collect::<Result<_, _>>()?;
        let segment = Segment::new(&self.config)?;
        self.hooks.before_master_run(master);
        if self.config.processes == 1 {
            return self.serve(Role::Whole, 0, segment, listeners, addresses);
        }
        let master = Master::start(
            &self.config,
            segment,
            listeners,
            &addresses,
            self.watch.map(|watch| watch.text().to_owned()),
        )?;
        Ok(Server {
            part: Part::Master(master),
            role: Role::Master,
            addresses,
            hooks: self.hooks.into(),
            has_ended: false,
            registration: None,
        })
    }

    fn start_child(mut self, inherited: &mut Inherited) -> Result<Server, StartError> {
        self.read_settings(inherited.settings())?;
        self.config.processes = inherited.processes();
        self.checked_addresses()?;
        let addresses = inherited.addresses()?;
        let segment = Segment::attach(inherited.take_segment()?, &self.config)?;
        let sockets = inherited.take_sockets();
        let listeners = addresses.iter().zip(sockets).map(|(address, socket)| Listener::inherit(address, socket));
        let listeners = listeners.collect();
        let number = inherited.number();
        self.serve(Role::Child(number), number, segment, listeners, addresses)
    }

    /// Serves in this process.
    fn serve(
        self,
        role: Role,
        process: usize,
        segment: Segment,
        listeners: Vec<Listener>,
        addresses: Vec<Address>,
    ) -> Result<Server, StartError> {
        let Builder { config, methods, host, clients, hooks, watch, .. } = self;
        let hooks = Arc::new(hooks);
        let observed = Observed::new(clients);
        #[cfg(feature = "grpc")]
        let observed = Observed { descriptors: self.descriptors, ..observed };
        let shared = Arc::new(Shared::new(config, methods, host, observed, watch, segment, process as u32));
        hooks.before_child_run(Place { process, thread: 0 });
        let threads = Threads::start(shared, listeners, &hooks, process)?;
        Ok(Server { part: Part::Serving(threads), role, addresses, hooks, has_ended: false, registration: None })
    }

    /// Where to listen, if everything makes sense that can be told without doing it.
    fn checked_addresses(&self) -> Result<Vec<Address>, StartError> {
        let Builder { config, listen, methods, .. } = self;
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
        config.check_methods(methods).map_err(StartError::Config)?;
        #[cfg(feature = "grpc")]
        self.descriptors.check().map_err(StartError::Methods)?;
        if listen.is_empty() && config.listen.is_empty() {
            return Err(StartError::Config("there is no address to listen on: call listen()".to_owned()));
        }
        Ok(config.listen.iter().chain(listen).map(|text| text.parse()).collect::<Result<_, _>>()?)
    }
}
