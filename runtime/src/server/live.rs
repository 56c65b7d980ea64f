//! The settings that may change while the server runs.

use std::time::Duration;

use mcrpc_core::admission::Mode;

use super::config::Config;
use super::limits::CallerRates;

/// See the fields of the same names in [`Config`]. What each request needs is beside it.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) idle_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) max_unsent: usize,
    pub(crate) mode: Mode,
    pub(crate) callers: CallerRates,
    pub(crate) record_decisions: bool,
}

impl Live {
    pub(crate) fn new(config: &Config) -> Live {
        Live {
            idle_timeout: config.idle_timeout,
            stall_timeout: config.stall_timeout,
            max_connections: config.max_connections,
            max_unsent: config.max_unsent,
            mode: config.admission.mode,
            callers: CallerRates::new(config),
            record_decisions: config.record_decisions,
        }
    }
}
