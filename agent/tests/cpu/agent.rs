//! An agent that samples: who has a seat finds the answer in it.

use std::os::unix::fs::MetadataExt as _;

use mcrpc_agent::agent::{Agent, Sources};
use mcrpc_agent::directory::Directory;
use mcrpc_agent::publisher::{Publisher, Settings};
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::seat::Seats;
use mcrpc_core::host::stat::{self, Stat};

use super::*;

struct Host {
    kernel: Kernel,
    agent: Agent,
}

impl Host {
    fn new() -> Host {
        let kernel = Kernel::new();
        kernel.set("proc/self/ns/pid", "");
        let settings = Settings { capacity: 100, fail_capacity: 100, seats: 3, counters: 16, ..Settings::DEFAULT };
        let (publisher, _) = Publisher::open(&kernel.root.path().join("mcrpc"), settings).unwrap();
        let agent = Agent::new(publisher, Sources { cpu: Some(kernel.sampler()), ..Sources::default() });
        Host { kernel, agent }
    }

    fn with_seats<R>(&self, act: impl FnOnce(Seats<'_>) -> R) -> R {
        let directory = Directory::open(&self.kernel.root.path().join("mcrpc"), None).unwrap();
        let mapping = directory.map_writable(Segment::Stat).unwrap();
        act(Stat::attach(mapping.shared(), mapping.len()).unwrap().seats())
    }

    /// A process takes a seat.
    fn sit_down(&self, pid: u32, pid_namespace: u64) -> u32 {
        self.with_seats(|seats| {
            let seat = seats.claim(pid, self.kernel.now, &mut |_, owner| owner == 0).unwrap();
            seats.set_pid_namespace(seat, pid_namespace);
            seat
        })
    }

    /// The namespace of the agent.
    fn own_namespace(&self) -> u64 {
        fs::metadata(self.kernel.root.path().join("proc/self/ns/pid")).unwrap().ino()
    }

    fn second(&mut self) {
        self.kernel.now = self.kernel.now.plus(NANOS_PER_SECOND);
        self.agent.second(self.kernel.now);
    }

    fn told(&self, seat: u32) -> Option<u16> {
        self.with_seats(|seats| seats.cpu(seat, self.kernel.now)).map(|sample| sample.utilisation.get())
    }
}

#[test]
fn each_process_that_the_agent_sees_is_told_each_second() {
    let mut host = Host::new();
    let (first, second) = (host.sit_down(1, host.own_namespace()), host.sit_down(2, host.own_namespace()));
    host.kernel.set_process(1, "0", "");
    host.kernel.set_process(2, "1", "");
    host.second();
    assert_eq!((host.told(first), host.told(second)), (None, None), "one look is none");
    host.kernel.set_cpus(&[(0, 100), (1, 100)]);
    host.kernel.set_used(1, 75);
    host.kernel.set_used(2, 10);
    host.second();
    assert_eq!((host.told(first), host.told(second)), (Some(7_500), Some(1_000)));
    host.kernel.set_cpus(&[(0, 200), (1, 200)]);
    host.kernel.set_used(2, 110);
    host.kernel.remove("proc/1/status");
    host.second();
    assert_eq!((host.told(first), host.told(second)), (Some(7_500), Some(10_000)), "the last sample holds for a while");
    (0..2).for_each(|_| host.second());
    assert_eq!(host.told(first), None);
}

#[test]
fn a_process_in_another_pid_namespace_is_not_taken_for_the_one_with_its_number_here() {
    let mut host = Host::new();
    let (other, unknown) = (host.sit_down(1, host.own_namespace() + 1), host.sit_down(1, 0));
    host.kernel.set_process(1, "0-1", "");
    host.second();
    host.kernel.set_cpus(&[(0, 100), (1, 100)]);
    host.second();
    assert_eq!((host.told(other), host.told(unknown)), (None, None));
}

#[test]
fn seats_that_were_made_anew_are_found() {
    let mut host = Host::new();
    host.kernel.set_process(1, "0-1", "");
    host.sit_down(1, host.own_namespace());
    host.second();
    let directory = Directory::open(&host.kernel.root.path().join("mcrpc"), None).unwrap();
    let create = |words: mcrpc_core::host::region::Shared<'_>| stat::create(words, 3, 16, 8, 9);
    directory.replace(Segment::Stat, stat::segment_len(3, 16), Settings::DEFAULT.shared_mode, create).unwrap();
    let seat = host.sit_down(1, host.own_namespace());
    host.kernel.set_cpus(&[(0, 100), (1, 100)]);
    host.kernel.set_used(1, 100);
    host.second();
    assert_eq!(host.told(seat), Some(5_000));
}
