//! A service that is called: its servers, and what is known of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use mcrpc_core::host::calls::Calls;
use mcrpc_core::host::region::Shared;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{GroupRule, Settings, Spec};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint as Identity;
use mcrpc_core::time::Nanos;
use parking_lot::Mutex;
use self_cell::self_cell;

use super::common::Common;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::stats::MethodTable;
use crate::host::{Host, Known};
use crate::net::Address;

self_cell!(
    struct SetInMemory {
        owner: Vec<AtomicU64>,
        #[covariant]
        dependent: EndpointSet,
    }
);

/// A service that is called.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    /// What a skip and a strategy know it by.
    pub(crate) id: u32,
    /// How long a call waits of which nobody says so.
    pub(crate) timeout: Duration,
    /// What it has in common with the others of its client.
    pub(super) common: Arc<Common>,
    /// What is counted of the methods that are called.
    pub(crate) methods: MethodTable,
    /// What the host was told of them.
    told: Mutex<Calls>,
    set: SetInMemory,
    /// In the order of their numbers in the set.
    endpoints: ArcSwap<Vec<Listed>>,
    /// Whoever replaces the list has it.
    replacing: Mutex<()>,
}

/// One server of a list.
#[derive(Clone, Debug)]
pub(crate) struct ServerSpec {
    pub(crate) address: Address,
    pub(crate) weight: u16,
    pub(crate) region: u16,
    pub(crate) zone: u16,
    pub(crate) group: u16,
}

/// A server, and what the set knows it by.
struct Listed {
    identity: Identity,
    endpoint: Arc<Endpoint>,
}

/// How to reach a server.
pub(crate) enum Way {
    /// By a connection that there is.
    Open(Arc<Connection>),
    /// By one that is to be made.
    Untrodden(Arc<Endpoint>),
    /// Not now, and why.
    Closed(Status),
}

impl ServerSpec {
    /// One like all others.
    pub(crate) fn new(address: Address) -> ServerSpec {
        ServerSpec { address, weight: 100, region: 0, zone: 0, group: 0 }
    }
}

impl Service {
    /// A service without servers.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if a setting is out of its range.
    pub(crate) fn new(
        name: &str,
        id: u32,
        settings: &Settings,
        timeout: Duration,
        common: Arc<Common>,
    ) -> Result<Service, Status> {
        let len = EndpointSet::memory_len(settings)?;
        let words = (0..len).map(|_| AtomicU64::new(0)).collect();
        Ok(Service {
            name: name.into(),
            id,
            timeout,
            common,
            methods: MethodTable::default(),
            told: Mutex::default(),
            set: SetInMemory::try_new(words, |words: &Vec<AtomicU64>| {
                EndpointSet::create(Shared::new(words), settings)
            })?,
            endpoints: ArcSwap::default(),
            replacing: Mutex::new(()),
        })
    }

    /// A service of this name with other settings, which keeps the connections of this one.
    pub(crate) fn heir(&self, id: u32, settings: &Settings, timeout: Duration) -> Result<Service, Status> {
        let heir = Service::new(&self.name, id, settings, timeout, self.common.clone())?;
        heir.endpoints.store(self.endpoints.load_full());
        Ok(heir)
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.set.borrow_dependent().settings()
    }

    /// Puts another list of servers in force; those that stay keep their connections and what is known of them.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`], [`Status::INVALID_ARGUMENT`] for a server that is there twice; then the old list stays in force.
    pub(crate) fn replace(&self, servers: &[ServerSpec], rules: &[GroupRule], host: &Known) -> Result<(), Status> {
        let _only = self.replacing.lock();
        let old = self.endpoints.load_full();
        let known =
            |address: &Address| old.iter().map(|listed| &listed.endpoint).find(|known| known.address == *address);
        let new = |address: &Address| Arc::new(Endpoint::new(address.clone(), self.common.connections_per_endpoint));
        let listed = |ServerSpec { address, .. }: &ServerSpec| Listed {
            identity: identity(address, self.id),
            endpoint: known(address).cloned().unwrap_or_else(|| new(address)),
        };
        let endpoints: Vec<Listed> = servers.iter().map(listed).collect();
        let spec = |index: usize| {
            let ServerSpec { weight, region, zone, group, .. } = servers[index];
            Spec { endpoint: endpoints[index].identity, weight, region, zone, group, user_data: index as u64 }
        };
        // Calls that chose by the old list find their server by its identity: see `endpoint`.
        self.with_set(host, |set, host| set.replace(servers.len(), &spec, rules, host))?;
        self.endpoints.store(Arc::new(endpoints));
        Ok(())
    }

    /// Works with the set, and with what is known of the host.
    pub(crate) fn with_set<R>(
        &self,
        host: &Known,
        work: impl for<'a> FnOnce(&EndpointSet<'a>, &HostView<'_, 'a>) -> R,
    ) -> R {
        work(self.set.borrow_dependent(), &host.view())
    }

    /// Hands over what was counted to the host.
    pub(crate) fn hand_over(&self, host: &Known) {
        self.with_set(host, |set, host| set.hand_over(host));
    }

    /// Tells the host that it is this process that called.
    pub(crate) fn tell_calls(&self, host: &Host) {
        let mut told = self.told.lock();
        let calls = self.methods.calls();
        let new = calls.since(&told);
        if new != Calls::default() && host.count_calls(self.id, &new) {
            *told = calls;
        }
    }

    /// The servers, in the order of their numbers in the set.
    pub(crate) fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.endpoints.load().iter().map(|listed| listed.endpoint.clone()).collect()
    }

    /// How often something was decided, by the numbers of the decisions.
    pub(crate) fn decisions(&self) -> [u64; Decision::COUNT] {
        let mut counts = [0; Decision::COUNT];
        self.set.borrow_dependent().read_decisions(&mut counts);
        counts
    }

    /// How to reach the server that was chosen.
    pub(crate) fn way(&self, index: u64, chosen: &Identity, now: Nanos) -> Way {
        match find(&self.endpoints.load(), index, chosen) {
            Some(Listed { endpoint, .. }) => match endpoint.usable(now) {
                Ok(Some(connection)) => Way::Open(connection),
                Ok(None) => Way::Untrodden(endpoint.clone()),
                Err(status) => Way::Closed(status),
            },
            // It has left the list meanwhile.
            None => Way::Closed(Status::CONNECT_FAILED),
        }
    }

    /// The server that was chosen; `None` if it has left the list meanwhile.
    pub(crate) fn endpoint(&self, index: u64, chosen: &Identity) -> Option<Arc<Endpoint>> {
        find(&self.endpoints.load(), index, chosen).map(|listed| listed.endpoint.clone())
    }
}

#[inline]
fn find<'l>(endpoints: &'l [Listed], index: u64, chosen: &Identity) -> Option<&'l Listed> {
    let is_it = |listed: &&Listed| listed.identity == *chosen;
    let at_place = usize::try_from(index).ok().and_then(|index| endpoints.get(index)).filter(is_it);
    at_place.or_else(|| endpoints.iter().find(is_it))
}

/// What a server is known by to the whole host. A unix socket has an address of the discard prefix (RFC 6666) that follows from its path.
fn identity(address: &Address, service_id: u32) -> Identity {
    match address {
        Address::Tcp(address) => Identity::new(*address, service_id),
        Address::Unix(path) => {
            let mut hasher = DefaultHasher::new();
            path.hash(&mut hasher);
            let address = Ipv6Addr::from_bits(0x0100 << 112 | u128::from(hasher.finish()));
            Identity::new(SocketAddr::new(address.into(), 0), service_id)
        }
    }
}
