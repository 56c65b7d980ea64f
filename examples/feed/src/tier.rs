//! What each tier is started with, and how it ends.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use mcrpc::server::{Builder, Config};
use mcrpc::{Client, Host, Server};

/// The IDC whose files a tier reads.
pub const IDC: &str = "local";

/// The options of a tier, the same for all three.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// The host's directory, which `mcrpc agent` owns
    #[arg(long, value_name = "DIR", default_value = "/run/mcrpc")]
    pub host: PathBuf,
    /// The files that say where the next tier is
    #[arg(long, value_name = "DIR", default_value = "/etc/mcrpc")]
    pub routes: PathBuf,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub workers: usize,
    /// How long a request takes, beside what it waits for the next tier
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    pub work_us: u64,
}

impl Options {
    /// How long a request takes.
    pub fn work(&self) -> Duration {
        Duration::from_micros(self.work_us)
    }

    /// What this process shares with the others of its host.
    pub fn host(&self) -> Arc<Host> {
        Arc::new(Host::new(&self.host))
    }

    /// A client of the next tier.
    pub fn client(&self, caller: &str, host: Arc<Host>) -> Result<Client> {
        Ok(Client::builder(caller).routes(&self.routes, IDC).host(host).build()?)
    }
}

/// Serves until SIGTERM, and then until all that was taken is answered.
pub fn serve(options: &Options, config: Config, host: Arc<Host>, add: impl FnOnce(Builder) -> Builder) -> Result<()> {
    let server = add(Server::builder().listen(&options.listen).config(config).host(host)).start()?;
    println!("ready {}", server.addresses()[0]);
    std::io::stdout().flush()?;
    Ok(server.wait()?)
}
