//! Writers that are killed one after the other, at random moments of their lives, while readers check every answer.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcrpc_agent::directory::Directory;
use mcrpc_core::host::files::Segment;
use mcrpc_core::host::header;
use mcrpc_core::strategy::table::{self, Table};
use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::reader::{self, Tally};

const READERS: u64 = 2;
/// A writer is killed within this time after its first heartbeat...
const WORKS_FOR_MAX: Duration = Duration::from_millis(3);
/// ...or, one of so many, at any time from its start on.
const EARLY_EACH: u32 = 5;
/// A writer whose heartbeat has not moved by then never will.
const STUCK: Duration = Duration::from_secs(20);
const SIGKILL: i32 = 9;

/// What happened.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub kills: u32,
    pub lookups: u64,
    pub attached: u64,
    pub wrong: u64,
    pub missing: u64,
    /// Readers without a table, and writers without a heartbeat.
    pub stuck: u64,
    /// Writers that ended by themselves.
    pub failed: u64,
    /// Entries moved to their second bucket, as far as the tables at the time of the kills tell.
    pub moves: u64,
    /// Tables that were found at the time of the kills.
    pub tables: u64,
    pub adoptions: u64,
    /// Entries found twice: the writer was killed within a move.
    pub half_moves: u64,
    /// Records found without an entry: it was killed within an insertion or a removal.
    pub half_changes: u64,
    /// It was killed between the two renames of a replacement.
    pub half_replacements: u64,
    /// A writer did not believe what it found, and began with nothing.
    pub lost_tables: u64,
    pub slowest_adoption: Duration,
    pub first_failure: Option<String>,
}

impl Summary {
    pub fn is_clean(&self) -> bool {
        [self.wrong, self.missing, self.stuck, self.failed, self.lost_tables] == [0; 5] && self.first_failure.is_none()
    }

    fn fail(&mut self, failure: String) {
        self.first_failure.get_or_insert(failure);
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kills {}, lookups {}, tables attached {}", self.kills, self.lookups, self.attached)?;
        let Summary { wrong, missing, stuck, failed, lost_tables, .. } = self;
        writeln!(f, "wrong {wrong}, missing {missing}, stuck {stuck}, failed {failed}, lost tables {lost_tables}")?;
        let Summary { half_moves, half_changes, half_replacements, .. } = self;
        write!(f, "found half done: moves {half_moves}, insertions and removals {half_changes}, ")?;
        writeln!(f, "replacements {half_replacements}")?;
        let Summary { moves, tables, adoptions, slowest_adoption, .. } = self;
        write!(
            f,
            "at least {moves} moves in {tables} tables; {adoptions} adoptions, the slowest {slowest_adoption:?}"
        )?;
        if let Some(failure) = &self.first_failure {
            write!(f, "\nfirst failure: {failure}")?;
        }
        Ok(())
    }
}

/// Starts writers with `command`, one after the other, and kills each, as long as `goes_on`. The table is prepared already.
pub fn run(dir: &Path, goes_on: impl Fn(&Summary) -> bool, command: impl Fn() -> Command) -> Summary {
    let (tally, stop) = (Tally::default(), AtomicBool::new(false));
    let mut summary = Summary::default();
    std::thread::scope(|scope| {
        for seed in 0..READERS {
            let (tally, stop) = (&tally, &stop);
            scope.spawn(move || reader::check(dir, seed, tally, || !stop.load(Ordering::Relaxed)));
        }
        let mut killer = Killer::new(dir);
        while goes_on(&summary) && summary.stuck == 0 && summary.failed < 3 {
            killer.kill_one(&command, &mut summary);
            take(&tally, &mut summary);
        }
        stop.store(true, Ordering::Relaxed);
    });
    take(&tally, &mut summary);
    summary
}

fn take(tally: &Tally, summary: &mut Summary) {
    summary.lookups = tally.lookups.load(Ordering::Relaxed);
    summary.attached = tally.attached.load(Ordering::Relaxed);
    summary.wrong = tally.wrong.load(Ordering::Relaxed);
    summary.missing = tally.missing.load(Ordering::Relaxed);
    summary.stuck = summary.stuck.max(tally.stuck.load(Ordering::Relaxed));
    if let Ok(Some(failure)) = tally.first_failure.lock().as_deref() {
        summary.fail(failure.clone());
    }
}

struct Killer {
    directory: Directory,
    random: SmallRng,
    /// The table at the last kill, and the moves in it until then.
    seen: (u64, u64),
    /// From the start of a process to its first heartbeat.
    start_takes: Duration,
}

impl Killer {
    fn new(dir: &Path) -> Killer {
        let directory = Directory::open(dir, None).unwrap();
        Killer { directory, random: rand::make_rng(), seen: (0, 0), start_takes: Duration::from_millis(5) }
    }

    fn kill_one(&mut self, command: impl Fn() -> Command, summary: &mut Summary) {
        let (start, before) = (Instant::now(), self.beat());
        let mut child = command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if self.random.random_ratio(1, EARLY_EACH) {
            std::thread::sleep(self.random.random_range(Duration::ZERO..self.start_takes * 2));
        } else {
            while self.beat() == before && start.elapsed() < STUCK && matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_micros(100));
            }
            if start.elapsed() >= STUCK {
                summary.stuck += 1;
                summary.fail(format!("no heartbeat for {STUCK:?}"));
            }
            self.start_takes = start.elapsed();
            std::thread::sleep(self.random.random_range(Duration::ZERO..WORKS_FOR_MAX));
        }
        child.kill().unwrap();
        summary.kills += 1;
        self.listen_to(child, summary);
        self.count_moves(summary);
    }

    /// What the dead one had to say.
    fn listen_to(&mut self, child: Child, summary: &mut Summary) {
        let output = child.wait_with_output().unwrap();
        if output.status.signal() != Some(SIGKILL) {
            summary.failed += 1;
            summary.fail(format!("a writer ended: {}", String::from_utf8_lossy(&output.stderr)));
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["adopted", micros, half_moves, half_changes, half_replacements] => {
                    summary.adoptions += 1;
                    let took = Duration::from_micros(micros.parse().unwrap());
                    summary.slowest_adoption = summary.slowest_adoption.max(took);
                    summary.half_moves += half_moves.parse::<u64>().unwrap();
                    summary.half_changes += half_changes.parse::<u64>().unwrap();
                    summary.half_replacements += half_replacements.parse::<u64>().unwrap();
                }
                ["made", ..] => {
                    summary.lost_tables += 1;
                    summary.fail(line.to_owned());
                }
                _ => {}
            }
        }
    }

    /// The table that there is and its heartbeat: another pair when a writer works.
    fn beat(&self) -> (u64, u64) {
        self.ask(|instance, table| (instance, table.refresh_seq()))
    }

    fn count_moves(&mut self, summary: &mut Summary) {
        let now = self.ask(|instance, table| (instance, table.diagnostics().moves));
        if self.seen.0 == now.0 {
            summary.moves += now.1 - self.seen.1;
        } else {
            summary.moves += now.1;
            summary.tables += 1;
        }
        self.seen = now;
    }

    fn ask<T>(&self, question: impl FnOnce(u64, Table<'_>) -> T) -> T {
        let mapping = self.directory.map(Segment::Strategy).unwrap();
        let header = header::read(mapping.view(), mapping.len(), &table::FORMAT).unwrap();
        question(header.instance, Table::inspect(mapping.view(), mapping.len()).unwrap())
    }
}
