//! The other process: this program, started again on the same host, which calls the first endpoint over and over.

use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use mcrpc_core::host::region::Shared;
use mcrpc_core::shield::outcome::Outcome;
use memmap2::{MmapOptions, MmapRaw};

use crate::callers::{Caller as _, Rust, Work as _};
use crate::world::{Plan, World};

const BURST: u64 = 64;
/// Among so many reports one is of a failure: not enough to shield an endpoint.
const REPORTS_PER_FAILURE: u64 = 32;
const PROGRESS: &str = "progress";

/// What the other process reports.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Succeeds,
    FailsAtTimes,
}

impl Behaviour {
    fn name(self) -> &'static str {
        match self {
            Behaviour::Succeeds => "succeeds",
            Behaviour::FailsAtTimes => "fails-at-times",
        }
    }
}

/// The other process; killed when it is dropped.
pub struct Neighbour {
    child: Child,
    progress: Progress,
}

impl Neighbour {
    pub fn start(world: &World, behaviour: Behaviour) -> Neighbour {
        let progress = Progress::open(&world.path);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("neighbour").arg(&world.path).arg(behaviour.name()).stdin(Stdio::null());
        Neighbour { child: command.spawn().unwrap(), progress }
    }

    /// Grows while it reports.
    pub fn progress(&self) -> u64 {
        self.progress.word().load(0)
    }

    /// Until it does.
    pub fn wait(&self) {
        let (before, start) = (self.progress(), Instant::now());
        while self.progress() == before {
            assert!(start.elapsed() < Duration::from_secs(20), "the other process does not run");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A word that both processes see.
struct Progress(MmapRaw);

impl Progress {
    fn open(directory: &Path) -> Progress {
        let path = directory.with_extension(PROGRESS);
        let file = std::fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path).unwrap();
        file.set_len(size_of::<AtomicU64>() as u64).unwrap();
        Progress(MmapOptions::new().map_raw(&file).unwrap())
    }

    fn word(&self) -> Shared<'_> {
        let start = std::ptr::NonNull::new(self.0.as_mut_ptr()).unwrap();
        // SAFETY: a mapping is page-aligned, and there while `self` is; both processes use it by whole atomic words.
        unsafe { Shared::from_raw(start, self.0.len()) }
    }
}

/// The other process.
pub fn run(directory: &Path, behaviour: &str) {
    let (world, progress) = (World::open(Plan::healthy(100), directory), Progress::open(directory));
    let rust = Rust::new(&world);
    let choices = rust.choices(1);
    let is_quiet = behaviour == Behaviour::Succeeds.name();
    // Ends with the process that started it, whatever ended that.
    let parent = parent_id();
    while parent_id() == parent {
        for _ in 0..BURST {
            rust.reports(&choices, REPORTS_PER_FAILURE - 1);
            let outcome = if is_quiet { Outcome::Ok } else { Outcome::Failed };
            choices.iter().for_each(|choice| rust.report(choice, outcome));
            progress.word().add(0, 1);
        }
    }
}
