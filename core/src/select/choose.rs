//! An attempt of a call, from the question whether there may be one to the choice.

use super::budget::Budget;
use super::call::{Attempt, Call, Choice};
use super::decision::Decision;
use super::explain::{Unwatched, Witness};
use super::host_view::HostView;
use super::pick::{End, Walk};
use super::set::{ACTIVE, BUILDING, EndpointSet};
use super::survey;
use super::table::identity;
use super::tally;
use crate::host::control::Mechanism;
use crate::id::Uin;
use crate::status::Status;
use crate::time::Nanos;

/// How often a reader chooses anew because its version was written meanwhile. Each time it must have been stopped while
/// two replacements were made.
const CHOICES_TRIED: usize = 3;

impl<'a> EndpointSet<'a> {
    /// Which endpoint for the next attempt of a call?
    ///
    /// # Errors
    ///
    /// Why there is none: [`Status::SKIPPED`], [`Status::WITHHELD`], [`Status::SHIELDED`], [`Status::BUCKET_FULL`],
    /// [`Status::NO_ENDPOINT`]; of attempts after the first one also [`Status::ATTEMPTS_EXHAUSTED`],
    /// [`Status::BUDGET_EXHAUSTED`], [`Status::OUT_OF_TIME`].
    pub fn select(
        &self,
        call: &mut Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
    ) -> Result<Choice, Status> {
        let mut chosen = None;
        self.select_to(call, attempt, host, now, &mut |choice| chosen = Some(*choice))?;
        chosen.ok_or(Status::NO_ENDPOINT)
    }

    /// As [`EndpointSet::select`], but hands the choice to `sink`, which leaves the walk's stack to others. Hot.
    ///
    /// # Errors
    ///
    /// As there; then `sink` was not called.
    #[inline(always)]
    pub fn select_to(
        &self,
        call: &mut Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
        sink: &mut dyn FnMut(&Choice),
    ) -> Result<(), Status> {
        match self.attempt(call, attempt, host, now, Unwatched, sink) {
            Ok(identity) => {
                call.note(identity);
                Ok(())
            }
            Err(status) => {
                self.count(Decision::of_refusal(status));
                Err(status)
            }
        }
    }

    #[inline(always)]
    pub(super) fn attempt<W: Witness>(
        &self,
        call: &Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
        witness: W,
        sink: &mut dyn FnMut(&Choice),
    ) -> Result<u32, Status> {
        // A backup request before anything else is a first attempt too.
        let is_first = call.attempts == 0;
        let mut has_token = false;
        if !is_first {
            has_token = self.permit_again(call, attempt, host, now)?;
        } else if host.control.is_some_and(|control| control.is_skipped(call.target, call.user())) {
            self.apply(Mechanism::Skip, call.user(), host, Status::SKIPPED)?;
        }
        let chosen = self.choose(call, is_first, host, now, witness, sink);
        match chosen {
            Ok(_) if is_first => {
                self.retries().deposit();
                self.backups().deposit();
            }
            Ok(_) => self.count(if attempt == Attempt::Next { Decision::Retry } else { Decision::Backup }),
            Err(_) if has_token => self.budget_of(attempt).give_back(),
            Err(_) => {}
        }
        chosen
    }

    /// Whether there may be one more attempt. It takes a token for it, unless there is none and the operator lets it pass: `false`.
    #[cold]
    #[inline(never)]
    fn permit_again(&self, call: &Call, attempt: Attempt, host: &HostView<'_, 'a>, now: Nanos) -> Result<bool, Status> {
        if call.attempts >= self.settings.max_attempts {
            return Err(Status::ATTEMPTS_EXHAUSTED);
        }
        if call.is_late(now) {
            return Err(Status::OUT_OF_TIME);
        }
        let has_token = self.budget_of(attempt).withdraw();
        if !has_token {
            self.apply(Mechanism::RetryBudget, call.user(), host, Status::BUDGET_EXHAUSTED)?;
        }
        Ok(has_token)
    }

    fn budget_of(&self, attempt: Attempt) -> Budget<'a> {
        if attempt == Attempt::Next { self.retries() } else { self.backups() }
    }

    /// Refuses with `status`, unless the operator has a mechanism only observed or off.
    #[cold]
    pub(super) fn apply(
        &self,
        mechanism: Mechanism,
        uin: Uin,
        host: &HostView<'_, 'a>,
        status: Status,
    ) -> Result<(), Status> {
        if host.is_enforced(mechanism, uin) {
            return Err(status);
        }
        if host.is_observed(mechanism, uin) {
            self.count(Decision::observed(mechanism));
        }
        Ok(())
    }

    /// Names the endpoint that was chosen.
    #[inline(always)]
    fn choose<W: Witness>(
        &self,
        call: &Call,
        is_first: bool,
        host: &HostView<'_, 'a>,
        now: Nanos,
        witness: W,
        sink: &mut dyn FnMut(&Choice),
    ) -> Result<u32, Status> {
        for _ in 0..CHOICES_TRIED {
            let generation = self.words.load(ACTIVE);
            if generation == 0 {
                break;
            }
            self.words.view().acquire();
            match self.walk(generation, call, is_first, host, now, witness) {
                End::At { index, is_probe } => {
                    let identity = self.deliver(generation, index, is_probe, host, sink);
                    if identity != 0 {
                        return Ok(identity);
                    }
                }
                End::Nowhere(status) if self.is_whole(generation) => return Err(status),
                _ => {}
            }
            // Whoever sees a version being written sees the one in force before it.
            self.words.view().acquire();
        }
        Err(Status::NO_ENDPOINT)
    }

    #[inline(always)]
    fn walk<W: Witness>(
        &self,
        generation: u64,
        call: &Call,
        is_first: bool,
        host: &HostView<'_, 'a>,
        now: Nanos,
        witness: W,
    ) -> End {
        let mut walk = Walk::new(self, generation, call, is_first, host, now, witness);
        loop {
            match walk.find() {
                // Once for each ring.
                End::Count { ring } => survey::count(&mut walk, ring),
                // Once.
                End::Again => {}
                end => return end,
            }
        }
    }

    /// Whether nobody has written to a version since it was put in force: that happens when the one after next is made.
    #[inline]
    fn is_whole(&self, generation: u64) -> bool {
        self.words.view().acquire();
        self.words.load(BUILDING).wrapping_sub(generation) < 2
    }

    /// Hands an endpoint over as the choice. Returns what names it, or 0 if its version was being written meanwhile.
    #[inline(never)]
    fn deliver(
        &self,
        generation: u64,
        index: u32,
        is_probe: bool,
        host: &HostView<'_, 'a>,
        sink: &mut dyn FnMut(&Choice),
    ) -> u32 {
        let (table, at) = (self.table(generation), index as usize);
        let (endpoint, user_data) = (table.endpoint(at), table.user_data(at));
        let cell = self.shared(host).map(|_| table.cell_id(at));
        // A ring in damaged memory may name any number.
        if at >= table.len() || !self.is_whole(generation) {
            return 0;
        }
        if is_probe {
            self.count(Decision::Probe);
        }
        let withheld = tally::take_withheld(table.words, table.withheld_at(at));
        let identity = identity(&endpoint);
        let choice = Choice { index, generation, endpoint, user_data, is_probe, withheld, cell, identity };
        sink(&choice);
        choice.identity
    }
}
