//! The place of one process in the segments that all processes write: its stripe of counters, its trace ring, and what it
//! says of itself, for tools that want to know even when it hangs or is dead.
//!
//! Seat 0 belongs to nobody: those who have no seat of their own (a child just forked, one process too many) share it. A
//! seat whose process has died is taken over as it is: the next one goes on adding to the same counters, so no sum ever
//! loses anything, and nothing has to be folded.

use super::region::{Shared, View};
use crate::admission::posed::{GATE_WORDS, Gate};
use crate::id::Per10k;
use crate::status::Refusal;
use crate::time::{NANOS_PER_MILLI, Nanos};

/// Words of a seat.
pub const LEN: usize = 64;
/// The seat that nobody owns.
pub const COMMON: u32 = 0;
/// The most seats besides the common one.
pub const MAX_SEATS: u32 = 4_096;
/// Bytes of a name, without a terminator.
pub const NAME_LEN: usize = 32;

const OWNER: usize = 0;
const CLAIMED_NS: usize = 1;
const BEAT_NS: usize = 2;
const NAME: usize = 3;
const UNANSWERED: usize = 8;
const REPORT: usize = 16;
const REFUSED: usize = REPORT + 10;
const REASONS: usize = 16;
const WOULD_REFUSE: usize = REFUSED + REASONS;
/// Written by the agent. Since minor version 1, like the one behind it.
const CPU: usize = WOULD_REFUSE + REASONS;
const PID_NAMESPACE: usize = CPU + 1;
/// What decisions depend on. Since minor version 2.
const GATE: usize = PID_NAMESPACE + 1;
/// What is nothing of a new owner's.
const GAUGES: core::ops::Range<usize> = CLAIMED_NS..LEN;

const _: () = assert!(GATE + GATE_WORDS <= LEN && Refusal::COUNT <= REASONS);

const CPU_TIME_SHIFT: u32 = 16;
/// A sample of CPU use says nothing of a time further away than this: two periods of the agent.
pub const CPU_MAX_AGE_MS: u64 = 2_000;

/// Offsets that the layout hash of the segment covers.
pub(super) const FACTS: [u64; 7] = [
    LEN as u64,
    CLAIMED_NS as u64,
    BEAT_NS as u64,
    NAME as u64,
    UNANSWERED as u64,
    REFUSED as u64,
    WOULD_REFUSE as u64,
];

/// What an admission controller has done, as its process last reported it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueReport {
    /// When, on `CLOCK_MONOTONIC`; 0: never.
    pub reported_ns: u64,
    /// Requests that wait.
    pub queued: u64,
    /// Requests that run.
    pub running: u64,
    /// Requests admitted so far.
    pub admitted: u64,
    /// Requests completed so far.
    pub completed: u64,
    /// 0 off, 1 observe, 2 enforce.
    pub mode: u64,
    /// 1 while the cursor is in force.
    pub shedding: u64,
    /// Keys at or above it are refused.
    pub cursor: u64,
    /// New work offered, in thousandths of a request per second.
    pub demand_mrps: u64,
    /// What can be completed, in thousandths of a request per second; 0: not known.
    pub capacity_mrps: u64,
    /// Requests refused so far, by reason.
    pub refused: [u64; Refusal::COUNT],
    /// Requests that would have been refused so far, by reason.
    pub would_refuse: [u64; Refusal::COUNT],
    /// What its decisions depend on beside that; `None` from a process with an older library.
    pub gate: Option<Gate>,
}

/// How much was used of the CPU time that a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSample {
    /// What was used of what may be.
    pub utilisation: Per10k,
    /// When, in milliseconds of `CLOCK_MONOTONIC`.
    pub at_ms: u64,
}

impl CpuSample {
    /// The sample of a word; `None` if it is none. One more than the utilisation, so that a zero is no sample.
    fn from_word(word: u64) -> Option<CpuSample> {
        let utilisation = Per10k::new((word as u16).checked_sub(1)?)?;
        Some(CpuSample { utilisation, at_ms: word >> CPU_TIME_SHIFT })
    }

    fn to_word(self) -> u64 {
        self.at_ms << CPU_TIME_SHIFT | u64::from(self.utilisation.get() + 1)
    }

    /// Whether it still says something. One from the future does: the caller may have looked at its clock before the
    /// agent did.
    pub fn is_fresh(self, now: Nanos) -> bool {
        self.at_ms.abs_diff(now.0 / NANOS_PER_MILLI) <= CPU_MAX_AGE_MS
    }
}

/// What a process says of itself, and the agent of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its number.
    pub pid: u32,
    /// How many processes have had the seat.
    pub incarnation: u32,
    /// When it took the seat, on `CLOCK_MONOTONIC`.
    pub claimed_ns: u64,
    /// When it last did its housekeeping.
    pub beat_ns: u64,
    /// Its name; bytes after the first 0 do not count.
    pub name: [u8; NAME_LEN],
    /// Questions that it answered with *no policy*.
    pub unanswered: u64,
    /// Its admission controller.
    pub queue: QueueReport,
    /// How much was used of the CPU time that it may use, by the agent; `None` if that has not looked.
    pub cpu: Option<CpuSample>,
    /// The inode of the PID namespace in which `pid` is its number; 0: not known.
    pub pid_namespace: u64,
}

/// All seats of a segment, to write.
#[derive(Clone, Copy)]
pub struct Seats<'a> {
    words: Shared<'a>,
    count: u32,
}

