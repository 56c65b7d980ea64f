//! The lists on disk: in the host's directory, where its programs read them, and if that is wanted in another one, which
//! outlives the machine's restart. An agent that starts begins with what it finds there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use mcrpc_agent::names::{self, ListFile, ServiceList};

/// Where the lists are.
#[derive(Debug)]
pub(crate) struct Disk {
    /// The host's first.
    directories: Vec<PathBuf>,
}

impl Disk {
    /// Makes the directories that are missing.
    ///
    /// # Errors
    ///
    /// What the operating system says, with the directory.
    pub(crate) fn open(host: &Path, cache: Option<&Path>) -> io::Result<Disk> {
        let directories: Vec<PathBuf> =
            [names::directory_of(host)].into_iter().chain(cache.map(Path::to_owned)).collect();
        for directory in &directories {
            make(directory)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        }
        belongs_with(&directories[0], host);
        Ok(Disk { directories })
    }

    /// The newest list of each service. What cannot be read is as if it were not there.
    pub(crate) fn load(&self) -> Vec<ServiceList> {
        let mut newest: BTreeMap<String, ServiceList> = BTreeMap::new();
        for directory in &self.directories {
            for service in names::services_in(directory).unwrap_or_default() {
                let Ok(file) = ListFile::open(&directory.join(&service)) else { continue };
                let list = file.list();
                if list.service == service && newest.get(&service).is_none_or(|known| known.version < list.version) {
                    newest.insert(service, list.clone());
                }
            }
        }
        newest.into_values().collect()
    }

    /// Writes a list, everywhere.
    ///
    /// # Errors
    ///
    /// The first directory that cannot be written, and why.
    pub(crate) fn write(&self, list: &ServiceList) -> Result<(), (PathBuf, io::Error)> {
        let written = self
            .directories
            .iter()
            .map(|directory| names::replace(directory, list).map_err(|error| (directory.join(&list.service), error)));
        written.fold(Ok(()), Result::and)
    }

    /// Removes the list of a service.
    pub(crate) fn remove(&self, service: &str) {
        self.directories.iter().for_each(|directory| _ = fs::remove_file(directory.join(service)));
    }
}

/// What is in a host's directory belongs to its user and its group, whoever makes it, as far as the maker may give it away.
pub(crate) fn belongs_with(path: &Path, host: &Path) {
    if let Ok(facts) = fs::metadata(host) {
        let _ = chown(path, Some(facts.uid()), None);
        let _ = chown(path, None, Some(facts.gid()));
    }
}

fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => fs::set_permissions(directory, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}
