//! Recorded requests, decided again by the real controller, in front of queues and workers that are modelled.
//!
//! Arrivals, keys, deadlines and service times are those of the recording; waits follow from what is let in. A request that was
//! refused then has no service time: it takes that of one that was run, by a hash of its key, so that a run is always the same.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use anyhow::{Result, anyhow, bail};
use mcrpc_core::admission::record::DecisionRecord;
use mcrpc_core::admission::{Admission, Config, Line};
use mcrpc_core::id::Salt;
use mcrpc_core::status::{Refusal, Status};
use mcrpc_core::time::{NANOS_PER_MICRO, Nanos};

/// Picks service times.
const PICK: Salt = Salt(0x7265_706c_6179);

/// What was decided of each request, in the order of the recording.
pub(crate) struct Replayed {
    pub(crate) decisions: Vec<Decision>,
    /// Workers that each queue was given.
    pub(crate) workers: u32,
    /// Mean wait of those that were run.
    pub(crate) mean_wait_ms: f64,
    pub(crate) run: u64,
}

/// A decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Ok, or why it is refused, or would be.
    pub(crate) status: Status,
    /// It is let pass all the same.
    pub(crate) is_observed: bool,
}

/// Decides again. `workers` behind each queue, if the recording's are not to be taken.
pub(crate) fn replay(records: &[DecisionRecord], config: &Config, workers: Option<u32>) -> Result<Replayed> {
    let Some(first) = records.first() else { bail!("nothing is recorded") };
    let services_us: Vec<u32> = records.iter().map(|record| record.service_us).filter(|us| *us != 0).collect();
    if services_us.is_empty() {
        bail!("no recorded request was run, so it is not known how long they run: record while some are");
    }
    let queues = records.iter().map(|record| u32::from(record.queue) + 1).max().unwrap_or(1);
    let workers = workers.filter(|workers| *workers != 0).unwrap_or_else(|| workers_of(records, config));
    let config = Config { queue_count: queues.max(config.queue_count), ..*config };
    let len = Admission::memory_size(&config).map_err(refused)? / size_of::<Line>();
    let mut lines: Vec<Line> = (0..len).map(|_| Line::zeroed()).collect();
    let admission = Admission::new(&mut lines, &config, first.arrived).map_err(refused)?;
    let nothing = Decision { status: Status::OK, is_observed: false };
    let mut run = Run {
        admission,
        records,
        services_us,
        workers,
        queues: (0..queues).map(|_| Queue::default()).collect(),
        ends: BinaryHeap::new(),
        decisions: vec![nothing; records.len()],
        wait_sum_ns: 0,
        run: 0,
    };
    for (number, record) in records.iter().enumerate() {
        run.until(record.arrived)?;
        run.arrives(number)?;
    }
    run.until(Nanos::NEVER)?;
    let mean_wait_ms = run.wait_sum_ns as f64 / run.run.max(1) as f64 / 1e6;
    Ok(Replayed { decisions: run.decisions, workers, mean_wait_ms, run: run.run })
}

fn refused(status: Status) -> anyhow::Error {
    anyhow!("the settings of admission: {status}")
}

/// As it was told; else the most that ran at the same moment in any queue.
fn workers_of(records: &[DecisionRecord], config: &Config) -> u32 {
    let told = records.iter().map(|record| u32::from(record.workers)).max().unwrap_or(0).max(config.workers_per_queue);
    if told != 0 {
        return told;
    }
    let mut events: Vec<(u8, u64, i32)> = Vec::new();
    for record in records.iter().filter(|record| record.service_us != 0) {
        let began = record.arrived.0 + u64::from(record.wait_us) * NANOS_PER_MICRO;
        let ended = began + u64::from(record.service_us) * NANOS_PER_MICRO;
        events.extend([(record.queue, began, 1), (record.queue, ended, -1)]);
    }
    events.sort_unstable();
    let (mut running, mut most) = (0, 1);
    for (_, _, change) in events {
        running += change;
        most = most.max(running);
    }
    most.unsigned_abs()
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<usize>,
    running: u32,
}

struct Run<'r> {
    admission: Admission<'r>,
    records: &'r [DecisionRecord],
    services_us: Vec<u32>,
    workers: u32,
    queues: Vec<Queue>,
    /// When requests end, with when they began.
    ends: BinaryHeap<Reverse<(Nanos, usize, Nanos)>>,
    decisions: Vec<Decision>,
    wait_sum_ns: u64,
    run: u64,
}

impl Run<'_> {
    /// All that ends before a time.
    fn until(&mut self, now: Nanos) -> Result<()> {
        while let Some(&Reverse((ended, number, started))) = self.ends.peek().filter(|end| end.0.0 <= now) {
            self.ends.pop();
            let queue = self.records[number].queue;
            self.admission.done(queue.into(), started, ended).map_err(refused)?;
            self.queues[usize::from(queue)].running -= 1;
            self.work(queue, ended)?;
        }
        Ok(())
    }

    fn arrives(&mut self, number: usize) -> Result<()> {
        let record = &self.records[number];
        let (queue, now) = (u32::from(record.queue), record.arrived);
        let (count, key) = record.withheld;
        if count != 0 {
            self.admission.withheld(queue, key, count.into()).map_err(refused)?;
        }
        let before = self.observed(queue)?;
        let result = self.admission.admit(queue, &record.request, now);
        self.decide(number, result, &before)?;
        if result.is_ok() {
            self.queues[usize::from(record.queue)].waiting.push_back(number);
            self.work(record.queue, now)?;
        }
        Ok(())
    }

    /// Idle workers take what waits.
    fn work(&mut self, queue: u8, now: Nanos) -> Result<()> {
        while self.queues[usize::from(queue)].running < self.workers {
            let Some(number) = self.queues[usize::from(queue)].waiting.pop_front() else { return Ok(()) };
            let record = &self.records[number];
            let before = self.observed(queue.into())?;
            let result = self.admission.dequeued(queue.into(), record.arrived, record.request.deadline, now);
            // What would have been refused on arrival keeps that reason.
            if self.decisions[number].status.is_ok() {
                self.decide(number, result, &before)?;
            }
            if result.is_ok() {
                self.queues[usize::from(queue)].running += 1;
                self.wait_sum_ns += now.since(record.arrived);
                self.run += 1;
                self.ends.push(Reverse((now.plus(self.service_ns(number)), number, now)));
            }
        }
        Ok(())
    }

    fn decide(&mut self, number: usize, result: Result<(), Status>, before: &[u64; Refusal::COUNT]) -> Result<()> {
        let after = self.observed(self.records[number].queue.into())?;
        let would = Refusal::ALL.into_iter().find(|reason| after[*reason as usize] != before[*reason as usize]);
        self.decisions[number] = match (result, would) {
            (Err(status), _) => Decision { status, is_observed: false },
            (Ok(()), Some(reason)) => Decision { status: reason.status(), is_observed: true },
            (Ok(()), None) => Decision { status: Status::OK, is_observed: false },
        };
        Ok(())
    }

    fn observed(&self, queue: u32) -> Result<[u64; Refusal::COUNT]> {
        Ok(self.admission.queue_snapshot(queue).map_err(refused)?.would_refuse)
    }

    fn service_ns(&self, number: usize) -> u64 {
        let record = &self.records[number];
        let us = match record.service_us {
            0 => {
                let draw = PICK.hash(u64::from(record.request.key.0) ^ record.arrived.0);
                self.services_us[(draw % self.services_us.len() as u64) as usize]
            }
            us => us,
        };
        u64::from(us) * NANOS_PER_MICRO
    }
}
