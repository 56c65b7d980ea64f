//! `route/<idc|global>/<svc>_route.conf`: which servers a service has.
//!
//! ```text
//! [Service]    Id, Name
//! [Server]     ServerCount
//! [Server0]    IP, Port, Weight, Region, Zone, Group
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use mcrpc_core::strategy::endpoint::Endpoint;

use super::error::{FaultList, Faults};
use super::ini::{self, Section};
use super::names::{NameId, NameSet, Names, collision};
use super::reader::{SectionReader, check_sections, numbered};

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its number, in every endpoint of it.
    pub id: u32,
    /// Its name, which is in the name of its files.
    pub name: String,
}

/// One server of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens, and as which service.
    pub endpoint: Endpoint,
    /// Its share of the calls, as a ratio to the other servers' weights; 0: none.
    pub weight: u16,
    /// Its region.
    pub region: NameId,
    /// Its zone, which is a part of one region.
    pub zone: NameId,
    /// Its group in a grey release.
    pub group: NameId,
}

/// A file that has no fault of its own.
#[derive(Debug)]
pub(super) struct RouteFile {
    pub service: Service,
    pub id_line: u32,
    /// In the order of their numbers.
    pub servers: Vec<Server>,
    pub names: Names,
}

const SECTIONS: &[&str] = &["Service", "Server", "Server<N>"];
const MAX_WEIGHT: u16 = 1_000;
const DEFAULT_WEIGHT: u16 = 100;

/// Reads a file of the service that is called `service`.
pub(super) fn parse(text: &str, service: &str, mut faults: FaultList) -> Result<RouteFile, Faults> {
    let sections = ini::parse(text, &mut faults);
    check_sections(&sections, SECTIONS, &mut faults);
    let of = |name: &str| sections.iter().find(|section| section.name == name);
    let service = match of("Service") {
        Some(section) => read_service(section, service, &mut faults),
        None => {
            faults.of_file("there is no [Service]: expected it with Id and Name");
            None
        }
    };
    let numbers = sections.iter().filter_map(|section| Some((numbered(&section.name, "Server")?, section)));
    let mut numbered_sections: Vec<_> = numbers.collect();
    numbered_sections.sort_by_key(|(number, _)| *number);
    if numbered_sections.is_empty() {
        faults.of_file("there is no server: expected [Server0] with IP and Port");
    }
    if let Some(section) = of("Server") {
        check_count(section, numbered_sections.len(), &mut faults);
    }
    let service_id = service.as_ref().map_or(0, |(service, _)| service.id);
    let mut servers = Servers::default();
    for (_, section) in numbered_sections {
        servers.read(section, service_id, &mut faults);
    }
    // Of those that can be read.
    if !servers.all.is_empty() && servers.all.iter().all(|server| server.weight == 0) {
        faults.of_file("no server would be called: expected one with a Weight above 0");
    }
    let Servers { all, names, .. } = servers;
    faults.or(service.map(|(service, id_line)| RouteFile { service, id_line, servers: all, names }))
}

fn read_service(section: &Section, file_of: &str, faults: &mut FaultList) -> Option<(Service, u32)> {
    let mut reader = SectionReader::new(section, &["Id", "Name"], faults);
    let id = reader.required_number("Id", "service id", 1..=u32::MAX);
    let expected = format!("{file_of}, as the file is called");
    let name =
        reader.require("Name", "name of this service", &expected, |text| (text == file_of).then(|| text.to_owned()));
    Some((Service { id: id?, name: name? }, reader.line_of("Id")))
}

fn check_count(section: &Section, found: usize, faults: &mut FaultList) {
    let mut reader = SectionReader::new(section, &["ServerCount"], faults);
    let count = reader.number("ServerCount", "number of servers", 0..=u32::MAX);
    if count.is_some_and(|count| count as usize != found) {
        reader.fault("ServerCount", format!("{} announced, {found} found: is the file complete?", count.unwrap_or(0)));
    }
}

/// The servers, and what has to agree among them.
#[derive(Default)]
struct Servers<'a> {
    all: Vec<Server>,
    names: Names,
    /// Which section has taken an endpoint.
    taken: BTreeMap<Endpoint, &'a Section>,
    /// In which region a zone was seen first, and where.
    region_of_zone: BTreeMap<NameId, (NameId, &'a Section)>,
}

impl<'a> Servers<'a> {
    fn read(&mut self, section: &'a Section, service_id: u32, faults: &mut FaultList) {
        let mut reader = SectionReader::new(section, &["IP", "Port", "Weight", "Region", "Zone", "Group"], faults);
        let expected = "an IPv4 or IPv6 address that can be called, as 10.1.2.3 or 2001:db8::1";
        let address = reader.require("IP", "address", expected, address);
        let port = reader.required_number("Port", "port", 1..=u16::MAX);
        let weight = reader.number("Weight", "weight", 0..=MAX_WEIGHT).unwrap_or(DEFAULT_WEIGHT);
        let region = name(&mut reader, "Region", &mut self.names.regions);
        let zone = name(&mut reader, "Zone", &mut self.names.zones);
        let group = name(&mut reader, "Group", &mut self.names.groups);
        if !zone.is_none() {
            let (first_region, first) = *self.region_of_zone.entry(zone).or_insert((region, section));
            if first_region != region {
                let what = format!("the zone is in another region in [{}]: expected one region per zone", first.name);
                reader.fault("Zone", what);
            }
        }
        let (Some(address), Some(port)) = (address, port) else { return };
        let endpoint = Endpoint::new(SocketAddr::new(address, port), service_id);
        if let Some(other) = self.taken.insert(endpoint, section) {
            let what = format!("{} is also [{}]: remove one of them", endpoint.socket(), other.name);
            reader.fault("IP", what);
        }
        self.all.push(Server { endpoint, weight, region, zone, group });
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok()?;
    let is_broadcast = address == IpAddr::from([255; 4]);
    let can_be_called = !address.is_unspecified() && !address.is_multicast() && !is_broadcast;
    can_be_called.then_some(address)
}

fn name(reader: &mut SectionReader<'_>, key: &str, names: &mut NameSet) -> NameId {
    let Some(name) = reader.name(key, &key.to_lowercase()) else { return NameId::NONE };
    match names.add(&name) {
        Ok(id) => id,
        Err(other) => {
            let what = collision(&name, other);
            reader.fault(key, what);
            NameId::NONE
        }
    }
}
