//! Discovery by files: which servers a service has, and how the programs of an IDC call it.
//!
//! ```text
//! <root>/client/<idc>/<svc>_cli.conf            client_file   timeouts, retries, shields, zone, groups
//! <root>/route/<idc|global>/<svc>_route.conf    route_file    the service and its servers
//! ```
//!
//! `ini` finds sections and keys with their lines, `reader` reads the values of one section, and all that is wrong is
//! collected in [`Faults`] rather than only the first. `load` joins the two files into a [`Route`], if both are good and fit
//! each other, and `selection` makes of it what the core's sets take. A [`Follower`] looks whether the files have changed and waits until they have settled; [`Routes`] does
//! that for all services of an IDC, in a thread if that is wanted, and hands out whole configurations. `check` reads
//! everything below a root before a program does.
//!
//! The invariant: what is in force is one whole configuration that had no fault. Files that are bad, half written or
//! missing change nothing, and are reported once.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use mcrpc_agent::route::Routes;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let routes = Arc::new(Routes::new(Path::new("/etc/mcrpc"), "sz"));
//! // Fails if there is nothing good to start with.
//! let demo = routes.service("demo")?;
//! // In a program that forks, in the child; or call `routes.poll` from a loop of your own.
//! let _watch = routes.watch(|change| match &change.result {
//!     Ok(route) => println!("{}: {} servers", change.service, route.servers.len()),
//!     Err(faults) => eprintln!("{faults}"),
//! })?;
//! // For each call: one whole configuration, which stays as it is for as long as it is kept.
//! let route = demo.get();
//! # Ok(())
//! # }
//! ```
//!
//! The layout, and `FailCount`, `NewFailCount` and `UseMMLB`, are those of WeChat's Svrkit; the INI style is that of
//! its open relative phxrpc.

mod check;
mod client_file;
mod error;
mod files;
mod follow;
mod group_rule;
mod ini;
mod load;
mod names;
mod reader;
mod route_file;
mod selection;
mod watch;

pub use check::{Checked, check};
pub use client_file::{ClientSettings, Retry, Shield, Timeouts, Zone, strategy_name, strategy_of};
pub use error::{Fault, Faults};
pub use files::{Files, GLOBAL, services_of};
pub use follow::{Follower, News, SETTLE_MS};
pub use group_rule::GroupRule;
pub use load::{Route, Sources, load};
pub use names::{NAME_EXPECTED, NameId, NameSet, Names, is_name};
pub use route_file::{Server, Service};
pub use watch::{Change, POLLED_EACH, RouteHandle, Routes, Watch};
