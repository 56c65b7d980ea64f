//! The directory that a command works on, the moment at which it looks, and what to do when a file is not usable.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::anyhow;
use mcrpc_agent::clock;
use mcrpc_agent::directory::{Directory, Error};
use mcrpc_core::host::files::DEFAULT_DIRECTORY;
use mcrpc_core::status::Status;
use mcrpc_core::time::Nanos;
use serde::Serialize;

/// Which directory.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Place {
    /// The directory of the host's shared segments
    #[arg(long, value_name = "DIR", env = "MCRPC_DIR", default_value = DEFAULT_DIRECTORY)]
    pub dir: PathBuf,
    /// The user id that the directory belongs to, if it is neither root's nor yours
    #[arg(long, value_name = "UID", env = "MCRPC_OWNER_UID")]
    pub owner: Option<u32>,
}

impl Place {
    /// Opens the directory; it is never made here.
    pub(crate) fn open(&self) -> Result<Directory, Error> {
        Directory::open(&self.dir, self.owner)
    }
}

/// The error, and what a person can do about it.
pub(crate) fn advised(error: &Error) -> anyhow::Error {
    match advice(error) {
        Some(advice) => anyhow!("{error}. {advice}"),
        None => anyhow!("{error}"),
    }
}

fn advice(error: &Error) -> Option<String> {
    match error {
        Error::Refused { mismatch, .. } if mismatch.status == Status::SEGMENT_WRONG_OWNER => {
            Some(format!("If it is right that user {0} owns it, say so with --owner {0}.", mismatch.found))
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
            Some("Start the agent (mcrpc agent), or correct --dir or MCRPC_DIR.".to_owned())
        }
        Error::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            let uid = rustix::process::geteuid().as_raw();
            Some(format!("You are user {uid}: run this as root, or as the user that owns the directory."))
        }
        _ => None,
    }
}

/// One moment on all clocks that the segments are stamped with.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Moment {
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// `CLOCK_BOOTTIME`.
    pub boottime_ms: u64,
    /// Seconds since 1970.
    pub unix_s: u64,
}

impl Moment {
    pub(crate) fn now() -> Moment {
        Moment { monotonic_ns: clock::monotonic().0, boottime_ms: clock::boottime_ms(), unix_s: clock::unix_s() }
    }

    pub(crate) const fn monotonic(&self) -> Nanos {
        Nanos(self.monotonic_ns)
    }

    /// How long ago something was, in ms; 0 for what is later, since clocks of two processors differ a little.
    pub(crate) const fn age_ms(&self, then_ns: u64) -> u64 {
        self.monotonic_ns.saturating_sub(then_ns) / 1_000_000
    }
}
