//! The services that a client knows, from lists and from route files.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use mcrpc_agent::route::{Change, Route, Routes};
use mcrpc_core::select::settings::{MAX_ENDPOINTS, Settings};
use mcrpc_core::status::Status;
use mcrpc_core::wire::header::method_id;
use parking_lot::RwLock;

use super::service::{ServerSpec, Service};
use crate::failure::Failure;
use crate::host::{Host, Known};
use crate::net::Address;

/// The services that a client knows.
pub(crate) struct Services {
    by_name: RwLock<HashMap<String, Arc<Service>, RandomState>>,
    /// Of services that are in no file.
    settings: Settings,
    timeout: Duration,
    connections_per_endpoint: usize,
    routes: Option<Arc<Routes>>,
    host: Option<Arc<Host>>,
    /// What is known without a host.
    nothing: ArcSwap<Known>,
}

impl Services {
    pub(crate) fn new(
        settings: Settings,
        timeout: Duration,
        connections_per_endpoint: usize,
        routes: Option<(&Path, &str)>,
        host: Option<Arc<Host>>,
    ) -> Services {
        let routes = routes.map(|(root, idc)| Arc::new(Routes::new(root, idc)));
        let (by_name, nothing) = (RwLock::default(), ArcSwap::default());
        Services { by_name, settings, timeout, connections_per_endpoint, routes, host, nothing }
    }

    /// The files that services are found by.
    pub(crate) fn routes(&self) -> Option<&Arc<Routes>> {
        self.routes.as_ref()
    }

    /// What is known of the host.
    pub(crate) fn known(&self) -> Guard<Arc<Known>> {
        self.host.as_ref().map_or_else(|| self.nothing.load(), |host| host.known())
    }

    /// The service of this name. The first time its files are read.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Service>, Failure> {
        if let Some(known) = self.by_name.read().get(name) {
            return Ok(known.clone());
        }
        let unknown = |why: String| Failure::of_system(Status::NO_SERVICE).with_text(why);
        let Some(routes) = &self.routes else {
            return Err(unknown(format!("this client knows no service {name:?}")));
        };
        let route = routes.service(name).map_err(|faults| unknown(faults.to_string()))?;
        self.follow(name, &route.get())
            .map_err(|status| Failure::of_system(status).with_text(format!("the route of {name:?} cannot be used")))
    }

    /// Puts another list of servers in force, of a service that is in no file.
    pub(crate) fn replace(&self, name: &str, addresses: &[Address]) -> Result<(), Status> {
        let servers: Vec<ServerSpec> = addresses.iter().cloned().map(ServerSpec::new).collect();
        let known = self.by_name.read().get(name).cloned();
        let service = match known {
            Some(known) => known,
            None => {
                let id = method_id(name.as_bytes());
                Arc::new(Service::new(name, id, &self.settings, self.timeout, self.connections_per_endpoint)?)
            }
        };
        service.replace(&servers, &[], &self.known())?;
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
        // Room to grow, so that the set need not be made anew for each server.
        let capacity = (route.servers.len() * 2).next_power_of_two().clamp(128, MAX_ENDPOINTS as usize) as u32;
        let settings = route.set_settings(capacity);
        let timeout = Duration::from_millis(route.client.timeouts.call.0.into());
        let known = self.by_name.read().get(name).cloned();
        let service = match known {
            Some(known) if *known.settings() == settings && known.timeout == timeout => known,
            Some(known) => Arc::new(known.heir(route.service.id, &settings, timeout)?),
            None => {
                let connections = self.connections_per_endpoint;
                Arc::new(Service::new(name, route.service.id, &settings, timeout, connections)?)
            }
        };
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
        service.replace(&servers, &route.group_rules(), &self.known())?;
        self.by_name.write().insert(name.to_owned(), service.clone());
        Ok(service)
    }

    /// All that were asked for.
    pub(crate) fn all(&self) -> Vec<Arc<Service>> {
        self.by_name.read().values().cloned().collect()
    }

    /// Looks at the host, and hands over to it what was counted.
    pub(crate) fn keep_house(&self) {
        if let Some(host) = &self.host {
            host.look(crate::clock::now());
        }
        let known = self.known();
        self.all().iter().for_each(|service| service.hand_over(&known));
    }
}
