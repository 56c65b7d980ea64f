//! Strategies computed from what all processes of the host met, once a second (SPEC B6).
//!
//! Whoever counts the calls hands over totals by endpoint, and publishes what comes back:
//!
//! ```
//! use mcrpc_agent::generator::{Choice, Generator, Totals};
//! use mcrpc_core::strategy::endpoint::Endpoint;
//! use mcrpc_core::time::Nanos;
//!
//! let mut generator = Generator::open(&"wilson".parse::<Choice>()?)?;
//! let endpoint = Endpoint::new("10.0.0.1:8080".parse()?, 7);
//! // Each second: clock::monotonic(), and the counters as they are.
//! generator.next([(endpoint, Totals { requests: 1_000, failures: 0 })], Nanos::from_millis(1_000));
//! let changed = generator.next([(endpoint, Totals { requests: 1_100, failures: 50 })], Nanos::from_millis(2_000));
//! for strategy in changed {
//!     // publisher.set(&strategy.endpoint, &strategy.entry, strategy.counts)
//!     assert!((5_900..6_000).contains(&strategy.entry.pass_rate.get()));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Before the first second, [`Generator::adopt`] takes over what the last agent had published. Then, beside
//! [`Generator::next`], [`Generator::poll`] looks whether the rule file has changed.
//!
//! | module | |
//! |---|---|
//! | [`choice`] | which generator: by name, with a rule file or a plugin |
//! | [`endpoints`] | the tracks of all endpoints: totals in, strategies out |
//! | [`rules`] | the rule file of the *table* generator |
//! | [`plugin`] | a generator from a shared object |
//!
//! The generators themselves are in [`mcrpc_core::strategy::generate`]; `docs/strategies.md` tells the whole.

pub mod choice;
pub mod endpoints;
pub mod plugin;
pub mod rules;

pub use choice::Choice;
pub use endpoints::{Generated, Generator, OpenError, Totals};
