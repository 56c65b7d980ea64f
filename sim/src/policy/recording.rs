//! Ours, with a record of what one server decides: what `mcrpc replay` decides again with other settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bumpalo::Bump;
use mcrpc_core::admission::record::DecisionRecord;
use mcrpc_core::admission::{self, Config};
use mcrpc_core::id::Uin;
use mcrpc_core::status::Status;
use mcrpc_core::time::{NANOS_PER_MICRO, Nanos};

use super::{ClientPolicy, Mcrpc, Policy, QueueView, Request, ServerPolicy};
use crate::random::Stream;
use crate::world::Service;

/// The policy. It records the first server that is made of it.
#[derive(Default)]
pub struct Recording {
    recorded: Mutex<Option<Recorded>>,
}

/// What was recorded.
#[derive(Clone)]
pub struct Recorded {
    /// With which settings.
    pub config: Config,
    records: Arc<Mutex<Vec<DecisionRecord>>>,
}

impl Recorded {
    /// In the order of their arrival.
    pub fn records(&self) -> Vec<DecisionRecord> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Recording {
    /// What was recorded; `None` before a run.
    pub fn recorded(&self) -> Option<Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Policy for Recording {
    fn name(&self) -> &'static str {
        "mcrpc, recorded"
    }

    fn server<'m>(&self, service: &Service, memory: &'m Bump) -> Box<dyn ServerPolicy + 'm> {
        let ours = Mcrpc::whole();
        let inner = ours.server(service, memory);
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if recorded.is_some() {
            return inner;
        }
        let found = Recorded { config: ours.config(service, service.queues), records: Arc::default() };
        *recorded = Some(found.clone());
        Box::new(Recorder { inner, recorded: found, open: HashMap::new() })
    }

    fn clients<'m>(
        &self,
        services: &[Service],
        processes_of_hosts: &[usize],
        memory: &'m Bump,
    ) -> Box<dyn ClientPolicy + 'm> {
        Mcrpc::whole().clients(services, processes_of_hosts, memory)
    }
}

struct Recorder<'m> {
    inner: Box<dyn ServerPolicy + 'm>,
    recorded: Recorded,
    /// The places of the records of requests that have not ended, by arrival and key.
    open: HashMap<(u64, u32, usize), usize>,
}

impl Recorder<'_> {
    fn change(&mut self, request: &Request, change: impl FnOnce(&mut DecisionRecord)) {
        let place = self.open.get(&name(request)).copied();
        let mut records = self.recorded.records.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = place.and_then(|place| records.get_mut(place)) {
            change(record);
        }
    }
}

const fn name(request: &Request) -> (u64, u32, usize) {
    (request.received.0, request.key.0, request.queue)
}

const fn us(ns: u64) -> u32 {
    (ns / NANOS_PER_MICRO) as u32
}

impl ServerPolicy for Recorder<'_> {
    fn admit(&mut self, request: &Request, queue: QueueView, random: &mut Stream, now: Nanos) -> Result<(), Status> {
        let decision = self.inner.admit(request, queue, random, now);
        let Request { key, deadline, is_retry, continues_task, .. } = *request;
        let record = DecisionRecord {
            arrived: now,
            uin: Uin(0),
            request: admission::Request { key, deadline, is_retry, continues_task, tenant: 0 },
            queue: request.queue as u8,
            workers: queue.workers as u16,
            decision: decision.err().unwrap_or(Status::OK),
            is_observed: false,
            wait_us: 0,
            service_us: 0,
            withheld: (u16::try_from(request.withheld.count).unwrap_or(u16::MAX), request.withheld.key),
        };
        let mut records = self.recorded.records.lock().unwrap_or_else(PoisonError::into_inner);
        if decision.is_ok() {
            self.open.insert(name(request), records.len());
        }
        records.push(record);
        decision
    }

    fn dequeue(&mut self, request: &Request, queue: QueueView, now: Nanos) -> Result<(), Status> {
        let verdict = self.inner.dequeue(request, queue, now);
        self.change(request, |record| {
            record.wait_us = us(now.since(request.received));
            record.decision = verdict.err().unwrap_or(Status::OK);
        });
        verdict
    }

    fn done(&mut self, request: &Request, started: Nanos, queue: QueueView, now: Nanos) {
        self.inner.done(request, started, queue, now);
        self.change(request, |record| record.service_us = us(now.since(started)).max(1));
        self.open.remove(&name(request));
    }

    fn takes_youngest(&self, queue: usize) -> bool {
        self.inner.takes_youngest(queue)
    }

    fn level(&mut self, request: &Request, queue: QueueView, now: Nanos) -> u32 {
        self.inner.level(request, queue, now)
    }
}
