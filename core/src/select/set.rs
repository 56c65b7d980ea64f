//! The set: the endpoints of one service in memory of the caller's.
//!
//! | part | |
//! |---|---|
//! | 64 words | which version is in force; budgets; decisions so far; what `cap` counted last |
//! | two versions | [`super::table`] |
//!
//! Whoever replaces the endpoints writes the version that is not in force, and puts it in force by one store. A reader that was
//! stopped for so long that its version is being written again notices that afterwards, and chooses once more: nobody waits
//! for anybody.

use super::budget::Budget;
use super::call::{Attempt, Call, Choice};
use super::cap::{self, CAPS};
use super::pick::{End, Walk};
use super::settings::{BudgetSettings, GroupRule, Settings, Spec};
use super::table::{Table, identity, table_len};
use super::tally;
use crate::admission::{Cursor, Mode};
use crate::host::control::{Control, Mechanism};
use crate::host::fail::{BucketId, FailBuckets};
use crate::host::region::Shared;
use crate::id::{Salt, Uin};
use crate::shield::health::Health;
use crate::shield::outcome::Outcome;
use crate::status::Status;
use crate::strategy;
use crate::time::Nanos;

const ACTIVE: usize = 0;
const BUILDING: usize = 1;
const RETRIES: usize = 8;
const BACKUPS: usize = 9;
const DECISIONS: usize = 16;
const HEAD_LEN: usize = 64;
const _: () = assert!(DECISIONS + Decision::COUNT <= CAPS && CAPS + super::table::MAX_RINGS <= HEAD_LEN);
/// How often a reader chooses anew because its version was written meanwhile. Each time it must have been stopped while
/// two replacements were made.
const CHOICES_TRIED: usize = 3;

/// What this process knows of its host; nothing by default. Made anew for each call: references only.
#[derive(Clone, Copy, Default)]
pub struct HostView<'h, 'a> {
    /// What the operator said.
    pub control: Option<&'h Control<'a>>,
    /// What the agent has computed.
    pub strategy: Option<&'h strategy::table::Table<'a>>,
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

/// What a set decided, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Decision {
    /// Calls refused with [`Status::NO_ENDPOINT`].
    NoEndpoint = 0,
    /// Attempts refused with [`Status::ATTEMPTS_EXHAUSTED`].
    AttemptsExhausted,
    /// Attempts refused with [`Status::BUDGET_EXHAUSTED`].
    BudgetExhausted,
    /// Attempts refused with [`Status::OUT_OF_TIME`].
    OutOfTime,
    /// Calls refused with [`Status::SKIPPED`].
    Skipped,
    /// Calls refused with [`Status::WITHHELD`].
    Withheld,
    /// Calls refused with [`Status::SHIELDED`].
    Shielded,
    /// Calls refused with [`Status::BUCKET_FULL`].
    BucketFull,
    /// Attempts after the first one.
    Retry,
    /// Backup requests.
    Backup,
    /// Attempts that were probes.
    Probe,
    /// Attempts that a pass rate held back, and that were made to measure.
    Measurement,
    /// Attempts at shielded endpoints, because too many are.
    Capped,
    /// Endpoints that calls of this process shielded.
    Shielding,
    /// What shields would have refused, were they not only observed.
    ObservedShield,
    /// What pass rates would have refused.
    ObservedPassRate,
    /// What skips would have refused.
    ObservedSkip,
    /// What cursors would have refused.
    ObservedFastReject,
    /// What the budgets would have refused.
    ObservedBudget,
}

impl Decision {
    /// How many kinds there are.
    pub const COUNT: usize = Decision::ALL.len();

    /// All of them, in the order of their numbers.
    pub const ALL: [Decision; 19] = [
        Decision::NoEndpoint,
        Decision::AttemptsExhausted,
        Decision::BudgetExhausted,
        Decision::OutOfTime,
        Decision::Skipped,
        Decision::Withheld,
        Decision::Shielded,
        Decision::BucketFull,
        Decision::Retry,
        Decision::Backup,
        Decision::Probe,
        Decision::Measurement,
        Decision::Capped,
        Decision::Shielding,
        Decision::ObservedShield,
        Decision::ObservedPassRate,
        Decision::ObservedSkip,
        Decision::ObservedFastReject,
        Decision::ObservedBudget,
    ];

