//! What share of its calls may an endpoint be sent, after what all processes of the host met there? (SPEC B6)
//!
//! About once a second the agent gives each endpoint's [`Track`] what was counted. The track gathers it until it says
//! something, asks a generator, and keeps the answer within bounds:
//!
//! - A few requests decide nothing: they are gathered over periods until there are [`MIN_REQUESTS`].
//! - No rate is below [`FLOOR`], so that calls go on to measure the endpoint.
//! - An endpoint that hardly anybody calls climbs back, by a quarter per period, once no call has failed for [`QUIET_NS`].
//!
//! So a generator is one function without memory or time, and none of them, a plugin neither, can shut an endpoint out.
//!
//! | module | |
//! |---|---|
//! | [`SuccessRate`] | the pass rate is the success rate of the last period |
//! | [`Table`] | rules: up to so many requests and so much success, such a change |
//! | [`Wilson`] | the bounds of a confidence interval: few requests change little |
//! | `rate` | the arithmetic of pass rates, which never sticks |
//!
//! `docs/strategies.md` has the formulas and what was wrong with their originals.

mod rate;
mod success_rate;
mod table;
mod track;
mod wilson;

pub use rate::{FLOOR, HEALTHY};
pub use success_rate::SuccessRate;
pub use table::{DEFAULT_RESTART, DEFAULT_RULES, Restart, Rule, Table};
pub use track::{Evidence, Generate, MIN_REQUESTS, QUIET_NS, Sample, Track};
pub use wilson::{Interval, Wilson};
