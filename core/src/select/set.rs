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
use super::cap::CAPS;
use super::pick;
use super::settings::{BudgetSettings, GroupRule, Settings, Spec};
use super::table::{Table, identity, table_len};
use super::tally;
use crate::admission::{Cursor, Mode};
use crate::host::control::{Control, Mechanism};
use crate::host::fail::FailBuckets;
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
        let set = EndpointSet { words, settings: *settings };
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
        let len = table_len(&self.settings);
        Table::new(self.words.part(HEAD_LEN + (generation & 1) as usize * len, len), &self.settings)
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

    /// Which endpoint for the next attempt of a call? Hot.
    ///
    /// # Errors
    ///
    /// Why there is none: [`Status::SKIPPED`], [`Status::WITHHELD`], [`Status::SHIELDED`], [`Status::BUCKET_FULL`],
    /// [`Status::NO_ENDPOINT`]; of attempts after the first one also [`Status::ATTEMPTS_EXHAUSTED`],
    /// [`Status::BUDGET_EXHAUSTED`], [`Status::OUT_OF_TIME`].
    #[inline]
    pub fn select(
        &self,
        call: &mut Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
    ) -> Result<Choice, Status> {
        let is_first = call.attempts == 0 && attempt == Attempt::Next;
        let result =
            if is_first { self.select_first(call, host, now) } else { self.select_again(call, attempt, host, now) };
        match result {
            Ok(choice) => call.note(choice.identity),
            Err(status) => self.count(Decision::of_refusal(status)),
        }
        result
    }

    #[inline]
    fn select_first(&self, call: &Call, host: &HostView<'_, 'a>, now: Nanos) -> Result<Choice, Status> {
        if host.control.is_some_and(|control| control.is_skipped(call.target, call.uin)) {
            self.apply(Mechanism::Skip, call.uin, host, Status::SKIPPED)?;
        }
        let choice = self.choose(call, true, host, now)?;
        self.retries().deposit();
        self.backups().deposit();
        Ok(choice)
    }

    #[inline(never)]
    fn select_again(
        &self,
        call: &Call,
        attempt: Attempt,
        host: &HostView<'_, 'a>,
        now: Nanos,
    ) -> Result<Choice, Status> {
        if call.attempts >= self.settings.max_attempts {
            return Err(Status::ATTEMPTS_EXHAUSTED);
        }
        if now >= call.deadline {
            return Err(Status::OUT_OF_TIME);
        }
        let (budget, decision) = match attempt {
            Attempt::Next => (self.retries(), Decision::Retry),
            Attempt::Backup => (self.backups(), Decision::Backup),
        };
        let has_token = budget.has_token();
        if !has_token {
            self.apply(Mechanism::RetryBudget, call.uin, host, Status::BUDGET_EXHAUSTED)?;
        }
        let choice = self.choose(call, false, host, now)?;
        // Another thread may have taken the last one.
        if has_token && !budget.withdraw() {
            self.apply(Mechanism::RetryBudget, call.uin, host, Status::BUDGET_EXHAUSTED)?;
        }
        self.count(decision);
        Ok(choice)
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

    #[inline]
    fn choose(&self, call: &Call, is_first: bool, host: &HostView<'_, 'a>, now: Nanos) -> Result<Choice, Status> {
        let host = &HostView { fail: self.shared(host), ..*host };
        for _ in 0..CHOICES_TRIED {
            let generation = self.words.load(ACTIVE);
            if generation == 0 {
                return Err(Status::NO_ENDPOINT);
            }
            self.words.view().acquire();
            let result = pick::pick(self, generation, call, is_first, host, now);
            self.words.view().acquire();
            // Its version is only written again when the one after next is made.
            if self.words.load(BUILDING).wrapping_sub(generation) < 2 {
                return result;
            }
            self.words.view().acquire();
        }
        Err(Status::NO_ENDPOINT)
    }

    /// An attempt met this, and took so long. Hot.
    #[inline]
    pub fn report(&self, choice: &Choice, outcome: Outcome, elapsed_ns: u64, host: &HostView<'_, 'a>, now: Nanos) {
        let Some((table, index)) = self.find(choice) else { return self.report_departed(choice, outcome, host, now) };
        let health = self.health_of(choice, &table, index, host);
        if health.report(outcome, choice.is_probe, &self.settings.rules, now) {
            self.count(Decision::Shielding);
        }
        if tally::count(table.words, table.tally_at(index), outcome, elapsed_ns) {
            health.add(&tally::take(table.words, table.tally_at(index)));
        }
    }

    /// The endpoint has left the set, so its tally is gone; what the host knows of it is not.
    #[cold]
    fn report_departed(&self, choice: &Choice, outcome: Outcome, host: &HostView<'_, 'a>, now: Nanos) {
        let cell = choice.cell.and_then(|cell| self.shared(host)?.health(cell).ok());
        if let Some(health) = cell {
            health.report(outcome, choice.is_probe, &self.settings.rules, now);
        }
    }

    /// A reply said what the endpoint admits, and for how long that holds (SPEC S13): from now on calls that it would refuse
    /// are not sent, by any process of the host.
    pub fn heard(&self, choice: &Choice, cursor: Cursor, hold_ms: u32, host: &HostView<'_, 'a>, now: Nanos) {
        if let Some((table, index)) = self.find(choice) {
            self.health_of(choice, &table, index, host).set_cursor(cursor, hold_ms, now);
        }
    }

    /// Where the endpoint of a choice is now.
    #[inline]
    fn find(&self, choice: &Choice) -> Option<(Table<'a>, usize)> {
        let generation = self.words.load(ACTIVE);
        let (table, index) = (self.table(generation), choice.index as usize);
        if choice.generation == generation && index < table.len() {
            return Some((table, index));
        }
        self.find_moved(choice, table)
    }

    #[cold]
    fn find_moved(&self, choice: &Choice, table: Table<'a>) -> Option<(Table<'a>, usize)> {
        let index = (0..table.len()).find(|&index| identity(&table.endpoint(index)) == choice.identity)?;
        Some((table, index))
    }

    #[inline]
    fn health_of(&self, choice: &Choice, table: &Table<'a>, index: usize, host: &HostView<'_, 'a>) -> Health<'a> {
        choice.cell.and_then(|cell| self.shared(host)?.health(cell).ok()).unwrap_or_else(|| table.own_health(index))
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
            table.health(index, self.shared(host)).add(&tally::take(table.words, table.tally_at(index)));
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
