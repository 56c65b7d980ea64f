//! The client and route files.

use std::path::Path;

use mcrpc_agent::route;

use super::finding::{Examined, Severity};
use crate::host::text::count;

/// Checks all files below a directory.
pub(super) fn examine(root: &Path, examined: &mut Examined) {
    let route::Checked { files, faults, .. } = route::check(root);
    for fault in faults.iter().flat_map(|faults| faults.iter()) {
        let remedy =
            "correct the file: until then the last good one stays in force, and a program that starts has none";
        examined.found(Severity::Error, "routes", "bad_file", fault.to_string(), remedy);
    }
    if faults.is_empty() {
        examined.ok("routes", format!("{} without a fault", count(files, "file", "files")));
    }
}
