//! Follows the files of one service: what is in force is what they say, or, as long as they are not good, what they said
//! when they were.
//!
//! A file may be looked at in the middle of being written, and half a file may look whole. So what has changed is read
//! only when it has not changed again for a while, and is used only if it did not change while it was read.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mcrpc_core::time::Nanos;

use super::error::Faults;
use super::files::{Files, Stamps};
use super::load::{Route, load};

/// How long files have to stay as they are before they are read.
pub const SETTLE_MS: u32 = 200;
const SETTLE_NS: u64 = SETTLE_MS as u64 * 1_000_000;

/// What a look at the files has shown.
#[derive(Clone, Debug)]
pub enum News {
    /// Nothing has changed.
    None,
    /// They are changing: look again in [`SETTLE_MS`].
    Settling,
    /// This is in force now.
    Loaded(Arc<Route>),
    /// They are not good; what was in force before stays so. Said once for each change.
    Refused(Arc<Faults>),
}

/// Follows the files of one service.
#[derive(Debug)]
pub struct Follower {
    files: Files,
    current: Option<Arc<Route>>,
    seen: Option<Stamps>,
    settling_since: Option<Nanos>,
    /// Files that were last changed before need not settle when they are first seen; ns since 1970.
    settled_before_ns: i128,
}

impl Follower {
    /// Follows files; the first poll reads them, at once if they have not changed lately.
    pub fn new(files: Files, now: SystemTime) -> Follower {
        let now_ns = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
        let settled_before_ns = now_ns - i128::from(SETTLE_NS);
        Follower { files, current: None, seen: None, settling_since: None, settled_before_ns }
    }

    /// What is in force; `None` if the files were never good.
    pub fn current(&self) -> Option<&Arc<Route>> {
        self.current.as_ref()
    }

    /// The files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Looks at the files, and reads them again when they have changed and settled.
    pub fn poll(&mut self, now: Nanos) -> News {
        let stamps = self.files.stamps();
        let is_first = self.seen.is_none();
        if self.seen.replace(stamps) != Some(stamps) {
            self.settling_since = Some(now);
        }
        let Some(since) = self.settling_since else { return News::None };
        let is_old = is_first && stamps.newest_ns() < self.settled_before_ns;
        if !is_old && now.since(since) < SETTLE_NS {
            return News::Settling;
        }
        let loaded = load(&self.files);
        let after = self.files.stamps();
        if after != stamps {
            self.seen = Some(after);
            self.settling_since = Some(now);
            return News::Settling;
        }
        self.settling_since = None;
        match loaded {
            Ok(route) => {
                let route = Arc::new(route);
                self.current = Some(Arc::clone(&route));
                News::Loaded(route)
            }
            Err(faults) => News::Refused(Arc::new(faults)),
        }
    }
}
