//! Services by name: found wherever they run, and registered while they do (SPEC B1 to B4).
//!
//! ```text
//!  servers of this host ──► names.sock ─┐                       ┌─► names/<service>   read by clients, C and Rust
//!  client and route files ──────────────┼─► table ── publish ───┼─► names.sock        asked by everybody else
//!  etcd: list, watch ◄──► registry ─────┘     │                 └─► file_sd           read by Prometheus
//!    ▲                                        │
//!    └───────── lease, keys ◄── register ◄────┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`table`] | all services from all sources, as programs are to see them |
//! | [`registry`] | the servers that etcd knows, and when a smaller list is believed |
//! | [`etcd`] | follows etcd, and registers there |
//! | [`routes`] | client and route files as a source |
//! | `service`, `ask` | what is answered on the socket |
//! | `disk`, `file_sd` | what is written |
//! | [`zone`] | which servers a caller uses, by where it stands |
//! | [`names`] | the table, shared |
//! | [`event`] | what there is to tell a person |
//!
//! No call waits for any of it: clients read files that stay when the agent dies, and the agent keeps its lists when etcd is
//! away. Nothing is ever taken from a list because of a fault.

mod ask;
mod disk;
pub mod etcd;
pub mod event;
mod file_sd;
pub mod names;
pub mod registry;
pub mod routes;
mod service;
pub mod table;
pub mod zone;

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcrpc::Server;
use mcrpc::server::StartError;
use mcrpc_agent::clock;
use mcrpc_agent::names::{Place, ServiceList, Source, socket_of};
use mcrpc_core::time::Nanos;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval};

use crate::disk::Disk;
use crate::etcd::follow::{Etcd, follow};
use crate::etcd::register::register;
use crate::event::Event;
use crate::names::Names;
use crate::registry::Registry;
use crate::routes::RouteFiles;
use crate::table::{EtcdState, Table};

/// How often what has changed is written.
const PUBLISHED_EACH: Duration = Duration::from_millis(100);
/// How often files are looked at, and what has been missing for too long is taken away.
const SECOND: Duration = Duration::from_secs(1);

/// What discovery is told.
#[derive(Debug)]
pub struct Settings {
    /// The host's directory.
    pub host: PathBuf,
    /// Another directory for the lists, which outlives a restart of the machine.
    pub cache: Option<PathBuf>,
    /// Who may ask and register: the mode of the socket.
    pub socket_mode: u32,
    /// Where the programs of this host are, and how far they go.
    pub here: Place,
    /// The address of servers that listen on all.
    pub advertised: Option<IpAddr>,
    /// The registry of all hosts.
    pub etcd: Option<Etcd>,
    /// For how long a list that has become too small is not believed.
    pub hold: Duration,
    /// Client and route files: their root, and the IDC.
    pub routes: Option<(PathBuf, String)>,
    /// A file for Prometheus.
    pub file_sd: Option<PathBuf>,
}

/// Discovery that serves already, and has yet to [`run`](Discovery::run).
pub struct Discovery {
    names: Names,
    disk: Disk,
    etcd: Option<Etcd>,
    routes: Option<RouteFiles>,
    file_sd: Option<PathBuf>,
    /// Dropped, it serves no more.
    _server: Server,
}

