//! Reads every file below a root as all programs of all IDCs would, before any of them does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::client_file::ClientFile;
use super::error::{FaultList, Faults};
use super::files::{CLIENT_SUFFIX, Files, GLOBAL, ROUTE_SUFFIX};
use super::load::{join, read_client, read_route};
use super::names::is_name;
use super::route_file::RouteFile;

/// What a check has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many files were read.
    pub files: usize,
    /// The services that have a file.
    pub services: BTreeSet<String>,
    /// The IDCs that have a file.
    pub idcs: BTreeSet<String>,
    /// What is wrong, file by file.
    pub faults: Vec<Faults>,
}

/// Reads every file below a root.
pub fn check(root: &Path) -> Checked {
    let mut tree = Tree { root, checked: Checked::default(), routes: BTreeMap::new(), ids: BTreeMap::new() };
    let (clients, routes) = (tree.list("client", CLIENT_SUFFIX), tree.list("route", ROUTE_SUFFIX));
    for (place, path) in routes {
        tree.route(place, &path);
    }
    for (place, path) in &clients {
        tree.client(place, path);
    }
    if tree.checked.files == 0 && tree.checked.faults.is_empty() {
        let mut faults = FaultList::new(root);
        faults.of_file("there is no client and no route file: expected client/<idc>/<svc>_cli.conf below it");
        tree.refuse(faults);
    }
    tree.checked
}

/// Whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    idc: String,
    service: String,
}

struct Tree<'a> {
    root: &'a Path,
    checked: Checked,
    /// The route files; `None` for one that is not good.
    routes: BTreeMap<Place, Option<RouteFile>>,
    /// Which service has an id, and where that was read first.
    ids: BTreeMap<u32, (String, PathBuf)>,
}

impl Tree<'_> {
    /// The files of one kind in the order of their paths.
    fn list(&mut self, kind: &str, suffix: &str) -> Vec<(Place, PathBuf)> {
        let mut found = Vec::new();
        for dir in self.entries(&self.root.join(kind)).into_iter().filter(|path| path.is_dir()) {
            let Some(idc) = file_name(&dir).filter(|name| is_name(name)).map(str::to_owned) else { continue };
            for path in self.entries(&dir) {
                let Some(name) = file_name(&path).filter(|name| name.ends_with(".conf")) else { continue };
                match name.strip_suffix(suffix).filter(|service| is_name(service)) {
                    Some(service) => {
                        let place = Place { idc: idc.clone(), service: service.to_owned() };
                        found.push((place, path));
                    }
                    // What an editor leaves behind is none of it.
                    None if name.starts_with('.') => {}
                    None => {
                        let mut faults = FaultList::new(&path);
                        faults.of_file(format!("is read by nobody: expected a name as <service>{suffix}"));
                        self.refuse(faults);
                    }
                }
            }
        }
        self.checked.files += found.len();
        for (place, _) in &found {
            self.checked.services.insert(place.service.clone());
            if place.idc != GLOBAL {
                self.checked.idcs.insert(place.idc.clone());
            }
        }
        found
    }

    fn entries(&mut self, dir: &Path) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        match fs::read_dir(dir) {
            Ok(entries) => paths.extend(entries.flatten().map(|entry| entry.path())),
            Err(error) => {
                let mut faults = FaultList::new(dir);
                faults.of_file(format!("cannot be listed: {error}"));
                self.refuse(faults);
            }
        }
        paths.sort();
        paths
    }

    fn route(&mut self, place: Place, path: &Path) {
        let route = match read_route(path, &place.service) {
            Ok(route) => {
                self.id_of(&route, path);
                Some(route)
            }
            Err(faults) => {
                self.checked.faults.push(faults);
                None
            }
        };
        self.routes.insert(place, route);
    }

    /// One service, one id: what is shielded or skipped by it has to be the same for all callers.
    fn id_of(&mut self, route: &RouteFile, path: &Path) {
        let name = &route.service.name;
        let other_id = self.ids.iter().find(|(id, (other, _))| other == name && **id != route.service.id);
        let what = match (self.ids.get(&route.service.id), other_id) {
            (Some((other, at)), _) if other != name => {
                format!("{} is the Id of {other} in {}: expected another", route.service.id, at.display())
            }
            (_, Some((id, (_, at)))) => format!("is {id} in {}: expected the same for all callers", at.display()),
            _ => {
                self.ids.entry(route.service.id).or_insert_with(|| (name.clone(), path.to_owned()));
                return;
            }
        };
        let mut faults = FaultList::new(path);
        faults.of_key(route.id_line, "Service", "Id", what);
        self.refuse(faults);
    }

    fn client(&mut self, place: &Place, path: &Path) {
        let joined = read_client(path).and_then(|client| self.join(place, &client));
        if let Err(faults) = joined {
            self.checked.faults.push(faults);
        }
    }

    fn join(&self, place: &Place, client: &ClientFile) -> Result<(), Faults> {
        let files = Files::new(self.root, &place.idc, &place.service)?;
        let route_path = files.route_in_force().ok_or_else(|| files.no_route())?;
        let idc = if files.is_global(route_path) { GLOBAL } else { &place.idc };
        let of = Place { idc: idc.to_owned(), service: place.service.clone() };
        match self.routes.get(&of) {
            Some(Some(route)) => join(&files, client, route_path, route).map(drop),
            // Its faults are said already.
            _ => Ok(()),
        }
    }

    fn refuse(&mut self, faults: FaultList) {
        self.checked.faults.extend(faults.or::<()>(None).err());
    }
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
