//! What is known of one endpoint: a cell of two cache lines, which any number of processes and threads share.
//!
//! | word | |
//! |---|---|
//! | 0 | whose it is: a hash, set by the table that the cell stands in |
//! | 1 | [`super::breaker`] |
//! | 2 | [`super::leak`] |
//! | 3 | the endpoint's cursor << 32, and until when it holds, in ms |
//! | 4 | when a call that a pass rate would have held back was last let through to measure, in ms |
//! | 5 to 7 | the endpoint, for tools and the agent |
//! | 8 to 12 | calls so far: ok, logic failures, failures, overloaded; and the µs they took |
//! | 13 | the limit of the bucket that leaks by time, for tools |
//! | 14, 15 | probes and shields so far |
//!
//! A call reads the first line, and writes it only when something is wrong. The second is written when a process hands
//! over what it has added up, a few times per second. Nothing is locked, so a process that dies leaves nothing to mend: at
//! most its outcomes of a fraction of a second are lost, and a probe, whose lease ends.

use super::breaker::{Reason, Settings, State, Word};
use super::leak::Leak;
use super::outcome::Outcome;
use crate::admission::Cursor;
use crate::host::region::{Shared, View};
use crate::id::{MULTIPLIERS, fold};
use crate::time::{NANOS_PER_MILLI, Nanos};

/// Words of a cell.
pub const LEN: usize = 16;
const BREAKER: usize = 1;
const LEAK: usize = 2;
const CURSOR: usize = 3;
const MEASURED: usize = 4;
/// Where the endpoint's three words stand.
pub(crate) const KEY: usize = 5;
const COUNTS: usize = 8;
const TIME: usize = 12;
const LEAK_LIMIT: usize = 13;
const PROBES: usize = 14;
const SHIELDS: usize = 15;
/// How often a change is tried again while others change the same word. Beyond that one outcome more or less says nothing.
const TRIES: usize = 8;
/// A cursor holds no longer than this, whatever the reply says.
pub const MAX_HOLD_MS: u32 = 10_000;
/// Of the calls that a pass rate holds back one passes in each such time, so that it is known when the endpoint works again.
pub const MEASURED_EACH_MS: u32 = 1_000;

/// Milliseconds of the clock, which wrap around every 49 days.
#[inline]
pub const fn wrapping_ms(now: Nanos) -> u32 {
    (now.0 / NANOS_PER_MILLI) as u32
}

/// Calls by outcome, and the time they took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By the number of the [`Outcome`].
    pub calls: [u64; 4],
    /// Microseconds, summed up.
    pub time_us: u64,
}

impl Totals {
    /// All calls.
    pub fn requests(&self) -> u64 {
        self.calls.iter().fold(0, |sum, &calls| sum.wrapping_add(calls))
    }

    /// Those that speak against the endpoint.
    pub const fn failures(&self) -> u64 {
        self.calls[Outcome::Failed as usize]
    }

    /// What has come since.
    pub fn since(&self, earlier: &Totals) -> Totals {
        let mut growth = *self;
        for (calls, earlier) in growth.calls.iter_mut().zip(&earlier.calls) {
            *calls = calls.wrapping_sub(*earlier);
        }
        Totals { time_us: self.time_us.wrapping_sub(earlier.time_us), ..growth }
    }
}

/// How a failure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long an endpoint is shielded.
    pub breaker: Settings,
    /// The bucket that leaks by time; `None`: only requests are counted.
    pub leak: Option<Leak>,
}

/// The cell of one endpoint.
#[derive(Clone, Copy)]
pub struct Health<'a>(Shared<'a>);

