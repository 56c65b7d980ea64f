//! Two files become one configuration: each must be good, and both must fit each other.

use std::path::{Path, PathBuf};

use mcrpc_core::id::Per10k;
use mcrpc_core::select::settings::ZoneStrategy;

use super::client_file::{self, ClientFile, ClientSettings, strategy_name};
use super::error::{FaultList, Faults};
use super::files::{Files, read};
use super::names::{NameId, NameSet, Names, collision};
use super::route_file::{self, RouteFile, Server, Service};

/// How the programs of one IDC reach a service: complete and without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The service.
    pub service: Service,
    /// Its servers: at least one, one of them with a weight, no two at one endpoint.
    pub servers: Vec<Server>,
    /// How they are called.
    pub client: ClientSettings,
    /// The names behind the numbers of servers and client.
    pub names: Names,
    /// Where this stands.
    pub sources: Sources,
}

/// From which files a configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The client file.
    pub client: PathBuf,
    /// The route file.
    pub route: PathBuf,
    /// Whether the route file is the one for all IDCs, because the IDC has none of its own.
    pub is_global: bool,
}

/// Reads the files as they are now.
///
/// # Errors
///
/// Everything that is wrong with them.
pub fn load(files: &Files) -> Result<Route, Faults> {
    let client = read_client(files.client());
    let route = files.route_in_force().ok_or_else(|| files.no_route());
    let route = route.and_then(|path| Ok((path, read_route(path, files.service())?)));
    match (client, route) {
        (Ok(client), Ok((path, route))) => join(files, &client, path, &route),
        (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
        (Err(mut faults), Err(more)) => {
            faults.append(more);
            Err(faults)
        }
    }
}

pub(super) fn read_client(path: &Path) -> Result<ClientFile, Faults> {
    let mut faults = FaultList::new(path);
    match read(path, &mut faults) {
        Some(text) => client_file::parse(&text, faults),
        None => faults.or(None),
    }
}

pub(super) fn read_route(path: &Path, service: &str) -> Result<RouteFile, Faults> {
    let mut faults = FaultList::new(path);
    match read(path, &mut faults) {
        Some(text) => route_file::parse(&text, service, faults),
        None => faults.or(None),
    }
}

/// Both files as one, if they fit.
pub(super) fn join(files: &Files, client: &ClientFile, route_path: &Path, route: &RouteFile) -> Result<Route, Faults> {
    let mut faults = FaultList::new(files.client());
    let mut check = Check { client, route, route_path, faults: &mut faults };
    check.zone();
    check.groups();
    let names = check.names();
    let is_global = files.is_global(route_path);
    faults.or(Some(Route {
        service: route.service.clone(),
        servers: route.servers.clone(),
        client: client.settings.clone(),
        names,
        sources: Sources { client: files.client().to_owned(), route: route_path.to_owned(), is_global },
    }))
}

/// Does what the client wants exist in the route?
struct Check<'a> {
    client: &'a ClientFile,
    route: &'a RouteFile,
    route_path: &'a Path,
    faults: &'a mut FaultList,
}

impl Check<'_> {
    fn zone(&mut self) {
        let zone = self.client.settings.zone;
        let fits = |server: &Server| match zone.strategy {
            ZoneStrategy::Anywhere => true,
            ZoneStrategy::ZoneOnly => server.region == zone.region && server.zone == zone.zone,
            ZoneStrategy::ZoneFirst | ZoneStrategy::Region => server.region == zone.region,
            ZoneStrategy::OneZoneByHash => server.region == zone.region && !server.zone.is_none(),
        };
        if !self.has_server(fits) {
            let what = format!(
                "{:?} leaves no server with a weight of those in {}: expected one in that place",
                strategy_name(zone.strategy),
                self.route_path.display()
            );
            self.faults.of_key(self.client.zone_lines.strategy, "Zone", "Strategy", what);
        }
        let is_elsewhere = |server: &Server| server.zone == zone.zone && server.region != zone.region;
        if !zone.zone.is_none() && !zone.region.is_none() && self.route.servers.iter().any(is_elsewhere) {
            let path = self.route_path.display();
            let what = format!("the zone is in another region in {path}: expected one region per zone");
            self.faults.of_key(self.client.zone_lines.zone, "Zone", "Zone", what);
        }
    }

    fn groups(&mut self) {
        for (rule, (key, line)) in self.client.settings.groups.iter().zip(&self.client.rule_lines) {
            if !self.has_server(|server| server.group == rule.group) {
                let group = self.client.names.groups.get(rule.group).unwrap_or_default();
                let path = self.route_path.display();
                let what = format!("no server with a weight in {path} is in the group {group:?}: expected one");
                self.faults.of_key(*line, "Groups", key, what);
            }
        }
        let covers_all = self.client.settings.groups.iter().any(|rule| rule.share == Per10k::ALL);
        if !covers_all && !self.has_server(|server| server.group.is_none()) {
            let path = self.route_path.display();
            let what = format!("all servers in {path} are in groups: expected one in none, or a rule with share=100%");
            self.faults.of_file(what);
        }
    }

    fn has_server(&self, fits: impl Fn(&Server) -> bool) -> bool {
        self.route.servers.iter().any(|server| server.weight > 0 && fits(server))
    }

    /// The names of both files; two with one number are a fault.
    fn names(&mut self) -> Names {
        let mut names = self.route.names.clone();
        let (zone, lines) = (self.client.settings.zone, &self.client.zone_lines);
        let of = &self.client.names;
        self.add(&mut names.regions, &of.regions, zone.region, (lines.region, "Zone", "Region"));
        self.add(&mut names.zones, &of.zones, zone.zone, (lines.zone, "Zone", "Zone"));
        for (rule, (key, line)) in self.client.settings.groups.iter().zip(&self.client.rule_lines) {
            self.add(&mut names.groups, &of.groups, rule.group, (*line, "Groups", key));
        }
        names
    }

    fn add(&mut self, to: &mut NameSet, from: &NameSet, id: NameId, (line, section, key): (u32, &str, &str)) {
        let Some(name) = from.get(id) else { return };
        if let Err(other) = to.add(name) {
            self.faults.of_key(line, section, key, collision(name, other));
        }
    }
}
