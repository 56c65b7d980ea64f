//! What a process knows of its host when it chooses.

use crate::admission::Mode;
use crate::host::control::{Control, Mechanism};
use crate::host::fail::FailBuckets;
use crate::id::Uin;
use crate::strategy::table::Table;

/// What this process knows of its host; nothing by default. Made anew for each call: references only.
#[derive(Clone, Copy, Default)]
pub struct HostView<'h, 'a> {
    /// What the operator said.
    pub control: Option<&'h Control<'a>>,
    /// What the agent has computed.
    pub strategy: Option<&'h Table<'a>>,
    /// What all processes know of the endpoints.
    pub fail: Option<&'h FailBuckets<'a>>,
}

impl HostView<'_, '_> {
    /// Whether a mechanism takes effect for a user.
    #[inline]
    pub(super) fn is_enforced(&self, mechanism: Mechanism, uin: Uin) -> bool {
        self.control.is_none_or(|control| control.is_enforced(mechanism, uin))
    }

    /// Whether a mechanism is to be counted although it has no effect.
    pub(super) fn is_observed(&self, mechanism: Mechanism, uin: Uin) -> bool {
        self.control.is_some_and(|control| control.mode_for(mechanism, uin) == Some(Mode::Observe))
    }
}
