//! Hosts with an agent's discovery, and an etcd between them.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod etcd;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mcrpc::{Client, Host, Server};
use mcrpc_agent::names::{ListFile, Place, directory_of, file_of};
use mcrpc_discovery::etcd::access::Access;
use mcrpc_discovery::etcd::follow::Etcd as At;
use mcrpc_discovery::{Discovery, Settings};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

pub use etcd::{Etcd, until};

pub const PREFIX: &str = "/mcrpc/services/";
pub const ECHO: &str = "echo.Echo.Say";
/// As short as etcd's leases are.
const LEASE: Duration = Duration::from_secs(2);

/// A host: its directory, and its agent when there is one.
pub struct OneHost {
    root: TempDir,
    pub settings: Box<dyn Fn(Settings) -> Settings>,
    agent: Option<Agent>,
}

struct Agent {
    until: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    told: Arc<Mutex<Vec<String>>>,
}

impl OneHost {
    /// A host whose agent follows an etcd.
    pub fn new(etcd: Option<&Etcd>) -> OneHost {
        let url = etcd.map(Etcd::url);
        OneHost::with(url, |settings| settings)
    }

    pub fn with(url: Option<String>, change: impl Fn(Settings) -> Settings + 'static) -> OneHost {
        let settings = move |settings| {
            let at = |url: &String| At {
                endpoints: vec![url.clone()],
                access: Access::default(),
                prefix: PREFIX.parse().unwrap(),
                ttl: LEASE,
            };
            change(Settings { etcd: url.as_ref().map(at), ..settings })
        };
        let mut host = OneHost { root: tempfile::tempdir().unwrap(), settings: Box::new(settings), agent: None };
        host.start_agent();
        host
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().to_owned()
    }

    pub fn start_agent(&mut self) {
        let settings = (self.settings)(Settings {
            host: self.dir(),
            cache: None,
            socket_mode: 0o600,
            here: Place::default(),
            advertised: None,
            etcd: None,
            hold: Duration::from_secs(300),
            routes: None,
            file_sd: None,
        });
        let (until, ended) = oneshot::channel();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = told.clone();
        let discovery = Discovery::start(settings).unwrap();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = discovery.run(|event| telling.lock().unwrap().push(event.to_string())) => {}
                    _ = ended => {}
                }
            });
        });
        self.agent = Some(Agent { until, thread, told });
    }

    pub fn end_agent(&mut self) {
        if let Some(Agent { until, thread, .. }) = self.agent.take() {
            drop(until);
            thread.join().unwrap();
        }
    }

    /// Whether its agent has said something with these words.
    pub fn has_told(&self, words: &str) -> bool {
        self.agent.as_ref().unwrap().told.lock().unwrap().iter().any(|line| line.contains(words))
    }

    /// What a client finds.
    pub fn list(&self, service: &str) -> Option<ListFile> {
        ListFile::open(&file_of(&directory_of(&self.dir()), service).unwrap()).ok()
    }

    /// The servers that a client finds.
    pub fn servers(&self, service: &str) -> Vec<SocketAddr> {
        let list = self.list(service);
        list.map(|file| file.list().servers.iter().map(|server| server.address).collect()).unwrap_or_default()
    }

    pub fn mcrpc_host(&self) -> Arc<Host> {
        Arc::new(Host::new(self.dir()))
    }

    pub fn client(&self) -> Client {
        Client::builder("test").host(self.mcrpc_host()).build().unwrap()
    }

    /// A server on this host, which registers itself.
    pub fn server(&self, service: &str) -> Server {
        let builder = Server::builder().listen("127.0.0.1:0").host(self.mcrpc_host()).register(service);
        builder.method(ECHO, |request| async move { Ok(request.into_payload()) }).start().unwrap()
    }
}

impl Drop for OneHost {
    fn drop(&mut self) {
        self.end_agent();
    }
}

pub fn address(server: &Server) -> SocketAddr {
    server.addresses()[0].to_string().parse().unwrap()
}

pub fn key(service: &str, address: SocketAddr) -> String {
    format!("{PREFIX}{service}/{address}")
}
