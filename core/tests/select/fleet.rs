//! A small world: processes of one host that call the same machines, on a clock that is stepped from event to event.
//!
//! Calls come evenly spaced, and each user calls once in every bin of 100 ms, so that a healthy machine gets the same calls in
//! each. A call that fails is tried again at once, as long as the set gives it an endpoint. The same settings give the
//! same run.

use std::collections::BTreeMap;

use mcrpc_core::admission::{Cursor, Key};
use mcrpc_core::id::Salt;
use mcrpc_core::select::call::{Attempt, Call, Choice};
use mcrpc_core::select::decision::Decision;
use mcrpc_core::select::host_view::HostView;
use mcrpc_core::select::set::EndpointSet;
use mcrpc_core::select::settings::Settings;
use mcrpc_core::shield::outcome::Outcome;
use mcrpc_core::time::{NANOS_PER_MILLI, Nanos};

use super::{Segments, at, call_with, create, keyed, set_words, spec};

pub const BIN_MS: u64 = 100;
const ANSWERED_AFTER_NS: u64 = 5 * NANOS_PER_MILLI;
/// A failure is a timeout.
const FAILED_AFTER_NS: u64 = 50 * NANOS_PER_MILLI;
/// How often outcomes are handed over.
const HAND_OVER_BINS: usize = 2;
/// How long a cursor holds that comes with a reply.
const HOLD_MS: u32 = 1_000;

/// What a machine does with a request.
#[derive(Clone, Copy)]
pub enum Reply {
    Ok,
    Logic,
    Failed,
    Overloaded(Cursor),
}

impl Reply {
    fn outcome(self) -> Outcome {
        match self {
            Reply::Ok => Outcome::Ok,
            Reply::Logic => Outcome::Logic,
            Reply::Failed => Outcome::Failed,
            Reply::Overloaded(_) => Outcome::Overloaded,
        }
    }
}

pub struct World {
    pub machines: usize,
    pub processes: usize,
    /// Calls in each bin.
    pub users: u64,
    pub seconds: u64,
}

/// What happened in a bin; calls count in that in which they began.
#[derive(Clone, Default)]
pub struct Bin {
    pub calls: u64,
    pub served: u64,
    /// By machine.
    pub attempts: Vec<u64>,
}

pub struct Record {
    pub bins: Vec<Bin>,
    /// By machine, as the host counts them.
    pub shields: Vec<u64>,
    pub probes: Vec<u64>,
    decisions: Vec<u64>,
}

impl Record {
    pub fn span(&self, from_s: f64, to_s: f64) -> &[Bin] {
        let bin = |s: f64| ((s * 1e3) as u64 / BIN_MS) as usize;
        &self.bins[bin(from_s)..bin(to_s)]
    }

    /// The share of the calls that were served.
    pub fn served(&self, from_s: f64, to_s: f64) -> f64 {
        let bins = self.span(from_s, to_s);
        let sum = |of: fn(&Bin) -> u64| bins.iter().map(of).sum::<u64>() as f64;
        sum(|bin| bin.served) / sum(|bin| bin.calls)
    }

    /// Attempts at a machine.
    pub fn attempts(&self, machine: usize, from_s: f64, to_s: f64) -> u64 {
        self.span(from_s, to_s).iter().map(|bin| bin.attempts[machine]).sum()
    }

    pub fn all_attempts(&self, from_s: f64, to_s: f64) -> u64 {
        self.span(from_s, to_s).iter().flat_map(|bin| &bin.attempts).sum()
    }

    pub fn decided(&self, decision: Decision) -> u64 {
        self.decisions[decision as usize]
    }
}

/// A reply on its way to its caller.
struct Pending {
    process: usize,
    call: Call,
    choice: Choice,
    reply: Reply,
    took_ns: u64,
    bin: usize,
}

