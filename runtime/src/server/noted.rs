//! A request that is recorded in the host's trace ring: as a decision of admission, which `mcrpc record` reads, and as lines on its
//! way, if its user is dyed (`docs/why.md`, `docs/observability.md`).
//!
//! There is one for a request only while somebody has asked for it. All others carry nothing, and pay for one load.

use std::fmt;
use std::sync::Arc;

use mcrpc_core::admission::record::{DecisionRecord, TRACE_KIND};
use mcrpc_core::admission::{Key, Request as AdmissionRequest};
use mcrpc_core::id::Uin;
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::{NANOS_PER_MICRO, Nanos};

use super::connection::Connection;
use super::pool::Pool;
use super::shared::Shared;
use crate::host::Known;
use crate::methods::Method;
use crate::request::Inline;
use crate::spans::TraceId;
use crate::stats::codes::name_of;
use crate::trail;

/// A request that is recorded.
pub(crate) struct Noted {
    known: Arc<Known>,
    records_decision: bool,
    decision: Option<DecisionRecord>,
    trail: Option<Trail>,
}

/// One of a dyed user.
struct Trail {
    method: Arc<Method>,
    uin: u64,
    call_id: u32,
    /// T3.
    answered: Nanos,
}

impl Noted {
    /// A request, if it is to be recorded, that was received at T0.
    #[cold]
    pub(crate) fn begin(
        shared: &Shared,
        connection: &Connection,
        method: &Arc<Method>,
        request: &Inline<'_>,
    ) -> Option<Box<Noted>> {
        let header = &request.to.header;
        let known = shared.host.as_ref()?.known();
        let is_dyed = known.ring_of_dyed(Uin(header.uin), request.arrival).is_some();
        let records_decision = shared.live().record_decisions;
        if !is_dyed && !records_decision {
            return None;
        }
        let (uin, call_id) = (header.uin, header.call_id);
        let trail = is_dyed.then(|| Trail { method: method.clone(), uin, call_id, answered: Nanos::default() });
        let noted = Noted { known: known.clone(), records_decision, decision: None, trail };
        if is_dyed {
            let context = request.context();
            let (caller, trace) = (connection.caller_of(&context), TraceId(context.trace_id()));
            let more = format_args!("from={caller} priority={} trace={trace}", header.priority);
            noted.tell(request.arrival, "T0 received", more);
        }
        Some(Box::new(noted))
    }

    /// Admission is asked about it.
    pub(crate) fn asks(
        &mut self,
        pool: &Pool,
        asked: &AdmissionRequest,
        uin: u64,
        arrived: Nanos,
        withheld: (u16, Key),
    ) {
        self.decision = self.records_decision.then(|| DecisionRecord {
            arrived,
            uin: Uin(uin),
            request: *asked,
            queue: pool.recorded_as,
            workers: pool.admission.gate(pool.number).map_or(0, |gate| gate.workers),
            decision: Status::OK,
            is_observed: false,
            wait_us: 0,
            service_us: 0,
            withheld,
        });
    }

    /// Whether it is admitted: T1.
    #[inline(always)]
    pub(crate) fn admit(
        noted: &mut Option<Box<Noted>>,
        pool: &Pool,
        now: Nanos,
        ask: impl FnOnce() -> Result<(), Status>,
    ) -> Result<(), Status> {
        let before = noted.as_ref().map(|_| would_refuse(pool));
        let verdict = ask();
        if let (Some(noted), Some(before)) = (noted, before) {
            noted.is_judged(verdict, &before, pool, now);
        }
        verdict
    }

    #[cold]
    fn is_judged(&mut self, verdict: Result<(), Status>, before: &ByReason, pool: &Pool, now: Nanos) {
        let is_of_arrival = |reason: &Refusal| *reason != Refusal::DeadlineInQueue;
        match (verdict, self.note_verdict(verdict, before, pool, is_of_arrival)) {
            (Err(status), _) => self.refused(status, now),
            (Ok(()), Some(status)) => self.tell(now, "T1 admitted", format_args!("would_be={}", name_of(status))),
            (Ok(()), None) => {
                let queued = pool.admission.queue_snapshot(pool.number).map_or(0, |queue| queue.queued);
                self.tell(now, "T1 admitted", format_args!("queued={queued}"));
            }
        }
    }

    /// A worker has taken it: T2. Whether it runs it.
    #[inline]
    pub(crate) fn dequeue(
        noted: &mut Option<Box<Noted>>,
        pool: &Pool,
        waited_ns: u64,
        now: Nanos,
        ask: impl FnOnce() -> Result<(), Status>,
    ) -> Result<(), Status> {
        let before = noted.as_ref().map(|_| would_refuse(pool));
        let verdict = ask();
        if let (Some(noted), Some(before)) = (noted, before) {
            noted.note_verdict(verdict, &before, pool, |reason| *reason == Refusal::DeadlineInQueue);
            noted.begins(waited_ns, now);
        }
        verdict
    }

