//! The servers that etcd knows, and when a smaller list is believed.
//!
//! What leaves a list may have failed, or been taken away; or it is the registry that fails: it was emptied, or hosts were cut
//! off from it until their leases ran out. So a list that keeps less than half of the servers that it had within the last
//! while is not believed at once: what is missing stays in force until it has been missing for so long. A server that is truly
//! gone costs little meanwhile, since callers shield it after a few calls; a list that is lost costs everything.
//!
//! Time passes only while the registry answers: as long as it does not, nothing is taken from any list.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use mcrpc_agent::names::Server;

/// The servers that etcd knows.
#[derive(Debug)]
pub struct Registry {
    services: BTreeMap<String, Known>,
    hold: Duration,
    changed: BTreeSet<String>,
}

/// What is known of a service.
#[derive(Debug, Default)]
struct Known {
    present: BTreeMap<SocketAddr, Server>,
    /// Those that have left, and for how much longer they are remembered.
    missing: BTreeMap<SocketAddr, Missing>,
}

#[derive(Debug)]
struct Missing {
    server: Server,
    left: Duration,
}

impl Known {
    fn is_suspicious(&self) -> bool {
        self.present.len() < self.missing.len()
    }

    fn is_empty(&self) -> bool {
        self.present.is_empty() && self.missing.is_empty()
    }
}

impl Registry {
    /// Knows nothing. What leaves is remembered for `hold`.
    pub fn new(hold: Duration) -> Registry {
        Registry { services: BTreeMap::new(), hold, changed: BTreeSet::new() }
    }

    /// A server of which an earlier agent of this host has known: in force until the registry has been asked.
    pub fn remember(&mut self, service: &str, server: Server) {
        let left = self.hold;
        self.known(service).missing.insert(server.address, Missing { server, left });
        self.changed.insert(service.to_owned());
    }

    /// All that the registry has now.
    pub fn replace_all(&mut self, servers: impl IntoIterator<Item = (String, Server)>) {
        let mut listed: BTreeMap<String, BTreeSet<SocketAddr>> = BTreeMap::new();
        for (service, server) in servers {
            listed.entry(service.clone()).or_default().insert(server.address);
            self.put(&service, server);
        }
        let mut gone = Vec::new();
        for (service, known) in &self.services {
            let listed = listed.get(service);
            let is_gone = |address: &&SocketAddr| listed.is_none_or(|listed| !listed.contains(*address));
            gone.extend(known.present.keys().filter(is_gone).map(|address| (service.clone(), *address)));
        }
        for (service, address) in gone {
            self.delete(&service, address);
        }
    }

    /// The registry has a server, or has it with other attributes.
    pub fn put(&mut self, service: &str, server: Server) {
        let known = self.known(service);
        known.missing.remove(&server.address);
        if known.present.get(&server.address) != Some(&server) {
            known.present.insert(server.address, server);
        }
        self.changed.insert(service.to_owned());
    }

    /// The registry has a server no longer.
    pub fn delete(&mut self, service: &str, address: SocketAddr) {
        let left = self.hold;
        let Some(known) = self.services.get_mut(service) else { return };
        if let Some(server) = known.present.remove(&address) {
            known.missing.insert(address, Missing { server, left });
            self.changed.insert(service.to_owned());
        }
    }

    /// So much time has passed in which the registry has answered.
    pub fn pass(&mut self, elapsed: Duration) {
        for (service, known) in &mut self.services {
            let before = known.missing.len();
            known.missing.retain(|_, missing| {
                missing.left = missing.left.saturating_sub(elapsed);
                !missing.left.is_zero()
            });
            if known.missing.len() != before {
                self.changed.insert(service.clone());
            }
        }
    }

    /// The servers of a service that are in force.
    pub fn in_force(&self, service: &str) -> impl Iterator<Item = &Server> {
        let known = self.services.get(service);
        let missing = known.filter(|known| known.is_suspicious()).map(|known| known.missing.values());
        let missing = missing.into_iter().flatten().map(|missing| &missing.server);
        known.map(|known| known.present.values()).into_iter().flatten().chain(missing)
    }

    /// Whether the registry has it.
    pub fn has(&self, service: &str, address: SocketAddr) -> bool {
        self.services.get(service).is_some_and(|known| known.present.contains_key(&address))
    }

    /// How many servers the registry has, and how many more are in force because a list has become too small.
    pub fn counts(&self) -> (usize, usize) {
        let present = self.services.values().map(|known| known.present.len()).sum();
        let held = self.services.values().filter(|known| known.is_suspicious()).map(|known| known.missing.len()).sum();
        (present, held)
    }

