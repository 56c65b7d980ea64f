//! The servers of a service, and how they are chosen among.

use std::net::SocketAddr;

use mcrpc_core::select::settings::{GroupRule, ZoneStrategy};
use mcrpc_core::wire::header::method_id;

use crate::route::{NameId, Route};

/// Where a list comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Servers that have registered, on all hosts.
    Etcd,
    /// Client and route files.
    Routes,
    /// Servers of this host that have registered with its agent.
    Local,
}

impl Source {
    /// All of them.
    pub const ALL: [Source; 3] = [Source::Etcd, Source::Routes, Source::Local];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Source::Etcd => "etcd",
            Source::Routes => "routes",
            Source::Local => "local",
        }
    }
}

/// Where the callers are, and how far they go. Names are empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Their region.
    pub region: String,
    /// Their zone.
    pub zone: String,
    /// Which servers they call.
    pub strategy: ZoneStrategy,
}

/// One server. Names are empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its share of the calls, as a ratio to the other servers' weights; 0: none.
    pub weight: u16,
    /// Its region.
    pub region: String,
    /// Its zone, which is a part of one region.
    pub zone: String,
    /// Its group in a grey release.
    pub group: String,
}

/// The number that stands for a name in a decision; 0 for none.
pub(super) fn number_of(name: &str) -> u16 {
    if name.is_empty() { 0 } else { NameId::of(name).get() }
}

/// All that a caller has to know of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceList {
    /// Its name.
    pub service: String,
    /// Its number, in every endpoint of it.
    pub id: u32,
    /// Greater with each change.
    pub version: u64,
    /// Where it comes from.
    pub source: Source,
    /// Where the callers are.
    pub here: Place,
    /// Which users go to which group; the first that covers a user decides.
    pub rules: Vec<GroupRule>,
    /// Its servers, by their addresses.
    pub servers: Vec<Server>,
}

impl ServiceList {
    /// The number of a service that has none in a file: that of its name.
    pub fn id_of(service: &str) -> u32 {
        method_id(service.as_bytes())
    }

    /// What client and route files say.
    pub fn of_route(route: &Route) -> ServiceList {
        let zone = route.client.zone;
        let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let mut servers: Vec<Server> = route
            .servers
            .iter()
            .map(|server| Server {
                address: server.endpoint.socket(),
                weight: server.weight,
                region: name(route.names.regions.get(server.region)),
                zone: name(route.names.zones.get(server.zone)),
                group: name(route.names.groups.get(server.group)),
            })
            .collect();
        servers.sort_by_key(|server| server.address);
        ServiceList {
            service: route.service.name.clone(),
            id: route.service.id,
            version: 0,
            source: Source::Routes,
            here: Place {
                region: name(route.names.regions.get(zone.region)),
                zone: name(route.names.zones.get(zone.zone)),
                strategy: zone.strategy,
            },
            rules: route.group_rules(),
            servers,
        }
    }

    /// Whether a caller would do the same with both.
    pub fn says_the_same(&self, other: &ServiceList) -> bool {
        let ServiceList { service, id, version: _, source, here, rules, servers } = self;
        (service, id, source, here, rules, servers)
            == (&other.service, &other.id, &other.source, &other.here, &other.rules, &other.servers)
    }
}

/// Nowhere: all servers are called.
impl Default for Place {
    fn default() -> Place {
        Place { region: String::new(), zone: String::new(), strategy: ZoneStrategy::Anywhere }
    }
}

impl Place {
    /// The number of the region.
    pub fn region_number(&self) -> u16 {
        number_of(&self.region)
    }

    /// The number of the zone.
    pub fn zone_number(&self) -> u16 {
        number_of(&self.zone)
    }
}

impl Server {
    /// The numbers of region, zone and group.
    pub fn numbers(&self) -> [u16; 3] {
        [&self.region, &self.zone, &self.group].map(|name| number_of(name))
    }
}
