//! The agent's page and metrics: they show what is in the host's shared segments, to whom they may, and a browser finds no
//! fault with them.

#[path = "../../runtime/tests/support/openmetrics.rs"]
mod openmetrics;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod browser;
mod callers;
mod cost;
mod host;
mod metrics;
mod pictures;
