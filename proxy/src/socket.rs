//! Who may connect to a socket of the proxy.

use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use mcrpc::Address;

/// Lets the group of the host's directory in, or whom else `mode` names. A group that cannot be given is as if nobody was in it.
pub(crate) fn admit(address: &Address, mode: u32, host: &Path) {
    let Address::Unix(path) = address else { return };
    if let Ok(host) = metadata(host) {
        let _ = chown(path, None, Some(host.gid()));
    }
    let _ = set_permissions(path, Permissions::from_mode(mode));
}
