//! What a server knows of itself beside its methods: for its pages and metrics.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use mcrpc_core::time::Nanos;
use parking_lot::Mutex;
use slab::Slab;

use super::connection::Connection;
use crate::client::Client;
use crate::clock;
use crate::stats::callers::Callers;
use crate::stats::window::Window;

/// See the module.
pub(crate) struct Observed {
    pub(crate) started_at: Nanos,
    pub(crate) callers: Callers,
    pub(crate) connections: Mutex<Slab<Arc<Connection>>>,
    /// Requests for methods that there are not.
    pub(crate) unknown_methods: AtomicU64,
    pub(crate) window: Window,
    /// Clients of the same process, which are shown too.
    pub(crate) clients: Vec<Client>,
    /// What tools are told of the services.
    #[cfg(feature = "grpc")]
    pub(super) descriptors: super::grpc::Descriptors,
}

impl Observed {
    pub(crate) fn new(clients: Vec<Client>) -> Observed {
        let started_at = clock::now();
        Observed {
            started_at,
            callers: Callers::default(),
            connections: Mutex::default(),
            unknown_methods: AtomicU64::new(0),
            window: Window::new(started_at),
            clients,
            #[cfg(feature = "grpc")]
            descriptors: Default::default(),
        }
    }
}
