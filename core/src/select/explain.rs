//! A call explained: the walk that a call takes, with a witness who is told what was said of each endpoint.
//!
//! It is the same code with another type for the witness, so an explanation cannot disagree with a decision; for calls
//! nobody watches, and that costs nothing. Like a call, an explanation takes probes and tokens and counts: it belongs on a copy of
//! the set and of the cells, never on those that a host uses.

use super::call::{Attempt, Call, Choice};
use super::host_view::HostView;
use super::set::EndpointSet;
use super::settings::BudgetSettings;
use super::table::{SCOPES, Table};
use crate::status::Status;
use crate::time::Nanos;

/// What speaks against an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// The call goes to one zone, and the endpoint is in another.
    OtherZone,
    /// An earlier attempt of the call went there.
    Tried,
    /// An operator has shielded it, in the control segment.
    OperatorShield,
    /// An operator has shielded it, in the agent's file of strategies.
    StrategyShield,
    /// Its breaker is open, or another call probes it.
    Breaker,
    /// It recovers, and the user is not among those whom it has already.
    Recovering,
    /// Its pass rate holds the call back.
    PassRate,
    /// It would refuse the call: its cursor says so.
    Cursor,
    /// Its weight leaves the user to others.
    Weight,
}

impl Obstacle {
    /// All of them.
    pub const ALL: [Obstacle; 9] = [
        Obstacle::OtherZone,
        Obstacle::Tried,
        Obstacle::OperatorShield,
        Obstacle::StrategyShield,
        Obstacle::Breaker,
        Obstacle::Recovering,
        Obstacle::PassRate,
        Obstacle::Cursor,
        Obstacle::Weight,
    ];

    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Obstacle::OtherZone => "other_zone",
            Obstacle::Tried => "tried",
            Obstacle::OperatorShield => "operator_shield",
            Obstacle::StrategyShield => "strategy_shield",
            Obstacle::Breaker => "breaker",
            Obstacle::Recovering => "recovering",
            Obstacle::PassRate => "pass_rate",
            Obstacle::Cursor => "cursor",
            Obstacle::Weight => "weight",
        }
    }
}

/// What was said of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The attempt goes there.
    Chosen {
        /// To find out whether it works again.
        is_probe: bool,
    },
    /// It may not be called.
    PassedOver(Obstacle),
    /// Only a draw speaks against it: if there is no other, it is called.
    DrawLost(Obstacle),
    /// There was no other.
    BetterThanNone {
        /// To find out whether it works again.
        is_probe: bool,
    },
    /// Too many of its ring are shielded: the call goes on with a wider ring.
    RingLeft,
}

/// One look at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its number in the list that the set was given.
    pub index: u32,
    /// The ring on which it was met.
    pub ring: u32,
    /// What was said of it.
    pub answer: Answer,
}

/// Who is told of each look, in the order in which they are taken. An endpoint may be looked at several times.
pub trait Witness: Copy {
    /// An endpoint was looked at.
    fn looked(self, look: Look);
}

/// Nobody: what calls have.
#[derive(Clone, Copy)]
pub(super) struct Unwatched;

impl Witness for Unwatched {
    #[inline(always)]
    fn looked(self, _: Look) {}
}

#[derive(Clone, Copy)]
struct Watched<'w>(&'w dyn Fn(Look));

impl Witness for Watched<'_> {
    fn looked(self, look: Look) {
        (self.0)(look);
    }
}

/// The user's group, and who may serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The group that the rules send the user to; 0: everybody's.
    pub group: u16,
    /// Endpoints that are asked first.
    pub members: u32,
    /// Endpoints for when these are not there.
    pub wider: u32,
}

impl<'a> EndpointSet<'a> {
    /// As [`EndpointSet::select`], telling `witness` of each look. The call is not changed: what it has tried is the caller's to say.
    ///
    /// # Errors
    ///
    /// As there.
    #[cold]
    pub fn explain(
        &self,
        call: &Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
        witness: &dyn Fn(Look),
    ) -> Result<Choice, Status> {
        let mut chosen = None;
        self.attempt(call, attempt, host, now, Watched(witness), &mut |choice| chosen = Some(*choice))?;
        chosen.ok_or(Status::NO_ENDPOINT)
    }

    /// Where the rules of groups send a call.
    pub fn routing(&self, call: &Call) -> Routing {
        let generation = self.words.load(super::set::ACTIVE);
        let table: Table<'_> = self.table(generation);
        let group = table.group_of(call);
        let members = |scope| table.ring_place(group, scope).members;
        Routing { group: table.ring_place(group, 0).group, members: members(0), wider: members(SCOPES - 1) }
    }

    /// Leaves so many tokens in the budgets of retries and backup requests: what a caller's own memory says, of which a
    /// copy cannot know.
    pub fn set_tokens(&self, tokens: u16) {
        for (budget, settings) in [(self.retries(), self.settings.retries), (self.backups(), self.settings.backups)] {
            budget.with(BudgetSettings { burst: tokens, ..settings }).fill();
        }
    }
}
