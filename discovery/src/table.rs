//! All services of a host, from all sources, as its programs are to see them.
//!
//! Client and route files have the last word on the services that they name. For all others it is the servers in etcd, and
//! those of this host that have registered with the agent: they are found here also while etcd is away.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mcrpc_agent::names::{Place, Server, ServiceList, Source};
use mcrpc_core::time::Nanos;

use crate::registry::Registry;

const ROOT: u32 = 0;

/// It is another user's server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotYours;

/// All services of a host.
#[derive(Debug)]
pub struct Table {
    here: Place,
    /// Where what is in no file comes from.
    source: Source,
    /// What etcd has.
    pub registry: Registry,
    /// What it had to say last.
    pub etcd: EtcdState,
    local: BTreeMap<String, BTreeMap<SocketAddr, Local>>,
    routes: BTreeMap<String, ServiceList>,
    published: BTreeMap<String, Arc<ServiceList>>,
    changed: BTreeSet<String>,
}

/// How it stands with etcd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EtcdState {
    /// There is none.
    #[default]
    Unused,
    /// It is followed, and was listed at this revision.
    Followed(i64),
    /// It is not, and why.
    Away(String),
}

/// A server of this host that has registered.
#[derive(Debug)]
struct Local {
    server: Server,
    until: Nanos,
    /// Whose it is; `None` for one that an earlier agent has known, until it registers again.
    owner: Option<u32>,
}

impl Table {
    /// Knows nothing yet. `source` is etcd, or local where there is none.
    pub fn new(here: Place, source: Source, registry: Registry) -> Table {
        Table {
            here,
            source,
            registry,
            etcd: EtcdState::Unused,
            local: BTreeMap::new(),
            routes: BTreeMap::new(),
            published: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }

    /// What an earlier agent of this host has published, from a source that this one has too. `until`: for so long its local
    /// servers need not say that they are still there.
    pub fn remember(&mut self, list: ServiceList, until: Nanos) {
        let service = list.service.clone();
        match (list.source, self.source) {
            (Source::Routes, _) => _ = self.routes.insert(service.clone(), list.clone()),
            (_, Source::Etcd) => {
                list.servers.iter().cloned().for_each(|server| self.registry.remember(&service, server));
            }
            _ => {
                let servers = list
                    .servers
                    .iter()
                    .map(|server| (server.address, Local { server: server.clone(), until, owner: None }));
                self.local.insert(service.clone(), servers.collect());
            }
        }
        self.changed.insert(service.clone());
        self.published.insert(service, Arc::new(list));
    }

    /// A server of the user `uid` of this host is there, until somebody says so again.
    ///
    /// # Errors
    ///
    /// Another user has registered it, and root has not said otherwise.
    pub fn register(&mut self, service: &str, mut server: Server, uid: u32, until: Nanos) -> Result<(), NotYours> {
        (server.region, server.zone) = (self.here.region.clone(), self.here.zone.clone());
        let servers = self.local.entry(service.to_owned()).or_default();
        let known = servers.get(&server.address);
        let owner = known.and_then(|known| known.owner).unwrap_or(uid);
        if owner != uid && uid != ROOT {
            return Err(NotYours);
        }
        if known.is_none_or(|known| known.server != server) {
            self.changed.insert(service.to_owned());
        }
        servers.insert(server.address, Local { server, until, owner: Some(owner) });
        Ok(())
    }

    /// A server of the user `uid` has ended.
    ///
    /// # Errors
    ///
    /// Another user has registered it.
    pub fn deregister(&mut self, service: &str, address: SocketAddr, uid: u32) -> Result<(), NotYours> {
        let Some(servers) = self.local.get_mut(service) else { return Ok(()) };
        if servers.get(&address).is_some_and(|known| uid != ROOT && known.owner != Some(uid)) {
            return Err(NotYours);
        }
        if servers.remove(&address).is_some() {
            self.changed.insert(service.to_owned());
        }
        Ok(())
    }

    /// The servers of this host, with their services.
    pub fn local(&self) -> impl Iterator<Item = (&str, &Server)> {
        let servers = |(service, servers)| -> (&String, &BTreeMap<SocketAddr, Local>) { (service, servers) };
        let all = self.local.iter().map(servers);
        all.flat_map(|(service, servers)| servers.values().map(|local| (service.as_str(), &local.server)))
    }

    /// What the files of a service say.
    pub fn set_route(&mut self, list: ServiceList) {
        self.changed.insert(list.service.clone());
        self.routes.insert(list.service.clone(), list);
    }

    /// The list of a service that is in force.
    pub fn list(&self, service: &str) -> Option<&Arc<ServiceList>> {
        self.published.get(service)
    }

    /// All lists that are in force.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<ServiceList>> {
        self.published.values()
    }

