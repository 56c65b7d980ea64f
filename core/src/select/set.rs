//! The set: the endpoints of one service in memory of the caller's.
//!
//! | part | |
//! |---|---|
//! | 96 words | which version is in force; budgets; decisions so far; what `survey` counted last |
//! | two versions | [`super::table`] |
//!
//! Whoever replaces the endpoints writes the version that is not in force, and puts it in force by one store. A reader that was
//! stopped for so long that its version is being written again notices that afterwards, and chooses once more: nobody waits
//! for anybody.

use super::budget::Budget;
use super::call::{Call, Choice};
use super::decision::Decision;
use super::host_view::HostView;
use super::settings::{BudgetSettings, GroupRule, Settings, Spec};
use super::survey::{CURSORS, SURVEYS};
use super::table::{MAX_RINGS, Table, identity, table_len};
use super::tally;
use crate::admission::Cursor;
use crate::host::fail::{BucketId, FailBuckets};
use crate::host::region::Shared;
use crate::id::Salt;
use crate::shield::health::Health;
use crate::shield::outcome::Outcome;
use crate::status::Status;
use crate::strategy::endpoint::Endpoint;
use crate::time::Nanos;

/// Which version is in force.
pub(super) const ACTIVE: usize = 0;
/// Which one is written, or was last.
pub(super) const BUILDING: usize = 1;
const RETRIES: usize = 8;
const BACKUPS: usize = 9;
const DECISIONS: usize = 16;
const HEAD_LEN: usize = 96;
const _: () = assert!(
    DECISIONS + Decision::COUNT <= SURVEYS && SURVEYS + MAX_RINGS <= CURSORS && CURSORS + MAX_RINGS <= HEAD_LEN
);

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
        self.table_in_force().map_or(0, |table| table.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The endpoint with a number; `None` if there is none.
    pub fn endpoint(&self, index: usize) -> Option<Endpoint> {
        self.table_in_force().filter(|table| index < table.len()).map(|table| table.endpoint(index))
    }

    /// What is known of the endpoint with a number; `None` if there is none.
    pub fn health(&self, index: usize, host: &HostView<'_, 'a>) -> Option<Health<'a>> {
        let table = self.table_in_force().filter(|table| index < table.len())?;
        Some(table.health(index, self.shared(host)))
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
        let is_known = outcome == Outcome::Failed && !choice.is_probe && health.outdates(elapsed_ns, now);
        if !is_known && health.report(outcome, choice.is_probe, &self.settings.rules, now) {
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
        self.words.view().acquire();
        (generation, self.table(generation))
    }

    fn table_in_force(&self) -> Option<Table<'a>> {
        let (generation, table) = self.active();
        (generation != 0).then_some(table)
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
        let Some(table) = self.table_in_force() else { return };
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
    pub(super) fn retries(&self) -> Budget<'a> {
        self.budget(RETRIES, self.settings.retries)
    }

    #[inline]
    pub(super) fn backups(&self) -> Budget<'a> {
        self.budget(BACKUPS, self.settings.backups)
    }

    #[inline]
    fn budget(&self, index: usize, settings: BudgetSettings) -> Budget<'a> {
        Budget::new(self.words, index, settings)
    }

    /// The hash that places a user on the rings.
    #[inline]
    pub(super) fn user_hash(&self, call: &Call) -> u64 {
        Salt(self.settings.ring_seed).hash(call.user().0)
    }
}

#[cold]
fn hand_over_tally(words: Shared<'_>, tally_at: usize, health: Health<'_>) {
    health.add(&tally::take(words, tally_at));
}
