//! What the operator's commands know of a host: its directory, its segments, its processes.
//!
//! [`place`] opens the directory and says what to do if that fails. Each of [`strategy`], [`control`], [`endpoints`],
//! [`stat`], [`trace`] and [`logs`] turns one segment into plain data that serde can write, and only reads: it works on the
//! segments of processes that hang or are dead. [`health`] says whether a segment is to be believed, [`liveness`]
//! whether a process is still there, [`rates`] how fast things go. [`listing`] and [`listings`] lay the data out as
//! tables, which `inspect` prints and `top` draws.

pub(crate) mod control;
pub(crate) mod endpoints;
pub(crate) mod health;
pub(crate) mod listing;
pub(crate) mod listings;
pub(crate) mod liveness;
pub(crate) mod logs;
pub(crate) mod output;
pub(crate) mod place;
pub(crate) mod rates;
pub(crate) mod stat;
pub(crate) mod strategy;
pub(crate) mod text;
pub(crate) mod trace;