    /// Puts in force what has changed since this was called last. Those lists.
    pub fn publish(&mut self, now: Nanos) -> Vec<Arc<ServiceList>> {
        for (service, servers) in &mut self.local {
            let before = servers.len();
            servers.retain(|_, local| now < local.until);
            if servers.len() != before {
                self.changed.insert(service.clone());
            }
        }
        self.local.retain(|_, servers| !servers.is_empty());
        let mut changed = std::mem::take(&mut self.changed);
        changed.append(&mut self.registry.take_changed());
        changed.iter().filter_map(|service| self.publish_one(service)).collect()
    }

    fn publish_one(&mut self, service: &str) -> Option<Arc<ServiceList>> {
        let known = self.published.get(service);
        let mut list = self.compose(service);
        if known.is_some_and(|known| known.says_the_same(&list)) {
            return None;
        }
        // Greater than what any agent before has given it, also where its files are lost.
        let since_1970_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        list.version = known.map_or(0, |known| known.version + 1).max(since_1970_ms);
        let list = Arc::new(list);
        self.published.insert(service.to_owned(), list.clone());
        Some(list)
    }

    fn compose(&self, service: &str) -> ServiceList {
        if let Some(list) = self.routes.get(service) {
            return list.clone();
        }
        let mut servers: BTreeMap<SocketAddr, &Server> = BTreeMap::new();
        let local = self.local.get(service).into_iter().flatten().map(|(_, local)| &local.server);
        servers.extend(self.registry.in_force(service).chain(local).map(|server| (server.address, server)));
        ServiceList {
            service: service.to_owned(),
            id: ServiceList::id_of(service),
            version: 0,
            source: self.source,
            here: self.here.clone(),
            rules: Vec::new(),
            servers: servers.into_values().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_belongs_to_the_user_that_has_registered_it() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let server = |weight| {
            let (region, zone, group) = Default::default();
            Server { address, weight, region, zone, group }
        };
        let mut table = Table::new(Place::default(), Source::Local, Registry::new(Duration::ZERO));
        assert_eq!(table.register("a", server(1), 7, Nanos(10)), Ok(()));
        assert_eq!(table.register("a", server(2), 8, Nanos(99)), Err(NotYours));
        assert_eq!(table.deregister("a", address, 8), Err(NotYours));
        assert_eq!(table.register("b", server(2), 8, Nanos(99)), Ok(()));
        assert_eq!(table.publish(Nanos(5)).len(), 2);
        assert_eq!(table.list("a").unwrap().servers[0].weight, 1);
        assert_eq!(table.register("a", server(3), ROOT, Nanos(10)), Ok(()));
        assert_eq!(table.deregister("a", address, 7), Ok(()), "it is still its user's");
        assert_eq!(table.deregister("b", address, ROOT), Ok(()));
        assert_eq!((table.publish(Nanos(6)).len(), table.local().count()), (2, 0));
        assert_eq!(table.register("a", server(1), 7, Nanos(10)), Ok(()));
        table.publish(Nanos(10));
        assert_eq!(table.register("a", server(2), 8, Nanos(20)), Ok(()), "it was the other's until it was late");
    }
}
