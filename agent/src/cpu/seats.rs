//! Samples for all who have a seat, written where they read them: a word of the seat ([`mcrpc_core::host::seat`]).

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use mcrpc_core::host::files::Segment;
use mcrpc_core::host::stat::Stat;
use mcrpc_core::time::Nanos;

use super::sampler::Sampler;
use crate::directory::Directory;
use crate::mapping::WritableMapping;

/// The segment with the seats, as far as it is attached, and who looks at the processes.
pub(crate) struct CpuSeats {
    stat: Option<WritableMapping>,
    sampler: Sampler,
    /// The namespace in which a number is the same process for the agent; `None` if it cannot see its own.
    pid_namespace: Option<u64>,
}

impl CpuSeats {
    pub(crate) fn new(sampler: Sampler) -> CpuSeats {
        let pid_namespace = fs::metadata(sampler.proc().join("self/ns/pid")).map(|it| it.ino()).ok();
        CpuSeats { stat: None, sampler, pid_namespace }
    }

    /// Once a second. A segment that is not there, or not to be believed, has nobody in it.
    pub(crate) fn second(&mut self, directory: &Directory, now: Nanos) {
        if attached(&self.stat).is_none() {
            self.stat = directory.map_writable(Segment::Stat).ok();
        }
        let Some(stat) = attached(&self.stat) else { return };
        let seats = stat.seats();
        let taken = (1..=stat.seat_count()).filter_map(|seat| Some((seat, seats.occupant(seat)?)));
        // In another namespace the number is another process.
        let visible = taken.filter(|(_, occupant)| Some(occupant.pid_namespace) == self.pid_namespace);
        let (seated, pids): (Vec<_>, Vec<_>) = visible.map(|(seat, occupant)| (seat, occupant.pid)).unzip();
        for (seat, utilisation) in seated.into_iter().zip(self.sampler.sample(&pids, now)) {
            if let Some(utilisation) = utilisation {
                seats.set_cpu(seat, utilisation, now);
            }
        }
    }
}

fn attached(mapping: &Option<WritableMapping>) -> Option<Stat<'_>> {
    mapping.as_ref().and_then(|mapping| Stat::attach(mapping.shared(), mapping.len()).ok())
}