    const fn of_refusal(status: Status) -> Decision {
        match status {
            Status::ATTEMPTS_EXHAUSTED => Decision::AttemptsExhausted,
            Status::BUDGET_EXHAUSTED => Decision::BudgetExhausted,
            Status::OUT_OF_TIME => Decision::OutOfTime,
            Status::SKIPPED => Decision::Skipped,
            Status::WITHHELD => Decision::Withheld,
            Status::SHIELDED => Decision::Shielded,
            Status::BUCKET_FULL => Decision::BucketFull,
            _ => Decision::NoEndpoint,
        }
    }

    pub(super) const fn observed(mechanism: Mechanism) -> Decision {
        match mechanism {
            Mechanism::PassRate => Decision::ObservedPassRate,
            Mechanism::Skip => Decision::ObservedSkip,
            Mechanism::FastReject => Decision::ObservedFastReject,
            Mechanism::RetryBudget => Decision::ObservedBudget,
            Mechanism::Shield | Mechanism::Admission => Decision::ObservedShield,
        }
    }
}

/// A set of endpoints, as one process sees it. A plain value; copies are equal, and any number of threads may use them at
/// once.
#[derive(Clone, Copy)]
pub struct EndpointSet<'a> {
    pub(super) words: Shared<'a>,
    pub(super) settings: Settings,
    /// Words of a version.
    table_len: usize,
}

impl<'a> EndpointSet<'a> {
    /// Words that a set with these settings needs.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if a setting is outside its range.
    pub fn memory_len(settings: &Settings) -> Result<usize, Status> {
        settings.validate()?;
        Ok(HEAD_LEN + 2 * table_len(settings))
    }

