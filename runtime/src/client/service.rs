//! A service that is called: its servers, and what is known of them.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use mcrpc_core::host::region::Shared;
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{Settings, Spec};
use mcrpc_core::status::Status;
use mcrpc_core::strategy::endpoint::Endpoint as Identity;
use mcrpc_core::wire::header::method_id;
use parking_lot::Mutex;
use self_cell::self_cell;

use super::endpoint::Endpoint;
use super::stats::MethodTable;
use crate::net::Address;

self_cell!(
    struct SetInMemory {
        owner: Vec<AtomicU64>,
        #[not_covariant]
        dependent: EndpointSet,
    }
);

/// A service that is called.
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    /// What a skip and a strategy know it by.
    pub(crate) id: u32,
    /// What is counted of the methods that are called.
    pub(crate) methods: MethodTable,
    set: SetInMemory,
    /// In the order of their numbers in the set, each with the list's generation.
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// Whoever replaces the list has it.
    replacing: Mutex<()>,
}

impl Service {
    /// A service without servers.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if a setting is out of its range.
    pub(crate) fn new(name: &str, settings: &Settings) -> Result<Service, Status> {
        let len = EndpointSet::memory_len(settings)?;
        let words = (0..len).map(|_| AtomicU64::new(0)).collect();
        Ok(Service {
            name: name.into(),
            id: method_id(name.as_bytes()),
            methods: MethodTable::default(),
            set: SetInMemory::try_new(words, |words| EndpointSet::create(Shared::new(words), settings))?,
            endpoints: ArcSwap::default(),
            replacing: Mutex::new(()),
        })
    }

    /// Puts another list of servers in force; those that stay keep their connections and what is known of them.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`], [`Status::INVALID_ARGUMENT`] for a server that is there twice; then the old list stays in force.
    pub(crate) fn replace(&self, addresses: &[Address]) -> Result<(), Status> {
        let _only = self.replacing.lock();
        if addresses.iter().collect::<HashSet<_>>().len() != addresses.len() {
            return Err(Status::INVALID_ARGUMENT);
        }
        let old = self.endpoints.load_full();
        let known = |address: &Address| old.iter().find(|endpoint| endpoint.address == *address).cloned();
        let endpoints: Vec<Arc<Endpoint>> = addresses
            .iter()
            .map(|address| known(address).unwrap_or_else(|| Arc::new(Endpoint::new(address.clone()))))
            .collect();
        let spec = |index: usize| Spec {
            endpoint: identity(&addresses[index], self.id),
            weight: 100,
            region: 0,
            zone: 0,
            group: 0,
            user_data: index as u64,
        };
        // Calls that chose by the old list find the server by its identity: see `endpoint`.
        self.with_set(|set, host| set.replace(addresses.len(), &spec, &[], host))?;
        self.endpoints.store(Arc::new(endpoints));
        Ok(())
    }

    /// Works with the set.
    pub(crate) fn with_set<R>(&self, work: impl for<'a> FnOnce(&EndpointSet<'a>, &HostView<'_, 'a>) -> R) -> R {
        self.set.with_dependent(|_, set| work(set, &HostView::default()))
    }

    /// The servers, in the order of their numbers in the set.
    pub(crate) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// How often something was decided, by the numbers of the decisions.
    pub(crate) fn decisions(&self) -> [u64; Decision::COUNT] {
        let mut counts = [0; Decision::COUNT];
        self.with_set(|set, _| set.read_decisions(&mut counts));
        counts
    }

    /// The server that was chosen; `None` if it has left meanwhile.
    pub(crate) fn endpoint(&self, index: u64, identity_chosen: &Identity) -> Option<Arc<Endpoint>> {
        let endpoints = self.endpoints.load();
        let is_it = |endpoint: &&Arc<Endpoint>| identity(&endpoint.address, self.id) == *identity_chosen;
        let at_place = endpoints.get(usize::try_from(index).ok()?).filter(is_it);
        at_place.or_else(|| endpoints.iter().find(is_it)).cloned()
    }
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
