//! The agent's web page and metrics (SPEC M5, M6, B11, S17): `docs/dashboard.md`.
//!
//! | module | |
//! |---|---|
//! | [`access`] | where it listens, and who may look |
//! | [`sample`] | everything that the shared segments tell at one moment |
//! | [`history`] | what only several looks tell: rates, changes, the last hour |
//! | [`calls`] | who calls whom |
//! | [`view`] | the two together, as the page shows them |
//! | [`metrics`] | a sample, as Prometheus reads it |
//! | [`text`] | that, on its way |
//! | [`connections`] | how many there may be, and for how long |
//! | [`server`] | what is asked and answered |
//!
//! It runs on a thread of its own: a slow reader of the page keeps no strategy waiting. Nothing here writes to a segment.

mod access;
mod calls;
mod connections;
mod history;
mod metrics;
mod sample;
mod server;
mod text;
mod view;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mcrpc_discovery::names::Names;
use tokio::runtime::Builder;

use access::Access;
use server::Web;

/// Where the page is, and who may look at it.
#[derive(clap::Args)]
#[command(next_help_heading = "Page and metrics (docs/dashboard.md)")]
// The options that these are a part of have the same name.
#[group(skip)]
pub(super) struct Options {
    /// Show the host on a page, and its metrics at /metrics; beyond loopback only with a token
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9464")]
    listen: Option<SocketAddr>,
    /// Show them only to who knows what is in this file: 16 characters or more, and nobody but its owner may use it (mode 600)
    #[arg(long, value_name = "FILE", requires = "listen")]
    token_file: Option<PathBuf>,
}

impl Options {
    /// Serves until the process ends, if it is to. `names` are the services.
    pub(super) fn start(&self, dir: &Path, names: &Names) -> Result<()> {
        let Some(address) = self.listen else { return Ok(()) };
        let access = Access::new(address, self.token_file.as_deref())?;
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        println!("mcrpc agent: page and metrics on http://{}, {access}", listener.local_addr()?);
        let web = Web::new(dir.to_owned(), names.clone(), access);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("mcrpc-web".to_owned()).spawn(move || {
            if let Err(error) = runtime.block_on(server::serve(listener, web)) {
                eprintln!("mcrpc agent: the page is not served any more: {error}");
            }
        })?;
        Ok(())
    }
}
