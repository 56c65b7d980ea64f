//! The options of `mcrpc agent` by which it is a proxy too, and what follows from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use mcrpc::{Address, Host};
use mcrpc_proxy::Settings;
use mcrpc_proxy::schema::Schemas;

/// Calls for processes in other languages.
#[derive(clap::Args)]
#[command(next_help_heading = "Proxy (docs/proxy.md)")]
// The options that these are a part of have the same name.
#[group(skip)]
pub(super) struct Options {
    /// Call services for processes in any language, which connect to a socket in the host's directory
    #[arg(long)]
    proxy: bool,
    /// Where they connect who speak the native protocol: proxy.sock in the host's directory, if not said
    #[arg(long, value_name = "PATH", requires = "proxy")]
    proxy_socket: Option<PathBuf>,
    /// Where they connect who speak HTTP: a path, or an address as 127.0.0.1:8080; proxy-http.sock in the host's directory,
    /// if not said
    #[arg(long, value_name = "PATH|IP:PORT", requires = "proxy")]
    proxy_http: Option<String>,
    /// Understand JSON by the .proto files below this directory, which are followed
    #[arg(long, value_name = "DIR", requires = "proxy")]
    proxy_protos: Option<PathBuf>,
}

impl Options {
    /// What the proxy of a host is told, if one is wanted.
    pub(super) fn settings(&self, directory: &Path, socket_mode: u32) -> Result<Option<Settings>> {
        if !self.proxy {
            return Ok(None);
        }
        let http = match &self.proxy_http {
            Some(text) if text.contains('/') => Address::Unix(text.into()),
            Some(text) => text.parse().context("--proxy-http")?,
            None => Address::Unix(directory.join("proxy-http.sock")),
        };
        Ok(Some(Settings {
            host: Arc::new(Host::new(directory)),
            socket: self.proxy_socket.clone().unwrap_or_else(|| directory.join("proxy.sock")),
            http,
            socket_mode,
            schemas: Schemas::open(self.proxy_protos.as_deref())?,
        }))
    }
}
