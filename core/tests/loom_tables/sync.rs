//! Atomics for the sources under test. A word is a plain one until [`explore`] hands it to loom, so that setting up
//! costs no interleavings. On words that loom explores the [`Mutant`] of the running model is in force; stores to plain
//! words can be [noted](note_stores).

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64 as Plain;
use std::sync::{Arc, OnceLock};

use loom::sync::atomic::AtomicU64 as Explored;

pub(crate) use std::sync::atomic::Ordering;

/// What is taken away from the source. Stores are counted from 0, from the begin of an execution on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// Every acquire fence does nothing.
    NoAcquireFence,
    /// Every second one does nothing: those with an even number, or those with an odd one.
    NoAcquireFenceOfTwo(u32),
    /// Every release fence does nothing.
    NoReleaseFence,
    /// One release store is relaxed.
    RelaxedStore(u32),
    /// One release store is done after the next one.
    LateStore(u32),
    /// A compare-and-swap that succeeds acquires nothing.
    ExchangeWithoutAcquire,
    /// A compare-and-swap is a load, and then a store.
    SplitExchange,
    /// An addition is a load, and then a store.
    SplitAdd,
}

/// All threads of a model run on one thread of the system.
struct Bench {
    mutant: Cell<Mutant>,
    in_model: Cell<bool>,
    release_stores: Cell<u32>,
    acquire_fences: Cell<u32>,
    late: RefCell<Option<(Arc<Explored>, u64)>>,
    noted: RefCell<Option<Vec<(usize, u64)>>>,
}

thread_local! {
    static BENCH: Bench = const {
        Bench {
            mutant: Cell::new(Mutant::None),
            in_model: Cell::new(false),
            release_stores: Cell::new(0),
            acquire_fences: Cell::new(0),
            late: RefCell::new(None),
            noted: RefCell::new(None),
        }
    };
}

/// Explores all executions of a model.
pub(crate) fn check(mutant: Mutant, model: impl Fn() + Send + Sync + 'static) {
    explore_model(None, mutant, model);
}

/// Explores those executions in which at most `preemptions` times another thread goes on where one could have run on.
pub(crate) fn check_within(preemptions: usize, mutant: Mutant, model: impl Fn() + Send + Sync + 'static) {
    explore_model(Some(preemptions), mutant, model);
}

/// The model must not hold with the mutant, and must fail in one of its own assertions, which says `why`.
pub(crate) fn must_fail(mutant: Mutant, why: &str, model: impl Fn() + Send + Sync + 'static) {
    let outcome = catch_unwind(AssertUnwindSafe(|| explore_model(Some(3), mutant, model)));
    BENCH.with(|bench| bench.in_model.set(false));
    let Err(panic) = outcome else { panic!("the model does not notice {mutant:?}") };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    assert!(text.is_some_and(|text| text.contains(why)), "{mutant:?}: {text:?}");
}

fn explore_model(preemptions: Option<usize>, mutant: Mutant, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 20_000;
    BENCH.with(|bench| bench.mutant.set(mutant));
    builder.check(move || {
        BENCH.with(|bench| {
            bench.in_model.set(true);
            bench.release_stores.set(0);
            bench.acquire_fences.set(0);
            bench.late.take();
        });
        model();
    });
    BENCH.with(|bench| bench.in_model.set(false));
}

/// From here on these words are loom's, with the values that they have. Before other threads are spawned.
pub(crate) fn explore(words: &[AtomicU64]) {
    for word in words {
        word.explored.get_or_init(|| Arc::new(Explored::new(word.plain.load(Ordering::Relaxed))));
    }
}

/// All stores of `writer` to plain words, in order: the address, and the value.
pub(crate) fn note_stores(writer: impl FnOnce()) -> Vec<(usize, u64)> {
    BENCH.with(|bench| bench.noted.replace(Some(Vec::new())));
    writer();
    BENCH.with(|bench| bench.noted.take()).unwrap_or_default()
}

