//! A simulator of services under overload: deterministic, the same seed gives the same run, byte for byte.
//!
//! ```text
//! users ─► tasks ─► calls ─► attempts ─► network ─► admission ─► queue ─► workers ─► replies
//!            ▲        └ the caller's half of a policy   └ the server's half ┘          │
//!            └──────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! | module | |
//! |---|---|
//! | [`world`] | what is simulated: services, callers, tasks, load |
//! | [`policy`] | what is compared: ours, which is the real core, and its rivals |
//! | [`mod@run`] | a run: tasks and their calls, from event to event |
//! | `server`, `events`, `slab`, [`random`] | what a run consists of |
//! | [`record`] | what happened, and what can be said of it |
//! | [`metric`] | the figures that have names |
//! | [`scenario`] | the worlds that have names, and what is measured in them |
//! | [`campaign`] | scenarios × policies × seeds, on all processors, as medians |
//! | [`required`] | the figures that ours has to reach |

pub mod campaign;
mod events;
pub mod metric;
pub mod policy;
pub mod random;
pub mod record;
pub mod required;
pub mod run;
pub mod scenario;
mod server;
mod slab;
pub mod world;