impl<'a> Health<'a> {
    /// The cell in these [`LEN`] words; in fewer than that, one that forgets everything.
    pub const fn new(words: Shared<'a>) -> Health<'a> {
        Health(words)
    }

    /// The breaker's word. Hot: one load.
    #[inline]
    pub fn breaker(&self) -> Word {
        Word(self.0.load(BREAKER))
    }

    /// Whether a failure of an attempt that took so long says nothing new: it began before the endpoint was found to work again.
    #[cold]
    pub fn outdates(&self, elapsed_ns: u64, now: Nanos) -> bool {
        let elapsed_ms = elapsed_ns / NANOS_PER_MILLI;
        let elapsed_ms = if elapsed_ms < u32::MAX as u64 { elapsed_ms as u32 } else { u32::MAX };
        self.breaker().outdates(elapsed_ms, wrapping_ms(now))
    }

    /// A call was made and met this. Hot: one load while the endpoint is well, else one compare-and-swap. Whether it has
    /// shielded the endpoint.
    #[inline(always)]
    pub fn report(&self, outcome: Outcome, is_probe: bool, rules: &Rules, now: Nanos) -> bool {
        match outcome {
            Outcome::Failed => self.failed(is_probe, rules, now),
            // It says that the endpoint works, and nothing of how many calls do.
            Outcome::Overloaded if !is_probe => false,
            _ if !self.breaker().is_calm() => self.succeeded(is_probe, rules, now),
            _ => false,
        }
    }

    #[inline(never)]
    fn succeeded(&self, is_probe: bool, rules: &Rules, now: Nanos) -> bool {
        let was_shielded = self.breaker().is_shielded();
        self.change(&|word| word.succeeded(is_probe, &rules.breaker, wrapping_ms(now)));
        if was_shielded && !self.breaker().is_shielded() {
            // It has proved that it works: the other bucket begins anew too.
            self.empty();
        }
        false
    }

    #[inline(never)]
    fn failed(&self, is_probe: bool, rules: &Rules, now: Nanos) -> bool {
        let noise = self.noise(now);
        let shielded = self.change(&|word| word.failed(is_probe, &rules.breaker, wrapping_ms(now), noise));
        let full = rules.leak.is_some_and(|leak| {
            self.pour(&leak, now);
            self.is_full(&leak, now)
        });
        (full && self.trip(Reason::FailuresPerSecond, &rules.breaker, now)) || shielded
    }

    /// Shields the endpoint for a reason that is not in its breaker's bucket. Whether it was not shielded before.
    #[cold]
    pub fn trip(&self, reason: Reason, settings: &Settings, now: Nanos) -> bool {
        let noise = self.noise(now);
        self.change(&|word| word.tripped(reason, settings, wrapping_ms(now), noise))
    }

    /// Somebody looked, and the endpoint answered: the next call is a probe.
    #[cold]
    pub fn answered(&self, now: Nanos) {
        self.change(&|word| word.answered(wrapping_ms(now)));
    }

    /// Takes the probe that is due. Only one of all who try gets it.
    #[cold]
    pub fn take_probe(&self, settings: &Settings, now: Nanos) -> bool {
        let (word, now_ms) = (self.breaker(), wrapping_ms(now));
        let taken = word.state(settings, now_ms) == State::Due
            && self.0.exchange(BREAKER, word.0, word.probed(settings, now_ms).0).is_ok();
        if taken {
            self.0.add(PROBES, 1);
        }
        taken
    }

    /// Changes the breaker's word. Whether the endpoint is shielded now and was not before.
    #[inline(never)]
    fn change(&self, next: &dyn Fn(Word) -> Word) -> bool {
        let (mut old, mut new) = (self.breaker(), self.breaker());
        let changed = (0..TRIES).any(|_| {
            old = self.breaker();
            new = next(old);
            new == old || self.0.exchange(BREAKER, old.0, new.0).is_ok()
        });
        let shielded = changed && new.is_shielded() && !old.is_shielded();
        if shielded {
            self.0.add(SHIELDS, 1);
        }
        shielded
    }

    fn noise(&self, now: Nanos) -> u64 {
        fold(now.0 ^ MULTIPLIERS[0], self.0.load(0) ^ MULTIPLIERS[1])
    }

    /// Pours a failure into the bucket that leaks by time.
    #[inline]
    pub fn pour(&self, leak: &Leak, now: Nanos) {
        for _ in 0..TRIES {
            let old = self.0.load(LEAK);
            let Some(new) = leak.poured(old, now) else { return };
            if self.0.exchange(LEAK, old, new).is_ok() {
                self.0.set(LEAK_LIMIT, leak.limit_ns);
                return;
            }
        }
    }

    /// Whether that bucket is full. Hot: one load.
    #[inline]
    pub fn is_full(&self, leak: &Leak, now: Nanos) -> bool {
        leak.is_full(self.0.load(LEAK), now)
    }

    /// Empties that bucket.
    pub fn empty(&self) {
        self.0.set(LEAK, 0);
    }

    /// The endpoint has said which requests it refuses, and for how long that holds.
    #[inline]
    pub fn set_cursor(&self, cursor: Cursor, hold_ms: u32, now: Nanos) {
        let hold_ms = if hold_ms < MAX_HOLD_MS { hold_ms } else { MAX_HOLD_MS };
        let is_new = cursor != Cursor::OPEN && hold_ms > 0;
        let until_ms = wrapping_ms(now).wrapping_add(hold_ms);
        let word = if is_new { u64::from(cursor.0) << 32 | u64::from(until_ms) } else { 0 };
        if word != self.0.load(CURSOR) {
            self.0.set(CURSOR, word);
        }
    }

    /// What the endpoint admits; all if it has not said so lately. Hot: one load.
    #[inline]
    pub fn cursor(&self, now: Nanos) -> Cursor {
        cursor_in(self.0.load(CURSOR), now)
    }

    /// As [`Health::cursor`], with how long it still holds; `None` if it admits all.
    pub fn cursor_in_force(&self, now: Nanos) -> Option<(Cursor, u32)> {
        let cursor = self.cursor(now);
        let left_ms = (self.0.load(CURSOR) as u32).wrapping_sub(wrapping_ms(now));
        (cursor != Cursor::OPEN).then_some((cursor, left_ms.min(MAX_HOLD_MS)))
    }

    /// Whether a call that a pass rate holds back is to be made all the same, to measure. One in [`MEASURED_EACH_MS`] is,
    /// of all who ask.
    #[cold]
    pub fn take_measurement(&self, now: Nanos) -> bool {
        let (now_ms, last_ms) = (wrapping_ms(now), self.0.load(MEASURED));
        now_ms.wrapping_sub(last_ms as u32) >= MEASURED_EACH_MS
            && self.0.exchange(MEASURED, last_ms, now_ms.into()).is_ok()
    }

    /// Adds what a process has counted.
    pub fn add(&self, totals: &Totals) {
        for (index, &calls) in totals.calls.iter().enumerate() {
            if calls != 0 {
                self.0.add(COUNTS + index, calls);
            }
        }
        if totals.time_us != 0 {
            self.0.add(TIME, totals.time_us);
        }
    }

    /// Takes over what another cell knows.
    #[cold]
    pub fn copy_from(&self, other: &Health<'_>) {
        (0..LEN).for_each(|word| self.0.set(word, other.0.load(word)));
    }

    /// Forgets everything.
    #[cold]
    pub fn forget(&self) {
        (0..LEN).for_each(|word| self.0.set(word, 0));
    }

    /// All that is known, for tools and the agent.
    pub fn reading(&self) -> Reading {
        read(self.0.view())
    }
}

/// All that is known of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The breaker.
    pub breaker: Word,
    /// The bucket that leaks by time: when it will be empty.
    pub tat: u64,
    /// From where on that is full; 0 if nothing was ever poured.
    pub leak_limit_ns: u64,
    /// All calls that were handed over.
    pub totals: Totals,
    /// Calls that were let through to see whether it works.
    pub probes: u64,
    /// How often it was shielded.
    pub shields: u64,
    cursor: u64,
}

impl Reading {
    /// What the endpoint admits; all if it had not said so lately.
    pub fn cursor(&self, now: Nanos) -> Cursor {
        cursor_in(self.cursor, now)
    }
}

#[inline]
fn cursor_in(word: u64, now: Nanos) -> Cursor {
    let left_ms = (word as u32).wrapping_sub(wrapping_ms(now));
    // A word of zeroes is a cursor that admits nothing and ended at 0.
    if word == 0 || left_ms == 0 || left_ms > MAX_HOLD_MS { Cursor::OPEN } else { Cursor((word >> 32) as u32) }
}

/// Reads a cell that this process cannot write.
pub(crate) fn read(cell: View<'_>) -> Reading {
    let calls = [0, 1, 2, 3].map(|outcome| cell.load(COUNTS + outcome));
    Reading {
        breaker: Word(cell.load(BREAKER)),
        tat: cell.load(LEAK),
        leak_limit_ns: cell.load(LEAK_LIMIT),
        totals: Totals { calls, time_us: cell.load(TIME) },
        probes: cell.load(PROBES),
        shields: cell.load(SHIELDS),
        cursor: cell.load(CURSOR),
    }
}
