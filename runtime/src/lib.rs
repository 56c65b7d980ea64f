//! Servers and clients in Rust on libmcrpc's core: deadlines, admission, shielding and retries without a line of their own.
//!
//! | module | |
//! |---|---|
//! | [`server`] | a server |
//! | [`client`] | a client |
//! | [`methods`] | what a server can do |
//! | [`request`] | what a handler is given, and what it answers with |
//! | [`context`] | who asks, until when: passed on to every call made meanwhile |
//! | [`failure`] | how a call ends that does not end well |
//! | [`host`] | what this process knows of its host |
//! | [`stats`] | what is counted of each method |
//! | [`metrics`] | all that is counted, as Prometheus reads it |
//! | [`net`] | addresses, and bytes |
//! | [`mod@clock`] | the clock of every decision |

pub mod client;
pub mod clock;
pub mod context;
pub mod failure;
pub mod host;
mod logs;
pub mod methods;
pub mod metrics;
pub mod net;
pub mod request;
mod seat;
pub mod server;
mod spans;
pub mod stats;
mod trail;

pub use client::{Call, Calling, Client, Started};
pub use context::Context;
pub use failure::Failure;
pub use host::Host;
pub use logs::LogLayer;
pub use mcrpc_core::status::{Class, Status};
pub use methods::{Methods, Service};
pub use net::Address;
pub use request::{Inline, Reply, Request};
pub use server::Server;

#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
struct ClientPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/logs.md")]
struct LogsPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/discovery.md")]
struct DiscoveryPage;
