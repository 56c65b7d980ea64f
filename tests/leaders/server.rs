//! The parent of the processes: it kills, stops and replaces them, and says how long the clock may run.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mcrpc_core::admission::{Admission, Snapshot};
use mcrpc_core::time::NANOS_PER_SECOND;
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rustix::process::{Pid, Signal};

use crate::shared::{Board, PROCESSES, QUEUES_EACH, STEP_NS, Shared, WINDOW_NS};

/// Nothing here takes longer, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between the first step of a process and what happens to it.
const LIVES_FOR_MAX: Duration = Duration::from_micros(300);

/// Where a process was when it was killed or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// Not in a window's close, as far as can be told.
    Elsewhere,
    /// It had been elected and had not come back.
    Elected,
    /// It had begun to write what the window brought, and had not finished.
    Writing,
}

pub struct Server<'a> {
    pub board: &'a Board,
    pub admission: Admission<'a>,
    turn_words: [&'a AtomicU64; 2],
    start: Box<dyn Fn(usize) -> Command + 'a>,
    children: Vec<Child>,
    stopped: Option<usize>,
    random: SmallRng,
}

impl<'a> Server<'a> {
    /// Starts the processes, each with its command.
    pub fn start(shared: &'a Shared, start: impl Fn(usize) -> Command + 'a) -> Server<'a> {
        let (board, admission) = (shared.board(), shared.admission());
        let turn_words = shared.turn_words();
        let random = rand::make_rng();
        let mut server =
            Server { board, admission, turn_words, start: Box::new(start), children: vec![], stopped: None, random };
        for process in 0..PROCESSES {
            let child = server.spawn(process);
            server.children.push(child);
        }
        wait_until("all processes to run", || (0..PROCESSES).all(|process| server.runs(process)));
        server
    }

    fn spawn(&self, process: usize) -> Child {
        self.board.slots[process].beats.store(0, Ordering::Relaxed);
        self.board.slots[process].calling_at.store(0, Ordering::Relaxed);
        (self.start)(process).stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
    }

    fn beats(&self, process: usize) -> u64 {
        self.board.slots[process].beats.load(Ordering::Relaxed)
    }

    fn runs(&self, process: usize) -> bool {
        self.beats(process) > 0 && self.stopped != Some(process)
    }

    /// One of the processes that run.
    pub fn any_that_runs(&mut self) -> usize {
        loop {
            let process = self.random.random_range(0..PROCESSES);
            if self.runs(process) {
                return process;
            }
        }
    }

    /// Lets these step the clock, and the others follow.
    pub fn let_step(&self, steppers: impl Iterator<Item = usize>) {
        self.board.steppers.store(steppers.map(|process| 1 << process).sum(), Ordering::Relaxed);
    }

    /// Lets the clock run by so many windows, and no further.
    pub fn run_windows(&self, windows: u64) {
        let limit = self.board.clock.load(Ordering::Relaxed) + windows * WINDOW_NS;
        self.board.clock_limit.store(limit, Ordering::Relaxed);
        wait_until("the clock to be stepped", || self.board.clock.load(Ordering::Relaxed) >= limit);
    }

    /// Lets the clock run freely for a moment of random length in which `process` works.
    fn run_until_some_moment(&mut self, process: usize) {
        let rounds = &self.board.slots[process].rounds;
        let before = rounds.load(Ordering::Relaxed);
        self.board.clock_limit.store(u64::MAX, Ordering::Relaxed);
        wait_until("a process to work", || rounds.load(Ordering::Relaxed) != before);
        let (start, lives_for) = (Instant::now(), self.random.random_range(Duration::ZERO..LIVES_FOR_MAX));
        while start.elapsed() < lives_for {
            std::hint::spin_loop();
        }
    }

    /// Holds the clock, and waits until whoever runs has returned from all its calls.
    fn hold(&self) {
        self.board.clock_limit.store(0, Ordering::Relaxed);
        let before: [u64; PROCESSES] = std::array::from_fn(|process| self.beats(process));
        // After one beat it may have worked on what it had seen before; after another one it waits.
        wait_until("all processes to wait", || {
            (0..PROCESSES).all(|process| !self.runs(process) || self.beats(process) > before[process] + 1)
        });
    }

    /// Kills a process at some moment, and holds the clock.
    pub fn kill(&mut self, process: usize) -> Hit {
        self.run_until_some_moment(process);
        self.children[process].kill().unwrap();
        self.children[process].wait().unwrap();
        let hit = self.hit(process);
        self.board.slots[process].beats.store(0, Ordering::Relaxed);
        self.hold();
        hit
    }

    /// Gives up the queues of a process that was killed, and starts another one in its place.
    pub fn replace(&mut self, process: usize) {
        for index in 0..QUEUES_EACH {
            self.admission.queue_lost((process * QUEUES_EACH + index) as u32).unwrap();
        }
        self.children[process] = self.spawn(process);
    }

    /// Stops a process at some moment, and holds the clock.
    pub fn stop(&mut self, process: usize) -> Hit {
        self.run_until_some_moment(process);
        self.signal(process, Signal::STOP);
        let status = format!("/proc/{}/stat", self.children[process].id());
        wait_until("a process to stop", || std::fs::read_to_string(&status).unwrap().contains(") T "));
        let hit = self.hit(process);
        self.stopped = Some(process);
        self.hold();
        hit
    }

    /// Lets the process that is stopped go on, and waits until it has returned from its call.
    pub fn go_on(&mut self) {
        if let Some(process) = self.stopped.take() {
            self.signal(process, Signal::CONT);
            self.hold();
        }
    }

    fn signal(&self, process: usize, signal: Signal) {
        rustix::process::kill_process(Pid::from_raw(self.children[process].id() as i32).unwrap(), signal).unwrap();
    }

    /// Where a process is that does not run. With others that step the clock some hits are missed, since another leader
    /// may have been elected meanwhile; none is made up.
    fn hit(&self, process: usize) -> Hit {
        let slot = &self.board.slots[process];
        let now = slot.calling_at.load(Ordering::Acquire);
        let [elected, written] = self.turn_words.map(|word| word.load(Ordering::Acquire) == now);
        let closed = self.admission.snapshot().windows_closed != slot.closed_before.load(Ordering::Relaxed);
        match (now != 0 && elected && !closed, written) {
            (false, _) => Hit::Elsewhere,
            (true, false) => Hit::Elected,
            (true, true) => Hit::Writing,
        }
    }

    pub fn rounds(&self) -> [u64; PROCESSES] {
        self.board.slots.each_ref().map(|slot| slot.rounds.load(Ordering::Relaxed))
    }

    /// Waits until all that run have worked since then.
    pub fn wait_for_rounds(&self, before: &[u64; PROCESSES]) {
        wait_until("all others to work", || {
            self.rounds()
                .iter()
                .zip(before)
                .enumerate()
                .all(|(process, (now, before))| !self.runs(process) || now > before)
        });
    }

    /// What is wrong with what the controller knows, given that one process works in every step, and each in every step at most.
    pub fn insanity(&self) -> Option<String> {
        let one_process_mrps = 1_000 * NANOS_PER_SECOND / STEP_NS;
        let Snapshot { demand_mrps, capacity_mrps, .. } = self.admission.snapshot();
        let offered_mrps = one_process_mrps * self.board.load_percent.load(Ordering::Relaxed) / 100;
        let within = |found: u64, one: u64| (one / 2..=2 * PROCESSES as u64 * one).contains(&found);
        let sane = within(demand_mrps, offered_mrps) && within(capacity_mrps, one_process_mrps);
        (!sane).then(|| format!("{:?}, one process offers {offered_mrps} mrps", self.admission.snapshot()))
    }

    /// Tells all processes to finish what they have, and waits until they have ended.
    pub fn leave(&mut self) {
        wait_until("all processes to run", || (0..PROCESSES).all(|process| self.runs(process)));
        self.board.leave.store(1, Ordering::Relaxed);
        for child in &mut self.children {
            assert!(child.wait().unwrap().success());
        }
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already cannot be killed, and need not be.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_micros(10));
    }
}
