//! May I take this request?
//!
//! One controller for all processes that serve the same input: they share its memory, so what one of them sees
//! all of them know. Per request it costs a few atomic operations; once per 100 ms window one caller, elected by
//! a compare-and-swap, closes the window and publishes a new decision.
//!
//! The data flow, in the order in which a request meets it:
//!
//! 1. `key`: business priority, user level and task become one number, the same for all calls of a task.
//! 2. `demand`: new work is counted by key, so that the controller knows what a cursor would admit.
//! 3. `gate`: the decision. The *cursor* refuses keys at or above it; between windows the *instant gate*
//!    refuses what would wait too long; the *deadline* refuses what cannot finish. While a worker is idle nothing
//!    but a deadline already past is refused.
//! 4. `flow`: how many requests are queued and running, how many were completed.
//! 5. `window`: when is a window over, and who closes it?
//! 6. `capacity`: what the service can do, learnt from windows in which nearly nobody found an idle worker.
//! 7. `controller`: closes a window. It compares demand with capacity and *jumps* to the cursor that admits
//!    what can be served.
//!
//! `handle` is what a server calls, `turn` what it calls for requests that it runs where it reads them, `layout` the shared memory behind it, `config` its settings, `posed` the
//! same decision asked again elsewhere, `record` what is written down of one.
//!
//! The order by business and user, and the idea of a cursor, are DAGOR's (Zhou et al., "Overload Control for
//! Scaling WeChat Microservices", SoCC 2018); the feed-forward jump, the fraction inside the boundary level, the
//! protection of tasks in progress and the gate are ours. `docs/overload.md` tells the whole.

mod capacity;
mod cell;
pub mod config;
mod controller;
mod cpu;
mod demand;
mod flow;
mod gate;
mod handle;
pub mod key;
mod layout;
pub mod posed;
pub mod record;
pub mod tenant;
mod turn;
mod window;

pub use config::{Config, Mode, Policy};
pub use gate::Request;
pub use handle::{Admission, QueueSnapshot, Snapshot, TenantSnapshot};
pub use key::{Cursor, Key};
pub use layout::{ALIGN, Line};
pub use turn::Turn;