impl<'a> Seats<'a> {
    /// `count` seats and the common one, in `words`.
    pub const fn new(words: Shared<'a>, count: u32) -> Seats<'a> {
        Seats { words, count }
    }

    /// Takes a seat for process `pid`. `may_take` says whether the seat's owner, if there is one, is known to be gone, and
    /// makes sure that no other process gets the same answer (a lock on a byte of a file, which the kernel releases when
    /// its process dies). `None`: use [`COMMON`].
    ///
    /// Cold: `may_take` is called for each seat until one is free.
    #[inline(never)]
    pub fn claim(&self, pid: u32, now: Nanos, may_take: &mut dyn FnMut(u32, u32) -> bool) -> Option<u32> {
        (1..=self.count).find(|&seat| {
            let owner = self.words.load(word(seat) + OWNER);
            if !may_take(seat, owner as u32) {
                return false;
            }
            let next = (owner >> 32).wrapping_add(1) << 32 | u64::from(pid);
            let taken = self.words.exchange(word(seat) + OWNER, owner, next).is_ok();
            if taken {
                for gauge in GAUGES {
                    self.words.set(word(seat) + gauge, 0);
                }
                self.words.set(word(seat) + CLAIMED_NS, now.0);
            }
            taken
        })
    }

    /// Gives a seat back: its counters stay for the next one.
    pub fn release(&self, seat: u32) {
        let owner = self.words.load(word(seat) + OWNER);
        self.words.publish(word(seat) + OWNER, owner >> 32 << 32);
    }

    /// Says that the process does its housekeeping.
    pub fn beat(&self, seat: u32, unanswered: u64, now: Nanos) {
        self.words.set(word(seat) + UNANSWERED, unanswered);
        self.words.set(word(seat) + BEAT_NS, now.0);
    }

    /// Says what the process is called.
    pub fn set_name(&self, seat: u32, name: &[u8; NAME_LEN]) {
        for (index, bytes) in name.as_chunks::<8>().0.iter().enumerate() {
            self.words.set(word(seat) + NAME + index, u64::from_le_bytes(*bytes));
        }
    }

    /// Says in which PID namespace the process's number is one, by its inode.
    pub fn set_pid_namespace(&self, seat: u32, inode: u64) {
        self.words.set(word(seat) + PID_NAMESPACE, inode);
    }

    /// Who sits in a seat; `None` if nobody ever did, or its owner gave it back.
    pub fn occupant(&self, seat: u32) -> Option<Occupant> {
        occupant(self.words.view(), seat)
    }

    /// The agent says how much is used of the CPU time that the process may use.
    pub fn set_cpu(&self, seat: u32, utilisation: Per10k, now: Nanos) {
        let sample = CpuSample { utilisation, at_ms: now.0 / NANOS_PER_MILLI };
        self.words.set(word(seat) + CPU, sample.to_word());
    }

    /// What the agent last said of it, unless that is older than [`CPU_MAX_AGE_MS`]. Hot: one load.
    #[inline]
    pub fn cpu(&self, seat: u32, now: Nanos) -> Option<CpuSample> {
        CpuSample::from_word(self.words.load(word(seat) + CPU)).filter(|sample| sample.is_fresh(now))
    }

    /// Says what the process's admission controller does.
    pub fn report(&self, seat: u32, report: &QueueReport) {
        let gauges = [
            report.reported_ns,
            report.queued,
            report.running,
            report.admitted,
            report.completed,
            report.mode,
            report.shedding,
            report.cursor,
            report.demand_mrps,
            report.capacity_mrps,
        ];
        let gate = report.gate.map_or([0; GATE_WORDS], |gate| gate.to_words());
        let parts: [(usize, &[u64]); 4] =
            [(REPORT, &gauges), (REFUSED, &report.refused), (WOULD_REFUSE, &report.would_refuse), (GATE, &gate)];
        for (start, values) in parts {
            for (index, &value) in values.iter().enumerate() {
                self.words.set(word(seat) + start + index, value);
            }
        }
    }
}

/// Who sits in a seat; `None` if nobody ever did, or its owner gave it back.
pub fn occupant(words: View<'_>, seat: u32) -> Option<Occupant> {
    let load = |index: usize| words.load(word(seat) + index);
    let owner = load(OWNER);
    let report = |index: usize| load(REPORT + index);
    let mut name = [0; NAME_LEN];
    for (index, bytes) in name.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        *bytes = load(NAME + index).to_le_bytes();
    }
    (owner as u32 != 0).then(|| Occupant {
        pid: owner as u32,
        incarnation: (owner >> 32) as u32,
        claimed_ns: load(CLAIMED_NS),
        beat_ns: load(BEAT_NS),
        name,
        unanswered: load(UNANSWERED),
        queue: QueueReport {
            reported_ns: report(0),
            queued: report(1),
            running: report(2),
            admitted: report(3),
            completed: report(4),
            mode: report(5),
            shedding: report(6),
            cursor: report(7),
            demand_mrps: report(8),
            capacity_mrps: report(9),
            refused: core::array::from_fn(|reason| load(REFUSED + reason)),
            would_refuse: core::array::from_fn(|reason| load(WOULD_REFUSE + reason)),
            gate: Gate::from_words(core::array::from_fn(|index| load(GATE + index))),
        },
        cpu: CpuSample::from_word(load(CPU)),
        pid_namespace: load(PID_NAMESPACE),
    })
}

const fn word(seat: u32) -> usize {
    seat as usize * LEN
}
