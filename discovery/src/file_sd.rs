//! All servers as Prometheus reads them with `file_sd_configs`: it looks at the file by itself when it changes.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use mcrpc_agent::names::{Server, ServiceList};
use serde::Serialize;

/// One server, with a group of its own for its labels.
#[derive(Serialize)]
struct Group<'a> {
    targets: [String; 1],
    labels: Labels<'a>,
}

#[derive(Serialize)]
struct Labels<'a> {
    service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    region: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    zone: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
}

/// Replaces the file in one step.
///
/// # Errors
///
/// It cannot be written; then the one before is still there.
pub(crate) fn write(path: &Path, lists: &[Arc<ServiceList>]) -> io::Result<()> {
    let groups: Vec<Group<'_>> =
        lists.iter().flat_map(|list| list.servers.iter().map(|server| group(&list.service, server))).collect();
    // Prometheus reads files that end with .json only, so not this one.
    let temporary = path.with_extension("json.new");
    fs::write(&temporary, serde_json::to_vec_pretty(&groups)?)?;
    fs::rename(&temporary, path)
}

fn group<'a>(service: &'a str, server: &'a Server) -> Group<'a> {
    let Server { address, region, zone, group, .. } = server;
    Group { targets: [address.to_string()], labels: Labels { service, region, zone, group } }
}
