//! Every metric there is. Names follow OpenTelemetry's conventions for RPC where these have one, in the spelling of Prometheus.

use prometheus_client::registry::Unit;

/// What a metric is.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Without the unit and without `_total`, which the text has behind it.
    pub(crate) name: &'static str,
    pub(crate) unit: Option<Unit>,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

/// How its values behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts durations by their lengths.
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $unit:expr, [$($label:literal),*], $help:literal;)*) => {
        $(pub(super) static $constant: Definition = Definition {
            name: $name,
            unit: $unit,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*
    };
}

const NONE: Option<Unit> = None;
const SECONDS: Option<Unit> = Some(Unit::Seconds);
const BYTES: Option<Unit> = Some(Unit::Bytes);

metrics! {
    SERVER_DURATION = Histogram "rpc_server_duration" SECONDS, ["rpc_service", "rpc_method"],
        "From when a worker took a request until its handler had answered";
    SERVER_REQUESTS = Counter "rpc_server_requests" NONE, ["rpc_service", "rpc_method", "caller", "code"],
        "Requests that ended, by how they did";
    QUEUE_WAIT = Histogram "mcrpc_queue_wait" SECONDS, ["rpc_service", "rpc_method"],
        "From when a request was read until a worker took it";
    REPLY_WRITE = Histogram "mcrpc_reply_write" SECONDS, ["rpc_service", "rpc_method"],
        "From when a handler had answered until its answer was written, with those it was written with";
    HANDLER_BUSY = Counter "mcrpc_handler_busy" SECONDS, ["rpc_service", "rpc_method"],
        "Time in which handlers ran, without that in which they waited";
    HANDLERS_RUNNING = Gauge "mcrpc_handlers_running" NONE, ["rpc_service", "rpc_method"],
        "Handlers that run or wait for something";
    UNKNOWN_METHODS = Counter "mcrpc_unknown_method" NONE, [],
        "Requests for methods that the server does not have";
    CONNECTIONS = Gauge "mcrpc_connections" NONE, [],
        "Connections that are open";
    REQUEST_MEMORY = Gauge "mcrpc_request_memory" BYTES, [],
        "What requests take up while they arrive and wait";
    UNSENT = Gauge "mcrpc_unsent" BYTES, [],
        "Answers that callers have not read yet and the system does not take";
    QUEUED = Gauge "mcrpc_queued" NONE, ["pool"],
        "Requests that wait for a worker";
    RUNNING = Gauge "mcrpc_running" NONE, ["pool"],
        "Requests that run";
    ADMITTED = Counter "mcrpc_admitted" NONE, ["pool"],
        "Requests that were admitted";
    COMPLETED = Counter "mcrpc_completed" NONE, ["pool"],
        "Requests that were admitted and run to their end";
    REFUSED = Counter "mcrpc_refused" NONE, ["pool", "reason"],
        "Requests that admission refused";
    WOULD_REFUSE = Counter "mcrpc_would_refuse" NONE, ["pool", "reason"],
        "Requests that admission would have refused, were it not told to observe only";
    DEMAND = Gauge "mcrpc_admission_demand_per_second" NONE, ["pool"],
        "New work that is offered";
    CAPACITY = Gauge "mcrpc_admission_capacity_per_second" NONE, ["pool"],
        "What can be completed, as far as that is known";
    SHEDDING = Gauge "mcrpc_admission_shedding" NONE, ["pool"],
        "Whether load is shed: 1 if it is";
    CLIENT_DURATION = Histogram "rpc_client_duration" SECONDS, ["peer_service", "rpc_service", "rpc_method"],
        "From when a call was made until its answer was read, all attempts together";
    CLIENT_REQUESTS = Counter "rpc_client_requests" NONE, ["peer_service", "rpc_service", "rpc_method", "code"],
        "Calls that ended, by how they did; not those that were dropped before their deadline";
    CLIENT_ATTEMPTS = Counter "mcrpc_client_attempts" NONE, ["peer_service", "rpc_service", "rpc_method", "outcome"],
        "Attempts that were made, by what they met";
    CLIENT_DECISIONS = Counter "mcrpc_client_decisions" NONE, ["peer_service", "decision"],
        "What was decided about calls and attempts: refused, retried, backed up, shielded";
    CLIENT_ENDPOINTS = Gauge "mcrpc_client_endpoints" NONE, ["peer_service", "state"],
        "Endpoints, by the state of their shields";
}
