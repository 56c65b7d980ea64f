//! How much of a server a method or a caller may take (SPEC K2), asked before admission.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mcrpc_core::status::Status;

use super::config::{CallerLimits, Config};
use super::rates::{Caller, Rate};
use crate::methods::Method;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: Status,
    /// For a person; empty if the status says it all.
    pub(crate) text: &'static str,
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        Refusal { status, text: "" }
    }
}

/// How many requests of a method are in this process at a time.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// 0: any number, and nobody counts.
    limit: AtomicU32,
    inside: AtomicU32,
}

/// A request's place in its method's gate, given back when it is dropped.
pub(crate) struct Permit(Arc<Method>);

impl Gate {
    /// From now on so many; 0 for any number. Those inside stay.
    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
    }

    /// A place for a request of this method; `None` if it needs none.
    ///
    /// # Errors
    ///
    /// There is none.
    #[inline]
    pub(crate) fn enter(method: &Arc<Method>) -> Result<Option<Permit>, Refusal> {
        match method.gate.limit.load(Relaxed) {
            0 => Ok(None),
            limit => Gate::enter_limited(method, limit).map(Some),
        }
    }

    #[inline(never)]
    fn enter_limited(method: &Arc<Method>, limit: u32) -> Result<Permit, Refusal> {
        let permit = Permit(method.clone());
        if method.gate.inside.fetch_add(1, Relaxed) < limit { Ok(permit) } else { Err(FULL) }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.gate.inside.fetch_sub(1, Relaxed);
    }
}

const FULL: Refusal = Refusal {
    status: Status::TOO_MANY_OPEN_CALLS,
    text: "as many requests of the method run or wait as its max_concurrency allows",
};

/// What a caller is told that sends more than its rate.
pub(crate) const TOO_FAST: Refusal =
    Refusal { status: Status::QUEUE_FULL, text: "the caller sends more requests per second than its limit allows" };

/// The rates of callers, as the settings say.
#[derive(Debug, Default)]
pub(crate) struct CallerRates {
    named: HashMap<Caller, Option<Rate>>,
    others: Option<Rate>,
}

impl CallerRates {
    pub(crate) fn new(config: &Config) -> CallerRates {
        let rate = |limits: &CallerLimits| Rate::new(limits.requests_per_second, limits.burst);
        CallerRates {
            named: config.callers.iter().map(|(name, limits)| (Caller::of(name), rate(limits))).collect(),
            others: rate(&config.other_callers),
        }
    }

    /// Whether anybody has one.
    pub(crate) fn is_limiting(&self) -> bool {
        self.others.is_some() || self.named.values().any(Option::is_some)
    }

    /// A caller's; `None` for any number of requests.
    pub(crate) fn of(&self, caller: Caller) -> Option<Rate> {
        self.named.get(&caller).copied().unwrap_or(self.others)
    }
}