#[derive(Default)]
pub(crate) struct AtomicU64 {
    plain: Plain,
    explored: OnceLock<Arc<Explored>>,
}

impl AtomicU64 {
    pub(crate) fn load(&self, ordering: Ordering) -> u64 {
        match self.explored.get() {
            Some(word) => word.load(ordering),
            None => self.plain.load(ordering),
        }
    }

    pub(crate) fn store(&self, value: u64, ordering: Ordering) {
        let Some(word) = self.explored.get() else {
            self.plain.store(value, ordering);
            return self.note(value);
        };
        if ordering != Ordering::Release {
            return word.store(value, ordering);
        }
        let (mutant, number) = BENCH.with(|bench| (bench.mutant.get(), bench.release_stores.get()));
        BENCH.with(|bench| bench.release_stores.set(number + 1));
        match mutant {
            Mutant::RelaxedStore(which) if which == number => word.store(value, Ordering::Relaxed),
            Mutant::LateStore(which) if which == number => {
                BENCH.with(|bench| bench.late.replace(Some((Arc::clone(word), value))));
            }
            _ => word.store(value, ordering),
        }
        if number > 0
            && let Some((late, value)) =
                BENCH.with(|bench| bench.late.borrow_mut().take_if(|_| mutant == Mutant::LateStore(number - 1)))
        {
            late.store(value, Ordering::Release);
        }
    }

    pub(crate) fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        let Some(word) = self.explored.get() else {
            let old = self.plain.fetch_add(value, ordering);
            self.note(old.wrapping_add(value));
            return old;
        };
        if mutant() != Mutant::SplitAdd {
            return word.fetch_add(value, ordering);
        }
        let old = word.load(Ordering::Acquire);
        word.store(old.wrapping_add(value), Ordering::Release);
        old
    }

    pub(crate) fn swap(&self, value: u64, ordering: Ordering) -> u64 {
        if let Some(word) = self.explored.get() {
            return word.swap(value, ordering);
        }
        let old = self.plain.swap(value, ordering);
        self.note(value);
        old
    }

    pub(crate) fn fetch_or(&self, bits: u64, ordering: Ordering) -> u64 {
        if let Some(word) = self.explored.get() {
            return word.fetch_or(bits, ordering);
        }
        let old = self.plain.fetch_or(bits, ordering);
        self.note(old | bits);
        old
    }

    pub(crate) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        let Some(word) = self.explored.get() else {
            let outcome = self.plain.compare_exchange(old, new, success, failure);
            if outcome.is_ok() {
                self.note(new);
            }
            return outcome;
        };
        let success = match mutant() {
            Mutant::SplitExchange => {
                let found = word.load(Ordering::Acquire);
                if found != old {
                    return Err(found);
                }
                word.store(new, Ordering::Release);
                return Ok(old);
            }
            Mutant::ExchangeWithoutAcquire => Ordering::Release,
            _ => success,
        };
        word.compare_exchange(old, new, success, failure)
    }

    fn note(&self, value: u64) {
        BENCH.with(|bench| {
            if let Some(noted) = bench.noted.borrow_mut().as_mut() {
                noted.push((std::ptr::from_ref(self).addr(), value));
            }
        });
    }
}

pub(crate) fn fence(ordering: Ordering) {
    let dropped = BENCH.with(|bench| {
        let number = bench.acquire_fences.get();
        if ordering == Ordering::Acquire {
            bench.acquire_fences.set(number + 1);
        }
        match (bench.mutant.get(), ordering) {
            _ if !bench.in_model.get() => true,
            (Mutant::NoAcquireFence, Ordering::Acquire) | (Mutant::NoReleaseFence, Ordering::Release) => true,
            (Mutant::NoAcquireFenceOfTwo(which), Ordering::Acquire) => number % 2 == which,
            _ => false,
        }
    });
    if !dropped {
        loom::sync::atomic::fence(ordering);
    }
}

fn mutant() -> Mutant {
    BENCH.with(|bench| bench.mutant.get())
}
