//! The tracks of all endpoints: totals in, strategies out.

use std::collections::HashMap;

use mcrpc_core::id::Per10k;
use mcrpc_core::strategy::cold::Counts;
use mcrpc_core::strategy::endpoint::Endpoint;
use mcrpc_core::strategy::entry::{Entry, Kind, RejectLevel};
use mcrpc_core::strategy::generate::{Evidence, Generate, Sample, SuccessRate, Track, Wilson};
use mcrpc_core::time::{NANOS_PER_SECOND, Nanos};

use super::choice::Choice;
use super::plugin::{Plugin, PluginError};
use super::rules::{RulesFile, built_in};
use crate::watched::FileError;

/// An endpoint that passes all, had so long nothing to decide and is not listed any more is forgotten.
const FORGET_NS: u64 = 600 * NANOS_PER_SECOND;

/// What all calls to an endpoint met since some start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls that ended.
    pub requests: u64,
    /// Those that failed for the endpoint's sake; see [`Sample::failures`].
    pub failures: u64,
}

impl Totals {
    /// These and what a sample counted.
    pub(crate) fn plus(self, sample: Sample) -> Totals {
        let Sample { requests, failures } = sample;
        Totals {
            requests: self.requests.wrapping_add(requests.into()),
            failures: self.failures.wrapping_add(failures.into()),
        }
    }

    /// What happened since; nothing if that cannot be known because they were counted anew from somewhere else.
    pub(crate) fn since(self, earlier: Totals) -> Sample {
        let difference = |now: u64, then: u64| now.checked_sub(then).and_then(|count| u32::try_from(count).ok());
        match (difference(self.requests, earlier.requests), difference(self.failures, earlier.failures)) {
            (Some(requests), Some(failures)) => Sample { requests, failures: failures.min(requests) },
            _ => Sample::default(),
        }
    }
}

/// A strategy to be published. One that passes all is given once, to take out what was published before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generated {
    /// For whose calls.
    pub endpoint: Endpoint,
    /// What to do with them.
    pub entry: Entry,
    /// What they met in the last period.
    pub counts: Counts,
}

/// Why a generator cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its rule file is bad.
    #[error(transparent)]
    Rules(#[from] FileError),
    /// Its plugin is bad.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

/// A generator, and what it knows of each endpoint.
pub struct Generator {
    generate: Box<dyn Generate + Send>,
    rules: Option<RulesFile>,
    endpoints: HashMap<Endpoint, Known>,
}

struct Known {
    track: Track,
    /// Those last seen; `None` if there were none yet.
    totals: Option<Totals>,
    /// Since then; `None` if they were not listed in this period.
    sample: Option<Sample>,
}

impl Generator {
    /// The chosen generator, which knows no endpoint yet.
    ///
    /// # Errors
    ///
    /// Its rule file or plugin is bad.
    pub fn open(choice: &Choice) -> Result<Generator, OpenError> {
        let generate: Box<dyn Generate + Send> = match choice {
            Choice::None => Box::new(|_: &Evidence| Per10k::ALL),
            Choice::Default => Box::new(SuccessRate),
            Choice::Table(None) => Box::new(built_in()),
            Choice::Table(Some(path)) => {
                let rules = RulesFile::open(path)?;
                let generate = Box::new(rules.rules().clone());
                return Ok(Generator { rules: Some(rules), ..Generator::with(generate) });
            }
            Choice::Wilson => Box::new(Wilson),
            Choice::Plugin(path) => Box::new(Plugin::open(path)?),
        };
        Ok(Generator::with(generate))
    }

    /// One of your own.
    pub fn with(generate: Box<dyn Generate + Send>) -> Generator {
        Generator { generate, rules: None, endpoints: HashMap::new() }
    }

    /// Reads the rule file again if it has changed. Whether it has.
    ///
    /// # Errors
    ///
    /// It is bad, once for each change: the rules read last stay in force.
    pub fn poll(&mut self) -> Result<bool, FileError> {
        let Some(rules) = &mut self.rules else { return Ok(false) };
        let changed = rules.poll()?;
        if changed {
            self.generate = Box::new(rules.rules().clone());
        }
        Ok(changed)
    }

    /// Goes on from a pass rate that is in force: after a restart, for each entry that a generator had published.
    pub fn adopt(&mut self, endpoint: Endpoint, pass_rate: Per10k, now: Nanos) {
        self.endpoints.insert(endpoint, Known { track: Track::new(pass_rate, now), totals: None, sample: None });
    }

    /// There is no such endpoint any more.
    pub fn forget(&mut self, endpoint: &Endpoint) {
        self.endpoints.remove(endpoint);
    }

    /// A period of about a second is over: takes the totals of all endpoints, each at most once, and returns the strategies
    /// to be published, in no order. To be published each second, also when they did not change: they expire.
    ///
    /// Totals are compared with the last ones, so the first ones of an endpoint say nothing yet. An endpoint that is not
    /// listed had no calls. Totals that went back, or ahead by more than 2³² - 1, were counted anew, from wherever.
    pub fn next(&mut self, totals: impl IntoIterator<Item = (Endpoint, Totals)>, now: Nanos) -> Vec<Generated> {
        for (endpoint, totals) in totals {
            let new = || Known { track: Track::new(Per10k::ALL, now), totals: None, sample: None };
            let known = self.endpoints.entry(endpoint).or_insert_with(new);
            known.sample = Some(known.totals.map_or(Sample::default(), |earlier| totals.since(earlier)));
            known.totals = Some(totals);
        }
        let mut generated = Vec::new();
        self.endpoints.retain(|&endpoint, known| {
            let is_listed = known.sample.is_some();
            let sample = known.sample.take().unwrap_or_default();
            let before = known.track.pass_rate();
            let pass_rate = known.track.update(&mut *self.generate, sample, now);
            if before != Per10k::ALL || pass_rate != Per10k::ALL {
                let entry = Entry { pass_rate, kind: Kind::Normal, reject_level: RejectLevel::OPEN };
                let counts = Counts { requests: sample.requests, failures: sample.failures };
                generated.push(Generated { endpoint, entry, counts });
            }
            is_listed || pass_rate != Per10k::ALL || known.track.quiet_ns(now) < FORGET_NS
        });
        generated
    }

    /// How many endpoints are known.
    pub fn len(&self) -> usize {
        self.endpoints.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }
}
