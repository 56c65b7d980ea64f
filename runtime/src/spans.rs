//! Spans of requests and of calls, and a line for some requests (SPEC B12).
//!
//! All of it goes through `tracing`, under the targets `mcrpc::request`, `mcrpc::call` and `mcrpc::log`. What nobody subscribes to
//! costs a comparison: names and ids are looked up when they are written. A uin is never written.

#[cfg(feature = "opentelemetry")]
pub(crate) mod opentelemetry;

use std::fmt;
use std::time::Duration;

use mcrpc_core::status::Status;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Span, debug_span};

use crate::context::Context;
use crate::server::connection::Connection;
use crate::stats::codes::name_of;

/// A trace id as W3C Trace Context writes it; `-` if there is none.
pub(crate) struct TraceId(pub(crate) Option<[u8; 16]>);

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(out, "{:032x}", u128::from_be_bytes(id)),
            None => out.write_str("-"),
        }
    }
}

/// A span of a method, which OpenTelemetry shows by that name and by its kind.
#[cfg(feature = "opentelemetry")]
macro_rules! method_span {
    ($kind:literal, $method:expr, $($field:tt)*) => {
        debug_span!($($field)* rpc.method = $method, otel.kind = $kind, otel.name = $method)
    };
}
#[cfg(not(feature = "opentelemetry"))]
macro_rules! method_span {
    ($kind:literal, $method:expr, $($field:tt)*) => { debug_span!($($field)* rpc.method = $method) };
}

/// The span of a request that is handled: the first of its process.
#[inline(always)]
pub(crate) fn of_request(method: &str, connection: &Connection, context: impl Fn() -> Context) -> Span {
    // A span is five words long: where nobody wants any, none is handed around.
    if LevelFilter::current() < LevelFilter::DEBUG { Span::none() } else { begin_request(method, connection, context) }
}

#[inline(never)]
fn begin_request(method: &str, connection: &Connection, context: impl Fn() -> Context) -> Span {
    let span = method_span!(
        "server",
        method,
        target: "mcrpc::request",
        parent: None,
        "request",
        caller = &*connection.caller_of(&context()),
        trace_id = display(TraceId(context().trace_id())),
        status = Empty,
    );
    #[cfg(feature = "opentelemetry")]
    if !span.is_disabled() {
        opentelemetry::continue_trace(&span, &context());
    }
    span
}

/// The span of a call: a child of the one in which it is made.
#[inline]
pub(crate) fn of_call(service: &str, method: &str, context: Option<&Context>) -> Span {
    let span = method_span!(
        "client",
        method,
        target: "mcrpc::call",
        "call",
        peer.service = service,
        trace_id = display(TraceId(context.and_then(Context::trace_id))),
        attempts = Empty,
        status = Empty,
    );
    #[cfg(feature = "opentelemetry")]
    if let Some(context) = context
        && !span.is_disabled()
        && !opentelemetry::is_within_span()
    {
        opentelemetry::continue_trace(&span, context);
    }
    span
}

/// How it ended.
#[inline]
pub(crate) fn ended(span: &Span, status: Status) {
    if !span.is_disabled() {
        span.record("status", name_of(status));
        #[cfg(feature = "opentelemetry")]
        opentelemetry::ended(span, status);
    }
}

/// The line of a request that is logged.
#[cold]
pub(crate) fn log(method: &str, caller: &str, context: &Context, status: Status, [wait_ns, service_ns]: [u64; 2]) {
    let ms = |ns| Duration::from_nanos(ns).as_secs_f64() * 1e3;
    tracing::info!(
        target: "mcrpc::log",
        trace_id = %TraceId(context.trace_id()),
        caller,
        rpc.method = method,
        wait_ms = ms(wait_ns),
        service_ms = ms(service_ns),
        status = name_of(status),
        code = status.0,
        "request"
    );
}
