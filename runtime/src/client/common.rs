//! What all services of a client have in common: how connections are made, and what is known of the host.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use arc_swap::Guard;
use mcrpc_core::id::Salt;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use super::endpoint::Dialer;
use crate::host::{Host, Known};

/// Whoever makes a call has it with the service: a call ends well whose client was dropped meanwhile. What it is counted as then is not
/// told to the host any more.
pub(crate) struct Common {
    pub(super) dialer: Arc<Dialer>,
    pub(super) connections_per_endpoint: usize,
    pub(super) host: Option<Arc<Host>>,
    /// What is known without a host.
    nothing: Known,
    /// The key of the order of users, as of the last look.
    salt: AtomicU64,
    _background: Option<Background>,
}

/// What is known of the host at a moment.
pub(crate) enum KnownNow<'s> {
    OfHost(Guard<Arc<Known>>),
    Nothing(&'s Known),
}

impl Deref for KnownNow<'_> {
    type Target = Known;

    #[inline]
    fn deref(&self) -> &Known {
        match self {
            KnownNow::OfHost(known) => known,
            KnownNow::Nothing(nothing) => nothing,
        }
    }
}

impl Common {
    pub(super) fn new(
        dialer: Dialer,
        connections_per_endpoint: usize,
        host: Option<Arc<Host>>,
        background: Option<Background>,
    ) -> Common {
        let (dialer, nothing) = (Arc::new(dialer), Known::default());
        let salt = AtomicU64::new(host.as_ref().map_or_else(|| nothing.salt(), |host| host.known().salt()).0);
        Common { dialer, connections_per_endpoint, host, nothing, salt, _background: background }
    }

    /// What is known of the host.
    #[inline]
    pub(crate) fn known(&self) -> KnownNow<'_> {
        self.host.as_ref().map_or(KnownNow::Nothing(&self.nothing), |host| KnownNow::OfHost(host.known()))
    }

    /// The key of the order of users: see [`Known::salt`].
    #[inline]
    pub(super) fn salt(&self) -> Salt {
        Salt(self.salt.load(Relaxed))
    }

    /// Looks at what is known now.
    pub(super) fn follow_salt(&self) {
        self.salt.store(self.known().salt().0, Relaxed);
    }
}

/// The thread that serves a client's connections.
pub(super) struct Background {
    /// Dropped, it ends the thread.
    _until: oneshot::Sender<()>,
}

impl Background {
    pub(super) fn start() -> std::io::Result<(Handle, Background)> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (until, dropped) = oneshot::channel();
        thread::Builder::new().name("mcrpc-client".to_owned()).spawn(move || _ = runtime.block_on(dropped))?;
        Ok((handle, Background { _until: until }))
    }
}
