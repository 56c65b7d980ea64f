//! Client and route files as a source of services: all that the programs of one IDC have a client file for.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use mcrpc_agent::names::ServiceList;
use mcrpc_agent::route::{self, Files, Follower, News};
use mcrpc_core::time::Nanos;

use crate::event::Event;

/// The files below a root, for the programs of one IDC.
#[derive(Debug)]
pub struct RouteFiles {
    root: PathBuf,
    idc: String,
    followed: BTreeMap<String, Follower>,
}

impl RouteFiles {
    /// Those below a root, for the programs of one IDC.
    pub fn new(root: PathBuf, idc: String) -> RouteFiles {
        RouteFiles { root, idc, followed: BTreeMap::new() }
    }

    /// Looks at all files. The lists that have changed; what is wrong is told.
    pub(crate) fn poll(&mut self, now: Nanos, mut tell: impl FnMut(Event)) -> Vec<ServiceList> {
        for service in route::services_of(&self.root, &self.idc) {
            if !self.followed.contains_key(&service)
                && let Ok(files) = Files::new(&self.root, &self.idc, &service)
            {
                self.followed.insert(service, Follower::new(files, SystemTime::now()));
            }
        }
        let mut changed = Vec::new();
        for follower in self.followed.values_mut() {
            match follower.poll(now) {
                News::Loaded(route) => changed.push(ServiceList::of_route(&route)),
                News::Refused(faults) => tell(Event::RouteRefused(faults)),
                News::None | News::Settling => {}
            }
        }
        changed
    }
}
