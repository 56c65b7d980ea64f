//! A request's context in brpc's terms, and back: so that a task goes on across the two protocols.
//!
//! brpc's ids have 64 bits: its `trace_id` is the low half of W3C's, its `span_id` the caller's span. It sends them only for a
//! request that is traced. What RpcMeta has no place for (call graph, ticket, cookie, origin budget) does not pass.

use super::meta::Meta;
use super::origin::Origin;
use super::packed::{PackedMeta, field};
use crate::context::Carried;
use crate::id::Uin;
use crate::status::Status;
use crate::time::{Millis, Nanos};
use crate::wire::Trace;

impl PackedMeta<'_> {
    /// The context of this request, which arrived at `arrival`. Without a deadline if brpc did not say one.
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no request.
    pub fn to_context(&self, arrival: Nanos) -> Result<Carried<'static>, Status> {
        let mut context = Carried::from_header(&self.to_header(0)?, arrival);
        if let Some(trace_id) = self.get(field::TRACE_ID, self.trace_id) {
            context.is_sampled = true;
            context.trace = Trace {
                trace_id: u128::from(trace_id.cast_unsigned()).to_be_bytes(),
                span_id: self.get(field::SPAN_ID, self.span_id).unwrap_or(0).to_be_bytes(),
                flags: 0,
            };
        }
        Ok(context)
    }
}

impl Meta<'_> {
    /// See [`PackedMeta::to_context`].
    ///
    /// # Errors
    ///
    /// [`Status::BAD_KIND`] if this is no request.
    pub fn to_context(&self, arrival: Nanos) -> Result<Carried<'static>, Status> {
        PackedMeta::from(self).to_context(arrival)
    }
}

/// What a request to a brpc server says of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldContext {
    /// For the user fields.
    pub origin: Origin,
    /// What is left of the budget; `None` if there is no deadline.
    pub timeout_ms: Option<i32>,
    /// `None` if the request is not traced.
    pub trace_id: Option<i64>,
    /// The same.
    pub span_id: Option<i64>,
}

impl ToldContext {
    /// That of a request which is sent at `now`.
    ///
    /// # Errors
    ///
    /// [`Status::OUT_OF_TIME`] if nothing of the budget is left: do not send.
    pub fn of(carried: &Carried<'_>, now: Nanos) -> Result<ToldContext, Status> {
        let Uin(uin) = carried.context.uin;
        let timeout_ms = match carried.context.onward_budget(now) {
            Millis::UNLIMITED => None,
            Millis(0) => return Err(Status::OUT_OF_TIME),
            Millis(left_ms) => Some(i32::try_from(left_ms).unwrap_or(i32::MAX)),
        };
        let Trace { trace_id, span_id, .. } = carried.trace;
        let (trace_id, span_id) = (u128::from_be_bytes(trace_id) as i64, i64::from_be_bytes(span_id));
        Ok(ToldContext {
            origin: Origin { uin, business_id: carried.context.business_id, priority: carried.context.priority },
            timeout_ms,
            trace_id: carried.is_sampled.then_some(trace_id),
            span_id: carried.is_sampled.then_some(span_id),
        })
    }
}
