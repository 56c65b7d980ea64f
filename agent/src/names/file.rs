//! A list in a file of the host's directory: read again when it has changed, and replaced as a whole.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::list::ServiceList;
use super::text;
use crate::route::is_name;
use crate::watched::{FileError, Watched};

/// Where the lists of a host's directory are.
pub fn directory_of(host: &Path) -> PathBuf {
    host.join("names")
}

/// Where its agent answers to names.
pub fn socket_of(host: &Path) -> PathBuf {
    host.join("names.sock")
}

/// The list of a service below a directory of lists; `None` if it is no name of a service.
pub fn file_of(lists: &Path, service: &str) -> Option<PathBuf> {
    is_name(service).then(|| lists.join(service))
}

/// The services that have a list below a directory.
///
/// # Errors
///
/// The directory cannot be read.
pub fn services_in(lists: &Path) -> io::Result<Vec<String>> {
    let mut services = Vec::new();
    for entry in fs::read_dir(lists)? {
        services.extend(entry?.file_name().into_string().ok().filter(|name| is_name(name)));
    }
    services.sort();
    Ok(services)
}

/// Gives a list its file, in one step.
///
/// # Errors
///
/// The file cannot be written; then the one before is still there.
pub fn replace(lists: &Path, list: &ServiceList) -> io::Result<()> {
    // With a dot, which no name of a service begins with.
    let temporary = lists.join(format!(".{}.new", list.service));
    fs::write(&temporary, list.to_string())?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o644))?;
    fs::rename(&temporary, lists.join(&list.service)).inspect_err(|_| _ = fs::remove_file(&temporary))
}

/// A list that is read again whenever its file has changed.
#[derive(Debug)]
pub struct ListFile(Watched<ServiceList>);

impl ListFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or a line is wrong.
    pub fn open(path: &Path) -> Result<ListFile, FileError> {
        Watched::open(path, text::parse).map(ListFile)
    }

    /// What it said when it was last good.
    pub fn list(&self) -> &ServiceList {
        self.0.content()
    }

    /// Reads the file again if it has changed. Whether it has.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open), once for each change: what was read last stays in force.
    pub fn poll(&mut self) -> Result<bool, FileError> {
        self.0.poll()
    }
}
