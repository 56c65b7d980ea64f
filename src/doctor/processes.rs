//! Who uses the directory: dead, hung, with another clock, or without a seat.

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Counters;

use super::finding::{Examined, Severity};
use crate::host::liveness::{Life, SeatLocks};
use crate::host::place::Moment;
use crate::host::stat;
use crate::host::text::{count, span_ms};

/// Clocks of processors differ by less, and a heartbeat takes no longer to be read.
const MAX_SKEW_NS: u64 = 100_000_000;

/// Looks at all seats.
pub(super) fn examine(directory: &Directory, now: &Moment, examined: &mut Examined) {
    let Ok(mapping) = directory.map(Segment::Stat) else { return };
    let locks = SeatLocks::open(directory.path());
    let Ok(stat) = stat::read(mapping.view(), mapping.len(), &locks, now) else { return };
    let of = |life: Life| {
        let found: Vec<_> = stat.processes.iter().filter(|process| process.state == life).collect();
        let names = found.iter().map(|process| format!("{} ({})", process.name, process.pid)).collect::<Vec<_>>();
        (found.len(), names.join(", "))
    };
    let (alive, _) = of(Life::Alive);
    let (hung, hung_names) = of(Life::Hung);
    let (dead, dead_names) = of(Life::Dead);
    if hung > 0 {
        let text = format!("{} without a heartbeat: {hung_names}", count(hung, "process", "processes"));
        let remedy =
            "find out what they wait for (mcrpc top shows their last records), or call mcrpc_host_tick() once a second";
        examined.found(Severity::Warning, "processes", "hung", text, remedy);
    }
    if dead > 0 {
        let text = format!("{} in seats: {dead_names}", count(dead, "dead process", "dead processes"));
        examined.found(
            Severity::Note,
            "processes",
            "dead",
            text,
            "nothing to do: the next processes take the seats over",
        );
    }
    if stat.seats > 0 && alive + hung >= stat.seats as usize {
        let text = format!("all {} seats are taken: further processes count in the common one", stat.seats);
        let remedy = "stop the agent, remove stat.v1, trace.v1 and log.v1, and start it with a larger --seats";
        examined.found(Severity::Warning, "processes", "no_seat", text, remedy);
    }
    let old = stat.processes.iter().filter(|process| process.queue.as_ref().is_some_and(|queue| queue.gate.is_none()));
    let old: Vec<String> = old.map(|process| format!("{} ({})", process.name, process.pid)).collect();
    if !old.is_empty() {
        let text = format!("an older library in {}: `mcrpc why` cannot ask their admission", old.join(", "));
        examined.found(Severity::Note, "processes", "old_library", text, "restart them with this version, at leisure");
    }
    clocks(mapping.view(), mapping.len(), now, examined);
    if hung == 0 {
        examined.ok("processes", format!("{} alive", count(alive, "process", "processes")));
    }
}

/// Heartbeats are times of `CLOCK_MONOTONIC`, which is one for all: except in another time namespace, or on a machine whose clock
/// was put back.
fn clocks(view: mcrpc_core::host::region::View<'_>, len: u64, now: &Moment, examined: &mut Examined) {
    let Ok(counters) = Counters::attach(view, len) else { return };
    let occupants = (1..=counters.seat_count()).filter_map(|seat| counters.occupant(seat));
    // Those that have come since the look began are no harm.
    let ahead = occupants.filter(|occupant| occupant.beat_ns.saturating_sub(now.monotonic_ns) > MAX_SKEW_NS);
    for occupant in ahead {
        let skew_ms = (occupant.beat_ns - now.monotonic_ns) / 1_000_000;
        let text = format!(
            "the clock of process {} is ahead by {}: deadlines, shields and cursors mean other times to it",
            occupant.pid,
            span_ms(skew_ms)
        );
        let remedy = "run all programs of the host in one time namespace, with CLOCK_MONOTONIC as it is";
        examined.found(Severity::Error, "clocks", "skew", text, remedy);
    }
}
