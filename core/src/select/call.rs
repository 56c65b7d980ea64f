//! What is remembered of a call from one attempt to the next, and what is chosen for an attempt.

use super::settings::MAX_ATTEMPTS;
pub use super::tally::Withheld;
use crate::admission::{Cursor, Key};
use crate::host::control::Target;
use crate::host::fail::BucketId;
use crate::id::Uin;
use crate::strategy::endpoint::Endpoint;
use crate::time::Nanos;

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Attempt {
    /// The first one; or, if one was made before, a retry: it failed.
    Next = 0,
    /// One more while the others are on their way (a hedged request).
    Backup = 1,
}

impl Attempt {
    /// The kind with this number.
    pub fn from_number(number: u32) -> Option<Attempt> {
        [Attempt::Next, Attempt::Backup].get(number as usize).copied()
    }
}

/// A call and its attempts so far. A plain value, used by one thread at a time; any bits are one. C programs know its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// The user; 0: `call_id` stands for one.
    pub uin: Uin,
    /// Names the call: different for the calls of a user.
    pub call_id: u64,
    /// When its caller stops waiting; 0: never.
    pub deadline: Nanos,
    /// Where it stands in the order of importance.
    pub key: Key,
    /// What is called: what a skip applies to.
    pub target: Target,
    /// Attempts so far.
    pub attempts: u8,
    /// Not 0: the service has served an earlier call of the same task, so its cursor does not apply.
    pub continues_task: u8,
    /// The endpoints that were tried ([`Choice::identity`]).
    tried: [u32; MAX_ATTEMPTS],
}

impl Call {
    /// A call of which no attempt was made.
    pub const fn new(uin: Uin, call_id: u64, key: Key, target: Target, deadline: Nanos) -> Call {
        Call { uin, call_id, key, target, deadline, attempts: 0, continues_task: 0, tried: [0; MAX_ATTEMPTS] }
    }

    /// The same call, of a task of which the service has served an earlier call.
    pub const fn continuing(self) -> Call {
        Call { continues_task: 1, ..self }
    }

    /// The same call, after an attempt at this endpoint.
    pub fn after_attempt_at(mut self, endpoint: &Endpoint) -> Call {
        self.note(super::table::identity(endpoint));
        self
    }

    /// Whether a cursor lets it pass.
    #[inline]
    pub(super) const fn passes(&self, cursor: Cursor) -> bool {
        cursor.admits(self.key) || self.continues_task != 0
    }

    /// Whether nobody waits for it any more.
    pub const fn is_late(&self, now: Nanos) -> bool {
        self.deadline.0 != 0 && now.0 >= self.deadline.0
    }

    /// Whom shares and rings know: the user, or the call itself if it has none, so that calls without a user are shared out too.
    #[inline]
    pub const fn user(&self) -> Uin {
        if self.uin.0 == 0 { Uin(self.call_id) } else { self.uin }
    }

    /// Whether an endpoint was tried.
    #[inline]
    pub fn has_tried(&self, identity: u32) -> bool {
        self.tried.iter().take(self.attempts.into()).any(|&tried| tried == identity)
    }

    pub(super) fn note(&mut self, identity: u32) {
        if let Some(place) = self.tried.get_mut(usize::from(self.attempts)) {
            *place = identity;
        }
        self.attempts = self.attempts.saturating_add(1);
    }
}

/// The endpoint for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its number in the list that the set was given.
    pub index: u32,
    /// Which list: it grows with every replacement.
    pub generation: u64,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// What the caller gave with the endpoint.
    pub user_data: u64,
    /// The attempt finds out for the whole host whether a shielded endpoint works again.
    pub is_probe: bool,
    /// To be sent along: calls to this endpoint that were withheld since the last one was sent.
    pub withheld: Withheld,
    /// The endpoint's cell in the host's segment, if it has one.
    pub cell: Option<BucketId>,
    /// Names the endpoint among those of a set.
    pub identity: u32,
}