/// Why discovery did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directories of the lists cannot be made.
    #[error("cannot keep lists of servers: {0}")]
    Disk(#[from] io::Error),
    /// The socket cannot be served.
    #[error("cannot serve names: {0}")]
    Serve(#[from] StartError),
}

impl Discovery {
    /// Loads what an earlier agent has known, and serves it. The host's directory has to be there, and this process has to be
    /// its only agent.
    ///
    /// # Errors
    ///
    /// What could not be made.
    pub fn start(settings: Settings) -> Result<Discovery, Error> {
        let Settings { host, cache, socket_mode, here, advertised, etcd, hold, routes, file_sd } = settings;
        let disk = Disk::open(&host, cache.as_deref())?;
        let source = if etcd.is_some() { Source::Etcd } else { Source::Local };
        let mut table = Table::new(here, source, Registry::new(hold));
        if etcd.is_some() {
            table.etcd = EtcdState::Away("it was not asked yet".to_owned());
        }
        let until = clock::monotonic().plus(ask::HOLDS.as_nanos() as u64);
        for list in disk.load() {
            let is_fed = match list.source {
                Source::Routes => routes.is_some(),
                Source::Etcd => etcd.is_some(),
                Source::Local => true,
            };
            if is_fed {
                table.remember(list, until);
            } else {
                // Nobody would ever change it again.
                disk.remove(&list.service);
            }
        }
        let names = Names::new(table);
        let server = service::serve(&socket_of(&host), socket_mode, &names, advertised)?;
        disk::belongs_with(&socket_of(&host), &host);
        let routes = routes.map(|(root, idc)| RouteFiles::new(root, idc));
        Ok(Discovery { names, disk, etcd, routes, file_sd, _server: server })
    }

    /// The services.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Follows and registers until it is dropped, and tells what happens. In a tokio runtime with network and time.
    pub async fn run(self, mut tell: impl FnMut(&Event)) {
        let Discovery { names, disk, etcd, routes, file_sd, _server } = self;
        let (sender, mut events) = unbounded_channel();
        let following = async {
            match &etcd {
                Some(etcd) => follow(etcd, &names, &sender).await,
                None => pending().await,
            }
        };
        let registering = async {
            match &etcd {
                Some(etcd) => register(etcd, &names, &sender).await,
                None => pending().await,
            }
        };
        let telling = async {
            while let Some(event) = events.recv().await {
                tell(&event);
            }
        };
        let file_sd_is_wanted = file_sd.is_some();
        let publishing = Publishing {
            names: &names,
            disk: &disk,
            routes,
            file_sd,
            tell: &sender,
            unwritten: BTreeMap::new(),
            is_file_sd_old: file_sd_is_wanted,
            was_told: false,
        };
        tokio::join!(following, registering, telling, publishing.run());
    }
}

/// What writes the lists.
struct Publishing<'a> {
    names: &'a Names,
    disk: &'a Disk,
    routes: Option<RouteFiles>,
    file_sd: Option<PathBuf>,
    tell: &'a UnboundedSender<Event>,
    /// Lists that are not on disk as they are in force.
    unwritten: BTreeMap<String, Arc<ServiceList>>,
    /// Whether the file for Prometheus is not as it should be.
    is_file_sd_old: bool,
    /// Whether it was told that something cannot be written.
    was_told: bool,
}

impl Publishing<'_> {
    async fn run(mut self) {
        let mut ticks = interval(PUBLISHED_EACH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was loaded is written again: one of the directories may have had nothing.
        let loaded: Vec<_> = self.names.table().lists().cloned().collect();
        self.write(loaded);
        let mut last_second = None::<Instant>;
        loop {
            ticks.tick().await;
            let now = clock::monotonic();
            let elapsed = last_second.map_or(SECOND, |last| last.elapsed());
            if elapsed >= SECOND {
                last_second = Some(Instant::now());
                self.second(now, elapsed);
            }
            let lists = self.names.publish(now);
            self.is_file_sd_old |= self.file_sd.is_some() && !lists.is_empty();
            self.write(lists);
            if elapsed >= SECOND {
                self.write_file_sd();
            }
        }
    }

    fn second(&mut self, now: Nanos, elapsed: Duration) {
        let tell = self.tell;
        let changed = self.routes.as_mut().map(|routes| routes.poll(now, |event| _ = tell.send(event)));
        let mut table = self.names.table();
        changed.into_iter().flatten().for_each(|list| table.set_route(list));
        if matches!(table.etcd, EtcdState::Followed(_)) {
            table.registry.pass(elapsed);
        }
        drop(table);
        let again = std::mem::take(&mut self.unwritten);
        self.write(again.into_values().collect());
    }

    fn write(&mut self, lists: Vec<Arc<ServiceList>>) {
        for list in lists {
            match self.disk.write(&list) {
                Ok(()) => _ = self.unwritten.remove(&list.service),
                Err((path, error)) => {
                    self.unwritten.insert(list.service.clone(), list);
                    self.not_written(path, error);
                }
            }
        }
        self.was_told &= self.is_file_sd_old || !self.unwritten.is_empty();
    }

    fn write_file_sd(&mut self) {
        let Some(path) = self.file_sd.clone().filter(|_| self.is_file_sd_old) else { return };
        let lists: Vec<_> = self.names.table().lists().cloned().collect();
        match file_sd::write(&path, &lists) {
            Ok(()) => self.is_file_sd_old = false,
            Err(error) => self.not_written(path, error),
        }
    }

    /// Once for each time that it begins.
    fn not_written(&mut self, path: PathBuf, error: io::Error) {
        if !std::mem::replace(&mut self.was_told, true) {
            let _ = self.tell.send(Event::NotWritten(path, error));
        }
    }
}
