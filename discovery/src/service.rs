//! What the agent answers on `names.sock`, in the native wire protocol; requests and replies are text.
//!
//! | method | request | reply |
//! |---|---|---|
//! | `mcrpc.Names.Resolve` | `VOA.Crawl [known=VERSION] [strategy=… region=… zone=…] [uin=…]` | the list, as in its file |
//! | `mcrpc.Names.Status` | | how it stands with etcd, and a line per service |
//! | `mcrpc.Names.Register` | `VOA.Crawl 10.1.0.1:8080 [weight=100] [for_ms=5000]` | the address |
//! | `mcrpc.Names.Deregister` | `VOA.Crawl 10.1.0.1:8080` | |
//!
//! A server that is registered belongs to the user whose process has done so: only the same, or root, may say otherwise.
//!
//! With `known`, an answer waits for a list of another version, until the caller's deadline is near.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use mcrpc::server::{Config, StartError};
use mcrpc::{Failure, Reply, Request, Server, Status, clock};
use mcrpc_agent::names::{Place, Server as Listed, ServiceList};
use mcrpc_core::admission;
use mcrpc_core::id::Uin;
use tokio::time::timeout;

use crate::ask::{Ask, Registration};
use crate::names::Names;
use crate::table::{EtcdState, NotYours};
use crate::zone;

/// Callers that may wait for changes at a time.
const WAITING: usize = 4_096;
/// An answer that nothing has changed is on its way so long before the caller gives up.
const MARGIN: Duration = Duration::from_millis(50);
/// Of a caller without a deadline.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Serves a host's names.
///
/// # Errors
///
/// The socket cannot be made.
pub(crate) fn serve(
    socket: &Path,
    socket_mode: u32,
    names: &Names,
    advertised: Option<IpAddr>,
) -> Result<Server, StartError> {
    // Callers that wait for changes are no load.
    let admission = admission::Config { mode: admission::Mode::Off, ..admission::Config::DEFAULT };
    let config =
        Config { workers: 1, blocking_workers: 1, coroutines_per_worker: WAITING, admission, ..Config::default() };
    let (resolving, showing, registering, deregistering) = (names.clone(), names.clone(), names.clone(), names.clone());
    let server = Server::builder()
        .listen(format!("unix:{}", socket.display()))
        .config(config)
        .method("mcrpc.Names.Resolve", move |request| resolve(resolving.clone(), request))
        .inline_method("mcrpc.Names.Status", move |_, reply| {
            reply.extend_from_slice(status(&showing).as_bytes());
            Ok(())
        })
        .blocking_method("mcrpc.Names.Register", move |request| register(&registering, &request, advertised))
        .blocking_method("mcrpc.Names.Deregister", move |request| deregister(&deregistering, &request, advertised))
        .start()?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(socket_mode))?;
    Ok(server)
}

fn register(names: &Names, request: &Request, advertised: Option<IpAddr>) -> Reply {
    let asked = Registration::parse(request.payload()).map_err(refused)?;
    let (service, server) = asked.server(advertised).map_err(refused)?;
    let address = server.address;
    let until = clock::now().plus(asked.holds.as_nanos() as u64);
    let registered = names.table().register(&service, server, uid_of(request)?, until);
    registered.map_err(|NotYours| refused(format!("{address} is registered by another user")))?;
    Ok(address.to_string().into())
}

fn deregister(names: &Names, request: &Request, advertised: Option<IpAddr>) -> Reply {
    let (service, Listed { address, .. }) =
        Registration::parse(request.payload()).and_then(|asked| asked.server(advertised)).map_err(refused)?;
    let deregistered = names.table().deregister(&service, address, uid_of(request)?);
    deregistered.map_err(|NotYours| refused(format!("{address} is registered by another user")))?;
    Ok(Bytes::new())
}

fn uid_of(request: &Request) -> Result<u32, Failure> {
    request.peer_uid().ok_or_else(|| refused("the system does not say who asks".to_owned()))
}

fn refused(what: String) -> Failure {
    Failure::of_system(Status::INVALID_ARGUMENT).with_text(what)
}

async fn resolve(names: Names, request: Request) -> Result<Bytes, Failure> {
    let Ask { service, known, place, uin } = Ask::parse(request.payload()).map_err(refused)?;
    let mut changes = names.changes();
    loop {
        changes.mark_unchanged();
        let list = names.table().list(&service).cloned();
        let list = list.ok_or_else(|| {
            Failure::of_system(Status::NO_SERVICE).with_text(format!("no server of {service:?} is known on this host"))
        })?;
        let left = request.context().remaining().map_or(LONGEST_WAIT, |left| left.saturating_sub(MARGIN));
        if known != Some(list.version) || left.is_zero() {
            return Ok(place.map_or_else(|| list.to_string(), |place| narrowed(&list, &place, uin)).into());
        }
        let _ = timeout(left, changes.changed()).await;
    }
}

fn narrowed(list: &ServiceList, place: &Place, uin: Uin) -> String {
    let mut list = list.clone();
    zone::narrow(&mut list, place, uin);
    list.to_string()
}

fn status(names: &Names) -> String {
    let table = names.table();
    let (present, held) = table.registry.counts();
    let mut text = match &table.etcd {
        EtcdState::Unused => "etcd: not used\n".to_owned(),
        EtcdState::Followed(revision) => {
            format!("etcd: followed, listed at revision {revision}: {present} servers, {held} more held\n")
        }
        EtcdState::Away(why) => format!("etcd: away ({why}); all lists stay in force\n"),
    };
    for list in table.lists() {
        let ServiceList { service, servers, source, version, .. } = list.as_ref();
        text += &format!("{service}: {} servers, {}, version {version}\n", servers.len(), source.name());
    }
    text
}
