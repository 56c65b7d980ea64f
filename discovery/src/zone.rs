//! Which servers of a list a caller uses, by where it stands (SPEC B3): for callers that have no set of their own, which
//! would do the same and look at shields beside.

use std::sync::atomic::AtomicU64;

use mcrpc_agent::names::{Place, Server, ServiceList};
use mcrpc_core::admission::key::Key;
use mcrpc_core::host::control::Target;
use mcrpc_core::host::region::Shared;
use mcrpc_core::id::Uin;
use mcrpc_core::select::call::{Attempt, Call};
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::{MAX_ENDPOINTS, Settings, Spec, ZoneStrategy};
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::time::Nanos;

/// Leaves only the servers that a caller in that place uses; of one zone by hash, those of this user.
pub fn narrow(list: &mut ServiceList, place: &Place, uin: Uin) {
    let is_near = |server: &Server| server.region == place.region;
    let is_nearest = |server: &Server| is_near(server) && server.zone == place.zone;
    match place.strategy {
        ZoneStrategy::Anywhere => {}
        ZoneStrategy::ZoneFirst if !list.servers.iter().any(is_nearest) => list.servers.retain(is_near),
        ZoneStrategy::ZoneFirst | ZoneStrategy::ZoneOnly => list.servers.retain(is_nearest),
        ZoneStrategy::Region => list.servers.retain(is_near),
        ZoneStrategy::OneZoneByHash => {
            list.servers.retain(is_near);
            let zone = zone_of_user(list, place, uin);
            list.servers.retain(|server| Some(&server.zone) == zone.as_ref());
        }
    }
    list.here = place.clone();
}

/// The zone that a set chooses for the user, so that all callers agree about it.
fn zone_of_user(list: &ServiceList, place: &Place, uin: Uin) -> Option<String> {
    let settings = Settings {
        capacity: MAX_ENDPOINTS,
        zone_strategy: ZoneStrategy::OneZoneByHash,
        region: place.region_number(),
        zone: place.zone_number(),
        ..Settings::DEFAULT
    };
    let words: Vec<AtomicU64> = (0..EndpointSet::memory_len(&settings).ok()?).map(|_| AtomicU64::new(0)).collect();
    let set = EndpointSet::create(Shared::new(&words), &settings).ok()?;
    let servers = &list.servers[..list.servers.len().min(MAX_ENDPOINTS as usize)];
    let spec = |index: usize| {
        let server = &servers[index];
        let [region, zone, _] = server.numbers();
        let endpoint = Endpoint::new(server.address, list.id);
        Spec { endpoint, weight: server.weight, region, zone, group: 0, user_data: index as u64 }
    };
    let host = HostView::default();
    set.replace(servers.len(), &spec, &[], &host).ok()?;
    let target = Target { service_id: list.id, method_id: 0 };
    let mut call = Call::new(uin, 0, Key(0), target, Nanos(0));
    let choice = set.select(&mut call, Attempt::Next, &host, Nanos(1)).ok()?;
    servers.get(choice.user_data as usize).map(|server| server.zone.clone())
}
