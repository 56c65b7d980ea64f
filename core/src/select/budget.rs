//! How many further attempts there may be: a token bucket that first attempts fill (SRE book, "Handling overload": retries
//! within 10 % of a client's requests; gRPC's proposal A6).
//!
//! So however much fails, a set adds no more than its ratio to the load, and what it saves while all is well is bounded.

use super::settings::BudgetSettings;
use crate::host::region::Shared;

/// Parts of a token.
const TOKEN: u64 = 10_000;
/// How often it is tried again while other threads change the budget too.
const TRIES: usize = 8;

/// A budget: one word.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    words: Shared<'a>,
    index: usize,
    settings: BudgetSettings,
}

impl<'a> Budget<'a> {
    /// The budget in this word.
    #[inline]
    pub const fn new(words: Shared<'a>, index: usize, settings: BudgetSettings) -> Budget<'a> {
        Budget { words, index, settings }
    }

    /// The same word with other settings.
    pub(super) const fn with(self, settings: BudgetSettings) -> Budget<'a> {
        Budget { settings, ..self }
    }

    const fn most(&self) -> u64 {
        self.settings.burst as u64 * TOKEN
    }

    /// Fills it.
    pub fn fill(&self) {
        self.words.set(self.index, self.most());
    }

    /// A first attempt is made. Hot: one load when it is full, one atomic addition else.
    #[inline]
    pub fn deposit(&self) {
        // Threads that do so at the same moment may each add their part above the most: a few parts of a token.
        if self.words.load(self.index) < self.most() {
            self.words.add(self.index, self.settings.ratio.get().into());
        }
    }

    /// Takes a token for a further attempt. Whether there was one.
    #[inline(never)]
    pub fn withdraw(&self) -> bool {
        (0..TRIES).any(|_| {
            let left = self.words.load(self.index);
            left >= TOKEN && self.words.exchange(self.index, left, left - TOKEN).is_ok()
        })
    }

    /// Gives back a token that was taken for an attempt that could not be made.
    #[cold]
    pub fn give_back(&self) {
        self.words.add(self.index, TOKEN);
    }
}