struct Run<'w, 'a> {
    sets: Vec<EndpointSet<'a>>,
    host: HostView<'w, 'a>,
    meets: &'w dyn Fn(usize, f64, Key) -> Reply,
    start: Nanos,
    pending: BTreeMap<(Nanos, u64), Pending>,
    sent: u64,
    bins: Vec<Bin>,
}

impl Run<'_, '_> {
    fn attempt(&mut self, process: usize, mut call: Call, bin: usize, now: Nanos) {
        let Ok(choice) = self.sets[process].select(&mut call, Attempt::Next, &self.host, now) else { return };
        let machine = choice.index as usize;
        let since_ns = now.since(self.start);
        let now_bin = (since_ns / (BIN_MS * NANOS_PER_MILLI)) as usize;
        if let Some(bin) = self.bins.get_mut(now_bin) {
            bin.attempts[machine] += 1;
        }
        let reply = (self.meets)(machine, since_ns as f64 / 1e9, call.key);
        let took_ns = if matches!(reply, Reply::Failed) { FAILED_AFTER_NS } else { ANSWERED_AFTER_NS };
        self.sent += 1;
        self.pending.insert((now.plus(took_ns), self.sent), Pending { process, call, choice, reply, took_ns, bin });
    }

    /// All replies up to a time.
    fn advance(&mut self, to: Nanos) {
        while let Some(first) = self.pending.first_entry().filter(|first| first.key().0 <= to) {
            let now = first.key().0;
            let Pending { process, call, choice, reply, took_ns, bin } = first.remove();
            let set = self.sets[process];
            set.report(&choice, reply.outcome(), took_ns, &self.host, now);
            match reply {
                Reply::Ok | Reply::Logic => self.bins[bin].served += 1,
                Reply::Overloaded(cursor) => {
                    set.heard(&choice, cursor, HOLD_MS, &self.host, now);
                    self.attempt(process, call, bin, now);
                }
                Reply::Failed => self.attempt(process, call, bin, now),
            }
        }
    }
}

/// Runs a world in which machines answer so: by number, time in seconds, and key.
pub fn run(world: &World, settings: &Settings, meets: &dyn Fn(usize, f64, Key) -> Reply) -> Record {
    let segments = Segments::new(&[]);
    let host = segments.attach();
    let memories: Vec<_> = (0..world.processes).map(|_| set_words(settings)).collect();
    let sets: Vec<_> = memories.iter().map(|memory| create(memory, settings)).collect();
    sets.iter().for_each(|set| set.replace(world.machines, &spec, &[], &host.view()).unwrap());
    let bin_count = (world.seconds * 1_000 / BIN_MS) as usize;
    let bins = vec![Bin { attempts: vec![0; world.machines], ..Bin::default() }; bin_count];
    let mut run = Run { sets, host: host.view(), meets, start: at(0), pending: BTreeMap::new(), sent: 0, bins };
    for bin in 0..bin_count {
        for user in 0..world.users {
            let call_id = bin as u64 * world.users + user;
            let now = at(0).plus(call_id * BIN_MS * NANOS_PER_MILLI / world.users);
            run.advance(now);
            run.bins[bin].calls += 1;
            let process = (user as usize + bin) % world.processes;
            let key = Key::new(Salt(3), 0, mcrpc_core::id::Uin(user + 1), 0);
            run.attempt(process, keyed(call_with(user + 1, call_id), key), bin, now);
        }
        if bin % HAND_OVER_BINS == 0 {
            run.sets.iter().for_each(|set| set.hand_over(&host.view()));
        }
    }
    run.advance(Nanos::NEVER);
    let readings: Vec<_> =
        (0..world.machines).map(|machine| run.sets[0].health(machine, &host.view()).unwrap().reading()).collect();
    let decided = |decision| run.sets.iter().map(|set| set.decisions(decision)).sum();
    Record {
        shields: readings.iter().map(|reading| reading.shields).collect(),
        probes: readings.iter().map(|reading| reading.probes).collect(),
        decisions: Decision::ALL.map(decided).to_vec(),
        bins: run.bins,
    }
}
