//! What is counted of each method: by caller and status, and how long each stage took (SPEC M4, M5, B11).
//!
//! | module | |
//! |---|---|
//! | [`histogram`] | durations |
//! | `codes` | how often something ended with each status |
//! | `callers` | who calls, as a small number |
//! | [`method`] | what a server counts of a method |
//! | `handled` | requests that have ended, counted together |
//! | `window` | the same, of the last seconds |
//!
//! What happens with each request is a relaxed addition to something that was found together with the method or the connection; requests
//! whose answers are written together are counted together.

pub(crate) mod callers;
pub(crate) mod codes;
pub(crate) mod handled;
pub mod histogram;
pub mod method;
pub(crate) mod window;

pub(crate) use handled::Handled;
pub use histogram::Histogram;
pub use method::MethodStats;