    /// The services of which something has changed since this was asked last. Those without servers are then forgotten.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        let changed = std::mem::take(&mut self.changed);
        for service in &changed {
            if let Entry::Occupied(known) = self.services.entry(service.clone())
                && known.get().is_empty()
            {
                known.remove();
            }
        }
        changed
    }

    fn known(&mut self, service: &str) -> &mut Known {
        self.services.entry(service.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOLD: Duration = Duration::from_secs(300);

    fn server(port: u16) -> Server {
        let address = ([10, 0, 0, 1], port).into();
        Server { address, weight: 100, region: String::new(), zone: String::new(), group: String::new() }
    }

    fn listed(ports: impl IntoIterator<Item = u16>) -> Vec<(String, Server)> {
        ports.into_iter().map(|port| ("a".to_owned(), server(port))).collect()
    }

    fn with(ports: impl IntoIterator<Item = u16>) -> Registry {
        let mut registry = Registry::new(HOLD);
        registry.replace_all(listed(ports));
        registry
    }

    fn ports(registry: &Registry) -> Vec<u16> {
        let mut ports: Vec<u16> = registry.in_force("a").map(|server| server.address.port()).collect();
        ports.sort_unstable();
        ports
    }

    fn delete(registry: &mut Registry, port: u16) {
        registry.delete("a", server(port).address);
    }

    #[test]
    fn given_a_server_that_leaves_then_it_is_taken_away_at_once() {
        let mut registry = with(1..=4);
        delete(&mut registry, 2);
        assert_eq!(ports(&registry), [1, 3, 4]);
    }

    #[test]
    fn given_a_registry_that_is_emptied_then_its_list_stays_for_a_while() {
        let mut registry = with(1..=4);
        registry.replace_all([]);
        assert_eq!((ports(&registry), registry.counts()), (vec![1, 2, 3, 4], (0, 4)));
        registry.pass(HOLD - Duration::from_secs(1));
        assert_eq!(ports(&registry), [1, 2, 3, 4]);
        registry.pass(Duration::from_secs(1));
        assert!(ports(&registry).is_empty());
    }

    #[test]
    fn given_leases_that_run_out_one_after_the_other_then_the_list_is_whole_again_once_half_of_it_is_lost() {
        let mut registry = with(1..=10);
        (1..=5).for_each(|port| delete(&mut registry, port));
        assert_eq!(ports(&registry), [6, 7, 8, 9, 10], "half of it may go");
        delete(&mut registry, 6);
        assert_eq!(ports(&registry), (1..=10).collect::<Vec<_>>());
        registry.put("a", server(1));
        assert_eq!(ports(&registry), [1, 7, 8, 9, 10], "what comes back makes it believable");
    }

    #[test]
    fn given_a_rollout_that_replaces_every_server_then_the_old_ones_leave() {
        let mut registry = with(1..=4);
        (1..=4).for_each(|port| {
            registry.put("a", server(port + 100));
            delete(&mut registry, port);
        });
        assert_eq!(ports(&registry), [101, 102, 103, 104]);
    }

    #[test]
    fn given_the_last_server_of_a_service_then_it_is_held() {
        let mut registry = with([1]);
        delete(&mut registry, 1);
        assert_eq!(ports(&registry), [1]);
    }

    #[test]
    fn given_what_an_earlier_agent_has_known_then_it_is_in_force_until_the_registry_says_otherwise() {
        let mut registry = Registry::new(HOLD);
        (1..=3).for_each(|port| registry.remember("a", server(port)));
        assert_eq!(ports(&registry), [1, 2, 3]);
        registry.replace_all(listed([2, 3, 4]));
        assert_eq!(ports(&registry), [2, 3, 4]);
    }

    #[test]
    fn given_a_service_that_has_been_empty_for_long_then_it_is_forgotten() {
        let mut registry = with([1]);
        registry.take_changed();
        registry.replace_all([]);
        registry.pass(HOLD);
        assert_eq!(registry.take_changed(), BTreeSet::from(["a".to_owned()]));
        assert!(registry.services.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_happens_the_list_has_at_least_half_of_the_servers_of_the_last_while(
            steps in prop::collection::vec((any::<bool>(), 0_u16..20), 1..200)
        ) {
            let mut registry = Registry::new(HOLD);
            let mut seen = BTreeSet::new();
            for (is_there, port) in steps {
                if is_there {
                    registry.put("a", server(port));
                    seen.insert(port);
                } else {
                    delete(&mut registry, port);
                }
                prop_assert!(ports(&registry).len() * 2 >= seen.len());
            }
        }
    }
}
