//! Where the two files of a service are, how they are read, and what changes when they change.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::error::{Fault, FaultList, Faults};
use super::names::{NAME_EXPECTED, is_name};

/// In place of an IDC: the routes for every IDC that has none of its own.
pub const GLOBAL: &str = "global";
pub(super) const CLIENT_SUFFIX: &str = "_cli.conf";
pub(super) const ROUTE_SUFFIX: &str = "_route.conf";
/// No file may be longer: some 50 000 servers.
const MAX_FILE_LEN: u64 = 4 << 20;

/// The files of one service, for the callers of one IDC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    service: String,
    client: PathBuf,
    route: PathBuf,
    global_route: PathBuf,
}

impl Files {
    /// The files below a root; they need not be there.
    ///
    /// # Errors
    ///
    /// The IDC or the service is not named as one.
    pub fn new(root: &Path, idc: &str, service: &str) -> Result<Files, Faults> {
        let fault = |what| fault_of(root, what);
        for (text, noun) in [(idc, "an IDC"), (service, "a service")] {
            if !is_name(text) {
                return Err(fault(format!("{text:?} is no name of {noun}: expected {NAME_EXPECTED}")));
            }
        }
        if idc == GLOBAL {
            let what = format!("{GLOBAL:?} is no IDC: expected the one that the callers are in");
            return Err(fault(what));
        }
        Ok(Files {
            service: service.to_owned(),
            client: root.join("client").join(idc).join(format!("{service}{CLIENT_SUFFIX}")),
            route: root.join("route").join(idc).join(format!("{service}{ROUTE_SUFFIX}")),
            global_route: root.join("route").join(GLOBAL).join(format!("{service}{ROUTE_SUFFIX}")),
        })
    }

    /// The service's name.
    pub fn service(&self) -> &str {
        &self.service
    }

    pub(super) fn client(&self) -> &Path {
        &self.client
    }

    /// The IDC's route file if there is one, else that for all; `None` if there is neither.
    pub(super) fn route_in_force(&self) -> Option<&Path> {
        // One that is there and cannot be read is no reason to use the other.
        let is_there = |path: &&Path| fs::metadata(path).map_or_else(|error| !is_missing(&error), |_| true);
        [self.route.as_path(), self.global_route.as_path()].into_iter().find(is_there)
    }

    pub(super) fn is_global(&self, path: &Path) -> bool {
        path == self.global_route
    }

    pub(super) fn no_route(&self) -> Faults {
        let other = self.global_route.display();
        fault_of(&self.route, format!("there is no such file, and no {other} either: expected one of them"))
    }

    pub(super) fn never_settled(&self) -> Faults {
        fault_of(&self.client, format!("it or {} is being written all the time: stop that", self.route.display()))
    }

    /// What the files look like from outside.
    pub(super) fn stamps(&self) -> Stamps {
        Stamps([&self.client, &self.route, &self.global_route].map(|path| Stamp::of(path)))
    }
}

/// A fault of a file as a whole.
pub(super) fn fault_of(path: &Path, what: String) -> Faults {
    Fault { path: path.to_owned(), line: None, section: None, key: None, what }.into()
}

/// What the files look like from outside: as long as this stays the same, so does what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamps([Option<Stamp>; 3]);

impl Stamps {
    /// When the last of them has changed, in ns since 1970.
    pub(super) fn newest_ns(&self) -> i128 {
        self.0.iter().flatten().map(|stamp| stamp.changed_ns).max().unwrap_or(i128::MIN)
    }
}

/// Of one file. The time of change is the kernel's own, which no tool sets back as it may the time of modification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    changed_ns: i128,
    len: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        let changed_ns = i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
        Some(Stamp { changed_ns, len: metadata.len(), inode: metadata.ino() })
    }
}

/// The text of a file.
pub(super) fn read(path: &Path, faults: &mut FaultList) -> Option<String> {
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(error) if is_missing(&error) => {
            faults.of_file("there is no such file: make it, or correct the name");
            return None;
        }
        Err(error) => {
            faults.of_file(format!("cannot be read: {error}"));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            faults.of_line(line.try_into().unwrap_or(u32::MAX), "is no text: expected UTF-8");
            None
        }
    }
}

fn read_bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Before it is opened: a pipe would wait for somebody who writes.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_LEN {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {MAX_FILE_LEN} bytes")));
    }
    Ok(bytes)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The services that have a client file for an IDC.
pub fn services_of(root: &Path, idc: &str) -> Vec<String> {
    let entries = fs::read_dir(root.join("client").join(idc)).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter_map(|name| name.strip_suffix(CLIENT_SUFFIX).filter(|service| is_name(service)).map(str::to_owned))
        .collect()
}