    /// An empty set in these words.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if a setting is outside its range, [`Status::TOO_SMALL`].
    #[cold]
    pub fn create(words: Shared<'a>, settings: &Settings) -> Result<EndpointSet<'a>, Status> {
        let len = EndpointSet::memory_len(settings)?;
        if words.view().len() < len {
            return Err(Status::TOO_SMALL);
        }
        for word in 0..len {
            words.set(word, 0);
        }
        let set = EndpointSet { words, settings: *settings, table_len: table_len(settings) };
        set.retries().fill();
        set.backups().fill();
        Ok(set)
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts another list of endpoints in force, at once and as a whole. What is known of those that stay is kept. By one
    /// thread at a time; calls go on meanwhile.
    ///
    /// # Errors
    ///
    /// [`Status::TABLE_FULL`] for more endpoints than the set has room for, [`Status::INVALID_ARGUMENT`] for one that is there
    /// twice, a weight above the largest, or too many rules. The old list stays in force.
    #[cold]
    pub fn replace(
        &self,
        count: usize,
        spec: &dyn Fn(usize) -> Spec,
        rules: &[GroupRule],
        host: &HostView<'_, 'a>,
    ) -> Result<(), Status> {
        self.hand_over(host);
        let next = self.words.load(ACTIVE).wrapping_add(1);
        // Whoever sees this sees that the version before is in force, and whoever sees what is written from here on sees this.
        self.words.publish(BUILDING, next);
        self.words.release();
        let table = self.table(next);
        let old = (next > 1).then(|| self.table(next - 1));
        table.build(&self.settings, count, spec, rules, old)?;
        self.open_cells(&table, host);
        self.words.publish(ACTIVE, next);
        Ok(())
    }

    #[inline]
    pub(super) fn table(&self, generation: u64) -> Table<'a> {
        let start = HEAD_LEN + (generation & 1) as usize * self.table_len;
        Table::new(self.words.part(start, self.table_len), &self.settings)
    }

    /// How many endpoints are in force.
    pub fn len(&self) -> usize {
        let generation = self.words.load(ACTIVE);
        if generation == 0 { 0 } else { self.table(generation).len() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The endpoint with a number; `None` if there is none.
    pub fn endpoint(&self, index: usize) -> Option<crate::strategy::endpoint::Endpoint> {
        (index < self.len()).then(|| self.table(self.words.load(ACTIVE)).endpoint(index))
    }

    /// What is known of the endpoint with a number; `None` if there is none.
    pub fn health(&self, index: usize, host: &HostView<'_, 'a>) -> Option<Health<'a>> {
        (index < self.len()).then(|| self.table(self.words.load(ACTIVE)).health(index, self.shared(host)))
    }

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
        match self.attempt(call, attempt, host, now, sink) {
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
    fn attempt(
        &self,
        call: &Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
        sink: &mut dyn FnMut(&Choice),
    ) -> Result<u32, Status> {
        let is_first = call.attempts == 0 && attempt == Attempt::Next;
        let mut has_token = false;
        if !is_first {
            has_token = self.permit_again(call, attempt, host, now)?;
        } else if host.control.is_some_and(|control| control.is_skipped(call.target, call.uin)) {
            self.apply(Mechanism::Skip, call.uin, host, Status::SKIPPED)?;
        }
        let chosen = self.choose(call, is_first, host, now, sink);
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
            self.apply(Mechanism::RetryBudget, call.uin, host, Status::BUDGET_EXHAUSTED)?;
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
    fn choose(
        &self,
        call: &Call,
        is_first: bool,
        host: &HostView<'_, 'a>,
        now: Nanos,
        sink: &mut dyn FnMut(&Choice),
    ) -> Result<u32, Status> {
        for _ in 0..CHOICES_TRIED {
            let generation = self.words.load(ACTIVE);
            if generation == 0 {
                break;
            }
            self.words.view().acquire();
            match self.walk(generation, call, is_first, host, now) {
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
    fn walk(&self, generation: u64, call: &Call, is_first: bool, host: &HostView<'_, 'a>, now: Nanos) -> End {
        let mut walk = Walk::new(self, generation, call, is_first, host, now);
        loop {
            match walk.find() {
                // Once for each ring.
                End::Count { ring } => cap::count(&mut walk, ring),
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
        let endpoint = table.endpoint(at);
        if is_probe {
            self.count(Decision::Probe);
        }
        // A ring in damaged memory may name any number.
        if at >= table.len() {
            return 0;
        }
        let choice = Choice {
            index,
            generation,
            endpoint,
            user_data: table.user_data(at),
            is_probe,
            withheld: tally::take_withheld(table.words, table.withheld_at(at)),
            cell: self.shared(host).map(|_| table.cell_id(at)),
            identity: identity(&endpoint),
        };
        if !self.is_whole(generation) {
            return 0;
        }
        sink(&choice);
        choice.identity
    }

    /// An attempt met this, and took so long. Hot: always inlined, since it needs little of a choice, and copying one across
    /// the C ABI would cost as much as the rest.
    #[inline(always)]
    pub fn report(&self, choice: &Choice, outcome: Outcome, elapsed_ns: u64, host: &HostView<'_, 'a>, now: Nanos) {
        let (generation, table) = self.active();
        let Some(index) = self.find(choice, generation, &table) else {
            return self.report_departed(choice.cell, choice.is_probe, outcome, host, now);
        };
        let health = self.health_of(choice.cell, &table, index, host);
        if health.report(outcome, choice.is_probe, &self.settings.rules, now) {
            self.count(Decision::Shielding);
        }
        if tally::count(table.words, table.tally_at(index), outcome, elapsed_ns) {
            hand_over_tally(table.words, table.tally_at(index), health);
        }
    }

    /// The endpoint has left the set, so its tally is gone; what the host knows of it is not.
    #[cold]
    fn report_departed(
        &self,
        cell: Option<BucketId>,
        is_probe: bool,
        outcome: Outcome,
        host: &HostView<'_, 'a>,
        now: Nanos,
    ) {
        if let Some(health) = cell.and_then(|cell| self.shared(host)?.health(cell).ok()) {
            health.report(outcome, is_probe, &self.settings.rules, now);
        }
    }

    /// A reply said what the endpoint admits, and for how long that holds (SPEC S13): from now on calls that it would refuse
    /// are not sent, by any process of the host.
    pub fn heard(&self, choice: &Choice, cursor: Cursor, hold_ms: u32, host: &HostView<'_, 'a>, now: Nanos) {
        let (generation, table) = self.active();
        if let Some(index) = self.find(choice, generation, &table) {
            self.health_of(choice.cell, &table, index, host).set_cursor(cursor, hold_ms, now);
        }
    }

    #[inline(always)]
    fn active(&self) -> (u64, Table<'a>) {
        let generation = self.words.load(ACTIVE);
        (generation, self.table(generation))
    }

    /// The number that the endpoint of a choice has now.
    #[inline(always)]
    fn find(&self, choice: &Choice, generation: u64, table: &Table<'a>) -> Option<usize> {
        let index = choice.index as usize;
        if choice.generation == generation && index < table.len() {
            return Some(index);
        }
        self.find_moved(generation, choice.identity)
    }

    #[cold]
    fn find_moved(&self, generation: u64, wanted: u32) -> Option<usize> {
        let table = self.table(generation);
        (0..table.len()).find(|&index| identity(&table.endpoint(index)) == wanted)
    }

    #[inline(always)]
    fn health_of(
        &self,
        cell: Option<BucketId>,
        table: &Table<'a>,
        index: usize,
        host: &HostView<'_, 'a>,
    ) -> Health<'a> {
        match (cell, self.shared(host)) {
            (Some(cell), Some(fail)) => fail.health(cell).unwrap_or_else(|_| table.own_health(index)),
            _ => table.own_health(index),
        }
    }

    /// Hands over what was counted, and finds the endpoints' cells in a new segment: a few times per second, by any thread.
    #[cold]
    pub fn hand_over(&self, host: &HostView<'_, 'a>) {
        let generation = self.words.load(ACTIVE);
        if generation == 0 {
            return;
        }
        let table = self.table(generation);
        self.open_cells(&table, host);
        for index in 0..table.len() {
            hand_over_tally(table.words, table.tally_at(index), table.health(index, self.shared(host)));
        }
    }

    fn open_cells(&self, table: &Table<'a>, host: &HostView<'_, 'a>) {
        if let Some(fail) = self.shared(host) {
            (0..table.len()).for_each(|index| table.open_cell(index, fail));
        }
    }

    /// The host's cells, if this set uses them.
    #[inline]
    pub(super) fn shared<'h>(&self, host: &HostView<'h, 'a>) -> Option<&'h FailBuckets<'a>> {
        host.fail.filter(|_| self.settings.scope == super::settings::Scope::Host)
    }

    /// How often something was decided, by all who use this memory.
    pub fn decisions(&self, decision: Decision) -> u64 {
        self.words.load(DECISIONS + decision as usize)
    }

    /// All of that, by the numbers of the decisions.
    pub fn read_decisions(&self, out: &mut [u64; Decision::COUNT]) {
        out.iter_mut().zip(DECISIONS..).for_each(|(count, word)| *count = self.words.load(word));
    }

    #[cold]
    pub(super) fn count(&self, decision: Decision) {
        self.words.add(DECISIONS + decision as usize, 1);
    }

    #[inline]
    fn retries(&self) -> Budget<'a> {
        self.budget(RETRIES, self.settings.retries)
    }

    #[inline]
    fn backups(&self) -> Budget<'a> {
        self.budget(BACKUPS, self.settings.backups)
    }

    #[inline]
    fn budget(&self, index: usize, settings: BudgetSettings) -> Budget<'a> {
        Budget::new(self.words, index, settings)
    }

    /// The hash that places a user on the rings.
    #[inline]
    pub(super) fn user_hash(&self, call: &Call) -> u64 {
        Salt(self.settings.ring_seed).hash(if call.uin.0 == 0 { call.call_id } else { call.uin.0 })
    }
}

#[cold]
fn hand_over_tally(words: Shared<'_>, tally_at: usize, health: Health<'_>) {
    health.add(&tally::take(words, tally_at));
}