    /// A handler begins: T2.
    pub(crate) fn begins(&mut self, waited_ns: u64, now: Nanos) {
        let waited_us = us(waited_ns);
        if let Some(decision) = &mut self.decision {
            decision.wait_us = waited_us;
        }
        self.tell(now, "T2 taken", format_args!("waited_us={waited_us}"));
    }

    /// It is answered: T3. `service_ns`: how long it was run, if it was.
    pub(crate) fn ends(&mut self, status: Status, service_ns: Option<u64>, now: Nanos) {
        let ran_us = service_ns.map_or(0, |ns| us(ns).max(1));
        if let Some(decision) = &mut self.decision {
            decision.service_us = ran_us;
        }
        self.tell(now, "T3 answered", format_args!("status={} code={} ran_us={ran_us}", name_of(status), status.0));
        if let Some(trail) = &mut self.trail {
            trail.answered = now;
        }
        self.record(now);
    }

    /// Its answer was written: T4.
    pub(crate) fn written(&self, now: Nanos) {
        if let Some(trail) = &self.trail {
            self.tell(now, "T4 written", format_args!("held_us={}", us(now.since(trail.answered))));
        }
    }

    /// It is refused before it was queued.
    pub(crate) fn refused(&mut self, status: Status, now: Nanos) {
        self.tell(now, "T1 refused", format_args!("status={} code={}", name_of(status), status.0));
        self.record(now);
    }

    /// It is refused before its body has come.
    pub(crate) fn is_refused_early(&mut self, status: Status, now: Nanos) {
        if let Some(decision) = &mut self.decision {
            decision.decision = status;
        }
        self.refused(status, now);
    }

    /// It was admitted, and left the queue without being run: there was no room for it after all, or its caller has gone.
    pub(crate) fn leaves(&mut self, status: Status, now: Nanos) {
        if let Some(decision) = &mut self.decision {
            decision.wait_us = us(now.since(decision.arrived));
            if status == Status::QUEUE_FULL {
                (decision.decision, decision.is_observed) = (status, false);
            }
        }
        self.tell(now, "T2 dropped", format_args!("status={} code={}", name_of(status), status.0));
        self.record(now);
    }

    /// Notes what admission says. What it would have said, where it only observes, it has counted, and is returned: another thread
    /// that asks at the same moment may be taken for this one.
    fn note_verdict(
        &mut self,
        verdict: Result<(), Status>,
        before: &ByReason,
        pool: &Pool,
        may_be: impl Fn(&Refusal) -> bool,
    ) -> Option<Status> {
        let after = would_refuse(pool);
        let is_counted = |reason: &Refusal| before[*reason as usize] != after[*reason as usize];
        let would_be = Refusal::ALL.into_iter().find(|reason| may_be(reason) && is_counted(reason));
        let would_be = would_be.filter(|_| verdict.is_ok()).map(|reason| reason.status());
        if let Some(decision) = &mut self.decision {
            match (verdict, would_be) {
                (Err(status), _) => (decision.decision, decision.is_observed) = (status, false),
                (Ok(()), Some(status)) if decision.decision.is_ok() => {
                    (decision.decision, decision.is_observed) = (status, true);
                }
                (Ok(()), _) => {}
            }
        }
        would_be
    }

    /// A line of its trail, if it has one.
    fn tell(&self, at: Nanos, what: &str, more: fmt::Arguments<'_>) {
        if let (Some(Trail { method, uin, call_id, .. }), Some(ring)) = (&self.trail, self.known.ring()) {
            let line = format_args!("{what} {} uin={uin} call={call_id} {more}", method.name);
            trail::write(&ring, trail::SERVER_KIND, at, line);
        }
    }

    fn record(&mut self, now: Nanos) {
        if let (Some(decision), Some(ring)) = (self.decision.take(), self.known.ring()) {
            // One that finds no room is lost, as the ring says.
            let _ = ring.write(TRACE_KIND, &decision.to_bytes(), now);
        }
    }
}

/// How many requests would have been refused, by the reasons.
type ByReason = [u64; Refusal::COUNT];

#[cold]
fn would_refuse(pool: &Pool) -> ByReason {
    pool.admission.queue_snapshot(pool.number).map_or([0; Refusal::COUNT], |queue| queue.would_refuse)
}

fn us(ns: u64) -> u32 {
    u32::try_from(ns / NANOS_PER_MICRO).unwrap_or(u32::MAX)
}
