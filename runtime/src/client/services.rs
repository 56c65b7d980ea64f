//! The services that a client knows: from lists, from route files, and from what the host's agent says of them.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use mcrpc_agent::names::{ListFile, Server, ServiceList};
use mcrpc_agent::route::{Change, Route, Routes};
use mcrpc_core::select::settings::{GroupRule, MAX_ENDPOINTS, Settings};
use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;
use parking_lot::{Mutex, RwLock};

use super::common::Common;
use super::service::{ServerSpec, Service};
use crate::failure::Failure;
use crate::net::Address;

/// The services that a client knows.
pub(crate) struct Services {
    by_name: RwLock<HashMap<String, Arc<Service>, RandomState>>,
    /// Of services that are in no file.
    settings: Settings,
    timeout: Duration,
    routes: Option<Arc<Routes>>,
    /// What the host's agent says, of the services that are found by it.
    named: Mutex<HashMap<String, ListFile>>,
    common: Arc<Common>,
}

impl Services {
    pub(crate) fn new(
        settings: Settings,
        timeout: Duration,
        routes: Option<(&Path, &str)>,
        common: Arc<Common>,
    ) -> Services {
        let routes = routes.map(|(root, idc)| Arc::new(Routes::new(root, idc)));
        let (by_name, named) = (RwLock::default(), Mutex::default());
        Services { by_name, settings, timeout, routes, named, common }
    }

    pub(super) fn common(&self) -> &Arc<Common> {
        &self.common
    }

    /// The files that services are found by.
    pub(crate) fn routes(&self) -> Option<&Arc<Routes>> {
        self.routes.as_ref()
    }

