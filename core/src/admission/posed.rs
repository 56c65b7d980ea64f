//! What a decision depends on, at one moment: to show it in shared memory, and to ask the question again elsewhere.
//!
//! A server reports a [`Gate`] with its queue. A tool poses a controller of its own in the same state and asks it what the
//! server would have answered: the same code decides, and nothing of the server's is touched.

use super::config::{Config, Limits, Mode};
use super::handle::{Admission, CPU_BOUND};
use super::key::Cursor;
use super::layout::Line;
use crate::id::Per10k;
use crate::status::Status;
use crate::time::{NANOS_PER_MICRO, NANOS_PER_MILLI, Nanos};

/// Words of a [`Gate`] in shared memory.
pub const GATE_WORDS: usize = 4;
/// Marks words that somebody wrote.
const IS_THERE: u64 = 1 << 63;
const IS_CPU_BOUND: u64 = 1 << 63;

/// What a queue's decisions depend on beside its length and the cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Keys from here up to the cursor are refused when the queue exceeds the soft limit.
    pub marginal_cursor: Cursor,
    /// How long the queue takes to move up by one request; 0 while that is not known.
    pub ns_per_request: u64,
    /// The shortest service time lately.
    pub service_floor_ns: u64,
    /// Estimated wait above which everything is refused, as it is in force.
    pub hard_wait_limit_us: u32,
    /// Mean wait that the cursor steers to.
    pub target_wait_ms: u16,
    /// Estimated wait above which marginal requests are refused.
    pub soft_wait_limit_ms: u16,
    /// Workers behind the queue; 0: not known.
    pub workers: u16,
    /// For which share of the tasks decisions count.
    pub enforced: Per10k,
    /// The processor is the bottleneck, which no queue shows.
    pub is_cpu_bound: bool,
}

impl Gate {
    /// As it stands in shared memory.
    pub fn to_words(&self) -> [u64; GATE_WORDS] {
        let flag = if self.is_cpu_bound { IS_CPU_BOUND } else { 0 };
        [
            u64::from(self.marginal_cursor.0) | u64::from(self.hard_wait_limit_us) << 32,
            self.ns_per_request & !IS_CPU_BOUND | flag,
            self.service_floor_ns,
            IS_THERE
                | u64::from(self.target_wait_ms)
                | u64::from(self.soft_wait_limit_ms) << 16
                | u64::from(self.workers & 0x7FFF) << 32
                | u64::from(self.enforced.get()) << 47,
        ]
    }

    /// What these words say; `None` if nobody wrote them.
    pub fn from_words(words: [u64; GATE_WORDS]) -> Option<Gate> {
        let [cursors, per_request, service_floor_ns, settings] = words;
        (settings & IS_THERE != 0).then(|| Gate {
            marginal_cursor: Cursor(cursors as u32),
            ns_per_request: per_request & !IS_CPU_BOUND,
            service_floor_ns,
            hard_wait_limit_us: (cursors >> 32) as u32,
            target_wait_ms: settings as u16,
            soft_wait_limit_ms: (settings >> 16) as u16,
            workers: (settings >> 32) as u16 & 0x7FFF,
            enforced: Per10k::new((settings >> 47) as u16 & 0x3FFF).unwrap_or(Per10k::ALL),
            is_cpu_bound: per_request & IS_CPU_BOUND != 0,
        })
    }
}

/// All that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pose {
    /// Requests that wait.
    pub queued: u32,
    /// Requests that run.
    pub running: u32,
    /// Whether decisions count.
    pub mode: Mode,
    /// Whether the cursor is in force.
    pub shedding: bool,
    /// Keys at or above it are refused.
    pub cursor: Cursor,
    /// The rest.
    pub gate: Gate,
}

impl<'a> Admission<'a> {
    /// What a queue's decisions depend on beside its length and the cursor.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_ARGUMENT`] if there is no such queue.
    pub fn gate(&self, queue: u32) -> Result<Gate, Status> {
        let (hot, limits) = (&self.view.head.hot, &self.limits);
        let busy = &self.queue(queue)?.busy;
        let hard_ns = match hot.hard_wait_limit_ns.get() {
            0 => limits.hard_wait_limit_ns,
            limit_ns => limit_ns.min(limits.hard_wait_limit_ns),
        };
        let ms = |ns: u64| u16::try_from(ns / NANOS_PER_MILLI).unwrap_or(u16::MAX);
        Ok(Gate {
            marginal_cursor: Cursor(hot.marginal_cursor.get()),
            ns_per_request: busy.ns_per_request.get(),
            service_floor_ns: hot.service_floor_ns.get(),
            hard_wait_limit_us: u32::try_from(hard_ns / NANOS_PER_MICRO).unwrap_or(u32::MAX),
            target_wait_ms: ms(limits.target_wait_ns),
            soft_wait_limit_ms: ms(limits.soft_wait_limit_ns),
            workers: limits.workers as u16,
            enforced: Per10k::new(10_000 - hot.exempt_per_10k.get().min(10_000) as u16).unwrap_or(Per10k::ALL),
            is_cpu_bound: hot.shedding.get() == CPU_BOUND,
        })
    }

    /// A controller of its own with one queue, in the state that another one is in. At `now` no window of it is over, so
    /// the first question is answered from this state. It costs a step for each request in the queue.
    ///
    /// # Errors
    ///
    /// [`Status::TOO_SMALL`] for fewer lines than [`Config::DEFAULT`] needs.
    #[cold]
    pub fn posed(lines: &'a mut [Line], pose: &Pose, now: Nanos) -> Result<Admission<'a>, Status> {
        let mut admission = Admission::new(lines, &Config { mode: pose.mode, ..Config::DEFAULT }, now)?;
        let gate = &pose.gate;
        let ns = |ms: u16| u64::from(ms) * NANOS_PER_MILLI;
        admission.limits = Limits {
            workers: gate.workers.into(),
            target_wait_ns: ns(gate.target_wait_ms),
            soft_wait_limit_ns: ns(gate.soft_wait_limit_ms.max(gate.target_wait_ms)),
            hard_wait_limit_ns: u64::from(gate.hard_wait_limit_us) * NANOS_PER_MICRO,
            ..admission.limits
        };
        let hot = &admission.view.head.hot;
        hot.cursor.set(pose.cursor.0);
        hot.marginal_cursor.set(gate.marginal_cursor.0);
        hot.shedding.set(if gate.is_cpu_bound { CPU_BOUND } else { pose.shedding.into() });
        hot.service_floor_ns.set(gate.service_floor_ns);
        admission.set_enforced(gate.enforced);
        let busy = &admission.queue(0)?.busy;
        busy.ns_per_request.set(gate.ns_per_request);
        for number in 0..pose.queued.saturating_add(pose.running).min(super::flow::MAX_IN_SYSTEM) {
            busy.flow.enter();
            if number < pose.running {
                busy.flow.start();
            }
        }
        Ok(admission)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_survives_its_words_and_zeroes_are_none() {
        let gate = Gate {
            marginal_cursor: Cursor(0x1234_5678),
            ns_per_request: 4_000_000,
            service_floor_ns: 32_000_000,
            hard_wait_limit_us: 60_000_000,
            target_wait_ms: 15,
            soft_wait_limit_ms: 60_000,
            workers: 32_000,
            enforced: Per10k::ALL,
            is_cpu_bound: true,
        };
        for gate in [gate, Gate { is_cpu_bound: false, enforced: Per10k::NONE, workers: 0, ..gate }] {
            assert_eq!(Gate::from_words(gate.to_words()), Some(gate));
        }
        assert_eq!(Gate::from_words([0; GATE_WORDS]), None);
    }
}
