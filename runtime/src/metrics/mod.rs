//! All that is counted, as Prometheus reads it (SPEC M5, B4, B11): `docs/observability.md` lists the names.
//!
//! | module | |
//! |---|---|
//! | `definitions` | every metric: its name, its kind, its labels, what it says |
//! | `families` | metrics with their values |
//! | `server`, `client` | where the values come from |
//!
//! Nothing is prepared while requests are served: what the counters say is gathered when somebody asks. A user's uin is never a
//! label, nor is anything else of which there may be many: of callers the first 64 have names, and of codes those of the library.

mod client;
mod definitions;
mod families;
mod server;

pub(crate) use self::client::add as add_client;
pub(crate) use self::families::{Families, Value, text};
pub(crate) use self::server::gather as of_server;
use crate::client::Client;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of clients, for a process that has no server to show them. What clients count of the same service is added up.
///
/// ```
/// let client = mcrpc::Client::builder("mmproxy").service("Echo", ["127.0.0.1:8000"]).build()?;
/// assert!(mcrpc::metrics::of_clients([&client]).contains("rpc_client_duration_seconds"));
/// # Ok::<(), mcrpc::client::ClientError>(())
/// ```
pub fn of_clients<'c>(clients: impl IntoIterator<Item = &'c Client>) -> String {
    let mut all = Families::default();
    clients.into_iter().for_each(|client| add_client(&mut all, client));
    text(&all)
}
