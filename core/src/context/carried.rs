//! All of a request's context, and how it goes on: into the calls that are made on its behalf, into a queue, into a batch.
//!
//! In a frame it is the header's fields and the metadata's tags that travel onward. The same head, without a payload, is
//! its form in a queue. The tags that this version does not know go on as they came.

use super::Context;
use crate::status::Status;
use crate::time::{Millis, Nanos};
use crate::wire::metadata::Tags;
use crate::wire::{Flags, Frame, Header, Kind, Limits, Metadata, Trace, Writer};

/// The context of a request, as its sender gave it. It borrows the bytes that it was read from.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// What decisions need.
    pub context: Context,
    /// Whether the trace is recorded.
    pub is_sampled: bool,
    /// The trace, and the span of the caller.
    pub trace: Trace,
    /// What the task began with: with the remaining budget it gives its age. If its sender did not say, the budget that the
    /// request arrived with; 0 if it has none.
    pub origin_budget_ms: u32,
    /// Names the call graph; 0 is none.
    pub call_graph_id: u64,
    /// The user's ticket, opaque.
    pub ticket: &'a [u8],
    /// The user's cookie, opaque.
    pub cookie: &'a [u8],
    /// Further tags that travel onward, among others.
    pub tags: Tags<'a>,
}

impl<'a> Carried<'a> {
    /// A context without metadata: what a task begins with.
    pub const fn new(context: Context) -> Carried<'static> {
        Carried {
            context,
            is_sampled: false,
            trace: Trace { trace_id: [0; 16], span_id: [0; 8], flags: 0 },
            origin_budget_ms: 0,
            call_graph_id: 0,
            ticket: &[],
            cookie: &[],
            tags: Tags::new(&[]),
        }
    }

    /// The context of a request without metadata, of which nobody told how it began.
    pub const fn from_header(header: &Header, arrival: Nanos) -> Carried<'static> {
        let mut carried = Carried::new(Context::from_header(header, arrival));
        carried.is_sampled = header.flags.contains(Flags::SAMPLED);
        carried.origin_budget_ms = match Millis(header.budget_ms) {
            Millis::UNLIMITED => 0,
            Millis(budget_ms) => budget_ms,
        };
        carried
    }

    /// The context of a request that arrived at `arrival`, or was put into a queue then.
    pub fn read(header: &Header, metadata: &Metadata<'a>, arrival: Nanos) -> Carried<'a> {
        let alone = Carried::from_header(header, arrival);
        Carried {
            trace: metadata.trace(),
            origin_budget_ms: match metadata.origin_budget_ms() {
                0 => alone.origin_budget_ms,
                told_ms => told_ms,
            },
            call_graph_id: metadata.call_graph_id(),
            ticket: metadata.ticket(),
            cookie: metadata.cookie(),
            tags: metadata.iter(),
            ..alone
        }
    }

    /// The context of a call that is made on behalf of this one, from a new span. What concerned the one call alone, its
    /// attempt and whether its callee knew the task, begins anew.
    #[must_use]
    pub const fn onward(&self, span_id: [u8; 8]) -> Carried<'a> {
        let context = Context { attempt: 0, continues_task: false, ..self.context };
        Carried { context, trace: Trace { span_id, ..self.trace }, ..*self }
    }

    /// How long ago the task began, in ms; 0 if nobody can say.
    pub const fn age_ms(&self, now: Nanos) -> u32 {
        match self.context.onward_budget(now) {
            Millis::UNLIMITED => 0,
            Millis(left_ms) => self.origin_budget_ms.saturating_sub(left_ms),
        }
    }

    /// The header of a frame that carries it, sent at `now`. The budget is what is left then; 0 means that the call is not
    /// worth sending.
    pub const fn header(&self, kind: Kind, call_id: u32, method_id: u32, now: Nanos) -> Header {
        let mut flags = Flags(0).with_attempt(self.context.attempt);
        if self.is_sampled {
            flags.0 |= Flags::SAMPLED;
        }
        if self.context.continues_task {
            flags.0 |= Flags::CONTINUES_TASK;
        }
        Header {
            flags,
            method_id,
            uin: self.context.uin.0,
            priority: self.context.priority,
            business_id: self.context.business_id,
            budget_ms: self.context.onward_budget(now).0,
            ..Header::new(kind, call_id)
        }
    }

    /// The budget that the task began with, as those who come after are told: for a task that begins here, what it has `now`.
    pub const fn told_budget_ms(&self, now: Nanos) -> u32 {
        match (self.origin_budget_ms, self.context.onward_budget(now)) {
            (0, Millis::UNLIMITED) => 0,
            (0, Millis(left_ms)) => left_ms,
            (told_ms, _) => told_ms,
        }
    }

    /// Writes the tags of a frame that carries it.
    pub fn write(&self, now: Nanos, writer: &mut Writer<'_>) {
        writer.trace(&self.trace).origin_budget_ms(self.told_budget_ms(now)).call_graph_id(self.call_graph_id);
        writer.ticket(self.ticket).cookie(self.cookie).copy_onward(self.tags);
    }

    /// Writes its form in a queue, and says how long it is. Time in the queue counts if the reader knows when that was. Of a
    /// task id, the lower half goes along if no uin names the task, and nothing otherwise.
    ///
    /// # Errors
    ///
    /// See [`Writer::finish`].
    pub fn encode(&self, now: Nanos, writer: &mut Writer<'_>) -> Result<usize, Status> {
        // Without a uin it is the call id that names the task.
        let call_id = if self.context.uin.0 == 0 { self.context.task_id as u32 } else { 0 };
        self.write(now, writer);
        writer.finish(&self.header(Kind::Request, call_id, 0, now), 0)
    }

    /// Reads what [`Carried::encode`] wrote at `put`, by the reader's clock.
    ///
    /// # Errors
    ///
    /// See [`Frame::new_checked`].
    pub fn decode(bytes: &'a [u8], limits: &Limits, put: Nanos) -> Result<Carried<'a>, Status> {
        match &Frame::new_checked(bytes, limits) {
            Ok(frame) => Ok(Carried::read(&frame.header, &frame.metadata, put)),
            Err(status) => Err(*status),
        }
    }
}