    /// The service of this name. The first time its files are read: client and route files, or else what the host's agent says.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Service>, Failure> {
        if let Some(known) = self.by_name.read().get(name) {
            return Ok(known.clone());
        }
        let unknown = |why: String| Failure::of_system(Status::NO_SERVICE).with_text(why);
        let cannot =
            |status| Failure::of_system(status).with_text(format!("the servers of {name:?} cannot be used: {status}"));
        let faults = match self.routes.as_ref().map(|routes| routes.service(name)) {
            Some(Ok(route)) => return self.follow(name, &route.get()).map_err(cannot),
            Some(Err(faults)) => Some(unknown(faults.to_string())),
            None => None,
        };
        let Some(host) = &self.common.host else {
            return Err(faults.unwrap_or_else(|| unknown(format!("this client knows no service {name:?}"))));
        };
        match host.names(name) {
            Ok(file) => {
                let service = self.follow_list(file.list()).map_err(cannot)?;
                self.named.lock().insert(name.to_owned(), file);
                Ok(service)
            }
            Err(error) => Err(faults.unwrap_or_else(|| unknown(error.to_string()))),
        }
    }

    /// Looks whether the host's agent says something else of the services that are found by it. What it said last stays in
    /// force when that is not good, or when the agent is dead.
    fn look_at_names(&self) {
        let mut named = self.named.lock();
        for (service, file) in named.iter_mut() {
            let refused = match file.poll() {
                Ok(false) => continue,
                Ok(true) => self.follow_list(file.list()).err().map(|status| status.to_string()),
                Err(error) => Some(error.to_string()),
            };
            match refused {
                Some(why) => tracing::warn!(service, why, "the new list of servers is not used"),
                None => {
                    tracing::info!(service, servers = file.list().servers.len(), "a new list of servers is in force")
                }
            }
        }
    }

    fn follow_list(&self, list: &ServiceList) -> Result<Arc<Service>, Status> {
        let servers: Vec<ServerSpec> = nearest(list).map(server_of).collect();
        let settings = Settings {
            capacity: capacity_for(servers.len()),
            zone_strategy: list.here.strategy,
            region: list.here.region_number(),
            zone: list.here.zone_number(),
            ..self.settings
        };
        self.put_in_force(&list.service, list.id, &settings, self.timeout, &servers, &list.rules)
    }

    /// Puts another list of servers in force, of a service that is in no file.
    pub(crate) fn replace(&self, name: &str, addresses: &[Address]) -> Result<(), Status> {
        let servers: Vec<ServerSpec> = addresses.iter().cloned().map(ServerSpec::new).collect();
        let known = self.by_name.read().get(name).cloned();
        let service = match known {
            Some(known) => known,
            None => {
                let id = method_id(name.as_bytes());
                Arc::new(Service::new(name, id, &self.settings, self.timeout, self.common.clone())?)
            }
        };
        service.replace(&servers, &[], &self.common.known())?;
        self.by_name.write().entry(name.to_owned()).or_insert(service);
        Ok(())
    }

    /// A file has changed: what was good before stays in force if it is not.
    pub(crate) fn on_change(&self, change: &Change) {
        let refused = match &change.result {
            Ok(route) => self.follow(&change.service, route).err().map(|status| status.to_string()),
            Err(faults) => Some(faults.to_string()),
        };
        match refused {
            Some(why) => tracing::warn!(service = change.service, why, "the new route is not used"),
            None => tracing::info!(service = change.service, "a new route is in force"),
        }
    }

    fn follow(&self, name: &str, route: &Route) -> Result<Arc<Service>, Status> {
        let settings = route.set_settings(capacity_for(route.servers.len()));
        let timeout = Duration::from_millis(route.client.timeouts.call.0.into());
        let servers: Vec<ServerSpec> = route
            .servers
            .iter()
            .map(|server| ServerSpec {
                address: Address::Tcp(server.endpoint.socket()),
                weight: server.weight,
                region: server.region.get(),
                zone: server.zone.get(),
                group: server.group.get(),
            })
            .collect();
        self.put_in_force(name, route.service.id, &settings, timeout, &servers, &route.group_rules())
    }

    fn put_in_force(
        &self,
        name: &str,
        id: u32,
        settings: &Settings,
        timeout: Duration,
        servers: &[ServerSpec],
        rules: &[GroupRule],
    ) -> Result<Arc<Service>, Status> {
        let known = self.by_name.read().get(name).cloned();
        let service = match known {
            Some(known) if *known.settings() == *settings && known.timeout == timeout => known,
            Some(known) => Arc::new(known.heir(id, settings, timeout)?),
            None => Arc::new(Service::new(name, id, settings, timeout, self.common.clone())?),
        };
        service.replace(servers, rules, &self.common.known())?;
        self.by_name.write().insert(name.to_owned(), service.clone());
        Ok(service)
    }

    /// All that were asked for.
    pub(crate) fn all(&self) -> Vec<Arc<Service>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Looks at the host, and hands over to it what was counted.
    pub(crate) fn keep_house(&self) {
        if let Some(host) = &self.common.host {
            host.look(crate::clock::now());
            self.look_at_names();
        }
        let known = self.common.known();
        self.common.follow_salt();
        for service in self.all() {
            service.hand_over(&known);
            self.common.host.iter().for_each(|host| service.tell_calls(host));
        }
    }
}

/// Room to grow, so that the set need not be made anew for each server.
fn capacity_for(servers: usize) -> u32 {
    (servers * 2).next_power_of_two().clamp(128, MAX_ENDPOINTS as usize) as u32
}

/// The servers that a set has room for: all of them as a rule, else the nearest ones; among those that are as near, each
/// process takes others, so that together they use all.
fn nearest(list: &ServiceList) -> impl Iterator<Item = &Server> {
    let mut servers: Vec<&Server> = list.servers.iter().collect();
    if servers.len() > MAX_ENDPOINTS as usize {
        let distance = |server: &Server| match (server.region == list.here.region, server.zone == list.here.zone) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        };
        let mine = BuildHasherDefault::<DefaultHasher>::default();
        servers.sort_by_cached_key(|server| (distance(server), mine.hash_one((process::id(), server.address))));
    }
    servers.into_iter().take(MAX_ENDPOINTS as usize)
}

fn server_of(server: &Server) -> ServerSpec {
    let [region, zone, group] = server.numbers();
    ServerSpec { address: Address::Tcp(server.address), weight: server.weight, region, zone, group }
}
