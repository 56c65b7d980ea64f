//! The runtime's spans as part of OpenTelemetry's traces, if the program has installed the layer of `tracing-opentelemetry`.
//!
//! A request's span is a child of the span that its caller named; a call names its own span, or the one in which it is made if it has
//! none. So what goes over the wire are the ids that are exported. Without the layer nothing is changed.

use mcrpc_core::context::Carried;
use mcrpc_core::status::Status;
use mcrpc_core::wire::Trace;
use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{
    SpanContext, SpanId, Status as OtelStatus, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::context::Context;
use crate::stats::codes::name_of;

/// Makes the span that the context's sender named the parent of this one, which has not begun.
pub(super) fn continue_trace(span: &Span, context: &Context) {
    let carried = context.carried();
    let Trace { trace_id, span_id, flags } = carried.trace;
    let flags = TraceFlags::new(flags).with_sampled(carried.is_sampled);
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    // A trace that began in this process has no span yet: whatever names one keeps the id of the trace.
    let span_id = if span_id == [0; 8] { [a, b, c, d, e, f, g, h | 1] } else { span_id };
    let (trace_id, span_id) = (TraceId::from_bytes(trace_id), SpanId::from_bytes(span_id));
    let parent = SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE);
    if parent.is_valid() {
        // Nobody is told of a span in whose place there is no layer.
        let _ = span.set_parent(OtelContext::new().with_remote_span_context(parent));
    }
}

/// Whether a span that begins here has a parent in this process.
pub(super) fn is_within_span() -> bool {
    !Span::current().is_none() || OtelContext::map_current(|current| current.has_active_span())
}

/// Names the span that runs as the caller's, on the wire.
pub(crate) fn name_span(carried: &mut Carried<'_>) {
    let current = Span::current().context();
    let span = current.span();
    let ids = span.span_context();
    if ids.is_valid() {
        let (trace_id, span_id) = (ids.trace_id().to_bytes(), ids.span_id().to_bytes());
        carried.trace = Trace { trace_id, span_id, flags: ids.trace_flags().to_u8() };
        carried.is_sampled = ids.is_sampled();
    }
}

/// Says how it ended.
pub(super) fn ended(span: &Span, status: Status) {
    span.set_status(if status.is_ok() { OtelStatus::Ok } else { OtelStatus::error(name_of(status)) });
}
